"""Pauses that cost something: the best of every minute, by an oracle that tries all, minute by minute."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from cleanhours.planning.pauses import PauseCosts, cost_of, lowest_runs
from cleanhours.planning.slots import Run, Slots, lowest_slots
from cleanhours.planning.windows import NEVER
from tests.unit.planning.made import MINUTE, START, made_gaps, made_series

_SEEDS = st.integers(0, 2**32)


class Trial:
    """A made question in whole minutes, and the best answer by trying everything."""

    def __init__(self, seed: int, *, exact: bool) -> None:
        dice = random.Random(seed)
        self.step = dice.choice((1, 5, 5, 15))
        count = dice.randint(2, {1: 20, 5: 6, 15: 3}[self.step])
        self.series = made_series([dice.randint(0, 9) for _ in range(count)], step=self.step * MINUTE)
        minutes = count * self.step
        self.prices = [int(self.series.micrograms[minute // self.step]) for minute in range(minutes)]
        self.low, self.high = dice.randint(0, minutes // 4), minutes - dice.randint(0, minutes // 4)
        self.work = dice.randint(1, max(1, self.high - self.low))
        self.running = dice.random() < 0.3
        self.paused = not self.running and dice.random() < 0.3
        self.pauses = dice.choice((None, None, 0, 1, 2))
        self.lost = dice.choice((0, 1, 2, 5))
        self.least = 0 if exact else dice.choice((0, 2, 3))
        self.energy_s = 0.0 if exact else dice.choice((0.0, 30.0, 120.0))
        self.gaps = None if exact or dice.random() < 0.5 else (made_gaps(dice, 0, minutes, 1) * 60 + START)
        self.free = [
            self.gaps is None or any(q <= START + 60 * m < p for q, p in self.gaps) for m in range(minutes)
        ]
        self.costs = PauseCosts(
            self.lost * 60, self.energy_s, self.least * 60, self.pauses, self.running, self.paused
        )

    def answer(self) -> Slots | None:
        low, high = START + 60 * self.low, START + 60 * self.high
        return lowest_runs(self.series, self.work * 60, low, high, self.costs, gaps=self.gaps)

    def tried(self) -> int:
        pauses = 6 if self.pauses is None else self.pauses
        needed = self.work + (self.lost if self.paused else 0)
        options = [self._single(start, needed) for start in range(self.low, self.high) if not self.running]
        if self.running:
            options.append(self._single(self.low, self.work))
            options.append(self._from(self.low, needed, True, pauses, self.least))
            options += [
                self._energy(start) + self._single(start, self.work + self.lost)
                for start in range(self.low + 1, self.high)
                if pauses
            ]
        else:
            options += [
                60 * self.prices[start] + self._from(start + 1, needed - 1, True, pauses, min(1, self.least))
                for start in range(self.low, self.high)
                if self.free[start]
            ]
        return min(options, default=NEVER)

    def _energy(self, minute: int) -> int:
        return round(self.energy_s * self.prices[minute])

    def _single(self, start: int, length: int) -> int:
        inside = start + length <= self.high and all(self.free[start : start + length])
        return 60 * sum(self.prices[start : start + length]) if inside else NEVER

    @cache  # noqa: B019
    def _from(self, minute: int, left: int, on: bool, pauses: int, length: int) -> int:
        """The cheapest way on: `left` minutes to run, `length` minutes of the present run so far (as far as needed)."""
        if left == 0 and (not on or length >= self.least):
            return 0
        if minute >= self.high:
            return NEVER
        options = [NEVER]
        price, free = self.prices[minute], self.free[minute]
        if on:
            if free and left > 0:
                options.append(
                    60 * price + self._from(minute + 1, left - 1, True, pauses, min(length + 1, self.least))
                )
            if length >= self.least and left > 0:
                options.append(self._from(minute, left, False, pauses, 0))
        else:
            options.append(self._from(minute + 1, left, False, pauses, 0))
            if pauses and free:
                resumed = self._from(minute + 1, left + self.lost - 1, True, pauses - 1, min(1, self.least))
                options.append(self._energy(minute) + 60 * price + resumed)
        return min(options)

    def check(self, runs: Sequence[Run]) -> None:
        """Whether runs do the work, apart from each other, in time, in room, long enough and with few enough pauses."""
        late = self.running and runs[0][0] > START + 60 * self.low
        resumed = len(runs) - 1 + late
        assert 60 * (self.work + self.lost * (resumed + self.paused)) == sum(
            end - start for start, end in runs
        )
        assert START + 60 * self.low <= runs[0][0] < runs[-1][1] <= START + 60 * self.high
        assert all(first[1] < second[0] for first, second in itertools.pairwise(runs))
        assert self.pauses is None or resumed <= self.pauses
        if len(runs) > 1:
            assert all(end - start >= 60 * self.least for start, end in runs[1 if self.running else 0 :])
        assert self.gaps is None or all(
            any(q <= start and end <= p for q, p in self.gaps) for start, end in runs
        )


@given(_SEEDS)
@settings(max_examples=150)
def test_runs_with_pauses_that_lose_time_are_the_best_of_every_minute(seed: int) -> None:
    trial = Trial(seed, exact=True)
    found = trial.answer()
    assert trial.tried() == (NEVER if found is None else found.cost)
    if found is not None:
        trial.check(found.runs)


@given(_SEEDS)
@settings(max_examples=150)
def test_runs_under_every_limit_are_never_better_than_possible_and_obey_it(seed: int) -> None:
    trial = Trial(seed, exact=False)
    found, best = trial.answer(), trial.tried()
    if found is None:
        assert best >= NEVER
        return
    trial.check(found.runs)
    assert found.cost == cost_of(trial.series, found.runs, START + 60 * trial.low, trial.costs)
    # a running job may resume a second before the energy of it gets dearer: the oracle sees whole minutes only
    assert best <= found.cost or (trial.running and trial.energy_s)
    assert trial.gaps is not None or found.cost <= best


@given(_SEEDS, st.integers(1, 3600))
def test_pauses_that_cost_nothing_give_the_cheapest_seconds(seed: int, work: int) -> None:
    dice = random.Random(seed)
    series = made_series([dice.randint(0, 9) for _ in range(12)], step=timedelta(minutes=5))
    low, high = START + dice.randint(0, 200), START + 3600 - dice.randint(0, 200)
    free, cheapest = lowest_runs(series, work, low, high, PauseCosts()), lowest_slots(series, work, low, high)
    assert (cheapest and cheapest.cost) == (free and free.cost)


@given(_SEEDS)
def test_the_dearer_the_pause_the_dearer_the_plan(seed: int) -> None:
    dice = random.Random(seed)
    series = made_series([dice.randint(0, 9) for _ in range(80)], step=timedelta(minutes=15))
    work = dice.randint(1, 10 * 3600)
    plans = [
        lowest_runs(series, work, START + 77, START + 20 * 3600, PauseCosts(lost=60 * lost))
        for lost in (0, 5, 15, 30)
    ]
    costs = [plan.cost for plan in plans if plan is not None]
    assert (4, sorted(costs)) == (len(costs), costs)


def test_a_pause_is_worth_it_only_when_it_saves_more_than_it_loses() -> None:
    series = made_series([10, 11, 10, 10], step=timedelta(hours=1))
    end = START + 4 * 3600
    plan = lowest_runs(series, 3 * 3600 - 600, START, end, PauseCosts(lost=300))
    assert plan is not None
    assert ((START + 4200, end),) == plan.runs
    series = made_series([10, 100, 10, 10], step=timedelta(hours=1))
    plan = lowest_runs(series, 3 * 3600 - 600, START, end, PauseCosts(lost=600))
    assert plan is not None
    assert ((START, START + 3600), (START + 7200, end)) == plan.runs
