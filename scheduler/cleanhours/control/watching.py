"""The newest forecasts, kept in memory between refreshes, and measured against what came true."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.rules import ForecastLevels
from cleanhours.ports import Ledger, Outlook, Recalling

log = logging.getLogger(__name__)

HORIZON: Final = timedelta(days=8)
"""How far ahead forecasts are asked for: a week of slack and a day's run. Sources answer with what they know of it."""


@dataclass(slots=True)
class ForecastWatch:
    """Keeps what the outlook said. Never raises.

    A beat of its own asks anew (`renew_known`), so that a provider that hangs holds no tick back; `levels` asks only for
    zones that nobody asked for yet, and where that beat did not come for two periods.
    """

    outlook: Outlook
    refresh: timedelta = timedelta(minutes=30)
    _levels: ForecastLevels = ()
    _zones: frozenset[str] = frozenset()
    _asked: datetime | None = None
    _issued: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _late: set[str] = field(default_factory=set)

    def levels(self, zones: Sequence[str], now: datetime) -> ForecastLevels:
        """The levels of the chain for `zones`."""
        stale = self._asked is None or not (self._asked <= now < self._asked + 2 * self.refresh)
        if stale or not self._zones >= set(zones):
            self.renew(sorted(self._zones | set(zones)), now)
        return self._levels

    def renew(self, zones: Sequence[str], now: datetime) -> None:
        """Asks the outlook now."""
        self._levels = self.outlook.levels(zones, now, now + HORIZON)
        self._zones, self._asked = frozenset(zones), now
        self._issued |= {
            zone: (series.provider, series.issued_at)
            for zone, series in self.best().items()
            if series.issued_at is not None
        }
        if isinstance(self.outlook, Recalling):
            # the process before this one may have had what this one never sees
            for zone in self._zones - self._issued.keys():
                kept = self.outlook.issued(zone)
                if kept is not None:
                    self._issued[zone] = kept

    def renew_known(self, now: datetime) -> None:
        """Asks again for every zone asked before."""
        if self._zones:
            self.renew(sorted(self._zones), now)

    @property
    def incomplete(self) -> bool:
        """Whether a zone is known at no level: worth asking again before the next refresh."""
        return not all(any(zone in level for level in self._levels) for zone in self._zones)

    def best(self) -> Mapping[str, IntensitySeries]:
        """Per zone, the series of the first level that knows it."""
        found: dict[str, IntensitySeries] = {}
        for level in self._levels:
            for zone, series in level.items():
                found.setdefault(zone, series)
        return found

    def issued(self) -> Mapping[str, tuple[str, datetime]]:
        """Per zone, provider and time of issue of the last best series that had one: typical values have none.

        Kept while others stand in, however long: who only knows what is in use never hears that a provider is away.
        """
        return dict(self._issued)

    def compare(self, ledger: Ledger, now: datetime) -> None:
        """Keeps what is forecast now, and judges what was forecast for the last two days."""
        for zone, series in self.best().items():
            try:
                ledger.record_forecast(series, now)
                actual = self.outlook.actual(zone, now - timedelta(days=2), now)
                if Kind.TYPICAL not in actual.known_as:
                    ledger.record_actual(actual)
                self._late.discard(zone)
            except CleanhoursError as fault:
                if zone not in self._late:
                    self._late.add(zone)
                    log.info("no actuals yet zone=%s error=%s", zone, fault)
