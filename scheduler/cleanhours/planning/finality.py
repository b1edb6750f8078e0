"""Finality: how far what is published allows a run to be settled, and when to ask again where it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.accounts import Settled
from cleanhours.domain.intensity import Kind
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.times import format_instant, instant_at
from cleanhours.planning.grids import Grid, Interval

TYPICAL_AFTER: Final = timedelta(days=7)
"""So long after a run its actual intensity may still be published; then it is closed on typical values."""

RETRY: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class NotYet:
    """The run cannot be settled with what is published; `until` is when asking again may help."""

    until: datetime
    reason: str


def state_of(
    run: FinishedRun,
    used: Mapping[str, Sequence[Interval]],
    grids: Mapping[str, Grid],
    now: datetime,
    final_after: timedelta | Mapping[str, timedelta],
    typical_after: timedelta | None,
) -> Settled | NotYet:
    """As which a run can be settled that needs the intensity of `used`, intervals in exact microseconds.

    `typical_after` says how long after it typical values will do; None is never.
    """
    kinds: set[Kind] = set()
    young = False
    for zone, intervals in used.items():
        for start, end in intervals:
            if zone not in grids or not grids[zone].covers(start, end):
                return _missing(zone, start, end, now)
            kinds |= grids[zone].kinds(start, end)
        wait = final_after if isinstance(final_after, timedelta) else final_after[zone]
        young = young or instant_at(intervals[-1][1]) - timedelta(microseconds=1) + wait > now
    if Kind.TYPICAL in kinds:
        closing = None if typical_after is None else run.finished_at + typical_after
        if closing is None or now < closing:
            again = now + RETRY if closing is None else min(closing, now + RETRY)
            return NotYet(again, "only typical intensity is known yet")
        return Settled.TYPICAL
    return Settled.PROVISIONAL if young or kinds != {Kind.ACTUAL} else Settled.FINAL


def _missing(zone: str, start: int, end: int, now: datetime) -> NotYet:
    stop = instant_at(end)
    over = f"{format_instant(instant_at(start))} to {format_instant(stop)}"
    # of a run that has just ended nobody can have published the last second
    return NotYet(
        stop if stop > now else now + RETRY, f"the intensity of {zone} over {over} is not published yet"
    )
