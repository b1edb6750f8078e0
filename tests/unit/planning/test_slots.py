"""The best slots are the cheapest seconds."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.times import instant_of
from cleanhours.planning.slots import Slots, lowest_slots, lowest_slots_costs
from cleanhours.planning.windows import NEVER
from tests.unit.planning.made import START, every_second, made_gaps, made_series
from tests.unit.planning.test_windows import uneven_series

_SEEDS = st.integers(0, 2**32)


@given(_SEEDS)
def test_the_slots_are_the_cheapest_seconds(seed: int) -> None:
    dice = random.Random(seed)
    series = uneven_series(dice)
    count = dice.choice((1, 5))
    works = [dice.randint(1, 60) for _ in range(count)]
    earliest = [START + dice.randint(-10, 80) for _ in range(count)]
    ends = [begin + dice.randint(-3, 100) for begin in earliest]
    gaps = made_gaps(dice, START - 5, 130) if dice.random() < 0.5 else None
    many = lowest_slots_costs(series, np.array(works), np.array(earliest), np.array(ends), gaps=gaps)
    seconds = dict(enumerate(every_second(series), start=int(series.borders[0])))
    for i in range(count):
        free = [
            price
            for second, price in seconds.items()
            if earliest[i] <= second < ends[i] and (gaps is None or any(q <= second < p for q, p in gaps))
        ]
        found = lowest_slots(series, works[i], earliest[i], ends[i], gaps=gaps)
        if len(free) < works[i]:
            assert found is None
            assert NEVER == many[i]
            continue
        assert found is not None
        assert sum(sorted(free)[: works[i]]) == found.cost == many[i]
        run = [second for start, end in found.runs for second in range(start, end)]
        assert (works[i], found.cost) == (len(set(run)), sum(seconds[second] for second in run))
        assert all(first[1] < second[0] for first, second in zip(found.runs, found.runs[1:], strict=False))
        assert gaps is None or all(any(q <= second < p for q, p in gaps) for second in run)


@given(_SEEDS)
def test_cutting_intervals_into_pieces_changes_nothing(seed: int) -> None:
    dice = random.Random(seed)
    series = uneven_series(dice)
    borders = np.unique(np.append(series.borders, [START + dice.randint(0, 9) for _ in range(5)]))
    borders = borders[borders <= series.borders[-1]]
    values = [series.at(instant_of(border)) for border in borders[:-1]]
    cut = IntensitySeries.of("AA", borders[:-1], values, ends=borders[1:])
    whole, pieces = (lowest_slots(one, 7, START + 1, START + 90) for one in (series, cut))
    assert (whole and whole.cost) == (pieces and pieces.cost)


def test_the_earliest_of_equals_is_taken_and_the_part_touches_a_run() -> None:
    series = made_series([5, 1, 5, 1, 5, 1])
    assert Slots(((START + 60, START + 120),), 60_000_000) == lowest_slots(series, 60, START, START + 360)
    joined = lowest_slots(made_series([9, 3, 1, 9]), 90, START, START + 240)
    assert Slots(((START + 90, START + 180),), 30 * 3_000_000 + 60_000_000) == joined


def test_a_flat_day_is_one_run_at_once() -> None:
    assert Slots(((START, START + 100),), 700_000_000) == lowest_slots(
        made_series([7] * 9), 100, START, START + 540
    )
