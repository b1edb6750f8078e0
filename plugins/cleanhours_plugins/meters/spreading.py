"""Spreading of energy over the time a run really ran."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cleanhours.domain.energy import Component, EnergySlice, Method
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.times import MICROSECOND


def running(run: FinishedRun) -> list[tuple[datetime, datetime]]:
    """[start, end) of each segment that has a length."""
    spans = [(part.start, part.end or run.finished_at) for part in run.segments]
    return [(start, end) for start, end in spans if start < end]


def length(spans: Sequence[tuple[datetime, datetime]]) -> timedelta:
    """All spans together."""
    return sum((end - start for start, end in spans), timedelta(0))


def spread(
    millijoules: int,
    spans: Sequence[tuple[datetime, datetime]],
    component: Component,
    method: Method,
    meter: str,
) -> list[EnergySlice]:
    """Energy drawn evenly over the spans, in whole millijoules that add up: what is left of rounding goes to the last."""
    whole = length(spans) // MICROSECOND
    slices: list[EnergySlice] = []
    given = passed = 0
    for start, end in spans:
        passed += (end - start) // MICROSECOND
        until = millijoules * passed // whole
        slices.append(EnergySlice(start, end, component, until - given, method, meter))
        given = until
    return slices
