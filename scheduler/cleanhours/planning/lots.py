"""Lots: the many short slices of a measured run, put on the grid in arrays instead of one by one.

What `replaying` and `counterfactuals` say of a piece holds for each slice of a lot, to the microgram: estimates in floats
round to the same whole number unless they lie next to a half, and those are asked exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cleanhours.domain.accounts import Cause
from cleanhours.domain.deadlines import released_from
from cleanhours.domain.energy import EnergyProfile, EnergySlices
from cleanhours.domain.intervals import Integers
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.locations import Location
from cleanhours.domain.times import microseconds
from cleanhours.planning.counterfactuals import Draw, sites_of
from cleanhours.planning.grids import Grid, Interval
from cleanhours.planning.replaying import MILLIJOULES_PER_KWH, Piece, pieces, stretches

Floats = npt.NDArray[np.float64]

FEW: Final = 12
"""So many slices are settled one by one: arrays take longer to make."""
_LARGEST: Final = 2**62
"""No sum of a lot is larger: it fits into 64 bits."""
_ROUNDED: Final = 2.0**-48
"""Of a product or quotient of a few floats, more than what all their roundings together take or add."""
_EXACT: Final = 2.0**52
"""Up to here floats tell every whole number, and a half."""


class Bulk(NamedTuple):
    """Slices that lie each in the useful time of one segment, as they begin, in exact microseconds.

    Offsets are those of a `Piece`.
    """

    millijoules: Integers
    starts: Integers
    ends: Integers
    offsets: Integers
    segments: Integers
    """In which of the run's segments each lies."""


class Lot(NamedTuple):
    """Energy put on one zone's grid over many [start, end), as they begin. None is empty."""

    millijoules: Integers
    zone: str
    pue: Fraction
    starts: Integers
    ends: Integers

    def at(self, indices: Integers) -> Lot:
        """A part of it."""
        return self._replace(
            millijoules=self.millijoules[indices], starts=self.starts[indices], ends=self.ends[indices]
        )

    def draws(self) -> list[Draw]:
        """The same one by one."""
        rows = zip(self.millijoules.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True)
        return [Draw(millijoules, self.zone, self.pue, start, end) for millijoules, start, end in rows]


Cutting = tuple[Bulk | None, list[Piece]]


def cut(run: FinishedRun, profile: EnergyProfile) -> Cutting:
    """The profile along the run's segments: in bulk what lies within one, the rest in pieces, every millijoule once."""
    bulk, others = _parted(run, profile.slices)
    return bulk, pieces(run, others)


def _parted(run: FinishedRun, slices: EnergySlices) -> tuple[Bulk | None, EnergySlices]:
    """What can be settled in bulk, and the others: few, across a border, beside the run, or too large.

    Nothing can where pauses cost energy beside their time, which is taken from slice after slice.
    """
    if len(slices) <= FEW or run.request.pause_energy_j:
        return None, slices
    track = stretches(run)
    firsts = np.array([stretch.overhead_end for stretch in track], np.int64)
    lasts = np.array([stretch.end for stretch in track], np.int64)
    starts, ends, amounts = slices.starts, slices.ends, slices.millijoules
    overlapping = (firsts[1:] < lasts[:-1]).any()
    if overlapping or amounts.max() >= _LARGEST // len(slices):
        return None, slices
    segments = np.searchsorted(firsts, starts, "right") - 1
    inside = (segments >= 0) & (starts < ends) & (ends <= lasts[segments])
    shifts = np.array([stretch.done - stretch.overhead_end for stretch in track], np.int64)
    whole = Bulk(amounts, starts, ends, starts + shifts[segments], segments)
    order = np.argsort(starts, kind="stable")
    if inside.all():
        return Bulk(*(column[order] for column in whole)), EnergySlices.of(())
    return Bulk(*(column[order[inside[order]]] for column in whole)), slices.where(~inside)


