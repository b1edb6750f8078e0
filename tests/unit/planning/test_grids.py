"""The grid that energy is replayed on: exact, merged where nothing changes, and made once for a series."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.times import instant_at, microseconds
from cleanhours.planning.grids import Grid, grid_of

T0 = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
FIRST = microseconds(T0)
SECOND = 1_000_000

_VALUES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([Kind.ACTUAL, Kind.ESTIMATED])), min_size=1, max_size=20
)


def series_of(values: list[tuple[int, Kind]]) -> IntensitySeries:
    starts = [T0 + index * STEP for index in range(len(values))]
    numbers, kinds = [value for value, _ in values], [kind for _, kind in values]
    return IntensitySeries.of("GB", starts, numbers, step=STEP, kind=kinds)


@st.composite
def asked(draw: st.DrawFn) -> tuple[list[tuple[int, Kind]], int, int]:
    values = draw(_VALUES)
    length = len(values) * 300 * SECOND
    start, end = sorted(draw(st.tuples(st.integers(0, length - 1), st.integers(0, length))))
    return values, FIRST + start, FIRST + max(end, start + 1)


@given(asked())
def test_what_was_used_tells_value_and_kind_of_every_microsecond_once(
    question: tuple[list[tuple[int, Kind]], int, int],
) -> None:
    values, start, end = question
    found = Grid(series_of(values)).used([(start, end)])

    assert instant_at(start) == found[0].start
    assert instant_at(end) == found[-1].end
    for one, other in pairwise(found):
        assert one.end == other.start
        assert (one.micrograms_per_kwh, one.kind) != (other.micrograms_per_kwh, other.kind)
    for part in found:
        steps = range((part.start - T0) // STEP, -((T0 - part.end) // STEP))
        assert {(part.micrograms_per_kwh, part.kind)} == {
            (values[n][0] * 1_000_000, values[n][1]) for n in steps
        }


@given(asked())
def test_an_integral_is_exact_to_the_microsecond(question: tuple[list[tuple[int, Kind]], int, int]) -> None:
    values, start, end = question
    exact = 0
    for index, (value, _) in enumerate(values):
        begin = FIRST + index * 300 * SECOND
        exact += value * 1_000_000 * max(0, min(end, begin + 300 * SECOND) - max(start, begin))
    grid = Grid(series_of(values))

    assert exact == grid.integral(start, end)
    steps = range((start - FIRST) // (300 * SECOND), -((FIRST - end) // (300 * SECOND)))
    assert {values[n][1] for n in steps} == grid.kinds(start, end)


def test_a_series_is_made_into_a_grid_once_and_its_grid_goes_with_it() -> None:
    series = series_of([(1, Kind.ACTUAL), (2, Kind.ACTUAL)])
    grid = grid_of(series)
    gone = weakref.ref(grid)

    assert grid is grid_of(series)
    assert grid is not grid_of(series_of([(1, Kind.ACTUAL), (2, Kind.ACTUAL)]))
    del grid, series
    gc.collect()
    assert gone() is None


def test_whole_steps_are_shared_by_all_runs_that_used_them() -> None:
    grid = Grid(series_of([(index, Kind.ACTUAL) for index in range(5)]))
    one = grid.used([(FIRST + 1, FIRST + 1500 * SECOND)])
    other = grid.used([(FIRST + 2, FIRST + 1499 * SECOND)])

    assert [True] * 3 == [mine is yours for mine, yours in zip(one[1:-1], other[1:-1], strict=True)]
    assert one[0] != other[0]


@given(st.lists(asked(), min_size=1, max_size=5))
def test_integrals_of_many_are_the_integrals_of_each(
    questions: list[tuple[list[tuple[int, Kind]], int, int]],
) -> None:
    values = max((values for values, _, _ in questions), key=len)
    grid = Grid(series_of(values))
    starts, ends = (np.array(column, np.int64) for column in zip(*(q[1:] for q in questions), strict=True))

    found = grid.integrals(starts, ends)

    assert found is not None
    assert [grid.integral(start, end) for start, end in zip(starts, ends, strict=True)] == found.tolist()


def test_integrals_that_outgrow_64_bits_are_not_told() -> None:
    """A year of 400 g/kWh: sums from its beginning on leave 64 bits behind, those of a few hours do not."""
    days = [T0 + n * timedelta(days=1) for n in range(365)]
    series = IntensitySeries.of("GB", days, [400 + n % 2 for n in range(365)], step=timedelta(days=1))
    grid = Grid(series)
    hour = 3600 * SECOND
    starts = np.array([FIRST + n * 24 * hour + 20 * hour for n in range(364)], np.int64)

    short, long = (grid.integrals(starts, starts + lasting * hour) for lasting in (6, 7))

    assert short is not None
    assert [grid.integral(start, start + 6 * hour) for start in starts.tolist()] == short.tolist()
    assert long is None
