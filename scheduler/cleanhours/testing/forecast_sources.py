"""What every forecast source promises, as a suite: subclass `ForecastSourceContract`, give it a `source`, and pytest does the rest.

And a fake that keeps the promises, for the tests of everything that asks a source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest

from cleanhours.domain.errors import CleanhoursError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure
from cleanhours.domain.intervals import HIGHEST_G_PER_KWH
from cleanhours.domain.times import epoch, epoch_after
from cleanhours.ports import Clock, Declaring, Discerning, ForecastSource, Listing, Observing

DAY = timedelta(days=1)


class FakeForecastSource:
    """Knows what it is given: `series` per zone; what ends by the clock's now counts as what really was.

    Set `error` and every question raises it. `asked` lists the questions: (zone, start, end).
    """

    def __init__(
        self,
        series: Mapping[str, IntensitySeries],
        clock: Clock,
        *,
        name: str = "fake",
        final_after: timedelta = timedelta(0),
    ) -> None:
        self.name = name
        self.series = dict(series)
        self.final_after = final_after
        self.attribution = "nobody"
        self.error: Exception | None = None
        self.asked: list[tuple[str, datetime, datetime]] = []
        self._clock = clock

    @property
    def measure(self) -> Measure:
        return next((series.measure for series in self.series.values()), Measure())

    def zones(self) -> Sequence[str]:
        return sorted(self.series)

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        return self._known(zone, start, end)

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        part = self._known(zone, start, min(end, self._clock.now()))
        known = np.full(len(part), list(Kind).index(Kind.ACTUAL), np.uint8)
        return IntensitySeries(
            zone, part.borders, part.micrograms, known, part.measure, part.provider, part.issued_at
        )

    def _known(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        self.asked.append((zone, start, end))
        if self.error is not None:
            raise self.error
        if zone not in self.series:
            raise UnknownZone(zone, self.name, self.series)
        known = self.series[zone]
        if not known.start <= start < known.end or start >= end:
            raise TemporaryError(f"{self.name}: {zone}: nothing known at {start}")
        return known.cut(start, end)


class ForecastSourceContract:
    """Give fixtures `source`, `zone` (one it serves) and `start` (an instant from which it knows a while ahead).

    Override `unknown_zone` where ATLANTIS is served, and `past` (what is over and known) for a source that observes.
    """

    @pytest.fixture
    def unknown_zone(self) -> str:
        return "ATLANTIS"

    @pytest.fixture
    def past(self, start: datetime) -> tuple[datetime, datetime]:
        return start - timedelta(hours=3), start

    def test_it_has_a_name_for_logs_and_labels(self, source: ForecastSource) -> None:
        assert source.name
        assert source.name.isprintable()

    def test_it_answers_for_the_zone_asked_from_the_interval_that_holds_the_start(
        self, source: ForecastSource, zone: str, start: datetime
    ) -> None:
        asked = start + timedelta(minutes=7)

        series = source.forecast(zone, asked, start + DAY)

        assert zone == series.zone
        assert series.borders[0] <= epoch(asked) < series.borders[1]

    def test_nothing_begins_at_or_after_the_end_asked(
        self, source: ForecastSource, zone: str, start: datetime
    ) -> None:
        end = start + timedelta(hours=3, minutes=10)

        series = source.forecast(zone, start, end)

        assert series.borders[-2] < epoch_after(end)

    def test_values_are_in_order_and_sane(self, source: ForecastSource, zone: str, start: datetime) -> None:
        series = source.forecast(zone, start, start + DAY)

        assert (np.diff(series.borders) > 0).all()
        assert series.micrograms.min() >= 0
        assert series.g_per_kwh.max() <= HIGHEST_G_PER_KWH
        assert len(series) == series.kinds.size

    def test_asked_twice_it_says_the_same(self, source: ForecastSource, zone: str, start: datetime) -> None:
        first, second = (source.forecast(zone, start, start + DAY) for _ in range(2))

        assert first.borders.tolist() == second.borders.tolist()
        assert first.micrograms.tolist() == second.micrograms.tolist()

    def test_what_it_measures_is_what_it_declares(
        self, source: ForecastSource, zone: str, start: datetime
    ) -> None:
        if not isinstance(source, Declaring):
            pytest.skip("it does not declare what it measures")

        assert source.measure == source.forecast(zone, start, start + DAY).measure
        assert isinstance(source.attribution, str)

    def test_a_zone_it_does_not_serve_is_refused_by_name(
        self, source: ForecastSource, unknown_zone: str, start: datetime
    ) -> None:
        with pytest.raises(UnknownZone, match=unknown_zone):
            source.forecast(unknown_zone, start, start + DAY)

    def test_it_serves_the_zones_that_it_says_it_serves(
        self, source: ForecastSource, zone: str, unknown_zone: str
    ) -> None:
        if not isinstance(source, Discerning):
            pytest.skip("it does not say more than it can list")

        assert (True, False) == (source.serves(zone), source.serves(unknown_zone))
        assert not isinstance(source, Listing) or all(map(source.serves, source.zones()))

    def test_the_zones_it_lists_are_sorted_and_hold_the_one_it_serves(
        self, source: ForecastSource, zone: str
    ) -> None:
        if not isinstance(source, Listing):
            pytest.skip("it cannot list its zones")

        assert sorted(source.zones()) == list(source.zones())
        assert zone in source.zones()

    def test_what_really_was_is_no_forecast(
        self, source: ForecastSource, zone: str, past: tuple[datetime, datetime]
    ) -> None:
        if not isinstance(source, Observing):
            pytest.skip("it does not observe")

        series = source.actual(zone, *past)

        assert zone == series.zone
        assert {Kind.ACTUAL, Kind.ESTIMATED} >= set(series.known_as)
        assert timedelta(0) <= source.final_after

    def test_what_is_not_over_is_not_known_as_if_it_were(
        self, source: ForecastSource, zone: str, past: tuple[datetime, datetime]
    ) -> None:
        if not isinstance(source, Observing):
            pytest.skip("it does not observe")

        with pytest.raises(CleanhoursError):
            source.actual(zone, past[1] + timedelta(days=300), past[1] + timedelta(days=301))


__all__ = ["FakeForecastSource", "ForecastSourceContract"]
