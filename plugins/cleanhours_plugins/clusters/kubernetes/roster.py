"""The roster: our jobs as the core is told of them, each made anew only when something about it may be another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from cleanhours.domain.jobs import AT_REST, FinishedRun, Job, RunSegment
from cleanhours.domain.progress import remaining_work
from cleanhours_plugins.clusters.kubernetes.announcing import What
from cleanhours_plugins.clusters.kubernetes.jobs import Reporting
from cleanhours_plugins.clusters.kubernetes.mirror import Mirror
from cleanhours_plugins.clusters.kubernetes.reading import UNREADABLE
from cleanhours_plugins.clusters.kubernetes.records import Outcome, Record
from cleanhours_plugins.clusters.kubernetes.stretches import stopped_elsewhere, with_stretches
from cleanhours_plugins.clusters.kubernetes.warning import warnings_of
from cleanhours_plugins.clusters.kubernetes.yard import Yard

log = logging.getLogger(__name__)

SAME_LOOK_S: Final = 1.0
"""Questions of one moment share their answer where nothing was heard since."""
_MOST_RECALLED: Final = 100
"""So many ended objects without known Pods are looked up for one question."""
_MOST_UNSAID: Final = 2_000
"""A controller that does not lead keeps no more for the day that it does; nor more objects that lack runs."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A job, and what it was made of."""

    record: Record
    around: Hashable
    job: Job


