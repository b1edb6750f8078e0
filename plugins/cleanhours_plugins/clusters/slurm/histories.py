"""Histories: the runs of jobs as Slurm accounted for them, one between two requeues. Pure values, put in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.resources import Demand

REQUEUED_WITHIN: Final = timedelta(hours=1)
"""A record submitted later than this after the one before it ended is another job, of which Slurm gave the number again."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What an allocation held, or asked for, on all its nodes. `gpu_types` counts those whose type Slurm accounts for."""

    cpus: int = 0
    memory_bytes: int = 0
    nodes: int = 0
    gpus: int = 0
    gpu_types: tuple[tuple[str, int], ...] = ()

    @property
    def demand(self) -> Demand:
        return Demand(1000 * self.cpus, self.memory_bytes, self.gpus)


@dataclass(frozen=True, slots=True)
class Step:
    """`batch`, `extern`, `interactive`, `0`, …, and what it drew; None is not measured.

    `cpu_seconds` are those that its processes told when they ended, `seen_cpu_seconds` those that Slurm saw while they ran.
    """

    name: str
    nodes: int
    joules: int | None
    cpu_seconds: float | None = None
    seen_cpu_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """One allocation: a run of a job between two requeues, or of one part of a heterogeneous job.

    `id` is `12`, `33_3` or `45+1` as `squeue` shows it, `number` Slurm's own. `started` None: it never ran. `ended` None: it
    has not ended. `elapsed` is without `suspended`. `submitted` is that of this run: a requeue submits anew. `user` may be
    the wrong one where an account is not set up, `uid` never is. `joules` is the job row's own figure.
    """

    id: str
    number: int
    user: str
    uid: int | None
    account: str
    partition: str
    qos: str
    name: str
    state: str
    exit_code: int | None
    signal: int
    submitted: datetime
    eligible: datetime | None
    started: datetime | None
    ended: datetime | None
    elapsed: timedelta
    suspended: timedelta
    node_list: str
    allocated: Resources
    requested: Resources
    joules: int | None
    cpu_seconds: float | None
    max_rss_bytes: int | None
    comment: str
    steps: tuple[Step, ...] = ()

    @property
    def job(self) -> str:
        """The job that it belongs to: the leader's id for a part of a heterogeneous one."""
        return self.id.partition("+")[0]

    @property
    def part(self) -> int:
        return int(self.id.partition("+")[2] or 0)


@dataclass(frozen=True, slots=True)
class Run:
    """A job's run: its allocation, or those of all its parts side by side."""

    parts: tuple[Accounted, ...]

    @property
    def first(self) -> Accounted:
        """The allocation, or the leader's."""
        return self.parts[0]

    @property
    def started(self) -> datetime | None:
        return min((part.started for part in self.parts if part.started is not None), default=None)

    @property
    def ended(self) -> datetime | None:
        """None while a part has not ended."""
        ends = [part.ended for part in self.parts if part.ended is not None]
        return max(ends) if len(ends) == len(self.parts) else None


@dataclass(frozen=True, slots=True)
class History:
    """All runs of a job that Slurm kept, in order; the last one says how it ended.

    While it waits for its next run there is none of it yet: the last is then REQUEUED, PREEMPTED or NODE_FAIL. Each run has
    the comment that the job had at its end.
    """

    id: str
    runs: tuple[Run, ...]

    @property
    def last(self) -> Run:
        return self.runs[-1]

    @property
    def stretches(self) -> tuple[Run, ...]:
        """Those that really ran: a job may be cancelled while it waits, first or after a requeue."""
        return tuple(run for run in self.runs if run.started is not None)


def histories(accounts: Iterable[Accounted]) -> dict[str, History]:
    """The jobs of a `history_question` by id, each with its runs in order.

    Of several jobs with one number (Slurm begins anew where it was told to, or ran out of them) the newest is kept.
    """
    by_part: dict[str, dict[int, list[Accounted]]] = {}
    for one in sorted(
        accounts, key=lambda one: (one.submitted, one.started or one.submitted, one.ended is None)
    ):
        by_part.setdefault(one.job, {}).setdefault(one.part, []).append(one)
    found = {}
    for job, parts in by_part.items():
        runs = [_newest(parts[part]) for part in sorted(parts)]
        count = max(map(len, runs))
        beside = [tuple(own[index] for own in runs if index < len(own)) for index in range(count)]
        found[job] = History(job, tuple(Run(part) for part in beside))
    return found


def _newest(records: Sequence[Accounted]) -> list[Accounted]:
    kept: list[Accounted] = []
    for one in records:
        before = kept[-1] if kept else one
        late = before.ended is not None and one.submitted > before.ended + REQUEUED_WITHIN
        if late or one.uid != before.uid:
            kept = []
        kept.append(one)
    return kept
