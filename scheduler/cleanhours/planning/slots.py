"""Lowest slots: when to run work that may pause at no cost. Exact over every whole second.

The cheapest intervals are filled in the order of their intensity, the earliest of equals first, and the last one in part
(the k cheapest slots of Wiesner et al., Let's Wait Awhile, Middleware 2021, without a grid of slots). Where pausing costs
something, see `planning.pauses`. Units as in `planning.windows`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.intervals import Integers
from cleanhours.planning.windows import NEVER

Run = tuple[int, int]
"""One stretch of running, [start, end) in epoch seconds."""


class Slots(NamedTuple):
    """The runs in order, apart from each other, and what they cost together."""

    runs: tuple[Run, ...]
    cost: int


def lowest_slots(
    series: IntensitySeries, work: int, earliest: int, end: int, *, gaps: Integers | None = None
) -> Slots | None:
    """The cheapest `work` seconds inside [earliest, end), the series and the gaps; None where there are not as many.

    The earliest of equally clean intervals is taken; the one taken in part lies beside another run if it can.
    """
    points, prices = pieces_of(series, earliest, end)
    if gaps is not None and len(prices):
        starts, ends, prices = _free_pieces(points, prices, gaps)
    else:
        starts, ends = points[:-1], points[1:].copy()
        starts = starts.copy()
    widths = ends - starts
    order = prices.argsort(kind="stable")
    filled = widths[order].cumsum()
    if not filled.size or filled[-1] < work:
        return None
    count = int(filled.searchsorted(work))
    partial = int(order[count])
    missing = int(filled[count]) - work
    chosen = np.sort(order[: count + 1])
    if missing:
        _cut(starts, ends, chosen, partial, missing)
    cost = int((widths * prices)[chosen].sum()) - missing * int(prices[partial])
    return Slots(_joined(starts[chosen], ends[chosen]), cost)


def pieces_of(series: IntensitySeries, start: int, end: int) -> tuple[Integers, Integers]:
    """The part of a series inside [start, end): n + 1 borders and n intensities; empty where nothing is known."""
    borders = series.borders
    low, high = max(start, int(borders[0])), min(end, int(borders[-1]))
    if low >= high:
        return borders[:0], series.micrograms[:0]
    first = int(borders.searchsorted(low, side="right"))
    last = int(borders.searchsorted(high, side="left"))
    points = np.empty(last - first + 2, np.int64)
    points[0], points[-1] = low, high
    points[1:-1] = borders[first:last]
    return points, series.micrograms[first - 1 : last]


def _free_pieces(points: Integers, prices: Integers, gaps: Integers) -> tuple[Integers, Integers, Integers]:
    """The pieces cut at the gaps, and only those inside: starts, ends, intensities."""
    first = int(gaps[:, 1].searchsorted(points[0], side="right"))
    last = int(gaps[:, 0].searchsorted(points[-1], side="left"))
    edges = gaps[first:last].ravel()
    edges = np.clip(edges, points[0], points[-1])
    cuts = np.concatenate((points, edges))
    cuts.sort()
    index = edges.searchsorted(cuts[:-1], side="right")
    inside = (index % 2 == 1) & (cuts[1:] > cuts[:-1])
    starts, ends = cuts[:-1][inside], cuts[1:][inside]
    return starts, ends, prices[points.searchsorted(starts, side="right") - 1]


def _cut(starts: Integers, ends: Integers, chosen: Integers, partial: int, missing: int) -> None:
    """Shortens the piece `partial` so that it touches a chosen neighbour if there is one; else it starts as early."""
    where = int(chosen.searchsorted(partial))
    before = where > 0 and ends[chosen[where - 1]] == starts[partial]
    after = where + 1 < chosen.size and starts[chosen[where + 1]] == ends[partial]
    if after and not before:
        starts[partial] += missing
    else:
        ends[partial] -= missing


def _joined(starts: Integers, ends: Integers) -> tuple[Run, ...]:
    apart = starts[1:] != ends[:-1]
    firsts = [int(starts[0]), *starts[1:][apart].tolist()]
    lasts = [*ends[:-1][apart].tolist(), int(ends[-1])]
    return tuple(zip(firsts, lasts, strict=True))


def lowest_slots_costs(
    series: IntensitySeries,
    works: Integers,
    earliest: Integers,
    ends: Integers,
    *,
    gaps: Integers | None = None,
) -> Integers:
    """The cost of `lowest_slots` for many jobs (arrays of shape (jobs,)) that see the same gaps; NEVER where none fits."""
    borders = series.borders
    low, high = np.maximum(earliest, borders[0]), np.minimum(ends, borders[-1])
    first = min(max(int(borders.searchsorted(low.min(), side="right")) - 1, 0), len(series) - 1)
    last = max(int(borders.searchsorted(high.max(), side="left")), first + 1)
    at, prices = borders[first : last + 1], series.micrograms[first:last]
    if gaps is not None:
        at, low, high = (_seconds_free(gaps, instants) for instants in (at, low, high))
    widths = np.minimum(at[1:], high[:, None]) - np.maximum(at[:-1], low[:, None])
    np.maximum(widths, 0, out=widths)
    order = prices.argsort(kind="stable")
    filled = np.minimum(widths[:, order].cumsum(axis=1), works[:, None])
    prices = prices[order]
    # summation by parts: each second taken at the price of its interval
    costs: Integers = filled[:, -1] * prices[-1] - (filled[:, :-1] * np.diff(prices)).sum(axis=1)
    return np.where(filled[:, -1] < works, NEVER, costs)


def _seconds_free(gaps: Integers, instants: Integers) -> Integers:
    """How many seconds of the gaps lie before each instant."""
    if not len(gaps):
        return np.zeros_like(instants)
    opens, closes = gaps[:, 0], gaps[:, 1]
    total = np.concatenate((np.zeros(1, np.int64), (closes - opens).cumsum()))
    index = opens.searchsorted(instants, side="right")
    inside = np.minimum(instants, closes[index - 1]) - opens[index - 1]
    result: Integers = total[np.maximum(index - 1, 0)] + np.where(index > 0, inside, 0)
    return result
