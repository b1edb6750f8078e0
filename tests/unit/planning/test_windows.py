"""The best window is the best of every second."""

from __future__ import annotations

import random
from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.intervals import Integers
from cleanhours.planning.windows import NEVER, Window, lowest_window, lowest_windows
from tests.unit.planning.made import START, every_second, made_gaps, made_series

_SEEDS = st.integers(0, 2**32)


def uneven_series(dice: random.Random) -> IntensitySeries:
    """A few intervals of seconds, of one length or of several, with few and so often equal values."""
    count = dice.randint(1, 12)
    widths = [10] * count if dice.random() < 0.5 else [dice.choice((3, 7, 10, 10)) for _ in range(count)]
    borders = np.array([START, *(START + width for width in accumulate(widths))])
    values = [dice.choice((0, 1, 2, 2, 3.3333, 4)) for _ in range(count)]
    return IntensitySeries.of("AA", borders[:-1], values, ends=borders[1:])


def tried(
    series: IntensitySeries, length: int, earliest: int, latest: int, charge: int, gaps: Integers | None
) -> Window | None:
    """Every second tried."""
    sums = [0, *accumulate(every_second(series))]
    first = int(series.borders[0])
    room = (
        [True] * len(sums)
        if gaps is None
        else [any(q <= first + i < p for q, p in gaps) for i in range(len(sums))]
    )
    best = None
    for start in range(max(earliest, first), min(latest, int(series.borders[-1]) - length) + 1):
        at = start - first
        if all(room[at : at + length]) and (
            gaps is None or any(q <= start and start + length <= p for q, p in gaps)
        ):
            cost = sums[at + length] - sums[at] + charge * (start - earliest)
            if best is None or cost < best.cost:
                best = Window(start, cost)
    return best


@given(_SEEDS)
def test_the_window_is_the_best_of_every_second_and_the_earliest_of_equals(seed: int) -> None:
    dice = random.Random(seed)
    series = uneven_series(dice)
    count = dice.choice((1, 4, 70))
    lengths = [dice.randint(1, 40) for _ in range(count)]
    earliest = [START + dice.randint(-10, 60) for _ in range(count)]
    latest = [begin + dice.randint(-3, 90) for begin in earliest]
    charge = dice.choice((0, 0, 20_000))
    gaps = made_gaps(dice, START - 5, 130) if dice.random() < 0.5 else None
    many = lowest_windows(
        series, np.array(lengths), np.array(earliest), np.array(latest),
        delay_costs=np.full(count, charge), gaps=gaps,
    )  # fmt: skip
    for i in range(count):
        expected = tried(series, lengths[i], earliest[i], latest[i], charge, gaps)
        assert expected == lowest_window(
            series, lengths[i], earliest[i], latest[i], delay_cost=charge, gaps=gaps
        )
        if expected is None:
            assert NEVER == many.costs[i]
        else:
            assert expected == (many.starts[i], many.costs[i])


def test_the_optimum_may_lie_where_the_end_meets_a_border() -> None:
    series = made_series([9, 1, 1, 5])
    window = lowest_window(series, 90, START, START + 150)
    assert Window(START + 60, 90_000_000) == window
    assert Window(START + 30, 30 * 9_000_000 + 120 * 1_000_000) == lowest_window(
        series, 150, START, START + 30
    )


def test_the_earliest_of_equals_wins() -> None:
    assert Window(START + 60, 120_000_000) == lowest_window(
        made_series([5, 2, 3, 2, 2]), 60, START, START + 240
    )


def test_values_that_differ_in_the_fourth_decimal_are_told_apart() -> None:
    series = made_series([100.0001, 100.0, 100.0001])
    assert Window(START + 60, 6_000_000_000) == lowest_window(series, 60, START, START + 120)


def test_a_flat_day_starts_at_once() -> None:
    assert Window(START, 60 * 7_000_000) == lowest_window(made_series([7] * 9), 60, START, START + 300)


def test_a_delay_that_costs_more_than_it_saves_is_not_taken() -> None:
    series = made_series([3, 2, 1])
    assert Window(START + 120, 60_000_000) == lowest_window(series, 60, START, START + 120)
    assert Window(START, 180_000_000) == lowest_window(series, 60, START, START + 120, delay_cost=1_000_001)


@given(_SEEDS)
def test_more_time_never_makes_a_window_worse(seed: int) -> None:
    dice = random.Random(seed)
    series = uneven_series(dice)
    length, latest = dice.randint(1, 20), START + dice.randint(0, 60)
    narrow = lowest_window(series, length, START, latest)
    wide = lowest_window(series, length, START, latest + dice.randint(0, 40))
    assert narrow is None or (wide is not None and wide.cost <= narrow.cost)
