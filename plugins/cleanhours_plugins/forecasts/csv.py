"""Carbon intensity from a file: a trace of the past, a forecast somebody made, or both, as comma-separated values.

Settings: `path` (required; .gz too), `zone` (the grid zone of a file that names none), `scope` (lifecycle or direct;
chooses the column of Electricity Maps' files, else says what the values are), `signal`, `column` (of the values),
`timezone` (of stamps without one; UTC by default) and `unit`. docs/forecasts.md shows every format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from threading import Lock
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from cleanhours.domain.errors import ConfigurationError, SeriesError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Scope, Signal
from cleanhours.domain.times import epoch, epoch_after, format_instant, instant_of
from cleanhours.ports import Clock, Context
from cleanhours_plugins.forecasts.headers import Layout, layout_of
from cleanhours_plugins.forecasts.options import Options
from cleanhours_plugins.forecasts.tables import UNITS, Rows, head_of, lines_of, read_rows
from cleanhours_plugins.forecasts.traces import Trace, trace_as_of, trace_of

KEYS: Final = ("path", "zone", "scope", "signal", "column", "timezone", "unit")
NAMELESS: Final = "local"
"""What the zone of a file is called that nobody named; such a file answers for any zone asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSettings:
    """What the table of a `csv` source may say; None means that the file decides."""

    path: Path
    zone: str | None = None
    scope: Scope | None = None
    signal: Signal | None = None
    column: str | None = None
    timezone: tzinfo | None = None
    factor: float = 1.0


def build(settings: Mapping[str, Any], context: Context) -> CsvForecasts:
    """The source that `settings` describe. Raises ConfigurationError naming every fault; the file is read when asked."""
    options = Options("csv", settings, KEYS)
    path = options.text("path", required=True)
    accepted = "one of " + ", ".join(UNITS)
    read = CsvSettings(
        path=Path(path or "").expanduser(),
        zone=options.text("zone"),
        scope=options.word("scope", Scope),
        signal=options.word("signal", Signal),
        column=options.text("column"),
        timezone=options.parsed("timezone", _timezone, "a time zone such as UTC or Europe/London"),
        factor=options.parsed("unit", lambda unit: UNITS[unit.casefold()], accepted) or 1.0,
    )
    options.close()
    return CsvForecasts(read, context.clock)


@dataclass(slots=True)
class _Read:
    """What was read of one state of the file."""

    stamp: tuple[int, ...]
    layout: Layout
    served: tuple[str, ...]
    rows: dict[str, Rows] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)


