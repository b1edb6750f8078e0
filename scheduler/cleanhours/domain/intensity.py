"""Carbon intensity over time: step-constant, exact, and honest about what it is.

Values are kept as whole micrograms CO2e per kWh and instants as whole epoch seconds, so every integral is an exact
integer: two windows with equal emissions compare equal, however their slots were cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from cleanhours.domain.errors import SeriesError
from cleanhours.domain.intervals import Integers, check_order, check_values, ends_of, seconds_at
from cleanhours.domain.measures import Basis, Kind, Measure, Scope, Signal
from cleanhours.domain.times import epoch, format_instant, instant_of, seconds_of

__all__ = ["MICROGRAMS", "Basis", "IntensitySeries", "Kind", "Measure", "Scope", "Signal"]

MICROGRAMS: Final = 1_000_000


_KINDS: Final = tuple(Kind)


@dataclass(frozen=True, eq=False)
class IntensitySeries:
    """gCO2e per kWh over half-open UTC intervals [start, end) that follow each other without gap or overlap.

    `borders` holds n + 1 epoch seconds, `micrograms` n values in µg/kWh, `kinds` n indices into `Kind`. Build it with
    `IntensitySeries.of`, which checks everything; the constructor trusts its caller.
    """

    zone: str
    borders: Integers
    micrograms: Integers
    kinds: npt.NDArray[np.uint8]
    measure: Measure = Measure()
    provider: str = ""
    issued_at: datetime | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(  # noqa: PLR0913 - a series is all of these
        cls,
        zone: str,
        starts: Sequence[datetime] | Integers,
        g_per_kwh: Sequence[float] | npt.NDArray[np.float64],
        *,
        step: timedelta | None = None,
        ends: Sequence[datetime] | Integers | None = None,
        kind: Kind | Sequence[Kind] = Kind.FORECAST,
        measure: Measure = Measure(),
        provider: str = "",
        issued_at: datetime | None = None,
    ) -> Self:
        """The checked series of `g_per_kwh` (gCO2e/kWh) that hold from each of `starts` to its end.

        Give `ends`, or the `step` between starts; with neither the last interval is as long as the one before it.
        Values are rounded to a microgram. Raises SeriesError naming the first gap, overlap, disorder, missing or
        impossible value. A genuine 0 is data.
        """
        first = seconds_at(starts)
        values = np.asarray(g_per_kwh, dtype=np.float64)
        if first.size == 0:
            raise SeriesError(f"{provider or 'series'} for {zone}: no values at all")
        if values.shape != first.shape:
            raise SeriesError(f"{zone}: {first.size} start times but {values.size} values")
        last = ends_of(zone, first, ends, step)
        check_order(zone, first, last)
        check_values(zone, first, values)
        kinds = (
            np.full(first.size, _KINDS.index(kind), np.uint8)
            if isinstance(kind, Kind)
            else _kind_indices(kind)
        )
        if kinds.size != first.size:
            raise SeriesError(f"{zone}: {first.size} start times but {kinds.size} kinds")
        borders = np.append(first, last[-1])
        micrograms = np.rint(values * MICROGRAMS).astype(np.int64)
        return cls(zone, borders, micrograms, kinds, measure, provider, issued_at)

    def __len__(self) -> int:
        return int(self.micrograms.size)

    @property
    def start(self) -> datetime:
        """Where knowledge begins, inclusive."""
        return instant_of(self.borders[0])

    @property
    def end(self) -> datetime:
        """Where knowledge ends, exclusive."""
        return instant_of(self.borders[-1])

    @cached_property
    def integral(self) -> Integers:
        """Cumulative µg/kWh x s at each border (n + 1 values, the first 0)."""
        steps = self.micrograms * np.diff(self.borders)
        return np.concatenate((np.zeros(1, np.int64), np.cumsum(steps)))

    def integral_at(self, instants: Integers) -> Integers:
        """The exact integral in µg/kWh x s from the series' start to each of `instants` (epoch seconds inside it)."""
        index = np.clip(np.searchsorted(self.borders, instants, side="right") - 1, 0, len(self) - 1)
        result: Integers = self.integral[index] + (instants - self.borders[index]) * self.micrograms[index]
        return result

    def integral_between(self, start: int, end: int) -> int:
        """The exact integral in µg/kWh x s over [start, end), epoch seconds. Raises SeriesError outside the series."""
        if not (self.borders[0] <= start <= end <= self.borders[-1]):
            raise SeriesError(
                f"{self.zone} is known from {format_instant(self.start)} to {format_instant(self.end)}, "
                f"not over {format_instant(instant_of(start))} to {format_instant(instant_of(end))}"
            )
        at = self.integral_at(np.array([start, end], np.int64))
        return int(at[1] - at[0])

    def mean(self, start: datetime, end: datetime) -> float:
        """The mean over [start, end) in gCO2e/kWh; exact up to the last division. Raises SeriesError outside."""
        first, last = epoch(start), epoch(end)
        if first >= last:
            raise SeriesError(f"the window {format_instant(start)} to {format_instant(end)} is empty")
        return self.integral_between(first, last) / ((last - first) * MICROGRAMS)

    def at(self, instant: datetime) -> float:
        """The value in force at an instant, gCO2e/kWh. Raises SeriesError outside the series."""
        second = epoch(instant)
        if not (self.borders[0] <= second < self.borders[-1]):
            raise SeriesError(f"{self.zone} is not known at {format_instant(instant)}")
        return float(self.micrograms[np.searchsorted(self.borders, second, side="right") - 1]) / MICROGRAMS

    def kind_at(self, instant: datetime) -> Kind:
        """How the value in force at an instant is known."""
        index = np.searchsorted(self.borders, epoch(instant), side="right") - 1
        return _KINDS[int(self.kinds[min(max(int(index), 0), len(self) - 1)])]

    def covers(self, start: datetime, end: datetime) -> bool:
        """Whether every second of [start, end) is known."""
        return bool(self.borders[0] <= epoch(start) and epoch(end) <= self.borders[-1])

    def worst_kind(self, start: datetime, end: datetime) -> Kind:
        """The least certain kind over [start, end): a sum is as good as its weakest part."""
        first = int(np.searchsorted(self.borders, epoch(start), side="right")) - 1
        last = int(np.searchsorted(self.borders, epoch(end), side="left"))
        part = self.kinds[max(first, 0) : max(last, first + 1)]
        return _KINDS[int(part.max())] if part.size else Kind.TYPICAL

    def cut(self, start: datetime, end: datetime) -> Self:
        """The part inside [start, end), clipped to what is known. Raises SeriesError when nothing is."""
        first, last = (
            max(epoch(start), int(self.borders[0])),
            min(epoch(end), int(self.borders[-1])),
        )
        if first >= last:
            raise SeriesError(
                f"{self.zone}: nothing known from {format_instant(start)} to {format_instant(end)}"
            )
        left = int(np.searchsorted(self.borders, first, side="right")) - 1
        right = int(np.searchsorted(self.borders, last, side="left"))
        borders = self.borders[left : right + 1].copy()
        borders[0], borders[-1] = first, last
        return replace(
            self,
            borders=borders,
            micrograms=self.micrograms[left:right],
            kinds=self.kinds[left:right],
        )

    def join(self, later: IntensitySeries) -> Self:
        """This series continued by `later`, which must begin where it ends and measure the same. Raises SeriesError."""
        if self.zone != later.zone:
            raise SeriesError(f"cannot join zone {self.zone} with zone {later.zone}")
        if self.measure != later.measure:
            raise SeriesError(f"{self.zone}: cannot join {self.measure} with {later.measure}")
        distance = int(later.borders[0] - self.borders[-1])
        if distance:
            fault = "a gap" if distance > 0 else "an overlap"
            raise SeriesError(f"{self.zone}: {fault} of {abs(distance)} s at {format_instant(self.end)}")
        return replace(
            self,
            borders=np.concatenate((self.borders, later.borders[1:])),
            micrograms=np.concatenate((self.micrograms, later.micrograms)),
            kinds=np.concatenate((self.kinds, later.kinds)),
            issued_at=later.issued_at or self.issued_at,
            provider=self.provider
            if self.provider == later.provider
            else f"{self.provider}+{later.provider}",
        )

    def resample(self, step: timedelta) -> Self:
        """The exact means over whole multiples of `step` since 1970 (rounded to a microgram), kind the least certain.

        The series' own ends are kept as partial intervals. Splitting finer and means over coarser are the same act.
        """
        width = seconds_of(step)
        if width <= 0:
            raise SeriesError(f"cannot resample {self.zone} to a step of {width} s")
        first, last = int(self.borders[0]), int(self.borders[-1])
        inner = np.arange(first - first % width + width, last, width, dtype=np.int64)
        borders = np.unique(np.concatenate((self.borders[:1], inner, self.borders[-1:])))
        sums, widths = np.diff(self.integral_at(borders)), np.diff(borders)
        left = np.searchsorted(self.borders, borders[:-1], side="right") - 1
        right = np.searchsorted(self.borders, borders[1:], side="left")
        kinds = np.array([self.kinds[i:j].max() for i, j in zip(left, right, strict=True)], np.uint8)
        return replace(
            self,
            borders=borders,
            micrograms=(2 * sums + widths) // (2 * widths),
            kinds=kinds,
        )

    @property
    def g_per_kwh(self) -> npt.NDArray[np.float64]:
        """The values in gCO2e/kWh, one an interval."""
        return self.micrograms / MICROGRAMS

    @property
    def known_as(self) -> tuple[Kind, ...]:
        """The kind of each interval."""
        return tuple(_KINDS[index] for index in self.kinds)

    @cached_property
    def step_s(self) -> int:
        """The greatest length in seconds that divides every interval but the two at the ends."""
        inner = np.diff(self.borders)[1:-1] if len(self) > 2 else np.diff(self.borders)
        return int(np.gcd.reduce(inner))


def _kind_indices(kinds: Iterable[Kind]) -> npt.NDArray[np.uint8]:
    return np.array([_KINDS.index(kind) for kind in kinds], np.uint8)
