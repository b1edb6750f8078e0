"""The built-in table: what it holds, whose it is, how it was made, and what it is good for."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.errors import ConfigurationError, SeriesError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.forecasts import csv
from cleanhours_plugins.forecasts.climatology import TABLE, Climatology, TypicalZone, build
from tests.unit.forecasts.worlds import context
from tools.build_climatology import packed, typical_year

NOON = datetime(2026, 7, 15, 12, 20, tzinfo=UTC)
DAY = timedelta(days=1)


def test_it_is_small_and_carries_its_source_and_licence() -> None:
    table = json.loads(gzip.decompress(TABLE.read_bytes()))

    assert len(TABLE.read_bytes()) < 150_000
    assert (
        "Electricity Maps, electricitymaps.com, ODbL 1.0" == table["attribution"] == Climatology().attribution
    )
    assert "ODbL 1.0" in table["licence"]
    assert (2022, "gCO2eq/kWh, average, lifecycle, consumption") == (table["year"], table["unit"])
    assert "Open Database License" in TABLE.with_name("climatology-LICENSE.md").read_text(encoding="utf-8")


def test_it_serves_more_than_sixty_zones_all_sane() -> None:
    source = Climatology()

    assert len(source.zones()) >= 60
    for zone in source.zones():
        assert 8760 <= len(source.forecast(zone, NOON, NOON + timedelta(days=366)))
    assert {"DE", "FR", "GB", "ES", "US-CAL-CISO", "US-TEX-ERCO", "AU-SA"} <= set(source.zones())


def test_it_answers_for_any_date_by_the_hour_and_calls_it_typical() -> None:
    for year in (1970, 1996, 2026, 2400):
        start = NOON.replace(year=year)
        series = Climatology().forecast("DE", start, start + 2 * DAY)

        assert (start.replace(minute=0), 49) == (series.start, len(series))
        assert {Kind.TYPICAL} == set(series.known_as)
        assert (Measure(), "climatology", None) == (series.measure, series.provider, series.issued_at)


def test_the_sun_shines_on_california_at_its_noon_and_not_at_its_dusk() -> None:
    series = Climatology().forecast("US-CAL-CISO", NOON, NOON + DAY)

    assert series.at(NOON.replace(hour=20)) < 0.8 * series.at(NOON.replace(hour=4) + DAY)


def test_what_it_cannot_answer_it_says() -> None:
    with pytest.raises(UnknownZone, match="'ATLANTIS'; it serves AT, AU-NSW"):
        Climatology().forecast("ATLANTIS", NOON, NOON + DAY)
    with pytest.raises(SeriesError, match="one of nothing"):
        Climatology().forecast("DE", NOON, NOON)
    with pytest.raises(ConfigurationError, match="zone: found 'DE', accepted: no such setting"):
        build({"zone": "DE"}, context(FakeClock()))


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))
def test_each_hour_lies_between_the_two_nearest_months(moment: datetime) -> None:
    by_month = np.add.outer(np.arange(0.0, 1200.0, 100.0), np.arange(24.0))
    hour = moment.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    at = np.array([int(hour.timestamp())], np.int64)

    value = TypicalZone(by_month, np.ones((2, 24))).at(at)[0]

    length = ((hour.replace(day=28) + 4 * DAY).replace(day=1) - hour.replace(day=1)).days
    months = hour.month - 1 + (hour.day - 1 + hour.hour / 24) / length - 0.5
    expected = np.interp(months, range(-1, 13), [1100, *range(0, 1200, 100), 0]) + hour.hour
    assert expected == pytest.approx(value)


def test_weekends_have_factors_of_their_own() -> None:
    factors = np.array([np.ones(24), np.full(24, 0.5)])
    days = [int(datetime(2026, 3, day, tzinfo=UTC).timestamp()) for day in range(2, 9)]  # Monday to Sunday

    assert [8, 8, 8, 8, 8, 4, 4] == TypicalZone(np.full((12, 24), 8.0), factors).at(np.array(days)).tolist()


def test_a_year_that_repeats_itself_is_learnt() -> None:
    start = datetime(2023, 1, 1, tzinfo=UTC)
    starts = int(start.timestamp()) + 3600 * np.arange(8760, dtype=np.int64)
    weekend = (starts // 86400 + 3) % 7 >= 5
    values = np.where(weekend, 0.8, 1.0) * (300 + 100 * np.cos(np.arange(8760) / 24 * 2 * np.pi))

    row = typical_year(IntensitySeries.of("X", starts, values, step=timedelta(hours=1)))
    learnt = TypicalZone(
        np.array(row["by_month"]).reshape(12, 24), np.array([row["workday"], row["weekend"]])
    )

    assert values == pytest.approx(learnt.at(starts), rel=0.02)


def test_the_table_is_what_the_tool_makes_of_the_public_data(test_data: Path) -> None:
    table = json.loads(gzip.decompress(TABLE.read_bytes()))
    start = datetime(2022, 1, 1, tzinfo=UTC)
    for name, zone in [
        ("electricitymaps-portal/ES_2022_hourly", "ES"),
        ("electricitymaps-zones-2022/zones_2022_hourly_lca", "GB"),
    ]:
        source = csv.build({"path": str(test_data / f"{name}.csv.gz")}, context(FakeClock(start)))
        assert table["zones"][zone] == typical_year(source.forecast(zone, start, start.replace(year=2023)))
    assert packed(table) == TABLE.read_bytes()
