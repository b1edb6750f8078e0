"""Workloads: what Kueue made of each queued job, found by the job's uid, and its switch. Watched while Kueue is served."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from cleanhours_plugins.clusters.kubernetes import kueue
from cleanhours_plugins.clusters.kubernetes.acting import Refusal
from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.errors import Conflict, Missing
from cleanhours_plugins.clusters.kubernetes.keeping import Count, count_nothing
from cleanhours_plugins.clusters.kubernetes.kueue import WORKLOADS, WorkloadRecord, read_workload
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.sighting import Sight
from cleanhours_plugins.clusters.kubernetes.watching import Reflector

_TRIES: Final = 4
"""Kueue writes its Workloads often: so often a switch may meet a newer version of one."""

Found = tuple[str, WorkloadRecord]
"""A Workload's path in the API, and what it says."""


class Workloads:
    """The Workloads of one cluster. Started, it watches the newest version that is served; else each question lists."""

    def __init__(self, api: Api, watched: Sequence[str] = (), *, count: Count = count_nothing) -> None:
        self._api = api
        self._spaces = tuple(watched) or (None,)
        self._by_job: dict[str, Found] = {}
        self._watches: dict[str, list[Reflector[WorkloadRecord]]] = {
            version: [
                Reflector(
                    api,
                    kueue.collection(version, WORKLOADS, space),
                    read_workload,
                    kind=WORKLOADS,
                    changed=partial(self._changed, version),
                    count=count,
                )
                for space in self._spaces
            ]
            for version in kueue.VERSIONS
        }
        self._watched: list[str] = []

    @property
    def reflectors(self) -> list[Reflector[WorkloadRecord]]:
        """Those that were started."""
        return [one for version in self._watched for one in self._watches[version]]

    @property
    def version(self) -> str | None:
        """The version that is watched and served; None where Kueue is not."""
        for version in self._watched:
            if any(one.sight in (Sight.LIVE, Sight.FAILING) for one in self._watches[version]):
                return version
        return None

    def start(self) -> None:
        """Begins to watch; returns at once."""
        self._watch(kueue.VERSIONS[0])

    def tend(self) -> None:
        """Turns to the older version where the newer is not served; call it now and then."""
        for newer, older in zip(kueue.VERSIONS, kueue.VERSIONS[1:], strict=False):
            if newer in self._watched and all(one.sight is Sight.UNSERVED for one in self._watches[newer]):
                self._watch(older)

    def stop(self) -> None:
        for one in self.reflectors:
            one.stop()

    def of(self, uid: str) -> WorkloadRecord | None:
        """What a watch knows of a job's Workload."""
        found = self._by_job.get(uid)
        return None if found is None else found[1]

    def find(self, record: Record) -> Found | None:
        """The Workload of a job, None where Kueue has none (yet). Raises Refusal where Kueue is not served."""
        known = self._by_job.get(record.uid)
        return known if known is not None else self._look(record)

    def switch(self, api: Api, record: Record, *, on: bool) -> bool:
        """Lets Kueue start the job, or has it stopped; False where there is no Workload to switch.

        Raises Refusal, or what the API raises.
        """
        found = self.find(record)
        for _ in range(_TRIES):
            if found is None:
                return False
            path, workload = found
            if workload.finished:
                raise Refusal(
                    f"Kueue has finished {record.name}: its Workload {workload.name} starts nothing more"
                )
            if workload.active is on:
                return True
            try:
                api.patch(path, (kueue.resuming if on else kueue.pausing)(workload))
            except (Conflict, Missing):
                found = self._again(path) or self._look(record)
            else:
                return True
        raise Refusal(f"the Workload of {record.name} changes all the time")

    def _watch(self, version: str) -> None:
        if version not in self._watched:
            self._watched.append(version)
            for one in self._watches[version]:
                one.start()

    def _again(self, path: str) -> Found | None:
        try:
            workload = read_workload(self._api.get(path))
        except Missing:
            return None
        return None if workload is None else (path, workload)

    def _look(self, record: Record) -> Found | None:
        for version in kueue.VERSIONS:
            path = kueue.collection(version, WORKLOADS, record.namespace)
            try:
                for page in self._api.pages(path):
                    for workload in map(read_workload, page.items):
                        if workload is not None and workload.job_uid == record.uid:
                            return f"{path}/{workload.name}", workload
            except Missing:
                continue
            return None
        raise Refusal(f"{record.name} is Kueue's, by its queue {record.queue}, and no Kueue is served")

    def _changed(self, version: str, before: WorkloadRecord | None, after: WorkloadRecord | None) -> None:
        if after is not None:
            path = f"{kueue.collection(version, WORKLOADS, after.namespace)}/{after.name}"
            self._by_job[after.job_uid] = path, after
        elif before is not None:
            known = self._by_job.get(before.job_uid)
            if known is not None and known[1].uid == before.uid:
                self._by_job.pop(before.job_uid, None)
