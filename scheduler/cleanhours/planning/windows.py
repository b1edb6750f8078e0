"""Lowest window: when to start work that cannot pause. Exact over every whole second.

Emissions of a window are piecewise linear in its start, with corners where the start or the end meets a border of the
intensity. So the optimum lies on a corner, or on the earliest or the latest start allowed: trying these is exact and
O(n) (the sliding window of Wiesner et al., Let's Wait Awhile, Middleware 2021, over continuous starts).

Instants are epoch seconds, lengths seconds, costs exact integers in µg/kWh x s. `gaps` are the stretches [start, end) in
which there is room, an array of shape (k, 2), in order and apart; None is room everywhere.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.intervals import Integers

NEVER: Final = 1 << 61
"""A cost above every real one, with head-room for sums."""


_FEW: Final = 6
"""Gaps up to which each is searched by itself."""


class Window(NamedTuple):
    """Where a window starts and what it costs, its delay charge included."""

    start: int
    cost: int


class Windows(NamedTuple):
    """Many windows: int64 arrays of shape (jobs,). Where `costs` is NEVER there is none."""

    starts: Integers
    costs: Integers


def lowest_window(
    series: IntensitySeries,
    length: int,
    earliest: int,
    latest: int,
    *,
    delay_cost: int = 0,
    gaps: Integers | None = None,
) -> Window | None:
    """The cheapest [start, start + length) with start in [earliest, latest], inside the series and one of the gaps.

    `delay_cost` is charged for every second after `earliest`. The earliest of equals wins. None where nothing fits.
    """
    borders = series.borders
    ranges = _NO_RANGES
    lowest = max(earliest, int(borders[0]))
    highest = min(latest, int(borders[-1]) - length)
    if lowest > highest:
        return None
    even = not delay_cost and table_of(series).step
    if gaps is not None:
        ranges = _starts_in(gaps, length, lowest, highest)
        if even and len(ranges) <= _FEW:
            found = (_window_of_even_steps(series, length, *each) for each in ranges.tolist())
            return min(found, key=lambda window: (window.cost, window.start), default=None)
    elif even:
        return _window_of_even_steps(series, length, lowest, highest)
    inner = borders[1:-1]
    low, high = inner.searchsorted((lowest, highest))
    first, last = inner.searchsorted((lowest + length, highest + length))
    starts = np.concatenate(((lowest, highest), inner[low:high], inner[first:last] - length))
    if gaps is not None:
        if not len(ranges):
            return None
        index = ranges[:, 0].searchsorted(starts, side="right") - 1
        fitting = starts[(index >= 0) & (ranges[index, 1] >= starts)]
        starts = np.concatenate((fitting, ranges.ravel()))
    costs = cost_of_windows(series, starts, length)
    if delay_cost:
        costs += delay_cost * (starts - earliest)
    best = costs.min()
    return Window(int(starts[costs == best].min()), int(best))


def _window_of_even_steps(series: IntensitySeries, length: int, lowest: int, highest: int) -> Window:
    """The same where all steps but the first and the last are equal: slices instead of searches, a third of the time."""
    table, integral, prices = table_of(series), series.integral, series.micrograms
    step, first, inner = table.step, table.borders[1], len(table.micrograms) - 1
    steps, rest = divmod(length, step)
    best = (table.integral_at(lowest + length) - table.integral_at(lowest), lowest)
    best = min(best, (table.integral_at(highest + length) - table.integral_at(highest), highest))
    # windows that start at a border: from the first border not before the earliest start on
    low, high = max(1 - (first - lowest) // step, 1), min(1 + (highest - first) // step, inner) + 1
    if low < high:
        costs = integral[low + steps : high + steps] - integral[low:high]
        if rest:
            costs += rest * prices[low + steps : high + steps]
        index = int(costs.argmin())
        best = min(best, (int(costs[index]), first + (low + index - 1) * step))
    # windows that end at a border
    low = max(1 - (first - lowest - length) // step, 1)
    high = min(1 + (highest + length - first) // step, inner) + 1
    if rest and low < high:
        costs = integral[low:high] - integral[low - steps : high - steps]
        costs += rest * prices[low - steps - 1 : high - steps - 1]
        index = int(costs.argmin())
        best = min(best, (int(costs[index]), first + (low + index - 1) * step - length))
    return Window(best[1], best[0])


def _starts_in(gaps: Integers, length: int, lowest: int, highest: int) -> Integers:
    """The earliest and latest starts in [lowest, highest] per gap that a window fits into, shape (k, 2)."""
    starts = np.empty_like(gaps)
    np.maximum(gaps[:, 0], lowest, out=starts[:, 0])
    np.minimum(gaps[:, 1] - length, highest, out=starts[:, 1])
    return starts[starts[:, 0] <= starts[:, 1]]


def cost_of_windows(series: IntensitySeries, starts: Integers, lengths: Integers | int) -> Integers:
    """The integrals over [starts, starts + lengths), which must lie inside the series."""
    result: Integers = integral_at(series, starts + lengths) - integral_at(series, starts)
    return result


def integral_at(series: IntensitySeries, instants: Integers) -> Integers:
    """`series.integral_at`, quicker for many instants where the steps are even."""
    index = intervals_at(series, instants)
    result: Integers = series.integral[index] + (instants - series.borders[index]) * series.micrograms[index]
    return result


def intervals_at(series: IntensitySeries, instants: Integers) -> Integers:
    """Which interval holds each instant; the last one for the series' end."""
    borders, count = series.borders, len(series)
    step = table_of(series).step
    if step and instants.size > 64:
        index: Integers = (instants - borders[1]) // step + 1
        np.minimum(index, count - 1, out=index)
        np.maximum(index, 0, out=index)
        return index
    found: Integers = borders[1:-1].searchsorted(instants, side="right")
    return found


