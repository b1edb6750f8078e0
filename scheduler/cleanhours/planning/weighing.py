"""Weighing replays: what each draws and emits in whole millijoules and micrograms, and which intensity it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from cleanhours.domain.accounts import IntensityUsed
from cleanhours.planning.counterfactuals import Draw
from cleanhours.planning.replaying import MILLIJOULES_PER_KWH, Grid, Interval, nearest_of, union


def shared(replays: Sequence[Sequence[Draw]]) -> list[Sequence[Draw]]:
    """The replays, one that equals the one before it as the same object: what nothing changed is not replayed again."""
    found: list[Sequence[Draw]] = []
    for replay in replays:
        found.append(found[-1] if found and replay == found[-1] else replay)
    return found


def sums_of(replays: Sequence[Sequence[Draw]], amount: Callable[[Draw], int]) -> list[int]:
    """The sum of every replay."""
    sums: list[int] = []
    for index, replay in enumerate(replays):
        again = index > 0 and replay is replays[index - 1]
        sums.append(sums[-1] if again else sum(map(amount, replay)))
    return sums


def with_pue(draw: Draw) -> int:
    """Millijoules of a draw with its site's overhead, rounded once."""
    return nearest_of(draw.millijoules * draw.pue.numerator, draw.pue.denominator)


def emissions_on(grids: Mapping[str, Grid]) -> Callable[[Draw], int]:
    """Micrograms of a draw, rounded once. Components share their intervals, whose integrals are kept meanwhile."""
    integrals: dict[tuple[str, int, int], int] = {}

    def emissions(draw: Draw) -> int:
        millijoules, zone, pue, start, end = draw
        end = max(end, start + 1)
        integral = integrals.get((zone, start, end))
        if integral is None:
            integral = integrals[zone, start, end] = grids[zone].integral(start, end)
        over = (end - start) * MILLIJOULES_PER_KWH * pue.denominator
        return nearest_of(millijoules * integral * pue.numerator, over)

    return emissions


def used_by(replay: Sequence[Draw], grids: Mapping[str, Grid]) -> tuple[IntensityUsed, ...]:
    """The intensity that a replay was put on, zone by zone."""
    intervals = intervals_of(replay)
    return tuple(
        chain.from_iterable(grids[zone].used(intervals[zone]) for zone in grids if zone in intervals)
    )


def intervals_of(draws: Iterable[Draw]) -> dict[str, list[Interval]]:
    """Per zone in order, when energy is drawn from it."""
    found: dict[str, set[Interval]] = {}
    for draw in draws:
        found.setdefault(draw.zone, set()).add((draw.start, draw.end))
    return {zone: union(found[zone]) for zone in sorted(found)}