class CsvForecasts:
    """One file. Read when first asked, a zone at a time, and again when the file has changed; safe between threads."""

    name = "csv"
    final_after = timedelta(0)
    offline = True

    def __init__(self, settings: CsvSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = Lock()
        self._read: _Read | None = None

    @property
    def measure(self) -> Measure:
        """What the values are: the format says, else the settings, else average lifecycle consumption."""
        scope = self._state().layout.scope or self._settings.scope or Scope.LIFECYCLE
        return Measure(self._settings.signal or Signal.AVERAGE, scope)

    @property
    def attribution(self) -> str:
        return self._state().layout.attribution

    def zones(self) -> Sequence[str]:
        """The grid zones of the file; `local` where neither it nor the settings name one."""
        return self._state().served

    def serves(self, zone: str) -> bool:
        """Whether the file holds it, however it is spelled; one that names no zone is about any."""
        served = self._state().served
        return served == (NAMELESS,) or _folded(zone) in map(_folded, served)

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """The file's values from the interval that holds `start` to the first gap; what is still to come is a forecast.

        Of a file with a column of issues, only what was issued by now counts, and of each interval the newest.
        """
        return self._series(zone, epoch(start), epoch_after(end), self._clock.now())

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """The file's values over [start, end) up to now, up to the first gap. A file of forecasts has none."""
        now = self._clock.now()
        if self._state().layout.kind is Kind.FORECAST:
            raise TemporaryError(f"{self._settings.path} holds forecasts, not what really was")
        last = min(epoch_after(end), epoch(now))
        if last <= epoch(start):
            raise TemporaryError(f"{self._settings.path}: {format_instant(start)} is not over yet")
        return self._series(zone, epoch(start), last, instant_of(2**36), late=True).cut(
            start, instant_of(last)
        )

    def _series(
        self, zone: str, first: int, last: int, now: datetime, *, late: bool = False
    ) -> IntensitySeries:
        with self._lock:
            state = self._state()
            trace = self._trace(state, self._served(state, zone), epoch(now))
        part = trace.part(first, last, late=late)
        if part is None:
            raise TemporaryError(f"{self._settings.path}: {zone}: {_unknown(trace, first)}")
        if state.layout.kind is Kind.FORECAST:
            kinds: Kind | list[Kind] = Kind.FORECAST
        else:
            told = trace.ends[part] > epoch(now)
            kinds = [
                Kind.FORECAST if later else Kind.ESTIMATED if estimated else Kind.ACTUAL
                for later, estimated in zip(told.tolist(), trace.estimated[part].tolist(), strict=True)
            ]
        return IntensitySeries.of(
            zone,
            trace.starts[part],
            trace.values[part],
            ends=trace.ends[part],
            kind=kinds,
            measure=self.measure,
            provider=self.name,
            issued_at=trace.issued,
        )

    def _state(self) -> _Read:
        """The layout of the file as it now is; a changed file is a new one."""
        path = self._settings.path
        try:
            found = path.stat()
        except OSError as error:
            raise ConfigurationError(
                f"csv: path: found {str(path)!r} ({error.strerror}), accepted: a file to be read"
            ) from None
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._read is None or self._read.stamp != stamp:
            header, first, _ = head_of(path, lines_of(path, head=True))
            try:
                layout = layout_of(header, first, column=self._settings.column, scope=self._settings.scope)
            except (ConfigurationError, SeriesError) as error:
                raise type(error)(f"{path}: {error}") from None
            state = _Read(stamp, layout, ())
            state.served = self._zones_of(state)
            self._read = state
        return self._read

    def _zones_of(self, state: _Read) -> tuple[str, ...]:
        layout, asked = state.layout, self._settings.zone
        found: Sequence[str] = tuple(layout.zones)
        if layout.zone_column is not None:
            rows = self._rows(layout, None)
            found = rows.seen
            if len(found) == 1:
                state.rows[found[0]] = rows
        if layout.zone is not None and not found:
            found = (layout.zone,)
        nameless = not found or (len(found) == 1 and not (layout.zone or layout.zone_column is not None))
        if asked is None:
            return tuple(sorted(found)) or (NAMELESS,)
        if nameless:
            return (asked,)
        spelled = {_folded(name): name for name in found}
        if _folded(asked) not in spelled:
            raise ConfigurationError(
                f"csv: zone: found {asked!r}, accepted: what {self._settings.path} holds: "
                + ", ".join(sorted(found)[:20])
            )
        return (spelled[_folded(asked)],)

    def _served(self, state: _Read, zone: str) -> str:
        """The zone as the file spells it. Raises UnknownZone."""
        if state.served == (NAMELESS,):
            return zone
        spelled = {_folded(name): name for name in state.served}
        if _folded(zone) not in spelled:
            raise UnknownZone(zone, str(self._settings.path), state.served)
        return spelled[_folded(zone)]

    def _trace(self, state: _Read, zone: str, now: int) -> Trace:
        path, layout = self._settings.path, state.layout
        key = zone if layout.zones or layout.zone_column is not None else ""
        if len(layout.zones) == 1:
            key = next(iter(layout.zones))
        if key not in state.rows:
            state.rows[key] = self._rows(layout, key or None)
        if layout.issued is not None:
            trace = trace_as_of(path, state.rows[key], now)
            if trace is None:
                raise TemporaryError(f"{path}: nothing was issued by {format_instant(instant_of(now))}")
            return trace
        if key not in state.traces:
            state.traces[key] = trace_of(path, state.rows[key], last_wins=layout.last_wins)
        return state.traces[key]

    def _rows(self, layout: Layout, zone: str | None) -> Rows:
        path, timezone = self._settings.path, self._settings.timezone
        if layout.says_utc and timezone not in (None, UTC):
            raise ConfigurationError(f"csv: timezone: found {timezone}, but the header of {path} says UTC")
        _, _, lines = head_of(path, lines_of(path))
        return read_rows(path, lines, layout, zone, timezone=timezone or UTC, factor=self._settings.factor)


def _unknown(trace: Trace, first: int) -> str:
    at = format_instant(instant_of(first))
    if not trace.starts.size:
        return "every value is missing"
    begin, end = (format_instant(instant_of(int(edge))) for edge in (trace.starts[0], trace.ends[-1]))
    if trace.starts[0] <= first < trace.ends[-1]:
        following = trace.starts[np.searchsorted(trace.starts, first, side="right")]
        return f"missing at {at}, known again from {format_instant(instant_of(following))}"
    return f"known from {begin} to {end}, not at {at}"


def _folded(zone: str) -> str:
    return zone.casefold().replace("_", "-")


def _timezone(name: str) -> tzinfo:
    return UTC if name.upper() in ("UTC", "Z") else ZoneInfo(name)