class Table:
    """One series as plain lists: quicker than arrays for one or two instants."""

    __slots__ = ("borders", "integral", "micrograms", "step")

    def __init__(self, series: IntensitySeries) -> None:
        self.borders: list[int] = series.borders.tolist()
        self.integral: list[int] = series.integral.tolist()
        self.micrograms: list[int] = series.micrograms.tolist()
        inner, step = len(series) - 2, series.step_s
        ends = (self.borders[1] - self.borders[0], self.borders[-1] - self.borders[-2])
        even = inner > 0 and step * inner == self.borders[-2] - self.borders[1] and max(ends) <= step
        self.step = step if even else 0
        """The length of every interval but the two at the ends, which are no longer; 0 where they differ."""

    def integral_at(self, instant: int) -> int:
        """`series.integral_at` of one instant inside the series."""
        index = bisect_right(self.borders, instant) - 1
        if index == len(self.micrograms):
            return self.integral[-1]
        return self.integral[index] + (instant - self.borders[index]) * self.micrograms[index]

    def price_at(self, instant: int) -> int:
        """The intensity in force at an instant, the nearest one outside the series; µg/kWh."""
        index = bisect_right(self.borders, instant) - 1
        return self.micrograms[min(max(index, 0), len(self.micrograms) - 1)]


def table_of(series: IntensitySeries) -> Table:
    """The table of a series, made once and kept beside the series' own cached properties."""
    table: Table | None = series.__dict__.get("_table")
    if table is None:
        table = series.__dict__["_table"] = Table(series)
    return table


_NO_RANGES: Final = np.empty((0, 2), np.int64)


class Borders(NamedTuple):
    """How far the room around each border of a series reaches, for one demand: shape (n + 1,) each.

    A window from border k may last until `ends[k]`; one that ends at border k may begin at `begins[k]`.
    """

    begins: Integers
    ends: Integers


def room_around_borders(series: IntensitySeries, gaps: Integers) -> Borders:
    """The room around every border of the series, inside `gaps`."""
    borders = series.borders
    if not len(gaps):
        return Borders(np.full(borders.size, NEVER), np.full(borders.size, -NEVER))
    opens, closes = gaps[:, 0], gaps[:, 1]
    after = opens.searchsorted(borders, side="right") - 1
    ends = np.where((after >= 0) & (closes[after] > borders), closes[after], -NEVER)
    before = opens.searchsorted(borders, side="left") - 1
    begins = np.where((before >= 0) & (closes[before] >= borders), opens[before], NEVER)
    return Borders(begins, ends)