def lots_of(run: FinishedRun, bulk: Bulk | None, locations: Mapping[str, Location]) -> list[Sequence[Lot]]:
    """Baseline, delayed, relocated, paused, as `counterfactuals.draws_of`; one that changes nothing is the one before it."""
    if bulk is None or not bulk.starts.size:
        return [()] * (1 + len(Cause))
    sites, names = sites_of(run, locations), [segment.location for segment in run.segments]
    at_once, first = microseconds(released_from(run.request)), microseconds(run.segments[0].start)
    lasting = bulk.ends - bulk.starts

    def put(starts: Integers, where: Sequence[str]) -> list[Lot]:
        """At the place of each segment."""
        whole = Lot(bulk.millijoules, *sites[where[0]], starts, starts + lasting)
        if len(set(where)) == 1:
            return [whole]
        found = []
        for name in dict.fromkeys(where):
            here = np.array([other == name for other in where])[bulk.segments]
            if here.any():
                zone, pue = sites[name]
                found.append(whole.at(np.flatnonzero(here))._replace(zone=zone, pue=pue))
        return found

    home = [run.home] * len(names)
    baseline = put(bulk.offsets + at_once, home)
    delayed = baseline if first == at_once else put(bulk.offsets + first, home)
    stayed = {sites[name] for name in names} == {sites[run.home]}
    relocated = delayed if stayed else put(bulk.offsets + first, names)
    paused = bool((bulk.offsets + first != bulk.starts).any())
    actual = put(bulk.starts, names) if paused else relocated
    return [baseline, delayed, relocated, actual, actual, actual]


def with_pue_of(lot: Lot, each: Callable[[Draw], int]) -> int:
    """Millijoules with the site's overhead: what `each` says of its draws, together."""
    if lot.pue == 1:
        return int(lot.millijoules.sum())
    return _sum_of_nearest(lot.millijoules.astype(np.float64) * float(lot.pue), lot, each)


def emissions_of(lot: Lot, grid: Grid, each: Callable[[Draw], int]) -> int:
    """Micrograms: what `each` says of its draws, together."""
    integrals = grid.integrals(lot.starts, lot.ends)
    if integrals is None:
        return sum(map(each, lot.draws()))
    drawn: Floats = lot.millijoules.astype(np.float64) * float(lot.pue / MILLIJOULES_PER_KWH)
    lasting: Floats = (lot.ends - lot.starts).astype(np.float64)
    return _sum_of_nearest(drawn * integrals / lasting, lot, each)


def _sum_of_nearest(estimates: Floats, lot: Lot, each: Callable[[Draw], int]) -> int:
    """The sum of quotients of a lot's draws, each rounded to the nearest whole number, halves up.

    `estimates` (0 or more) are right but for the rounding of a few float operations; where that could carry one over a half,
    `each` is asked.
    """
    above = estimates + 0.5
    highest, wholes = float(above.max()), np.floor(above)
    if highest * above.size > _EXACT:
        return sum(map(each, lot.draws()))
    beyond, margin = above - wholes, highest * _ROUNDED
    if beyond.min() > margin and beyond.max() < 1 - margin:
        return int(wholes.sum())
    unsure = (beyond <= margin) | (beyond >= 1 - margin)
    return int(wholes[~unsure].sum()) + sum(map(each, lot.at(np.flatnonzero(unsure)).draws()))


def times_of(lots: Sequence[Lot]) -> dict[str, list[Interval]]:
    """Per zone, when energy is drawn from it: intervals that overlap or touch as one."""
    found: dict[str, list[Interval]] = {}
    for lot in lots:
        starts, ends = lot.starts, np.maximum.accumulate(lot.ends)
        breaks = np.flatnonzero(starts[1:] > ends[:-1])
        firsts = [int(starts[0]), *starts[breaks + 1].tolist()]
        lasts = [*ends[breaks].tolist(), int(ends[-1])]
        found.setdefault(lot.zone, []).extend(zip(firsts, lasts, strict=True))
    return found
