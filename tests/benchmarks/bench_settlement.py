"""Settlement of 100,000 day-long runs on 5-minute actual intensity: what a large site owes its ledger for some weeks."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from resource import RUSAGE_SELF, getrusage
from time import process_time
from typing import Final

import numpy as np

from cleanhours.apps.garbage import collect_seldom
from cleanhours.domain.accounts import Entry, Settled
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlices, Method, Source
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.jobs import FinishedRun, JobState, RunKey, RunSegment
from cleanhours.domain.locations import Location
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import MICROSECOND, microseconds
from cleanhours.planning.settling import settle
from tests.benchmarks.figures import Figure

RUNS: Final = 100_000
SAMPLED: Final = 2_000
"""Runs whose energy is known in short slices; their figures are per 100,000 too."""
QUARTER: Final = timedelta(minutes=15)
"""So long are the slices of our meters."""
LENGTH: Final = timedelta(hours=24)
STEP: Final = timedelta(minutes=5)
FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)
DAYS: Final = 30
LOCATIONS: Final = {
    "home": Location("home", "GB"),
    "north": Location("north", "NO", 1.12),
}
SOURCES: Final = (
    Source(Component.CPU, Method.MODELLED, "processes"),
    Source(Component.GPU, Method.MEASURED, "nvml"),
)
_MEBI: Final = 1024


def run() -> list[Figure]:
    """Processor seconds of one core, so that other work on the machine counts little; garbage as the controller does it."""
    thresholds = gc.get_threshold()
    collect_seldom()
    try:
        return _figures(a_month())
    finally:
        gc.set_threshold(*thresholds)


def _figures(actuals: Mapping[str, IntensitySeries]) -> list[Figure]:
    before = getrusage(RUSAGE_SELF).ru_maxrss
    seconds, final, equal = _settled(RUNS, actuals, step=LENGTH)
    grown = (getrusage(RUSAGE_SELF).ru_maxrss - before) / _MEBI
    measured, _, measured_equal = _settled(SAMPLED, actuals, step=QUARTER)
    fine, _, fine_equal = _settled(SAMPLED, actuals, step=STEP)
    wrong = (RUNS - equal) + (SAMPLED - measured_equal) + (SAMPLED - fine_equal)
    of_all = RUNS / SAMPLED
    return [
        Figure("settling 100,000 runs of 24 h on 5-minute data, one core", "≤ 30 s", seconds, "s", seconds <= 30),
        Figure("  highest resident memory, grown by", "≤ 100 MiB", grown, "MiB", grown <= 100),
        Figure("  of them final", "100000", final, "", final == RUNS),
        Figure("  runs whose causes do not add up to what was avoided", "0", wrong, "", wrong == 0),
        Figure(
            f"the same measured by the quarter of an hour (from {SAMPLED:,})", "≤ 30 s", measured * of_all, "s",
            measured * of_all <= 30,
        ),
        Figure(
            f"the same measured every 5 minutes (from {SAMPLED:,})", "≤ 30 s", fine * of_all, "s",
            fine * of_all <= 30,
        ),
    ]  # fmt: skip


def a_month() -> Mapping[str, IntensitySeries]:
    """Two zones by five minutes, actual, no two neighbours alike."""
    random = np.random.default_rng(7)
    count = (DAYS + 3) * (timedelta(days=1) // STEP)
    starts = int(FIRST.timestamp()) + np.arange(count, dtype=np.int64) * (STEP // timedelta(seconds=1))
    made = {}
    for zone, mean in (("GB", 180.0), ("NO", 40.0)):
        daily = 1 + 0.4 * np.sin(np.arange(count) * 2 * np.pi * (STEP / timedelta(days=1)))
        values = mean * daily + random.uniform(0, 5, count)
        made[zone] = IntensitySeries.of(zone, starts, values, step=STEP, kind=Kind.ACTUAL, provider="made")
    return made


def runs(count: int, step: timedelta) -> Iterator[tuple[FinishedRun, EnergyProfile]]:
    """Runs that waited up to a day: half of them moved, a quarter paused for an hour; GPU measured, processor modelled.

    They start on odd seconds, as real runs do; `step` is the length of an energy slice. Slices stand in columns, component
    after component, as `combine` leaves them.
    """
    spread = timedelta(days=DAYS - 2) / count
    for index in range(count):
        submitted = (FIRST + index * spread).replace(microsecond=0)
        start = submitted + timedelta(seconds=(index * 7919) % 86_400)
        where = "north" if index % 2 else "home"
        end = start + LENGTH
        parts: tuple[RunSegment, ...] = (RunSegment(start, end, where),)
        if index % 4 == 0:
            pause = timedelta(hours=1)
            end += pause
            middle = start + LENGTH / 2
            parts = (RunSegment(start, middle, where), RunSegment(middle + pause, end, where))
        request = JobRequest(submitted=submitted, duration=LENGTH, deadline=submitted + 3 * LENGTH)
        done = FinishedRun(
            key=RunKey("site", str(index), 1), name="train", namespace="lab", state=JobState.SUCCEEDED,
            request=request, home="home", segments=parts, finished_at=end,
        )  # fmt: skip
        cuts = [cut for part in parts for cut in _cuts(part.start, part.end or end, step)]
        starts, ends = zip(*cuts, strict=True)
        slices = EnergySlices.joined(
            EnergySlices.of_source(source, starts, ends, [1_000_003 + index] * len(cuts))
            for source in SOURCES
        )
        yield done, EnergyProfile(slices)


def _cuts(start: datetime, end: datetime, step: timedelta) -> Iterator[tuple[int, int]]:
    """From when to when slices last, in microseconds."""
    first, last, length = microseconds(start), microseconds(end), step // MICROSECOND
    return ((at, min(at + length, last)) for at in range(first, last, length))


def _settled(count: int, actuals: Mapping[str, IntensitySeries], step: timedelta) -> tuple[float, int, int]:
    """Processor seconds inside `settle`, how many are final, and of how many the causes add up."""
    now = FIRST + timedelta(days=DAYS + 60)
    seconds, final, equal = 0.0, 0, 0
    for done, profile in runs(count, step):
        begin = process_time()
        entry = settle(done, profile, actuals, LOCATIONS, now=now, final_after=timedelta(days=7))
        seconds += process_time() - begin
        if isinstance(entry, Entry):
            final += entry.settled is Settled.FINAL
            equal += entry.total_avoided_ug == sum(entry.avoided_ug.values())
    return seconds, final, equal
