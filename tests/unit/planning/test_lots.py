"""Runs measured in many slices: settled in arrays, to the same microgram as a few slices at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.accounts import Entry, IntensityUsed
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import FinishedRun, RunSegment
from cleanhours.domain.locations import Location
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import MICROSECOND, microseconds
from cleanhours.planning.grids import Interval, union
from cleanhours.planning.lots import FEW, cut
from cleanhours.planning.settling import settle
from tests.unit.planning.test_settling import HOUR, LATER, T0, WEEK, a_run, at, hourly

HOURS = 12
SPAN = HOURS * HOUR // MICROSECOND
MANY = FEW + 8


def part(
    start: datetime, end: datetime, millijoules: int, component: Component = Component.CPU
) -> EnergySlice:
    return EnergySlice(start, end, component, millijoules, Method.MEASURED, "m")


def settled(
    run: FinishedRun,
    slices: tuple[EnergySlice, ...],
    actuals: Mapping[str, IntensitySeries],
    pues: tuple[float, float],
) -> Entry:
    locations = {"home": Location("home", "GB", pues[0]), "north": Location("north", "NO", pues[1])}
    entry = settle(run, EnergyProfile(slices), actuals, locations, now=LATER, final_after=WEEK)
    assert isinstance(entry, Entry), entry
    return entry


def a_few_at_a_time(slices: tuple[EnergySlice, ...]) -> Iterator[tuple[EnergySlice, ...]]:
    return (slices[first : first + FEW] for first in range(0, len(slices), FEW))


@st.composite
def runs(draw: st.DrawFn) -> FinishedRun:
    """Up to three segments with borders on odd microseconds, at home and away."""
    borders = sorted(draw(st.sets(st.integers(0, SPAN), min_size=2, max_size=6)))
    spans = list(pairwise(borders))[::2]
    request = JobRequest(
        submitted=T0, checkpoint=timedelta(seconds=draw(st.sampled_from([0, 0, 600]))), interruptible=True
    )
    segments = tuple(
        RunSegment(T0 + start * MICROSECOND, T0 + end * MICROSECOND, draw(st.sampled_from(["home", "north"])))
        for start, end in spans
    )
    end = segments[-1].end or T0
    return a_run((0, 1, "home"), request=request, segments=segments, finished_at=end)


@st.composite
def measured(draw: st.DrawFn, run: FinishedRun) -> tuple[EnergySlice, ...]:
    """Many slices, most of them inside a segment; others across its borders, empty, or beside the run."""
    found = []
    random = draw(st.randoms(use_true_random=False))
    most = draw(st.sampled_from([3, 10**6, 10**12, 2**57]))
    for _ in range(random.randint(MANY, 2 * MANY)):
        segment = random.choice(run.segments)
        first, last = ((instant - T0) // MICROSECOND for instant in (segment.start, segment.end or T0))
        if random.random() < 0.1:
            first, last = 0, SPAN
        start = random.randint(first, last)
        end = random.randint(start, min(last, start + random.choice([0, 10**6, 10**9, SPAN])))
        component = random.choice([Component.CPU, Component.GPU])
        found.append(
            part(T0 + start * MICROSECOND, T0 + end * MICROSECOND, random.randint(0, most), component)
        )
    return tuple(found)


@given(
    st.data(),
    runs(),
    st.lists(st.integers(0, 900), min_size=2 * HOURS, max_size=2 * HOURS),
    st.sampled_from([(1.0, 1.2), (1.5, 1.5), (1.123456789, 1.0)]),
)
def test_many_slices_cost_what_they_cost_a_few_at_a_time(
    data: st.DataObject, run: FinishedRun, values: list[int], pues: tuple[float, float]
) -> None:
    slices = data.draw(measured(run))
    # the baseline and the closed-up replays lie before the run: nothing ends after the last hour
    actuals = {"GB": hourly("GB", *values[:HOURS], 1), "NO": hourly("NO", *values[HOURS:], 1)}

    whole = settled(run, slices, actuals, pues)
    parts = [settled(run, few, actuals, pues) for few in a_few_at_a_time(slices)]

    assert whole.emissions_ug == sum(one.emissions_ug or 0 for one in parts)
    assert whole.baseline_ug == sum(one.baseline_ug or 0 for one in parts)
    for cause in whole.avoided_ug:
        assert whole.avoided_ug[cause] == sum(one.avoided_ug[cause] for one in parts)
        assert whole.energy_avoided_mj[cause] == sum(one.energy_avoided_mj[cause] for one in parts)
    assert touched(whole.intensity) == touched(*(one.intensity for one in parts))
    assert touched(whole.baseline_intensity) == touched(*(one.baseline_intensity for one in parts))


def touched(*used: Iterable[IntensityUsed]) -> dict[str, list[Interval]]:
    """The time of each zone whose intensity was used."""
    found: dict[str, list[Interval]] = {}
    for one in chain.from_iterable(used):
        found.setdefault(one.zone, []).append((microseconds(one.start), microseconds(one.end)))
    return {zone: union(intervals) for zone, intervals in found.items()}


def test_slices_within_a_segment_are_settled_in_bulk_and_others_in_pieces() -> None:
    request = JobRequest(submitted=T0, checkpoint=HOUR / 4, interruptible=True)
    run = a_run((0, 2, "home"), (3, 5, "north"), request=request)
    inside = [part(at(n / 30), at((n + 1) / 30), n) for n in range(60)]
    away = [part(at(4 + n / 60), at(4 + (n + 1) / 60), n) for n in range(60)]
    others = [part(at(1), at(1), 3), part(at(1.5), at(4), 4), part(at(3), at(3.2), 5), part(at(6), at(7), 6)]

    bulk, pieces = cut(run, EnergyProfile((*inside, *others, *away)))

    assert bulk is not None
    assert [*range(60), *range(60)] == bulk.millijoules.tolist()
    assert [0] * 60 + [1] * 60 == bulk.segments.tolist()
    # the second segment is three quarters of an hour of checkpoint and wait later than its work
    assert (bulk.starts - bulk.offsets)[[0, -1]].tolist() == [microseconds(T0), microseconds(at(1.25))]
    assert 3 + 4 + 5 + 6 == sum(piece.millijoules for piece in pieces)


@pytest.mark.parametrize(
    "request_", [JobRequest(submitted=T0, pause_energy_j=5.0, interruptible=True), JobRequest(submitted=T0)]
)
def test_what_must_be_told_slice_by_slice_is_not_settled_in_bulk(request_: JobRequest) -> None:
    """Energy of pauses, which is taken from one slice after the other; and amounts whose sum leaves 64 bits behind."""
    run = a_run((0, 2, "home"), request=request_)
    largest = 1 if request_.pause_energy_j else 2**60
    slices = tuple(part(at(n / 30), at((n + 1) / 30), largest) for n in range(MANY))

    bulk, pieces = cut(run, EnergyProfile(slices))

    assert (bulk, MANY * largest) == (None, sum(piece.millijoules for piece in pieces))


def test_halves_go_up_in_bulk_too() -> None:
    run = a_run((0, 2, "north"))
    minutes = tuple(part(at(n / 60), at((n + 1) / 60), 1_800) for n in range(120))

    entry = settled(run, minutes, {"GB": hourly("GB", 1, 1), "NO": hourly("NO", 1, 1)}, (1.0, 1.0))
    again = settled(run, minutes, {"GB": hourly("GB", 1, 1), "NO": hourly("NO", 1, 1)}, (1.0, 1.0025))

    assert (120, 120) == (entry.emissions_ug, entry.baseline_ug)  # each is half a microgram
    assert -5 * 120 == sum(again.energy_avoided_mj.values())  # each overhead is 4.5 mJ


def test_quotients_that_only_look_like_halves_go_down() -> None:
    """Slices that end a microsecond after 1,800 g/kWh fell by a millionth: less below the half than floats can tell."""
    run = a_run((0, 2 * MANY, "home"))
    values = [1_800 - 1e-6 * (hour % 2) for hour in range(2 * MANY + 1)]
    falls = [at(hour) + MICROSECOND for hour in range(1, 2 * MANY, 2)]
    slices = tuple(part(fall - (n + 1) * HOUR / 61, fall, 2 * n + 1) for n, fall in enumerate(falls))

    assert sum(range(MANY)) == settled(run, slices, {"GB": hourly("GB", *values)}, (1.0, 1.0)).emissions_ug