def lowest_windows(
    series: IntensitySeries,
    lengths: Integers,
    earliest: Integers,
    latest: Integers,
    *,
    delay_costs: Integers | None = None,
    gaps: Integers | None = None,
) -> Windows:
    """`lowest_window` for many jobs at once (arrays of shape (jobs,)) that all see the same gaps."""
    borders = series.borders
    lowest = np.maximum(earliest, borders[0])
    highest = np.minimum(latest, borders[-1] - lengths)
    column = lengths[:, None]
    # the inner borders within anybody's reach, as starts and as ends
    first = max(int(borders.searchsorted(lowest.min(), side="right")), 1)
    last = max(min(int(borders.searchsorted((highest + lengths).max())), len(series)), first)
    at = borders[first:last]
    starts = np.empty((lengths.size, 2 * at.size), np.int64)
    starts[:, : at.size], starts[:, at.size :] = at, at - column
    allowed = (starts >= lowest[:, None]) & (starts <= highest[:, None])
    if gaps is not None:
        room = room_around_borders(series, gaps)
        allowed[:, : at.size] &= room.ends[first:last] - column >= at
        allowed[:, at.size :] &= room.begins[first:last] <= starts[:, at.size :]
    costs = _costs_around(series, first, last, lengths)
    corners = _corners(lowest, highest, lengths, gaps)
    within = np.clip(corners, borders[0], borders[-1] - column)
    cost_corners = integral_at(series, within + column) - integral_at(series, within)
    starts = np.concatenate((starts, within), axis=1)
    costs = np.concatenate((costs, cost_corners), axis=1)
    allowed = np.concatenate((allowed, corners == within), axis=1)
    if delay_costs is not None:
        costs += delay_costs[:, None] * (starts - earliest[:, None])
    costs[~allowed] = NEVER
    best = costs.min(axis=1, initial=NEVER)
    starts = np.where(costs == best[:, None], starts, NEVER)
    return Windows(starts.min(axis=1, initial=NEVER), best)


def _costs_around(series: IntensitySeries, first: int, last: int, lengths: Integers) -> Integers:
    """Costs of windows that start, then of those that end, at borders first to last: shape (jobs, 2 x borders).

    Windows that leave the series have any cost.
    """
    integral, prices = series.integral, series.micrograms
    step, width = table_of(series).step, last - first
    costs = np.empty((lengths.size, 2 * width), np.int64)
    begun, ended = costs[:, :width], costs[:, width:]
    if not step:
        at, column = series.borders[first:last], lengths[:, None]
        begun[...] = integral_at(series, np.minimum(at + column, series.borders[-1])) - integral[first:last]
        ended[...] = integral[first:last] - integral_at(series, np.maximum(at - column, series.borders[0]))
        return costs
    # even steps: a window spans so many whole intervals and a rest of the next one, or of the one before
    rows = np.arange(first, last)
    steps, rests = (lengths // step)[:, None], (lengths % step)[:, None]
    after = rows + steps
    begun[...] = integral.take(after, mode="clip")
    begun -= integral[first:last]
    begun += rests * prices.take(after, mode="clip")
    before = rows - steps
    ended[...] = integral[first:last]
    ended -= integral.take(before, mode="clip")
    before -= 1
    ended += rests * prices.take(before, mode="clip")
    return costs


def _corners(
    lowest: Integers, highest: Integers, lengths: Integers, gaps: Integers | None
) -> npt.NDArray[np.int64]:
    """Earliest and latest starts, per gap where there are gaps: shape (jobs, 2 x gaps); NEVER where none is possible."""
    if gaps is None:
        first, last = lowest[:, None], highest[:, None]
    else:
        first = np.maximum(gaps[:, 0], lowest[:, None])
        last = np.minimum(gaps[:, 1] - lengths[:, None], highest[:, None])
    both = np.concatenate((first, last), axis=1)
    possible = np.concatenate((first <= last, first <= last), axis=1)
    return np.where(possible, both, NEVER)
