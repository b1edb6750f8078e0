"""Watching counters while runs live: what each run is given of the energy between two looks, kept until it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.jobs import FinishedRun, Job, RunKey
from cleanhours_plugins.meters.spreading import length, running

COARSE: Final = timedelta(minutes=15)
"""Looks are joined into slices of at least this length: grids do not change faster, and a week stays small."""

FORGOTTEN_AFTER: Final = timedelta(days=2)
"""What nobody asked for by then belongs to a job that left no run."""


def run_of(job: Job) -> RunKey:
    """The run that a living job is in."""
    return RunKey(job.key.cluster, job.key.uid, job.attempt)


def running_since(job: Job) -> datetime | None:
    """When the segment that is open now began."""
    return job.segments[-1].start if job.segments and job.segments[-1].end is None else None


@dataclass(slots=True)
class Observations:
    """Energy seen per run and component, in the order seen."""

    method: Method
    meter: str
    _slices: dict[RunKey, list[EnergySlice]] = field(default_factory=dict)

    def add(
        self, key: RunKey, component: Component, start: datetime, end: datetime, millijoules: int
    ) -> None:
        """One look's share of a run; joined with the one before while they follow each other and are short."""
        slices = self._slices.setdefault(key, [])
        for index in range(len(slices) - 1, -1, -1):
            last = slices[index]
            if last.component is component:
                if last.end == start and end - last.start <= COARSE:
                    whole = last.millijoules + millijoules
                    slices[index] = EnergySlice(last.start, end, component, whole, self.method, self.meter)
                    return
                break
        slices.append(EnergySlice(start, end, component, millijoules, self.method, self.meter))

    def profile(self, run: FinishedRun) -> EnergyProfile:
        """What was seen of the run; coverage is the share of its running time between the looks that saw it."""
        slices = self._slices.get(run.key, [])
        whole = length(running(run)).total_seconds()
        if not slices or whole <= 0:
            return EnergyProfile(coverage=0.0)
        by_component: dict[Component, float] = {}
        for part in slices:
            seen = (part.end - part.start).total_seconds()
            by_component[part.component] = by_component.get(part.component, 0.0) + seen
        return EnergyProfile(tuple(slices), min(1.0, min(by_component.values()) / whole))

    def forget(self, now: datetime) -> None:
        """Drops what is too old to be asked for."""
        for key in [k for k, slices in self._slices.items() if slices[-1].end < now - FORGOTTEN_AFTER]:
            del self._slices[key]


def window(since: datetime | None, before: datetime, now: datetime) -> tuple[datetime, float]:
    """Where a run's part of [before, now) begins, and which share of it that is, 0 to 1."""
    start = before if since is None else min(max(since, before), now)
    whole = (now - before).total_seconds()
    return start, (now - start).total_seconds() / whole if whole > 0 else 0.0


def handles(jobs: Sequence[Job]) -> Mapping[RunKey, frozenset[int]]:
    """The process ids that each running job's cluster gave as handles."""
    found = {}
    for job in jobs:
        if running_since(job) is not None:
            found[run_of(job)] = frozenset(
                int(h) for h in job.segments[-1].handles if h.isascii() and h.isdigit()
            )
    return found
