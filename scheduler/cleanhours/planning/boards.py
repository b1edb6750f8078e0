"""Boards: what a pause costs, and the points and prices on which runs with pauses are laid out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.intervals import Integers

GRIDS_S: Final = (1800, 900, 300, 60)
_MOST_STATES: Final = 6_000_000
"""States above which a coarser grid is taken (about 50 MB); lost time is then rounded up, so the plan stays feasible."""


@dataclass(frozen=True, slots=True)
class PauseCosts:
    """What pausing costs: each resumption loses `lost` seconds of running at full power, and takes `energy_s` seconds'
    worth of energy more, at the intensity where the run resumes.

    No run is shorter than `minimum_run` seconds, unless it is the only one. A job that is `running` continues at no cost
    at the earliest instant only; a `paused` one loses `lost` at its first start as well.
    """

    lost: int = 0
    energy_s: float = 0.0
    minimum_run: int = 0
    maximum_pauses: int | None = None
    running: bool = False
    paused: bool = False

    def energy_at(self, price: int) -> int:
        """The energy of a resumption at an intensity, in µg/kWh x s, rounded."""
        return round(self.energy_s * price)


@dataclass(frozen=True, slots=True)
class Board:
    """Where runs may begin and end: at `points`, at `low`, at `high`, and once anywhere.

    `prices` (µg/kWh), `open` (whether there is room) and `energies` (what a resumption costs besides) hold for the head
    [low, points[0]), the intervals between the points, and the tail [points[-1], high): n + 2 of each. `unit` divides
    the intervals and `lost`; all in seconds. A run's least length is `shortest` intervals (then all of them one unit
    long), 0 for any. `work` is what must be run in all, but for what resumptions lose.
    """

    points: tuple[int, ...]
    low: int
    high: int
    prices: tuple[int, ...]
    open: tuple[bool, ...]
    energies: tuple[int, ...]
    unit: int
    work: int
    lost: int = 0
    shortest: int = 0
    pauses: int | None = None
    running: bool = False


def board_of(
    series: IntensitySeries,
    work: int,
    earliest: int,
    end: int,
    costs: PauseCosts,
    gaps: Integers | None,
    *,
    finest: bool,
) -> Board | None:
    """The points, prices and lengths that the dynamic programme runs on; None where no border lies in the window."""
    low, high = max(earliest, int(series.borders[0])), min(end, int(series.borders[-1]))
    if series.step_s % GRIDS_S[-1]:
        series = series.resample(timedelta(seconds=GRIDS_S[-1]))
    anchor, step = int(series.borders[1]), series.step_s
    unit = GRIDS_S[-1] if finest else _unit(step, costs, (high - low) * work)
    if finest or costs.minimum_run:
        step = unit
    first = low + (anchor - low) % step
    if first > high:
        return None
    points = np.arange(first, high + 1, step)
    if gaps is not None:
        # room begins and ends on the grid: a little is lost at each edge that does not
        edges = gaps[(gaps > low) & (gaps < high)]
        rounded = np.concatenate((edges - (edges - anchor) % unit, edges + (anchor - edges) % unit))
        points = np.union1d(points, rounded[(rounded >= first) & (rounded <= points[-1])])
    edges = np.concatenate(((low,), points, (high,)))
    inside = np.minimum(edges[:-1], high - 1)
    prices = series.micrograms[
        np.clip(series.borders.searchsorted(inside, side="right") - 1, 0, None)
    ].tolist()
    return Board(
        points=tuple(points.tolist()),
        low=low,
        high=high,
        prices=tuple(prices),
        open=tuple(_open(edges, gaps).tolist()),
        energies=tuple(costs.energy_at(price) for price in prices),
        unit=unit,
        work=work,
        lost=-(-costs.lost // unit) * unit,
        shortest=-(-costs.minimum_run // unit),
        pauses=costs.maximum_pauses,
        running=costs.running,
    )


def _unit(step: int, costs: PauseCosts, size: int) -> int:
    """The coarsest grid that divides everything; a coarser one still where the states would be too many."""
    fitting = [grid for grid in GRIDS_S if step % grid == 0]
    even = [grid for grid in fitting if costs.lost % grid == 0 and costs.minimum_run % grid == 0]
    unit = even[0] if even else GRIDS_S[-1]
    small = [grid for grid in fitting if grid >= unit and size // (step * grid) <= _MOST_STATES]
    return small[-1] if small else fitting[0]


def _open(edges: Integers, gaps: Integers | None) -> npt.NDArray[np.bool_]:
    """Which stretches between edges have room from end to end."""
    if gaps is None:
        return np.ones(edges.size - 1, np.bool_)
    if not len(gaps):
        return np.zeros(edges.size - 1, np.bool_)
    index = gaps[:, 0].searchsorted(edges[:-1], side="right") - 1
    result: npt.NDArray[np.bool_] = (index >= 0) & (gaps[index, 1] >= edges[1:])
    return result
