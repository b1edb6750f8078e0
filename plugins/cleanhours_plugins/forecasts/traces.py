"""Step-constant values with gaps, and what of them was known at an instant: what a file says of one grid zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cleanhours.domain.errors import SeriesError
from cleanhours.domain.intervals import Integers
from cleanhours_plugins.forecasts.tables import Faults, Floats, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Values (gCO2e/kWh) over [start, end) in epoch seconds, in order, without overlap; what lies between is unknown."""

    starts: Integers
    ends: Integers
    values: Floats
    estimated: npt.NDArray[np.bool_]
    issued: datetime | None = None

    def part(self, start: int, end: int, *, late: bool = False) -> slice | None:
        """The intervals from the one that holds `start` to the first gap or `end`; None where nothing holds it.

        With `late`, the first part that begins before `end` will do.
        """
        first = int(np.searchsorted(self.ends, start, side="right"))
        if (
            first >= self.starts.size
            or self.starts[first] >= end
            or (self.starts[first] > start and not late)
        ):
            return None
        gaps = np.flatnonzero(self.ends[first:-1] != self.starts[first + 1 :])
        stop = first + int(gaps[0]) + 1 if gaps.size else self.starts.size
        return slice(first, min(stop, int(np.searchsorted(self.starts, end, side="left"))))


def trace_of(path: Path, rows: Rows, *, last_wins: bool = False) -> Trace:
    """The trace that rows in rising order make; an interval without end ends at the next, or after the usual step.

    With `last_wins`, of rows with one time the last counts. Raises SeriesError naming the lines out of order.
    """
    starts, values, ends = rows.starts, rows.values, rows.ends
    estimated = np.zeros(starts.size, np.bool_) if rows.estimated is None else rows.estimated
    if last_wins:
        kept = np.append(starts[1:] != starts[:-1], True)
        rows = Rows(starts[kept], values[kept], rows.lines[kept])
        starts, values, estimated = starts[kept], values[kept], estimated[kept]
    _check_order(path, rows)
    if ends is None or last_wins:
        ends = np.minimum(starts + usual_step(path, starts), np.append(starts[1:], 2**62))
    else:
        _check_ends(path, rows, ends)
    known = np.isfinite(values)
    return Trace(starts[known], ends[known], values[known], estimated[known])


def trace_as_of(path: Path, rows: Rows, now: int) -> Trace | None:
    """What had been foretold by `now` (epoch seconds): of each interval its newest forecast; None before the first."""
    if rows.issued is None:
        raise ValueError("these rows were never issued")
    known = np.isfinite(rows.values) & (rows.issued <= now)
    if not known.any():
        return None
    starts, values, issued = rows.starts[known], rows.values[known], rows.issued[known]
    order = np.lexsort((issued, starts))
    newest = order[np.append(starts[order][1:] != starts[order][:-1], True)]
    starts = starts[newest]
    if rows.ends is not None:
        ends = rows.ends[known][newest]
    else:
        ends = np.minimum(starts + usual_step(path, rows.starts), np.append(starts[1:], 2**62))
    when = datetime.fromtimestamp(int(issued.max()), UTC)
    return Trace(starts, ends, values[newest], np.zeros(starts.size, np.bool_), when)


def usual_step(path: Path, starts: Integers) -> int:
    """The commonest distance in seconds from one start time to the next. Raises SeriesError where there is none."""
    distances = np.diff(starts)
    distances = distances[distances > 0]
    if not distances.size:
        raise SeriesError(
            f"{path}: one time only and no column of ends: how long its value holds is not known"
        )
    found, counts = np.unique(distances, return_counts=True)
    return int(found[np.argmax(counts)])


def _check_order(path: Path, rows: Rows) -> None:
    faults = Faults(path)
    for index in np.flatnonzero(np.diff(rows.starts) <= 0) + 1:
        again = rows.starts[index] == rows.starts[index - 1]
        fault = "the same time as the row before" if again else "an earlier time than the row before"
        faults.add(
            int(rows.lines[index]),
            f"{_shown(rows.starts[index])}, {fault}",
            "each time once, in rising order",
        )
    faults.close()


def _check_ends(path: Path, rows: Rows, ends: Integers) -> None:
    faults = Faults(path)
    following = np.append(rows.starts[1:], 2**62)
    for index in np.flatnonzero((ends <= rows.starts) | (ends > following)):
        faults.add(
            int(rows.lines[index]),
            f"end {_shown(ends[index])}",
            "an end after its start, not after the next start",
        )
    faults.close()


def _shown(seconds: np.int64) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()
