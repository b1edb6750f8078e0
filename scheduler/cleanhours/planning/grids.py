"""Grids: one zone's actual intensity, asked at exact microseconds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from cleanhours.domain.accounts import IntensityUsed
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.intervals import Integers
from cleanhours.domain.times import instant_at

_KINDS: Final = tuple(Kind)

Interval = tuple[int, int]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The intervals merged, in order; an instant counts as a microsecond, for its value is used too."""
    merged: list[Interval] = []
    for start, end in sorted((start, max(end, start + 1)) for start, end in intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def grid_of(series: IntensitySeries) -> Grid:
    """The series as a grid, made once for as long as the series lives: many runs are settled on one."""
    found = _GRIDS.get(series)
    if found is None:
        found = _GRIDS[series] = Grid(series)
    return found


class Grid:
    """One zone's intensity, asked at exact microseconds. Equal neighbours of the series are one step here."""

    def __init__(self, series: IntensitySeries) -> None:
        self.zone = series.zone
        self.provider = series.provider
        self.measure = series.measure
        changes = np.diff(series.micrograms).astype(bool) | np.diff(series.kinds).astype(bool)
        firsts = np.concatenate((np.zeros(1, np.int64), 1 + np.flatnonzero(changes)))
        self._borders: list[int] = (
            1_000_000 * np.append(series.borders[firsts], series.borders[-1]).astype(np.int64)
        ).tolist()
        self._values: list[int] = series.micrograms[firsts].tolist()
        self._kinds: list[int] = series.kinds[firsts].tolist()
        self._known_as = {_KINDS[index] for index in set(self._kinds)}
        self._seconds_sums: list[int] = series.integral[firsts].tolist()

    def covers(self, start: int, end: int) -> bool:
        return self._borders[0] <= start and end <= self._borders[-1]

    def integral(self, start: int, end: int) -> int:
        """µg/kWh x µs over [start, end): exact."""
        return self._until(end) - self._until(start)

    def integrals(self, starts: Integers, ends: Integers) -> Integers | None:
        """`integral` of many that it covers, none of them empty; None where one may not fit into 64 bits."""
        columns = self._columns
        if int((ends - starts).max()) > columns.longest:
            return None
        until = columns.until(np.concatenate((starts, ends)))
        return (until[starts.size :] - until[: starts.size]).view(np.int64)

    @cached_property
    def _columns(self) -> _Columns:
        return _Columns.of(self._borders, self._values, self._seconds_sums)

    def kinds(self, start: int, end: int) -> set[Kind]:
        if len(self._known_as) == 1:
            return self._known_as
        return {_KINDS[index] for index in set(self._kinds[self._at(start) : self._before(end)])}

    def used(self, intervals: Iterable[Interval]) -> list[IntensityUsed]:
        """The values in force over the intervals, equal neighbours as one; whole steps are shared by all who ask."""
        found: list[IntensityUsed] = []
        for start, end in intervals:
            first, last = self._at(start), self._before(end) - 1
            found.append(self._step(first, start, end))
            if first < last:
                found += self._steps[first + 1 : last]
                found.append(self._step(last, start, end))
        return found

    @cached_property
    def _steps(self) -> list[IntensityUsed]:
        first, last = self._borders[0], self._borders[-1]
        return [self._step(index, first, last) for index in range(len(self._values))]

    def _step(self, index: int, start: int, end: int) -> IntensityUsed:
        begin, stop = max(start, self._borders[index]), min(end, self._borders[index + 1])
        kind = _KINDS[self._kinds[index]]
        return IntensityUsed(self.zone, instant_at(begin), instant_at(stop), self._values[index], kind)

    def _until(self, microsecond: int) -> int:
        index = min(bisect_right(self._borders, microsecond), len(self._values)) - 1
        since = microsecond - self._borders[index]
        return 1_000_000 * self._seconds_sums[index] + since * self._values[index]

    def _at(self, microsecond: int) -> int:
        return bisect_right(self._borders, microsecond) - 1

    def _before(self, microsecond: int) -> int:
        return bisect_left(self._borders, microsecond)


class _Columns(NamedTuple):
    """A grid in arrays, with a step for its end. Integrals from its beginning on are kept modulo 2^64: differences are
    exact up to `longest` µs.
    """

    borders: Integers
    values: npt.NDArray[np.uint64]
    sums: npt.NDArray[np.uint64]
    longest: int

    @classmethod
    def of(cls, borders: Sequence[int], values: Sequence[int], seconds_sums: Sequence[int]) -> _Columns:
        last = seconds_sums[-1] + values[-1] * (borders[-1] - borders[-2]) // 1_000_000
        sums = np.array([*seconds_sums, last], np.uint64) * np.uint64(1_000_000)
        longest = (2**63 - 1) // max(1, *values)
        return cls(np.array(borders, np.int64), np.array([*values, 0], np.uint64), sums, longest)

    def until(self, microseconds: Integers) -> npt.NDArray[np.uint64]:
        at = np.searchsorted(self.borders, microseconds, "right") - 1
        return self.sums[at] + (microseconds - self.borders[at]).view(np.uint64) * self.values[at]


_GRIDS: Final[WeakKeyDictionary[IntensitySeries, Grid]] = WeakKeyDictionary()
