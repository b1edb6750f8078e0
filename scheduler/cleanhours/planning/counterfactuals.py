"""Counterfactuals: the same energy as it would have been drawn at home at once, later, elsewhere, without our pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

from cleanhours.domain.deadlines import released_from
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.locations import Location
from cleanhours.domain.times import microseconds
from cleanhours.planning.replaying import MILLIJOULES_PER_KWH, Piece, nearest, stretches

TRANSFER: Final = "transfer"
"""The meter's name of the modelled energy of moving data."""

_ONE: Final = Fraction(1)


class Draw(NamedTuple):
    """Energy put on a zone's grid over [start, end)."""

    millijoules: int
    zone: str
    pue: Fraction
    start: int
    end: int


@lru_cache(maxsize=1024)
def exact(setting: float) -> Fraction:
    """A setting as it was written: 1.1 is eleven tenths, not the float next to it."""
    return Fraction(str(setting))


def draws_of(
    run: FinishedRun, parts: Sequence[Piece], moves: Sequence[EnergySlice], locations: Mapping[str, Location]
) -> list[list[Draw]]:
    """Baseline, delayed, relocated, paused: the last is what was. Scaling changes nothing yet, capping is `uncapping`'s."""
    sites = sites_of(run, locations)
    zone, pue = sites[run.home]
    at_once = microseconds(released_from(run.request))
    track = stretches(run)
    first = track[0].start
    needed = [part for part in parts if part.needed_mj or not part.millijoules]
    baseline = [Draw(p.needed_mj, zone, pue, at_once + p.offset, at_once + p.offset_end) for p in needed]
    delayed = [Draw(p.needed_mj, zone, pue, first + p.offset, first + p.offset_end) for p in needed]
    relocated = [
        Draw(p.needed_mj, *sites[p.location], first + p.offset, first + p.offset_end) for p in needed
    ]
    actual = [Draw(p.millijoules, *sites[p.location], p.start, p.end) for p in parts]
    offsets = {
        microseconds(segment.start): stretch for segment, stretch in zip(run.segments, track, strict=True)
    }
    for move, end in zip(moves, _ends(run, moves), strict=True):
        when = microseconds(move.start)
        closed_up = first + offsets[when].done
        relocated.append(Draw(move.millijoules, sites[end][0], _ONE, closed_up, closed_up))
        actual.append(Draw(move.millijoules, sites[end][0], _ONE, when, when))
    return [baseline, delayed, relocated, actual, actual, actual]


def sites_of(run: FinishedRun, locations: Mapping[str, Location]) -> dict[str, tuple[str, Fraction]]:
    """Grid zone and overhead (PUE) of home and of each location at which it ran."""
    names = {run.home, *(segment.location for segment in run.segments)}
    return {name: (locations[name].zone, exact(locations[name].pue)) for name in names}


def transfers(run: FinishedRun, kwh_per_gb: float) -> list[EnergySlice]:
    """The modelled energy of each move of the data, as two instants of half: at home, then at the destination."""
    if not run.request.data_bytes:
        return []
    gigabytes = Fraction(run.request.data_bytes, 10**9)
    millijoules = nearest(gigabytes * exact(kwh_per_gb) * MILLIJOULES_PER_KWH)
    if not millijoules:
        return []
    halves = (millijoules - millijoules // 2, millijoules // 2)
    return [
        EnergySlice(start, start, Component.NETWORK, half, Method.MODELLED, TRANSFER)
        for start, _ in _moves(run)
        for half in halves
    ]


def without_transfers(profile: EnergyProfile) -> EnergyProfile:
    """What meters found, without what an earlier settlement added."""
    if all(source.meter != TRANSFER for source in profile.slices.sources):
        return profile
    return profile.with_slices(part for part in profile.slices if part.meter != TRANSFER)


def _moves(run: FinishedRun) -> list[tuple[datetime, str]]:
    """When the run first went to each location that is not home."""
    seen = {run.home}
    found = []
    for segment in run.segments:
        if segment.location not in seen:
            seen.add(segment.location)
            found.append((segment.start, segment.location))
    return found


def _ends(run: FinishedRun, moves: Sequence[EnergySlice]) -> list[str]:
    return [end for _, name in _moves(run) for end in (run.home, name)][: len(moves)]
