"""Uncapping: whether a power cap was kept, and the run and its energy as they would have been without it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from cleanhours.domain.caps import Cap
from cleanhours.domain.energy import ENOUGH, Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.jobs import FinishedRun, RunSegment
from cleanhours.domain.times import instant_at, microseconds
from cleanhours.planning.grids import union
from cleanhours.planning.replaying import nearest, stretches

_SEEN: Final = frozenset({Method.MEASURED, Method.SLURM, Method.SELF_REPORTED})


def cap_of(run: FinishedRun) -> Cap | None:
    """The cap that its last plan meant it to run under."""
    return None if run.plan is None else run.plan.cap


def cap_kept(run: FinishedRun, profile: EnergyProfile) -> bool | None:
    """Whether its accelerators drew rather what its curve says of them under the cap than what it says without.

    None where there was no cap, or nobody measured the accelerators for four fifths of the run: then nothing is known, and
    nothing claimed.
    """
    cap = cap_of(run)
    seen = [part for part in profile.slices if part.component is Component.GPU and part.method in _SEEN]
    if cap is None or not seen or profile.coverage < ENOUGH:
        return None
    lasted = sum(
        end - start for start, end in union((microseconds(p.start), microseconds(p.end)) for p in seen)
    )
    watts = 1000 * sum(part.millijoules for part in seen) / lasted
    return watts <= (cap.accelerators_w + cap.uncapped_w) / 2


def uncapped_running(run: FinishedRun, profile: EnergyProfile) -> timedelta:
    """How long it ran, or would have without its cap: what the next run of the same work is planned with.

    Where no meter confirmed the cap, as long as it ran: a run that is taken for shorter than it is starts too late.
    """
    ran = sum(((part.end or run.finished_at) - part.start for part in run.segments), timedelta(0))
    cap = cap_of(run)
    return ran / cap.slowdown if cap is not None and cap_kept(run, profile) else ran


def without_cap(run: FinishedRun, profile: EnergyProfile, cap: Cap) -> tuple[FinishedRun, EnergyProfile]:
    """The same work from the same starts on, faster: what the accelerators drew grows as the curve says, and everything else
    draws its power for less time.
    """
    track = stretches(run)
    slowdown = Fraction(str(cap.slowdown))
    more = {Component.GPU: Fraction(str(cap.uncapped_w)) / Fraction(str(cap.accelerators_w))}

    def sooner(instant: datetime) -> datetime:
        """When the same work is done without the cap."""
        at = microseconds(instant)
        part = next((part for part in reversed(track) if part.start <= at), None)
        if part is None:
            return instant
        useful = min(max(at, part.overhead_end), part.end)
        beside = at - useful
        return instant_at(useful - nearest((useful - part.overhead_end) * (1 - 1 / slowdown)) + beside)

    def faster(part: EnergySlice) -> EnergySlice:
        energy = part.millijoules * more.get(part.component, Fraction(1)) / slowdown
        return replace(
            part, start=sooner(part.start), end=max(sooner(part.end), sooner(part.start)),
            millijoules=nearest(energy),
        )  # fmt: skip

    segments = tuple(
        RunSegment(part.start, sooner(part.end or run.finished_at), part.location, part.handles)
        for part in run.segments
    )
    return replace(run, segments=segments), profile.with_slices(map(faster, profile.slices))
