"""Intervals that follow each other without gap or overlap, and numbers that can be intensities: what a series is checked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from cleanhours.domain.errors import SeriesError
from cleanhours.domain.times import epoch, format_instant, instant_of, seconds_of

Integers = npt.NDArray[np.int64]

HIGHEST_G_PER_KWH: Final = 5_000.0
"""No grid emits more: lignite plants alone stay under 1,400. Above it, a unit was mistaken."""


def seconds_at(instants: Sequence[datetime] | Integers) -> Integers:
    """Whole epoch seconds of aware instants; seconds stay as they are."""
    if isinstance(instants, np.ndarray):
        return instants.astype(np.int64)
    return np.fromiter((epoch(instant) for instant in instants), np.int64, len(instants))


def ends_of(
    zone: str,
    first: Integers,
    ends: Sequence[datetime] | Integers | None,
    step: timedelta | None,
) -> Integers:
    """Where each interval ends: at `ends`, after `step`, else where the next one begins. Raises SeriesError."""
    if ends is not None:
        last = seconds_at(ends)
        if last.shape != first.shape:
            raise SeriesError(f"{zone}: {first.size} start times but {last.size} end times")
        return last
    if step is not None:
        return first + seconds_of(step)
    if first.size < 2:
        raise SeriesError(f"{zone}: one value and no step: how long it holds is not known")
    return np.append(first[1:], 2 * first[-1] - first[-2])


def check_order(zone: str, first: Integers, last: Integers) -> None:
    """Raises SeriesError naming the first empty interval, disorder, gap or overlap of [first, last), epoch seconds."""
    if (empty := np.flatnonzero(last <= first)).size:
        raise SeriesError(
            f"{zone}: the interval at {format_instant(instant_of(first[empty[0]]))} is empty or ends early"
        )
    distance = first[1:] - last[:-1]
    if not distance.any():
        return
    index = int(np.flatnonzero(distance)[0])
    where = format_instant(instant_of(last[index]))
    if first[index + 1] <= first[index]:
        raise SeriesError(
            f"{zone}: start times are not in order after {format_instant(instant_of(first[index]))}"
        )
    fault = "a gap" if distance[index] > 0 else "an overlap"
    raise SeriesError(f"{zone}: {fault} of {abs(int(distance[index]))} s at {where}")


def check_values(zone: str, first: Integers, values: npt.NDArray[np.float64]) -> None:
    """Raises SeriesError naming the first value that is missing, negative or higher than any grid's, and how many are."""
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0) & (values <= HIGHEST_G_PER_KWH))
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise SeriesError(
            f"{zone}: {values[index]} at {format_instant(instant_of(first[index]))} "
            f"({int(wrong.sum())} such), accepted: 0 to {HIGHEST_G_PER_KWH:.0f} gCO2e/kWh; missing is a gap, not a number"
        )
