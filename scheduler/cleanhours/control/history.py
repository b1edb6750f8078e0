"""History: what owners did not say of their jobs, from earlier runs of the same work: how long it runs, what it draws."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.jobs import FinishedRun, Job, JobKey
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Ledger

log = logging.getLogger(__name__)

ASKED_AT_ONCE: Final = 40
"""Works whose powers are read in one tick, at milliseconds each: they must not hold it up. The others' are read later."""

SILENCE: Final = timedelta(minutes=1)
"""Nobody asks a ledger for powers so long after it failed: it may take seconds each time."""

_Work = tuple[str, str, str]


class Draw(NamedTuple):
    """What earlier runs of a work drew, in watts before PUE: the median, the lower and the upper quartile of `runs`."""

    median_w: float
    lower_w: float
    upper_w: float
    runs: int

    @classmethod
    def of(cls, powers: Iterable[float]) -> Self | None:
        """From the mean power of each run; None without any that a request could give."""
        from statistics import quantiles  # 10 ms, which `cleanhours --help` need not wait

        known = [power for power in powers if 0 < power <= 1e9]
        if not known:
            return None
        if len(known) == 1:
            return cls(known[0], known[0], known[0], 1)
        lower, median, upper = quantiles(known, n=4, method="inclusive")
        return cls(median, lower, upper, len(known))

    def __str__(self) -> str:
        if self.runs == 1:
            return f"{self.median_w:,.0f} W, as its only run before"
        spread = f"half of them {self.lower_w:,.0f} to {self.upper_w:,.0f} W"
        return f"{self.median_w:,.0f} W, the median of {self.runs} runs before ({spread})"


class _Completed(NamedTuple):
    """A job as its cluster told it, what history told of it, and the two together."""

    told: Job
    duration: timedelta | None
    power_w: float | None
    job: Job


@dataclass(slots=True)
class History:
    """Remembers of each work (cluster, namespace, name) the median running time and power until another run of it ends, or
    no job of it is left.
    """

    _durations: dict[_Work, timedelta | None] = field(default_factory=dict)
    _powers: dict[_Work, float | None] = field(default_factory=dict)
    _completed: dict[JobKey, _Completed] = field(default_factory=dict)
    _silent_until: datetime | None = None

    def complete(self, jobs: Iterable[Job], ledger: Ledger, now: datetime) -> list[Job]:
        """The jobs with what their requests leave open and history knows; the others as they are.

        A ledger that fails is not asked for powers for a while: they only scale the grams of a plan. Raises what
        `Ledger.durations` raises, for without a duration a job would run at once.
        """
        jobs = [*jobs]
        self._look_for([job for job in jobs if _leaves_open(job)], ledger, now)
        asked, completed, found = 0, {}, []
        for job in jobs:
            if not _leaves_open(job):
                found.append(job)
                continue
            request, work = job.request, _work_of(job)
            duration = self._duration(work, ledger) if request.duration is None else None
            power_w = None
            if _lacks_power(request):
                if work not in self._powers and asked < ASKED_AT_ONCE:
                    asked += 1
                    self._ask(work, ledger, now)
                power_w = self._powers.get(work)
            known = self._completed.get(job.key)
            if known is None or known[:3] != (job, duration, power_w):
                known = _Completed(job, duration, power_w, _with(job, duration, power_w))
            completed[job.key] = known
            found.append(known.job)
        self._completed = completed
        return found

    def _look_for(self, jobs: Sequence[Job], ledger: Ledger, now: datetime) -> None:
        """Finds out at once which works never succeeded: of ten thousand new jobs, nearly all. Nobody asks for those."""
        works = {_work_of(job) for job in jobs}
        self._durations = {work: known for work, known in self._durations.items() if work in works}
        self._powers = {work: known for work, known in self._powers.items() if work in works}
        urgent = any(job.request.duration is None for job in jobs if _work_of(job) not in self._durations)
        names: dict[tuple[str, str], set[str]] = defaultdict(set)
        for work in works - self._durations.keys() - self._powers.keys():
            names[work[:2]].add(work[2])
        if not names or (self._is_silent(now) and not urgent):
            return
        try:
            for (cluster, namespace), new in names.items():
                for name in new - ledger.remembered(cluster, namespace, new):
                    self._durations[cluster, namespace, name] = self._powers[cluster, namespace, name] = None
        except CleanhoursError as fault:
            if urgent:
                raise
            self._fall_silent(fault, now)

    def forget(self, run: FinishedRun) -> None:
        """Asks the ledger again for this work next time."""
        work = (run.key.cluster, run.namespace, run.name)
        self._durations.pop(work, None)
        self._powers.pop(work, None)

    def _duration(self, work: _Work, ledger: Ledger) -> timedelta | None:
        if work not in self._durations:
            runs = ledger.durations(*work)
            self._durations[work] = sorted(runs)[len(runs) // 2] if runs else None
        return self._durations[work]

    def _ask(self, work: _Work, ledger: Ledger, now: datetime) -> None:
        if self._is_silent(now):
            return
        try:
            draw = Draw.of(ledger.powers(*work))
        except CleanhoursError as fault:
            self._fall_silent(fault, now)
            return
        self._silent_until = None
        self._powers[work] = None if draw is None else draw.median_w

    def _is_silent(self, now: datetime) -> bool:
        return self._silent_until is not None and now < self._silent_until

    def _fall_silent(self, fault: CleanhoursError, now: datetime) -> None:
        if self._silent_until is None:
            log.warning("powers of earlier runs not read, planning with assumed ones error=%s", fault)
        self._silent_until = now + SILENCE


def _leaves_open(job: Job) -> bool:
    return not job.complaints and (job.request.duration is None or _lacks_power(job.request))


def _lacks_power(request: JobRequest) -> bool:
    """A power curve says it, of runs without the cap that earlier ones may have had."""
    return request.power_w is None and not request.power_curve


def _work_of(job: Job) -> _Work:
    return job.key.cluster, job.namespace, job.name


def rests_on_history(job: Job) -> bool:
    """Whether a job, as its cluster tells it, was planned with the power of earlier runs: neither its owner's nor assumed."""
    plan = job.plan
    return job.request.power_w is None and plan is not None and plan.power_w > 0 and not plan.power_assumed


def draw_of(job: Job, ledger: Ledger) -> Draw | None:
    """What earlier runs of a job's work drew. Raises what `Ledger.powers` raises."""
    return Draw.of(ledger.powers(job.key.cluster, job.namespace, job.name))


def _with(job: Job, duration: timedelta | None, power_w: float | None) -> Job:
    """The job with a duration and a power that it left open."""
    request = job.request
    if power_w is not None:
        request = replace(request, power_w=power_w)
    if duration is None:
        return job if request is job.request else replace(job, request=request)
    ran = sum((part.end - part.start for part in job.segments if part.end is not None), start=timedelta(0))
    return replace(
        job,
        request=replace(request, duration=duration),
        remaining=max(duration - ran, timedelta(seconds=1)),
    )
