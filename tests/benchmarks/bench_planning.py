"""One plan, and a thousand, beside CATS 1.2.1 on the same 48 hours of half-hourly forecast, in the same run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

import cleanhours
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.locations import Location
from cleanhours.domain.requests import JobRequest
from cleanhours.planning.many import plan_many
from tests.benchmarks.figures import Figure, quickest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEP = timedelta(minutes=30)
HOURS = (4, 8, 12, 16)
"""Lengths of the jobs: CATS costs most between, and next to nothing for one as long as the forecast."""


def run() -> list[Figure]:
    """Both are handed the forecast as they keep it, and asked for the best start of jobs of the same lengths."""
    try:
        from cats.forecast import PointEstimate, WindowedForecast
    except ImportError:
        return [Figure("CATS 1.2.1 (pip install 'cleanhours[bench]')", "", float("nan"), "", None)]
    dice = np.random.default_rng(3)
    values = 200 + 70 * np.sin(np.arange(97) / 48 * 2 * np.pi) + np.cumsum(dice.normal(0, 5, 97))
    points = [PointEstimate(float(value), NOW + index * STEP) for index, value in enumerate(values)]
    series = IntensitySeries.of("GB", [NOW + index * STEP for index in range(97)], values, step=STEP)
    ours = theirs = 0.0
    for hours in HOURS:
        request = JobRequest(
            submitted=NOW, duration=timedelta(hours=hours), deadline=NOW + timedelta(hours=48)
        )
        ours += quickest(lambda: cleanhours.plan(request, {"GB": series}, now=NOW), rounds=30, repeats=100)  # noqa: B023
        theirs += quickest(lambda: min(WindowedForecast(points, hours * 60, NOW)), rounds=30, repeats=5)  # noqa: B023
    single = theirs / ours
    requests = list(some_requests(1000))
    known = {"now": NOW, "locations": {"GB": Location("GB", "GB")}, "home": "GB"}
    together = quickest(lambda: plan_many(requests, [{"GB": series}], **known), rounds=20) / 1000  # type: ignore[arg-type]
    written = quickest(lambda: list(plan_many(requests, [{"GB": series}], **known)), rounds=10) / 1000  # type: ignore[arg-type]
    many = theirs / len(HOURS) / together
    return [
        Figure("one plan", "", 1e6 * ours / len(HOURS), "µs", None),
        Figure("CATS 1.2.1 on the same", "", 1e6 * theirs / len(HOURS), "µs", None),
        Figure("one plan, times faster than CATS", "≥ 20", single, "x", single >= 20),
        Figure("1,000 plans over one forecast: start and mean, each", "", 1e6 * together, "µs", None),
        Figure("the same, times faster than CATS (also start and mean)", "≥ 100", many, "x", many >= 100),
        Figure("the same with every plan written out, each", "", 1e6 * written, "µs", None),
    ]


def some_requests(count: int) -> Iterator[JobRequest]:
    """Jobs of the same lengths with deadlines of their own."""
    dice = np.random.default_rng(4)
    for index in range(count):
        length = timedelta(hours=HOURS[index % len(HOURS)])
        slack = timedelta(minutes=int(dice.integers(20 * 60, 30 * 60)))
        yield JobRequest(submitted=NOW, duration=length, deadline=NOW + length * 1.1 + slack)
