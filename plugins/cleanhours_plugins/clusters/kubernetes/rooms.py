"""Rooms: what each location holds, by its nodes, and what of it is taken by Pods that are not ours to move. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from cleanhours.domain.locations import Location, Room
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours.domain.times import epoch, instant_of
from cleanhours_plugins.clusters.kubernetes.nodes import NodeRecord
from cleanhours_plugins.clusters.kubernetes.pods import PodRecord
from cleanhours_plugins.clusters.kubernetes.siting import Estate, survey
from cleanhours_plugins.clusters.kubernetes.topology import label_of

EVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""The end of what never ends by itself."""
_BEFORE: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""What others hold, they hold already: one start for all, or every Pod would be a booking of its own and every second
another room."""
_EVER_S: Final = epoch(EVER)
_GRID_S: Final = 15 * 60
"""Ends are rounded up to this, or to an eighth of a longer guess: a hundred bookings stand for fifty thousand Pods."""
_FIRST_GUESS_S: Final = 3_600


def rooms_of(
    nodes: Iterable[NodeRecord],
    pods: Iterable[PodRecord],
    ours: Iterable[str],
    locations: Mapping[str, Location],
    topology_label: str,
    now: datetime,
) -> dict[str, Room]:
    """Each location's capacity and what others hold of it; `ours` as `PodRecord.belongs_to` reads it."""
    labels = {name: label_of(location, topology_label) for name, location in locations.items()}
    estate = survey(nodes, labels)
    return with_others(found_rooms(estate, locations), estate, pods, frozenset(ours), now)


def found_rooms(estate: Estate, locations: Mapping[str, Location]) -> dict[str, Room]:
    """The locations with the sum of what their ready, schedulable nodes offer to Pods; nobody in them.

    What the operator says of a location stands (autoscalers add nodes that are not there yet). A location without any
    node now is limited by nothing else; one whose nodes are all cordoned or unready has room for nothing.
    """
    rooms = {}
    for name, location in locations.items():
        nodes = estate.nodes.get(name) or ()
        if nodes:
            offers = [node.pool.allocatable for node in nodes if node.name in estate.counted]
            rooms[name] = Room(replace(location, capacity=_capacity(location.capacity, offers)))
        else:
            rooms[name] = Room(location)
    return rooms


def _capacity(told: Capacity, offers: Iterable[Demand]) -> Capacity:
    cpu = memory = gpus = 0
    for offer in offers:
        cpu += offer.cpu_millicores
        memory += offer.memory_bytes
        gpus += offer.gpus
    return Capacity(
        cpu_millicores=cpu if told.cpu_millicores is None else told.cpu_millicores,
        memory_bytes=memory if told.memory_bytes is None else told.memory_bytes,
        gpus=gpus if told.gpus is None else told.gpus,
        slots=told.slots,
    )


def with_others(
    rooms: Mapping[str, Room],
    estate: Estate,
    pods: Iterable[PodRecord],
    ours: frozenset[str],
    now: datetime,
) -> dict[str, Room]:
    """The rooms with a booking for each end of what Pods of others hold on nodes that count."""
    held: dict[tuple[str, ...], dict[int, list[int]]] = {}
    ends = _Ends(now)
    counted = estate.counted
    for pod in pods:
        names = counted.get(pod.node)
        if names is None or pod.belongs_to(ours):
            continue
        there = held.get(names)
        if there is None:
            there = held[names] = {}
        end_s = ends.of(pod)
        sums = there.get(end_s)
        if sums is None:
            sums = there[end_s] = [0, 0, 0]
        demand = pod.demand
        sums[0] += demand.cpu_millicores
        sums[1] += demand.memory_bytes
        sums[2] += demand.gpus
    return {name: replace(room, others=_bookings(name, held)) for name, room in rooms.items()}


def _bookings(name: str, held: Mapping[tuple[str, ...], Mapping[int, Sequence[int]]]) -> tuple[Booking, ...]:
    """What is held at a location, by its end; a node may lie in several."""
    here: dict[int, list[int]] = {}
    for names, by_end in held.items():
        if name in names:
            for end_s, sums in by_end.items():
                known = here.get(end_s, (0, 0, 0))
                here[end_s] = [before + more for before, more in zip(known, sums, strict=True)]
    return tuple(
        Booking(_BEFORE, instant_of(end_s), Demand(cpu, memory, gpus, slots=0))
        for end_s, (cpu, memory, gpus) in sorted(here.items())
    )


