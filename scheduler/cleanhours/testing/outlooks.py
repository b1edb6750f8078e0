"""An outlook whose future is written down beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from cleanhours.domain.errors import TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.rules import ForecastLevels
from cleanhours.domain.zones import Unserved


class FakeOutlook:
    """Knows `truth` per zone; forecasts it as `forecasts` say where given, else exactly. `down` makes it know nothing."""

    def __init__(
        self,
        truth: Mapping[str, IntensitySeries],
        forecasts: Mapping[str, IntensitySeries] | None = None,
        final_after: timedelta = timedelta(0),
    ) -> None:
        self.truth = dict(truth)
        self.forecasts = dict(forecasts or truth)
        self.down = False
        self.asked = 0
        self._final_after = final_after

    def levels(self, zones: Sequence[str], start: datetime, end: datetime) -> ForecastLevels:
        self.asked += 1
        if self.down:
            return ()
        known = {zone: self.forecasts[zone] for zone in zones if zone in self.forecasts}
        inside = {zone: one for zone, one in known.items() if one.start < end and start < one.end}
        return ({zone: replace(one.cut(start, end), issued_at=start) for zone, one in inside.items()},)

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        if zone not in self.truth:
            raise UnknownZone(zone, "fake outlook", self.truth)
        if self.down:
            raise TemporaryError("fake outlook is down")
        part = self.truth[zone].cut(start, end)
        return replace(part, kinds=np.full(len(part), list(Kind).index(Kind.ACTUAL), np.uint8))

    def observes(self, zone: str) -> bool:
        return zone in self.truth

    def unserved(self, zone: str) -> Unserved | None:
        return None if zone in self.truth else Unserved(zone, ("fake outlook",), tuple(sorted(self.truth)))

    def final_after(self, zone: str) -> timedelta:
        return self._final_after
