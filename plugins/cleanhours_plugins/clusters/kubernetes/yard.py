"""The yard: nodes, Pods, volumes and schedules around the jobs, kept as seen, and what follows from them for jobs and planning."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cleanhours.domain.locations import Location, Room
from cleanhours.domain.requests import JobRequest
from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.errors import ApiError, Denied
from cleanhours_plugins.clusters.kubernetes.jobs import MOST_HANDLES
from cleanhours_plugins.clusters.kubernetes.keeping import Count, count_nothing
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD
from cleanhours_plugins.clusters.kubernetes.nodes import NodeRecord, read_node
from cleanhours_plugins.clusters.kubernetes.placing import original_pods
from cleanhours_plugins.clusters.kubernetes.pods import OCCUPYING, PodRecord, read_pod
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.rooms import Housing
from cleanhours_plugins.clusters.kubernetes.schedules import CronJobs, CronRecord, narrowed, scheduled_at
from cleanhours_plugins.clusters.kubernetes.siting import Estate
from cleanhours_plugins.clusters.kubernetes.volumes import Ties, Volumes
from cleanhours_plugins.clusters.kubernetes.watching import Reflector

_NODES: Final = "/api/v1/nodes"
_MOST_REMEMBERED: Final = 20_000
_NO_TIES: Final = Ties({}, known=True)
_LOOK_S: Final = 3.0
"""For one answer about one job: a tick waits for it."""
_FORGETTING: Final = timedelta(minutes=10)


class Yard:
    """Keeps the promises of `jobs.Surroundings`, and knows the room there is. Started, it watches; else `look` lists.

    Claims, volumes and CronJobs are read one by one, when a job has one, and some of them each time that `at` tells another
    instant: until then such a job is taken to be tied to its home.
    """

    def __init__(
        self,
        api: Api,
        locations: Mapping[str, Location],
        topology: str,
        watched: Sequence[str] = (),
        *,
        count: Count = count_nothing,
    ) -> None:
        self._api = api.through(timeout_s=_LOOK_S)
        self._housing = Housing(locations, topology)
        self._volumes = Volumes(self._api)
        self._crons = CronJobs(self._api)
        self._now = self._forgot = datetime.min.replace(tzinfo=UTC)
        self._nodes_revision = 0
        self._pods_revision = 0
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._touched: set[str] = set()
        self._nodes: Reflector[NodeRecord] = Reflector(
            api, _NODES, read_node, kind="nodes", changed=self._node_changed, count=count
        )
        self._pods: list[Reflector[PodRecord]] = [
            Reflector(
                api,
                POD.collection(space),
                read_pod,
                kind="pods",
                changed=self._pod_changed,
                query={"fieldSelector": OCCUPYING},
                count=count,
            )
            for space in watched or (None,)
        ]

    @property
    def reflectors(self) -> tuple[Reflector[NodeRecord] | Reflector[PodRecord], ...]:
        return (self._nodes, *self._pods)

    def look(self) -> None:
        """Lists everything once. What we may not see is not there: locations without nodes are limited by nothing."""
        for reflector in self.reflectors:
            try:
                reflector.once()
            except Denied:
                continue

    def at(self, now: datetime) -> None:
        """The instant of the questions that follow."""
        self._now = now
        if now - self._forgot > _FORGETTING:
            self._forgot = now
            self._volumes.forget_old(now)
            self._crons.forget_old(now)

    @property
    def revision(self) -> int:
        """Another one when what nodes say may be another."""
        return self._nodes_revision

    def touched(self) -> frozenset[str]:
        """Owners of Pods that were first seen since this was last asked: uids, or namespace/name."""
        with self._lock:
            owners, self._touched = frozenset(self._touched), set()
        return owners

    def around(self, record: Record, *, waits: bool) -> Hashable:
        """What is said here of an object, in a form that compares equal as long as that is the same.

        One that `waits` has no Pods, and one without claims and a schedule depends on the nodes alone.
        """
        claims = any(pods.claims for pods in record.pod_sets)
        if waits and not claims and record.owner is None:
            return self._nodes_revision
        ties = self._ties(record)
        tied = tuple(sorted((claim, id(selector)) for claim, selector in ties.selectors.items()))
        return self._nodes_revision, tied, ties.known, self._cron(record), self.pods(record)

    def feasible(self, record: Record) -> frozenset[str] | None:
        ties = self._ties(record)
        if not ties.known:
            return frozenset()
        return self._estate().possible(original_pods(record), ties.selectors)

    def tied(self, record: Record) -> frozenset[str] | None:
        ties = self._ties(record)
        return self._estate().tied(ties.selectors) if ties.selectors else None

    def narrowed(self, request: JobRequest, record: Record) -> JobRequest:
        cron = self._cron(record)
        if cron is None or record.owner is None:
            return request
        return narrowed(request, cron, scheduled_at(record.name, record.owner[1], record.created))

    def pods(self, record: Record) -> tuple[str, ...]:
        with self._lock:
            known = self._remembered.get(record.uid)
            return known or self._remembered.get(f"{record.namespace}/{record.name}", ())

    def recall(self, record: Record) -> bool:
        """Looks once for the Pods of an object that has ended, where none was seen; whether it asked.

        Finished Pods stay until their owner goes, or something collects them.
        """
        with self._lock:
            if record.uid in self._remembered or f"{record.namespace}/{record.name}" in self._remembered:
                return False
            self._remember(record.uid)
        stub = {"metadata": {"name": record.name, "uid": record.uid, "namespace": record.namespace}}
        labels = record.kind.pods(stub)
        if not labels:
            return False
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}
        try:
            found = self._api.get(POD.collection(record.namespace), {**query, "limit": MOST_HANDLES + 1})
        except ApiError:
            return True
        with self._lock:
            for pod in found.get("items") or ():
                self._remember(record.uid, str(pod["metadata"]["uid"]))
        return True

    def rooms(self, ours: Iterable[Record], now: datetime) -> Mapping[str, Room]:
        """Each location's room; Pods of `ours` are not others'."""
        handles = frozenset(handle for one in ours for handle in (one.uid, f"{one.namespace}/{one.name}"))
        return self._housing.rooms(
            self._all_nodes(),
            self._all_pods(),
            handles,
            now,
            nodes_revision=self._nodes_revision,
            pods_revision=self._pods_revision,
        )

    def _estate(self) -> Estate:
        return self._housing.estate(self._all_nodes(), self._nodes_revision)

    def _all_nodes(self) -> Iterator[NodeRecord]:
        """Nothing is copied for whoever has seen them already."""
        yield from self._nodes.records()

    def _all_pods(self) -> Iterator[PodRecord]:
        for reflector in self._pods:
            yield from reflector.records()

    def _ties(self, record: Record) -> Ties:
        claims = sorted({claim for pods in record.pod_sets for claim in pods.claims})
        return self._volumes.ties(record.namespace, claims, self._now) if claims else _NO_TIES

    def _cron(self, record: Record) -> CronRecord | None:
        if record.owner is None or record.owner[0] != "CronJob":
            return None
        return self._crons.find(record.namespace, record.owner[1], self._now)

    def _node_changed(self, *_: NodeRecord | None) -> None:
        self._nodes_revision += 1

    def _pod_changed(self, before: PodRecord | None, after: PodRecord | None) -> None:
        self._pods_revision += 1
        if before is None and after is not None and not after.lasting:
            with self._lock:
                owners = {after.owner, after.work} - {""}
                self._touched |= owners
                for owner in owners:
                    self._remember(owner, after.uid)

    def _remember(self, owner: str, *uids: str) -> None:
        """Of more Pods than are named one by one it is enough to know that there are more."""
        known = self._remembered.pop(owner, ())
        fresh = tuple(uid for uid in uids if uid not in known)
        self._remembered[owner] = (*known, *fresh)[: MOST_HANDLES + 1]
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
