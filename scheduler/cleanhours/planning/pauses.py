"""Pauses: when to run work whose pauses cost time and energy. An exact dynamic programme, kept off by bounds where it can be.

Between borders of the intensity emissions are linear in the border of a run. So in an optimum every border of a run but
one lies on a border of the intensity or an end of the window; the one that is free makes the lengths add up. States are
(point, work left in grid units, pauses left, whether the free part is spent, running or not), O(points x work).

With a minimum run, or with gaps off the intensity's borders, runs are cut on the grid instead: the coarsest of 30, 15, 5
and 1 min that divides the intensity's step, the time lost and the minimum run.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.intervals import Integers
from cleanhours.planning.boards import PauseCosts, board_of
from cleanhours.planning.programme import Programme
from cleanhours.planning.slots import Run, Slots, lowest_slots
from cleanhours.planning.windows import cost_of_windows, lowest_window


def lowest_runs(
    series: IntensitySeries,
    work: int,
    earliest: int,
    end: int,
    costs: PauseCosts,
    *,
    gaps: Integers | None = None,
    below: int | None = None,
) -> Slots | None:
    """The cheapest runs that do `work` seconds of work inside [earliest, end), the series and the gaps.

    Runs include the time lost at their begin, costs the energy of pauses. Of equals, the one without pauses, else the
    earlier. None where nothing fits, or (perhaps) where no runs cost at most `below`.
    """
    once = _without_pause(series, work, earliest, end, costs, gaps)
    if costs.maximum_pauses == 0:
        return once
    lost_first = costs.lost if costs.paused else 0
    least = below if once is None else (once.cost - 1 if below is None else min(once.cost - 1, below))
    bound = _relaxed(series, work + lost_first, earliest, end, gaps)
    if bound is None or (least is not None and bound.cost > least):
        return once
    if not costs.running:
        bound = _relaxed(series, work + lost_first + costs.lost, earliest, end, gaps)
        if bound is None or (least is not None and bound.cost > least):
            return once
        if len(bound.runs) == 2 and not costs.energy_s and _long_enough(bound.runs, costs):
            return bound
    paused = _programmed(series, work + lost_first, earliest, end, costs, gaps)
    if not paused and once is None and gaps is not None:
        paused = _programmed(series, work + lost_first, earliest, end, costs, gaps, finest=True)
    if not paused:
        return once
    trimmed = _trimmed(paused, work + lost_first, earliest, costs)
    cost = cost_of(series, trimmed, earliest, costs)
    if once is not None and once.cost <= cost:
        return once
    return Slots(trimmed, cost)


def cost_of(series: IntensitySeries, runs: tuple[Run, ...], earliest: int, costs: PauseCosts) -> int:
    """The exact cost of runs, the energy of their pauses included."""
    begins = np.array([run[0] for run in runs])
    lengths = np.array([run[1] - run[0] for run in runs])
    total = int(cost_of_windows(series, begins, lengths).sum())
    if costs.energy_s:
        resumed = begins[0 if costs.running and runs[0][0] > earliest else 1 :]
        index = series.borders.searchsorted(resumed, side="right") - 1
        total += sum(costs.energy_at(int(price)) for price in series.micrograms[index])
    return total


def _without_pause(
    series: IntensitySeries, work: int, earliest: int, end: int, costs: PauseCosts, gaps: Integers | None
) -> Slots | None:
    """The best single run. One that is running already may go on at once, or make one pause first."""
    if not costs.running:
        length = work + (costs.lost if costs.paused else 0)
        found = lowest_window(series, length, earliest, end - length, gaps=gaps)
        return found and Slots(((found.start, found.start + length),), found.cost)
    options = []
    going_on = lowest_window(series, work, earliest, min(earliest, end - work), gaps=gaps)
    if going_on is not None:
        options.append(Slots(((earliest, earliest + work),), going_on.cost))
    if costs.maximum_pauses != 0:
        length = work + costs.lost
        borders = series.borders
        # the energy of the resumption steps where the intensity does: between steps the window is exact
        inner = borders[(borders > earliest + 1) & (borders < end)].tolist() if costs.energy_s else []
        for first, after in pairwise((earliest + 1, *inner, end)):
            later = lowest_window(series, length, first, min(after - 1, end - length), gaps=gaps)
            if later is not None:
                runs = ((later.start, later.start + length),)
                options.append(Slots(runs, cost_of(series, runs, earliest, costs)))
    return min(options, key=lambda option: option.cost, default=None)


def _relaxed(
    series: IntensitySeries, seconds: int, earliest: int, end: int, gaps: Integers | None
) -> Slots | None:
    return lowest_slots(series, seconds, earliest, end, gaps=gaps)


def _long_enough(runs: tuple[Run, ...], costs: PauseCosts) -> bool:
    shortest = max(costs.minimum_run, costs.lost)
    return all(end - start >= shortest for start, end in runs)


def _trimmed(runs: tuple[Run, ...], work: int, earliest: int, costs: PauseCosts) -> tuple[Run, ...]:
    """Runs without the surplus that rounding lost time up to a grid leaves at their end."""
    resumed = len(runs) - 1 + (costs.running and runs[0][0] > earliest)
    surplus = sum(end - start for start, end in runs) - work - costs.lost * resumed
    start, end = runs[-1]
    return (*runs[:-1], (start, max(end - surplus, start + 1)))


def _programmed(
    series: IntensitySeries,
    work: int,
    earliest: int,
    end: int,
    costs: PauseCosts,
    gaps: Integers | None,
    *,
    finest: bool = False,
) -> tuple[Run, ...]:
    """The optimum on the grid; no runs where there is none. `finest` finds room between gaps that a coarse grid misses."""
    board = board_of(series, work, earliest, end, costs, gaps, finest=finest)
    found = board and Programme(board).best()
    return found[1] if found else ()


__all__ = ["PauseCosts", "cost_of", "lowest_runs"]
