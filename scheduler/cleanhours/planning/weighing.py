"""Weighing replays: what each draws and emits in whole millijoules and micrograms, and which intensity it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from cleanhours.domain.accounts import IntensityUsed
from cleanhours.domain.energy import EnergyProfile, EnergySlice
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.locations import Location
from cleanhours.planning.counterfactuals import Draw, draws_of
from cleanhours.planning.grids import Grid, Interval, union
from cleanhours.planning.lots import Cutting, Lot, cut, emissions_of, lots_of, times_of, with_pue_of
from cleanhours.planning.replaying import MILLIJOULES_PER_KWH, nearest_of
from cleanhours.planning.uncapping import cap_kept, cap_of, without_cap


class Replay(NamedTuple):
    """All energy of a run as one counterfactual draws it: piece by piece, and in lots."""

    draws: Sequence[Draw]
    lots: Sequence[Lot]


def replays_of(
    run: FinishedRun,
    profile: EnergyProfile,
    cutting: Cutting,
    moves: Sequence[EnergySlice],
    locations: Mapping[str, Location],
) -> list[Replay]:
    """From the baseline to what was; all but the last as they would have been without a cap that was kept."""
    replays, cap = _as_drawn(run, cutting, moves, locations), cap_of(run)
    if cap is not None and cap_kept(run, profile):
        free, freely = without_cap(run, profile, cap)
        replays = [*_as_drawn(free, cut(free, freely), moves, locations)[:-1], replays[-1]]
    return _shared(replays)


def _as_drawn(
    run: FinishedRun, cutting: Cutting, moves: Sequence[EnergySlice], locations: Mapping[str, Location]
) -> list[Replay]:
    bulk, parts = cutting
    draws, lots = draws_of(run, parts, moves, locations), lots_of(run, bulk, locations)
    return [Replay(*both) for both in zip(draws, lots, strict=True)]


def _shared(replays: Sequence[Replay]) -> list[Replay]:
    """The replays, one that equals the one before it as the same object: what nothing changed is not replayed again."""
    found: list[Replay] = []
    for replay in replays:
        same = found and replay.lots is found[-1].lots and replay.draws == found[-1].draws
        found.append(found[-1] if same else replay)
    return found


def sums_of(replays: Sequence[Replay], amount: Callable[[Replay], int]) -> list[int]:
    """The amount of every replay."""
    sums: list[int] = []
    for index, replay in enumerate(replays):
        again = index > 0 and replay is replays[index - 1]
        sums.append(sums[-1] if again else amount(replay))
    return sums


def with_pue(replay: Replay) -> int:
    """Millijoules with the sites' overhead, each draw rounded once."""
    return sum(map(_with_pue, replay.draws)) + sum(with_pue_of(lot, _with_pue) for lot in replay.lots)


def _with_pue(draw: Draw) -> int:
    return nearest_of(draw.millijoules * draw.pue.numerator, draw.pue.denominator)


def emissions_on(grids: Mapping[str, Grid]) -> Callable[[Replay], int]:
    """Micrograms, each draw rounded once. Components share their intervals, whose integrals are kept meanwhile."""
    integrals: dict[tuple[str, int, int], int] = {}

    def of_draw(draw: Draw) -> int:
        millijoules, zone, pue, start, end = draw
        end = max(end, start + 1)
        integral = integrals.get((zone, start, end))
        if integral is None:
            integral = integrals[zone, start, end] = grids[zone].integral(start, end)
        over = (end - start) * MILLIJOULES_PER_KWH * pue.denominator
        return nearest_of(millijoules * integral * pue.numerator, over)

    def emissions(replay: Replay) -> int:
        lots = (emissions_of(lot, grids[lot.zone], of_draw) for lot in replay.lots)
        return sum(map(of_draw, replay.draws)) + sum(lots)

    return emissions


Touched = Mapping[str, Sequence[Interval]]
"""Per zone in order, when energy is drawn from it: intervals apart from each other."""


def touched_by(replay: Replay) -> Touched:
    """When a replay draws energy, of which zone."""
    found: dict[str, set[Interval]] = {zone: set(times) for zone, times in times_of(replay.lots).items()}
    for draw in replay.draws:
        found.setdefault(draw.zone, set()).add((draw.start, draw.end))
    return _united(found)


def touched_by_any(several: Iterable[Touched]) -> Touched:
    """When any of several replays does."""
    found: dict[str, set[Interval]] = {}
    for touched in several:
        for zone, intervals in touched.items():
            found.setdefault(zone, set()).update(intervals)
    return _united(found)


def _united(found: Mapping[str, Iterable[Interval]]) -> Touched:
    return {zone: union(found[zone]) for zone in sorted(found)}


def used_over(touched: Touched, grids: Mapping[str, Grid]) -> tuple[IntensityUsed, ...]:
    """The intensity in force then, zone by zone."""
    return tuple(chain.from_iterable(grids[zone].used(intervals) for zone, intervals in touched.items()))
