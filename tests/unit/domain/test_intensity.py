"""Intensity series: exact, gap-free, never mixed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.errors import SeriesError
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Scope

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours(
    *values: float, start: datetime = T0, zone: str = "GB", kind: Kind = Kind.FORECAST
) -> IntensitySeries:
    return IntensitySeries.of(
        zone, [start + i * HOUR for i in range(len(values))], values, step=HOUR, kind=kind
    )


@st.composite
def series(draw: st.DrawFn) -> IntensitySeries:
    widths = draw(st.lists(st.integers(1, 7200), min_size=1, max_size=12))
    values = draw(st.lists(st.integers(0, 5_000_000), min_size=len(widths), max_size=len(widths)))
    borders = np.cumsum([0, *widths]) + int(T0.timestamp())
    return IntensitySeries.of("GB", borders[:-1], [value / 1000 for value in values], ends=borders[1:])


@given(series(), st.data())
def test_the_mean_is_that_of_every_second(one: IntensitySeries, data: st.DataObject) -> None:
    first, last = int(one.borders[0]), int(one.borders[-1])
    start = data.draw(st.integers(first, last - 1))
    end = data.draw(st.integers(start + 1, last))

    expected = Fraction(0)
    for left, right, value in zip(one.borders[:-1], one.borders[1:], one.micrograms, strict=True):
        expected += max(0, min(end, int(right)) - max(start, int(left))) * int(value)

    assert expected == one.integral_between(start, end)


@given(series(), st.integers(1, 9000))
def test_resampling_keeps_the_integral_to_rounding(one: IntensitySeries, step_s: int) -> None:
    again = one.resample(timedelta(seconds=step_s))

    total = int(again.borders[-1] - again.borders[0])
    assert (one.start, one.end) == (again.start, again.end)
    assert abs(int(one.integral[-1]) - int(again.integral[-1])) <= total


@given(series(), st.data())
def test_cutting_and_joining_gives_the_same_series(one: IntensitySeries, data: st.DataObject) -> None:
    first, last = int(one.borders[0]), int(one.borders[-1])
    if last - first < 2:
        return
    middle = datetime.fromtimestamp(data.draw(st.integers(first + 1, last - 1)), UTC)

    again = one.cut(one.start, middle).join(one.cut(middle, one.end))

    assert one.integral_between(first, last) == again.integral_between(first, last)


def test_a_genuine_zero_is_data() -> None:
    assert 0.0 == hours(0, 0).mean(T0, T0 + 2 * HOUR)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 5001.0])
def test_what_is_no_intensity_is_refused_with_its_place(value: float) -> None:
    with pytest.raises(SeriesError, match=r"at 2026-01-01T01:00:00Z .*accepted: 0 to 5000"):
        hours(1, value, 3)


@pytest.mark.parametrize(
    ("offsets", "fault"),
    [
        ((0, 2), "a gap of 3600 s"),
        ((0, 0.5), "an overlap of 1800 s"),
        ((1, 0), "not in order"),
        ((0, 0), "not in order"),
    ],
)
def test_gaps_overlaps_and_disorder_are_named(offsets: tuple[float, ...], fault: str) -> None:
    starts = [T0 + offset * HOUR for offset in offsets]
    with pytest.raises(SeriesError, match=fault):
        IntensitySeries.of("GB", starts, [1.0, 2.0], step=HOUR)


def test_no_values_and_no_length_are_refused() -> None:
    with pytest.raises(SeriesError, match="no values at all"):
        IntensitySeries.of("GB", [], [])
    with pytest.raises(SeriesError, match="how long it holds"):
        IntensitySeries.of("GB", [T0], [1.0])


def test_joining_refuses_gaps_other_zones_and_other_measures() -> None:
    one = hours(1, 2)
    direct = IntensitySeries.of("GB", [T0 + 2 * HOUR], [1.0], step=HOUR, measure=Measure(scope=Scope.DIRECT))
    for other, fault in [
        (hours(3, start=T0 + 3 * HOUR), "a gap"),
        (hours(3, start=T0 + HOUR), "an overlap"),
        (hours(3, start=T0 + 2 * HOUR, zone="DE"), "zone"),
        (direct, "cannot join"),
    ]:
        with pytest.raises(SeriesError, match=fault):
            one.join(other)


def test_outside_nothing_is_known() -> None:
    one = hours(1, 2)
    for question in (
        lambda: one.mean(T0 - HOUR, T0),
        lambda: one.at(one.end),
        lambda: one.cut(one.end, one.end + HOUR),
        lambda: one.mean(T0, T0),
    ):
        with pytest.raises(SeriesError):
            question()


def test_a_sum_is_as_certain_as_its_weakest_part() -> None:
    one = hours(1, kind=Kind.ACTUAL).join(hours(2, start=T0 + HOUR, kind=Kind.TYPICAL))

    assert Kind.ACTUAL == one.worst_kind(T0, T0 + HOUR)
    assert Kind.TYPICAL == one.worst_kind(T0, T0 + HOUR + timedelta(seconds=1))
    assert Kind.TYPICAL == one.kind_at(T0 + HOUR)
    assert (Kind.TYPICAL,) == one.resample(2 * HOUR).known_as


def test_the_step_ignores_partial_ends() -> None:
    assert 3600 == hours(1, 2, 3, 4).cut(T0 + HOUR / 3, T0 + 3.5 * HOUR).step_s
