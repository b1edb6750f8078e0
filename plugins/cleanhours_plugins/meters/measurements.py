"""Measurements that others took over stretches of a run, as a profile: put on the time it ran, neither twice nor in crumbs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.jobs import FinishedRun
from cleanhours_plugins.meters.reports import UnreadableReport
from cleanhours_plugins.meters.spreading import length, running, spread

Span = tuple[datetime, datetime]

COARSE: Final = timedelta(minutes=15)
"""Measurements that begin and end within it are joined: grids do not change faster, and a training run has many steps."""

MOST_W: Final = 1e7
"""Of one run on the mean: more is a mistake of whoever reported it."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Energy in millijoules by component, drawn over [start, end). What was not measured is not there: it is not 0."""

    start: datetime
    end: datetime
    millijoules: Mapping[Component, float]


def profile_of(
    run: FinishedRun, measurements: Sequence[Measurement], meter: str, *, upper_estimate: bool = False
) -> EnergyProfile:
    """All that was measured together, self-reported. Coverage is the share of the running time of the worst component.

    Raises UnreadableReport for more energy than any job can have drawn.
    """
    spans = running(run)
    components = [c for c in Component if any(c in one.millijoules for one in measurements)]
    if not spans or not components:
        return EnergyProfile(coverage=0.0)
    joules = sum(energy for one in measurements for energy in one.millijoules.values()) / 1000
    if joules > MOST_W * length(spans).total_seconds():
        raise UnreadableReport(
            f"the reports of run {run.name}: {joules:g} J is more than {MOST_W:g} W on the mean"
        )
    slices: list[EnergySlice] = []
    coverage = 1.0
    for component in components:
        known = [one for one in measurements if component in one.millijoules]
        seen = [part for one in known for part in _clipped(spans, one.start, one.end)]
        coverage = min(coverage, length(_union(seen)) / length(spans))
        for one in _joined(known, component):
            where = _clipped(spans, one.start, one.end) or spans
            energy = round(one.millijoules[component])
            slices += spread(energy, where, component, Method.SELF_REPORTED, meter)
    return EnergyProfile(tuple(slices), coverage, upper_estimate)


def _clipped(spans: Iterable[Span], start: datetime, end: datetime) -> list[Span]:
    """What of the spans lies within [start, end)."""
    parts = ((max(first, start), min(last, end)) for first, last in spans)
    return [(first, last) for first, last in parts if first < last]


def _union(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _joined(measurements: Iterable[Measurement], component: Component) -> list[Measurement]:
    """Neighbours and parallels of one component as one, as long as neither end moves by more than `COARSE`."""
    joined: list[Measurement] = []
    for one in sorted(measurements, key=lambda each: (each.start, each.end)):
        last = joined[-1] if joined else None
        if last and one.start - last.start <= COARSE and abs(one.end - last.end) <= COARSE:
            energy = last.millijoules[component] + one.millijoules[component]
            joined[-1] = Measurement(last.start, max(last.end, one.end), {component: energy})
        else:
            joined.append(Measurement(one.start, one.end, {component: one.millijoules[component]}))
    return joined