class _Ends:
    """Until when Pods are taken to stay, as of `now`.

    One that is restarted whenever it ends stays for ever; one that is stopping is gone within the quarter of an hour;
    one with an activeDeadlineSeconds stays until then, as far as we know. Of any other that will end nobody says when:
    it is taken to run as long again as it has run, in doublings from an hour. For ever would hold our jobs back for
    fear of work that is gone tomorrow; not at all would promise room that is taken. Of the guesses without further
    knowledge it is the one that is off by a factor at most, and between doublings it stands still, so that an unchanged
    cluster is an unchanged room.
    """

    def __init__(self, now: datetime) -> None:
        self._now_s = epoch(now)
        self._soon_s = _rounded_up(self._now_s + 1, _GRID_S)
        self._known: dict[int, int] = {}

    def of(self, pod: PodRecord) -> int:
        """When it is taken to end, in seconds since 1970; after `now`."""
        if pod.terminating:
            return self._soon_s
        if pod.limit_s is not None and pod.started_s + pod.limit_s > self._now_s:
            return _rounded_up(pod.started_s + pod.limit_s, _GRID_S)
        if pod.lasting and pod.limit_s is None:
            return _EVER_S
        end_s = self._known.get(pod.started_s)
        if end_s is None:
            end_s = self._known[pod.started_s] = self._guess(pod.started_s)
        return end_s

    def _guess(self, started_s: int) -> int:
        span_s = _FIRST_GUESS_S
        while started_s + span_s <= self._now_s:
            span_s *= 2
        return _rounded_up(started_s + span_s, max(_GRID_S, span_s // 8))


def _rounded_up(instant_s: int, grid_s: int) -> int:
    return -(-instant_s // grid_s) * grid_s


@dataclass(frozen=True, slots=True)
class _Seen:
    """What an answer was made of."""

    nodes: object
    pods: object
    ours: frozenset[str]
    until: datetime


class Housing:
    """Estate and rooms of one cluster, kept while nothing changes.

    `nodes_revision` and `pods_revision` are anything that compares equal exactly while the records do.
    """

    def __init__(self, locations: Mapping[str, Location], topology_label: str) -> None:
        self._locations = locations
        self._labels = {name: label_of(location, topology_label) for name, location in locations.items()}
        self._surveyed: tuple[object, Estate, dict[str, Room]] | None = None
        self._answered: tuple[_Seen, dict[str, Room]] | None = None

    def estate(self, nodes: Iterable[NodeRecord], nodes_revision: object) -> Estate:
        """The nodes by location; its `possible` answers where a job could run."""
        return self._survey(nodes, nodes_revision)[0]

    def rooms(
        self,
        nodes: Iterable[NodeRecord],
        pods: Iterable[PodRecord],
        ours: frozenset[str],
        now: datetime,
        *,
        nodes_revision: object,
        pods_revision: object,
    ) -> Mapping[str, Room]:
        """As `rooms_of`; the same value as before while nothing has changed and no end has come."""
        if self._answered is not None:
            seen, rooms = self._answered
            same = (seen.nodes, seen.pods, seen.ours) == (nodes_revision, pods_revision, ours)
            if same and now < seen.until:
                return rooms
        estate, empty = self._survey(nodes, nodes_revision)
        rooms = with_others(empty, estate, pods, ours, now)
        until = min((one.end for room in rooms.values() for one in room.others), default=EVER)
        self._answered = _Seen(nodes_revision, pods_revision, ours, until), rooms
        return rooms

    def _survey(self, nodes: Iterable[NodeRecord], revision: object) -> tuple[Estate, dict[str, Room]]:
        if self._surveyed is None or self._surveyed[0] != revision:
            estate = survey(nodes, self._labels)
            self._surveyed = revision, estate, found_rooms(estate, self._locations)
        return self._surveyed[1], self._surveyed[2]
