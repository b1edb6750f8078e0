"""Quotas: where every job of ours goes through Kueue, no location has more room for us than its quotas leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from cleanhours.domain.locations import Room
from cleanhours.domain.resources import Capacity, Demand
from cleanhours_plugins.clusters.kubernetes import kueue
from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.keeping import Count, count_nothing
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object
from cleanhours_plugins.clusters.kubernetes.kueue import CLUSTER_QUEUES, FLAVORS, LOCAL_QUEUES
from cleanhours_plugins.clusters.kubernetes.watching import Reflector

_RESOURCES: Final = ("cpu_millicores", "memory_bytes", "gpus")


class Quotas:
    """Queues and flavors of one Kueue, as watched. There are few of them: kept as the API tells them."""

    def __init__(
        self, api: Api, version: str, watched: Sequence[str] = (), *, count: Count = count_nothing
    ) -> None:
        def watch(plural: str, space: str | None = None) -> Reflector[Object]:
            return Reflector(api, kueue.collection(version, plural, space), _slim, kind=plural, count=count)

        self._queues = watch(CLUSTER_QUEUES)
        self._flavors = watch(FLAVORS)
        self._local = [watch(LOCAL_QUEUES, space) for space in watched or (None,)]
        self.version = version

    @property
    def reflectors(self) -> list[Reflector[Object]]:
        return [self._queues, self._flavors, *self._local]

    def start(self) -> None:
        for one in self.reflectors:
            one.start()

    def stop(self) -> None:
        for one in self.reflectors:
            one.stop()

    def left(self, queues: frozenset[tuple[str, str]], label: str) -> Mapping[str, Capacity] | None:
        """By value of the node label, what is left of the quotas that these (namespace, queue) lead to; None: not known."""
        if not all(one.synced for one in self.reflectors):
            return None
        local = [
            one
            for reflector in self._local
            for one in reflector.records()
            if (one["metadata"]["namespace"], one["metadata"]["name"]) in queues
        ]
        return kueue.quotas_of(self._queues.records(), local, self._flavors.records(), label)


def within(
    rooms: Mapping[str, Room],
    left: Mapping[str, Capacity],
    ours: Iterable[tuple[str, Demand]],
    now: datetime,
) -> dict[str, Room]:
    """The rooms, none larger than what its quotas leave; `left` is by location, as is what our own jobs reserved.

    A quota counts our own running jobs as taken, a room does not: theirs is added. What others hold now is added too, for
    a room subtracts it: so the room that is free now is the quota that is left now, and grows as the others end.
    """
    reserved: dict[str, list[int]] = {}
    for location, demand in ours:
        sums = reserved.setdefault(location, [0, 0, 0])
        for place, name in enumerate(_RESOURCES):
            sums[place] += getattr(demand, name)
    return {
        name: _within(room, left[name], reserved.get(name, [0, 0, 0]), now) if name in left else room
        for name, room in rooms.items()
    }


def _within(room: Room, left: Capacity, reserved: Sequence[int], now: datetime) -> Room:
    limits = {}
    for place, name in enumerate(_RESOURCES):
        quota, whole = getattr(left, name), getattr(room.location.capacity, name)
        if quota is not None:
            others = sum(getattr(one.demand, name) for one in room.others if one.start <= now < one.end)
            most = quota + reserved[place] + others
            limits[name] = most if whole is None else min(whole, most)
    return replace(room, location=replace(room.location, capacity=replace(room.location.capacity, **limits)))


def _slim(obj: Object) -> Object:
    """Without what changes with every write, and who wrote it."""
    meta = obj["metadata"]
    kept = {key: meta[key] for key in ("name", "namespace", "uid") if key in meta}
    return {"metadata": kept, "spec": obj.get("spec") or {}, "status": obj.get("status") or {}}
