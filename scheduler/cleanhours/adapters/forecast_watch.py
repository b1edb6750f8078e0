"""Watching providers: each answer is counted; trouble is said once when it begins and once when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.errors import (
    CleanhoursError,
    ConfigurationError,
    SeriesError,
    TemporaryError,
    UnknownZone,
)
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.ports import ForecastSource, Observing, Telemetry

_OUTCOMES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (UnknownZone, "unknown-zone"),
    (TemporaryError, "temporary"),
    (ConfigurationError, "configuration"),
    (SeriesError, "senseless"),
)
OUTCOMES: Final = ("ok", *(word for _, word in _OUTCOMES), "fault")
"""Every value of the label `outcome` of provider_requests_total."""

_log = logging.getLogger(__name__)


class Watched:
    """A source whose troubles are announced. What a plugin raises that no port promises becomes a TemporaryError."""

    def __init__(
        self,
        source: ForecastSource,
        telemetry: Telemetry,
        *,
        log: logging.Logger | logging.LoggerAdapter[logging.Logger] = _log,
    ) -> None:
        self.name = source.name
        self._source = source
        self._telemetry = telemetry
        self._log = log
        self._troubled: dict[tuple[str, str], str] = {}

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        return self._watch("forecast", zone, lambda: self._source.forecast(zone, start, end))

    def refused(self, zone: str) -> bool:
        """Whether the source said, when it was asked last, that it does not serve the zone."""
        return self._troubled.get(("forecast", zone)) == _outcome_of(UnknownZone)

    def _watch(self, what: str, zone: str, ask: Callable[[], IntensitySeries]) -> IntensitySeries:
        key = (what, zone)
        try:
            series = ask()
        except CleanhoursError as error:
            self._failed(key, error, _outcome(error))
            raise
        except Exception as error:
            # the edge to other people's code: one provider's fault is never another's
            self._failed(key, error, "fault")
            self._log.debug("%s failed", self.name, exc_info=True)
            raise TemporaryError(
                f"{self.name}: {zone}: a fault in the plugin: {type(error).__name__}: {error}"
            ) from error
        self._telemetry.count("provider_requests_total", provider=self.name, outcome="ok")
        if key in self._troubled:
            del self._troubled[key]
            self._log.info("%s answers again for %s (%s)", self.name, zone, what)
        return series

    def _failed(self, key: tuple[str, str], error: Exception, outcome: str) -> None:
        self._telemetry.count("provider_requests_total", provider=self.name, outcome=outcome)
        if self._troubled.get(key) != outcome:
            # a zone that a source does not serve is no trouble: the next of the chain may
            level = logging.DEBUG if isinstance(error, UnknownZone) else logging.WARNING
            self._log.log(level, "%s has no %s for %s: %s", self.name, key[0], key[1], error)
        self._troubled[key] = outcome


class WatchedActuals(Watched):
    """The same of a source that also observes."""

    def __init__(
        self,
        source: ForecastSource,
        observing: Observing,
        telemetry: Telemetry,
        *,
        log: logging.Logger | logging.LoggerAdapter[logging.Logger] = _log,
    ) -> None:
        super().__init__(source, telemetry, log=log)
        self._observing = observing
        self.final_after: timedelta = observing.final_after

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        return self._watch("actual", zone, lambda: self._observing.actual(zone, start, end))


def _outcome(error: CleanhoursError) -> str:
    return _outcome_of(type(error))


def _outcome_of(error: type[CleanhoursError]) -> str:
    return next((word for kind, word in _OUTCOMES if issubclass(error, kind)), "fault")
