"""Checking what a source answers before anybody plans on it: the right zone and measure, in order, sane, and not stale."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import numpy as np

from cleanhours.domain.errors import SeriesError, TemporaryError
from cleanhours.domain.intensity import MICROGRAMS, IntensitySeries
from cleanhours.domain.intervals import HIGHEST_G_PER_KWH
from cleanhours.domain.times import epoch, format_duration, format_instant
from cleanhours.ports import Clock, Declaring, ForecastSource, Observing

STALE_AFTER: Final = timedelta(hours=48)
"""A forecast issued longer ago than this is none: few reach further."""
FROM_THE_FUTURE: Final = timedelta(hours=1)
"""How far a provider's clock may be ahead of ours."""


class Checked:
    """A source whose every answer has been looked at; what makes no sense is a SeriesError, what is too old temporary."""

    def __init__(self, source: ForecastSource, clock: Clock, *, stale_after: timedelta = STALE_AFTER) -> None:
        self.name = source.name
        self._source = source
        self._clock = clock
        self._stale_after = stale_after

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        series = self._source.forecast(zone, start, end)
        check(series, zone, self._source)
        if series.borders[0] > epoch(start):
            raise SeriesError(
                f"{self.name}: {zone}: asked from {format_instant(start)}, answered from {format_instant(series.start)}"
            )
        if series.borders[-1] <= epoch(start):
            raise TemporaryError(f"{self.name}: {zone}: the forecast ends at {format_instant(series.end)}")
        self._check_age(series)
        return series

    def _check_age(self, series: IntensitySeries) -> None:
        if series.issued_at is None:
            return
        age = self._clock.now() - series.issued_at
        if age > self._stale_after:
            raise TemporaryError(
                f"{self.name}: {series.zone}: stale: issued at {format_instant(series.issued_at)}, "
                f"{format_duration(age)} ago, accepted: {format_duration(self._stale_after)}"
            )
        if age < -FROM_THE_FUTURE:
            raise SeriesError(
                f"{self.name}: {series.zone}: issued at {format_instant(series.issued_at)}, "
                f"{format_duration(-age)} from now: one of the clocks is wrong"
            )


class CheckedActuals(Checked):
    """The same of a source that also observes."""

    def __init__(
        self,
        source: ForecastSource,
        observing: Observing,
        clock: Clock,
        *,
        stale_after: timedelta = STALE_AFTER,
    ) -> None:
        super().__init__(source, clock, stale_after=stale_after)
        self._observing = observing
        self.final_after = observing.final_after

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        series = self._observing.actual(zone, start, end)
        check(series, zone, self._source)
        return series


def check(series: IntensitySeries, zone: str, source: ForecastSource) -> None:
    """Raises SeriesError unless `series` is in order, within bounds, of `zone` and of the measure its source declares."""
    if series.zone != zone:
        raise SeriesError(f"{source.name}: asked for zone {zone}, answered for {series.zone}")
    if isinstance(source, Declaring) and series.measure != source.measure:
        raise SeriesError(f"{source.name}: {zone}: declares {source.measure}, answered {series.measure}")
    count = len(series)
    if not count or series.borders.size != count + 1 or series.kinds.size != count:
        raise SeriesError(
            f"{source.name}: {zone}: {series.borders.size} borders and {series.kinds.size} kinds for {count} values"
        )
    if (np.diff(series.borders) <= 0).any():
        raise SeriesError(f"{source.name}: {zone}: interval borders that do not rise")
    wrong = (series.micrograms < 0) | (series.micrograms > HIGHEST_G_PER_KWH * MICROGRAMS)
    if wrong.any():
        found = series.g_per_kwh[int(np.flatnonzero(wrong)[0])]
        raise SeriesError(
            f"{source.name}: {zone}: {found} ({int(wrong.sum())} such), accepted: 0 to {HIGHEST_G_PER_KWH:.0f} gCO2e/kWh"
        )
