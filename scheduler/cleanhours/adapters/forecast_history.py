"""A source that forecasts any other source's zones from their past: for providers that only observe."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.errors import SeriesError, TemporaryError
from cleanhours.domain.intensity import IntensitySeries, Measure
from cleanhours.domain.times import format_duration, format_instant
from cleanhours.planning.history import HistoryForecast, forecast_from_history
from cleanhours.ports import Clock, Declaring, ForecastSource, Observing

MEMORY: Final = timedelta(days=28)
"""Older hours weigh less than 1 % in the profile."""
LATEST: Final = timedelta(hours=12)
"""A history that ends longer ago than this says nothing of today."""
_MOST_PARTS: Final = 50


class FromHistory:
    """Forecasts from what `observing` saw, by the method of planning/history.py."""

    def __init__(
        self,
        source: ForecastSource,
        observing: Observing,
        clock: Clock,
        *,
        memory: timedelta = MEMORY,
        latest: timedelta = LATEST,
    ) -> None:
        self.name = f"history:{source.name}"
        self._source = source
        self._observing = observing
        self._clock = clock
        self._memory = memory
        self._latest = latest

    @property
    def measure(self) -> Measure:
        return self._source.measure if isinstance(self._source, Declaring) else Measure()

    @property
    def attribution(self) -> str:
        return self._source.attribution if isinstance(self._source, Declaring) else ""

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """What was seen from `start` on, continued by what its past makes likely. Raises TemporaryError without a past."""
        parts, foretold = self._foretold(zone, end)
        series = foretold.series
        if parts[-1].end > start:
            series = parts[-1].join(series)
        return replace(series.cut(start, end), provider=self.name, issued_at=foretold.series.issued_at)

    def detailed(self, zone: str, end: datetime) -> HistoryForecast:
        """The forecast from where the history ends, with the errors that the method made at each lead."""
        return self._foretold(zone, end)[1]

    def _foretold(self, zone: str, end: datetime) -> tuple[list[IntensitySeries], HistoryForecast]:
        now = self._clock.now()
        parts = self._past(zone, now)
        if now - parts[-1].end > self._latest:
            raise TemporaryError(
                f"{self.name}: {zone}: the newest observation ended at {format_instant(parts[-1].end)}, "
                f"{format_duration(now - parts[-1].end)} ago, accepted: {format_duration(self._latest)}"
            )
        try:
            return parts, forecast_from_history(parts, end)
        except SeriesError as error:
            raise TemporaryError(f"{self.name}: {error}") from None

    def _past(self, zone: str, now: datetime) -> list[IntensitySeries]:
        """Every part that was observed: a source answers up to a gap, and is asked again behind it."""
        start = now - self._memory
        parts: list[IntensitySeries] = []
        while start < now and len(parts) < _MOST_PARTS:
            try:
                part = self._observing.actual(zone, start, now)
            except TemporaryError:
                if parts:
                    break
                raise
            if part.end <= start:
                break
            parts.append(part.cut(start, now))
            start = part.end
        return parts
