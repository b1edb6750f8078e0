"""Closing: what ended, joined from what we remember and from Slurm's own accounts, as the runs that the core settles."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.jobs import FinishedRun, JobState, RunSegment
from cleanhours.domain.times import epoch, instant_of
from cleanhours_plugins.clusters.slurm.accounting import (
    MOST_JOBS,
    ended_question,
    history_question,
    read_accounts,
)
from cleanhours_plugins.clusters.slurm.asking import Seen
from cleanhours_plugins.clusters.slurm.calling import Refused, Slurm
from cleanhours_plugins.clusters.slurm.ending import Ended, ran, run_of
from cleanhours_plugins.clusters.slurm.energy import usage_held, usage_of
from cleanhours_plugins.clusters.slurm.histories import Accounted, History, Resources, Run, histories
from cleanhours_plugins.clusters.slurm.jobs import ENDED, Known, Reporting, known_of

log = logging.getLogger(__name__)

_LAG: Final = timedelta(minutes=2)
"""So long Slurm's database is waited for: what is told without its energy is settled without it."""
_NO_ACCOUNTS: Final = "accounting storage is disabled"
"""What sacct says where there is no database (22.05); any other fault may pass."""
_AGAIN_S: Final = 600.0
"""Between two questions to accounts that are not kept."""
_FARTHEST: Final = timedelta(days=30)
"""How far back one's own jobs are looked for: Slurm keeps years of them, and may refuse to tell so many at once."""
_FARTHEST_OF_ALL: Final = timedelta(days=3)
"""The same where everybody's are accounted: a busy site ends thousands of jobs a day."""


@dataclass(slots=True)
class Accounts:
    """Slurm's own, asked by `sacct`; nothing where the site keeps none, said once."""

    slurm: Slurm
    everybody: bool
    kept: bool = True
    _unread: bool = False
    _asked_at_s: float = float("-inf")

    def histories(
        self, since: datetime, now: datetime, known: Iterable[str], zones: Mapping[str, str]
    ) -> dict[str, History] | None:
        """Of jobs that ended since then and are ours: those `known` by id, those that wear our tag. None: no accounts."""
        if not self.kept and time.monotonic() - self._asked_at_s < _AGAIN_S:
            return None
        self._asked_at_s = time.monotonic()
        uids = () if self.everybody else (os.getuid(),)
        start = max(since, now - (_FARTHEST_OF_ALL if self.everybody else _FARTHEST))
        try:
            nonce = secrets.token_hex(8)
            ended = read_accounts(
                self.slurm.ask("sacct", *ended_question(nonce, start, now, uids=uids)), nonce
            )
            tagged = {one.job for one in ended if known_of(seen_of(one), zones) is not None}
            # an array that was cancelled while it waited, `5_[0-9]`, never ran, and sacct cannot be asked for it
            tagged = {job for job in tagged if "[" not in job}
            found: list[Accounted] = []
            ours = sorted(tagged | set(known))
            for first in range(0, len(ours), MOST_JOBS):
                ids = ours[first : first + MOST_JOBS]
                answer = self.slurm.ask("sacct", *history_question(nonce, ids, uids=uids))
                found += read_accounts(answer, nonce)
        except Refused as fault:
            if _NO_ACCOUNTS not in str(fault):
                if not self._unread:
                    log.warning("Slurm's accounts cannot be read: %s", fault)
                self._unread = True
                return {}
            if self.kept:
                log.info("Slurm keeps no accounts here, our own records must do: %s", fault)
            self.kept = False
            return None
        self.kept, self._unread = True, False
        return histories(found)


@dataclass(frozen=True, slots=True)
class Closing:
    """Makes runs. `node_cpus` is how many each node has; `alive` are the ids of jobs that wait or run."""

    reporting: Reporting
    zones: Mapping[str, str]
    node_cpus: Mapping[str, int]
    alive: frozenset[str] = frozenset()

    def runs(
        self, ends: Sequence[Ended], found: Mapping[str, History] | None, now: datetime
    ) -> list[FinishedRun]:
        """Of all that ended, each once, oldest first; what the accounts do not show yet is told later."""
        remembered = {end.known.seen.id: end for end in ends}
        told: dict[str, FinishedRun] = {}
        for job, history in (found or {}).items():
            run = self._accounted(history, remembered.get(job))
            if run is not None and job not in self.alive:
                told[run.key.uid] = run
        for end in ends:
            # of what never ran there is no energy to wait for
            late = now - instant_of(end.at) >= _LAG or not ran(end.known)
            if end.known.uid not in told and (found is None or late):
                told[end.known.uid] = self._remembered(end)
        return sorted(told.values(), key=lambda run: run.finished_at)

    def _remembered(self, end: Ended) -> FinishedRun:
        seen = end.known.seen
        run = run_of(end, self.reporting)
        held = Resources(seen.cpus, seen.memory_bytes, seen.nodes, seen.gpus)
        usage: dict[str, float] = {}
        for number in range(len(run.segments)):
            usage |= usage_held(number, [held])
        return replace(run, usage=usage, segments=_numbered(run.segments, seen.id))

    def _accounted(self, history: History, end: Ended | None) -> FinishedRun | None:
        """None for a job that is not ours, or has not ended here."""
        last = history.last
        known = end.known if end is not None else known_of(seen_of(last.first), self.zones)
        if known is None or last.ended is None:
            return None
        if not history.stretches and self.reporting.settings.places.federated:
            return None
        state = ENDED.get(last.first.state, JobState.FAILED)
        how = "" if state is JobState.SUCCEEDED else f"{last.first.state} (exit {last.first.exit_code})"
        run = run_of(Ended(known, epoch(last.ended), state, how), self.reporting)
        segments = tuple(self._segment(part, known) for part in history.stretches)
        return replace(
            run,
            segments=_numbered(segments, known.seen.id),
            allocated=history.stretches[-1].first.allocated.demand if history.stretches else run.allocated,
            exit_code=last.first.exit_code,
            usage=usage_of(history.stretches, self.node_cpus),
        )

    def _segment(self, run: Run, known: Known) -> RunSegment:
        """Where it ran we wrote down when we ended it: Slurm accounts what it was told of the next run for this one."""
        start = run.started or run.first.submitted
        here = self.reporting.settings.places.at(run.first.partition, known.seen.features)
        place = next((one.location for one in known.tag.runs if one.start == start), here)
        return RunSegment(start, max(run.ended or start, start), place)


def _numbered(segments: Sequence[RunSegment], job: str) -> tuple[RunSegment, ...]:
    """Each with the number by which its usage is told."""
    return tuple(replace(one, handles=(job, str(number))) for number, one in enumerate(segments))


def seen_of(one: Accounted) -> Seen:
    """A job as its accounts show it."""
    return Seen(
        id=one.job, state=one.state, reason="", uid=one.uid or 0, user=one.user, account=one.account, qos=one.qos,
        partition=one.partition, features="", reservation="", limit=None,
        start=None if one.started is None else epoch(one.started),
        end=None if one.ended is None else epoch(one.ended),
        submitted=epoch(one.submitted), cpus=one.allocated.cpus, nodes=max(one.allocated.nodes, 1),
        memory_bytes=one.allocated.memory_bytes, gpus=one.allocated.gpus, dependency="", wanted_nodes="",
        node_list=one.node_list, name=one.name, comment=one.comment,
    )  # fmt: skip