class Roster:
    """What the mirror and the yard show, as jobs and runs. Asks nothing of the API but for what the yard does.

    A record that makes no sense breaks no question: it is left out, or, where it waits for us, it is a job that runs with
    the complaint.
    """

    def __init__(self, mirror: Mirror, yard: Yard, reporting: Reporting) -> None:
        self._mirror = mirror
        self._yard = yard
        self._reporting = reporting
        self._lock = threading.Lock()
        self._known: dict[str, _Kept] = {}
        self._heard: tuple[Hashable, Hashable] = (None, None)
        self._swept_at_s = float("-inf")
        self._odd: set[str] = set()
        self._unsaid: dict[tuple[str, What, str], Record] = {}
        self._stretches: dict[str, tuple[RunSegment, ...]] = {}
        self._seen_at: datetime | None = None

    def jobs(self, now: datetime) -> list[Job]:
        """All that have not finished."""
        with self._lock:
            self._refresh(now)
            return [_as_of(now, kept.job) for kept in self._known.values()]

    def refresh(self, now: datetime) -> None:
        """Looks at what changed, so that `unfinished` and `knows` tell what is."""
        with self._lock:
            self._refresh(now)

    def unfinished(self) -> list[tuple[Record, str | None]]:
        """Their objects as of the last question, and the location whose room each takes; None while it waits."""
        with self._lock:
            return [(kept.record, _where(kept.job)) for kept in self._known.values()]

    def knows(self, uid: str) -> bool:
        """Whether it was among the jobs of the last question."""
        return uid in self._known

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        """Runs that ended at or after `since`, oldest first; of objects that are gone too, as long as we saw them."""
        recalled = 0
        runs = []
        for record, outcome in self._ended(since):
            if recalled < _MOST_RECALLED and self._yard.recall(record):
                recalled += 1
            try:
                runs.append(self._reporting.ended(record, outcome))
            except UNREADABLE as fault:
                self._say_odd(record, fault)
        return sorted(runs, key=lambda run: run.finished_at)

    def unsaid(self) -> Sequence[tuple[Record, What, str]]:
        """What owners should hear of jobs that run already; each is told once."""
        with self._lock:
            found, self._unsaid = self._unsaid, {}
        return [(record, what, note) for (_, what, note), record in found.items()]

    def unwritten(self) -> Sequence[tuple[Record, tuple[RunSegment, ...]]]:
        """Objects that lack runs which somebody else stopped, and all the runs that they should have."""
        with self._lock:
            found = []
            for uid, stretches in list(self._stretches.items()):
                record = self._mirror.get(uid)
                runs = () if record is None else with_stretches(record, stretches)
                if record is None or runs == record.runs:
                    del self._stretches[uid]
                else:
                    found.append((record, runs))
            return found

    def _ended(self, since: datetime) -> Iterator[tuple[Record, Outcome]]:
        """What was given to one that cannot be read is not known: nothing is made up."""
        ended = {
            record.uid: (record, record.activity.outcome)
            for record in self._mirror.records()
            if record.activity.outcome is not None
        }
        ended |= {one.record.uid: (one.record, one.outcome) for one in list(self._mirror.vanished)}
        for record, outcome in ended.values():
            if outcome.at >= since and not record.fault:
                yield record, outcome

    def _refresh(self, now: datetime) -> None:
        """Questions of one moment look at what was touched since only; all is gone through again after that, or when nodes
        changed.
        """
        heard, before = (self._mirror.revision, self._yard.revision), self._heard
        lately = time.monotonic() - self._swept_at_s < SAME_LOOK_S and heard[1] == before[1]
        owners = self._yard.touched()
        if lately and heard == before and not owners:
            return
        self._heard = heard
        self._yard.at(now)
        touched = self._mirror.touched()
        if lately:
            for uid in touched | self._owners(owners):
                record, kept = self._mirror.get(uid), self._known.pop(uid, None)
                if record is not None:
                    self._take(record, kept, now)
        else:
            self._swept_at_s = time.monotonic()
            known, self._known = self._known, {}
            for record in self._mirror.records():
                self._take(record, known.get(record.uid), now)
        self._seen_at = now

    def _owners(self, owners: frozenset[str]) -> set[str]:
        """Which jobs these are. Those at rest have no Pods that anybody would look at."""
        return {
            uid
            for uid, kept in self._known.items()
            if kept.job.state not in AT_REST
            and (uid in owners or f"{kept.record.namespace}/{kept.record.name}" in owners)
        } if owners else set()  # fmt: skip

    def _take(self, record: Record, kept: _Kept | None, now: datetime) -> None:
        if kept is None or kept.record is not record or kept.around != self._around(record, kept.job):
            before = kept
            job = self._read(record, now)
            if job is None:
                return
            kept = _Kept(record, self._around(record, job), job)
            if before is not None and before.job.segments:
                self._miss(record, before.job, job, now)
        self._known[record.uid] = kept

    def _miss(self, record: Record, before: Job, job: Job, now: datetime) -> None:
        """Keeps what the object forgot, until it is written on it."""
        if record.shadow or record.fault or len(self._stretches) >= _MOST_UNSAID:
            return
        missing = stopped_elsewhere(before.segments, record, job.segments, self._seen_at or now)
        if missing:
            self._stretches[record.uid] = (*self._stretches.get(record.uid, ()), *missing)

    def _around(self, record: Record, job: Job) -> Hashable:
        return self._yard.around(record, waits=job.state in AT_REST)

    def _read(self, record: Record, now: datetime) -> Job | None:
        try:
            job = self._reporting.job(record, now)
        except UNREADABLE as fault:
            self._say_odd(record, fault)
            if record.mark is None or record.fault:
                return None
            return self._read(_bare(record, str(fault) or type(fault).__name__), now)
        if job is not None and len(self._unsaid) < _MOST_UNSAID:
            self._unsaid |= {(record.uid, what, note): record for what, note in warnings_of(record, job, now)}
        return job

    def _say_odd(self, record: Record, fault: Exception) -> None:
        if record.uid not in self._odd:
            self._odd.add(record.uid)
            log.warning("no sense in %s %s/%s: %r", record.kind, record.namespace, record.name, fault)


def _bare(record: Record, fault: str) -> Record:
    """Only what lets it go."""
    return replace(
        record, fault=fault, words=(), plan=None, runs=(), original=None, pod_sets=(), limit=None, labels=(), owner=None
    )  # fmt: skip


def _where(job: Job) -> str | None:
    return None if job.state in AT_REST else job.location or job.home


def _as_of(now: datetime, job: Job) -> Job:
    """Work sinks while it runs."""
    if not job.segments or job.segments[-1].end is not None:
        return job
    return replace(job, remaining=remaining_work(job.request, job.segments, now))
