"""Files of intensity: every format that people have lying around, read for what it is, or refused for what is wrong."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.domain.errors import ConfigurationError, SeriesError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import Kind, Scope, Signal
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.forecasts.csv import build
from tests.unit.forecasts.worlds import HOUR, NOW, Desk, context, local, plain

OLD = (
    "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA),"
    "Low Carbon Percentage,Renewable Percentage,Data Source,Data Estimated,Data Estimation Method"
)
NEW = (
    "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),"
    "Carbon intensity gCO₂eq/kWh (Life cycle),Carbon-free energy percentage (CFE%),Renewable energy percentage (RE%),"
    "Data source,Data estimated,Data estimation method"
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        plain(10, 20, 30),
        plain(10, 20, 30).replace("\n", "\r\n"),
        plain(10, 20, 30).replace("Z", ""),
        plain(10, 20, 30).replace("Z", "+00:00"),
        plain(10, 20, 30).replace("T", " ").replace(":00Z", ""),
        plain(10, 20, 30).replace(",", ";"),
        plain(10, 20, 30).replace(",", "\t"),
        plain(10, 20, 30, header="Time,Carbon Intensity"),
        plain(10, 20, 30, header="datetime,carbon_intensity"),
        plain(10, 20, 30, header='"time","value"'),
        plain(10, 20, 30) + "\n\n",
        b"\xef\xbb\xbf" + plain(10, 20, 30).encode(),
        gzip.compress(plain(10, 20, 30).encode(), mtime=0),
        "time,deltaseconds,unix,intensity\n2026-03-02T00:00Z,0,1,10\n2026-03-02T01:00Z,0,2,20\n2026-03-02T02:00Z,0,3,30\n",
        (
            "start,end,value\n2026-03-02T00:00:00Z,2026-03-02T01:00:00Z,10\n2026-03-02T01:00:00Z,2026-03-02T02:00:00Z,20\n"
            "2026-03-02T02:00:00Z,2026-03-02T03:00:00Z,30\n"
        ),
        "unix,value\n1772409600,10\n1772413200,20\n1772416800,30\n",
        (
            "from_utc,last_forecast_gco2_per_kwh,actual_gco2_per_kwh\n2026-03-02T00:00:00Z,1,10\n2026-03-02T01:00:00Z,2,20\n"
            "2026-03-02T02:00:00Z,3,30\n"
        ),
    ],
)
def test_many_spellings_of_one_file_say_the_same(desk: Desk, content: str | bytes) -> None:
    assert [10, 20, 30] == desk.values(content)


@pytest.mark.parametrize("header", [OLD, NEW])
@pytest.mark.parametrize(("scope", "values"), [(None, [30, 31]), ("lifecycle", [30, 31]), ("direct", [2, 3])])
def test_electricity_maps_files_are_read_with_old_and_new_headers(
    desk: Desk, header: str, scope: str | None, values: list[float]
) -> None:
    content = f"{header}\n2026-03-02 00:00:00,Sweden,Sweden,SE,2,30,9,6,svk.se,true,X\n2026-03-02 01:00:00,Sweden,Sweden,SE,3,31,9,6,svk.se,false,\n"
    source = desk.source(content, **({"scope": scope} if scope else {}))
    desk.clock.set(NOW + 5 * HOUR)

    series = source.forecast("SE", NOW, NOW + 2 * HOUR)

    assert values == series.g_per_kwh.tolist()
    assert (Kind.ESTIMATED, Kind.ACTUAL) == series.known_as
    assert Scope(scope or "lifecycle") == series.measure.scope == source.measure.scope
    assert "ODbL 1.0" in source.attribution


def test_a_file_with_a_column_per_zone_is_asked_by_zone(desk: Desk) -> None:
    content = "datetime_utc,DE,US-CAL-CISO\n2026-03-02T00:00:00Z,1,2\n2026-03-02T01:00:00Z,3,4\n"
    source = desk.source(content)

    assert ["DE", "US-CAL-CISO"] == list(source.zones())
    assert [2, 4] == source.forecast("US-CAL-CISO", NOW, NOW + 2 * HOUR).g_per_kwh.tolist()
    assert "us_cal_ciso" == source.forecast("us_cal_ciso", NOW, NOW + HOUR).zone
    with pytest.raises(UnknownZone, match="'GB'; it serves DE, US-CAL-CISO"):
        source.forecast("GB", NOW, NOW + HOUR)


def test_a_file_with_a_row_per_zone_is_asked_by_zone(desk: Desk) -> None:
    rows = [
        f"2026-03-02 0{h}:00:00,x,x,{zone},1,{v + h},,,,false,"
        for zone, v in (("DE", 10), ("FR", 20))
        for h in range(2)
    ]
    source = desk.source("\n".join([OLD, *rows]))

    assert ["DE", "FR"] == list(source.zones())
    assert [20, 21] == source.forecast("FR", NOW, NOW + 2 * HOUR).g_per_kwh.tolist()
    with pytest.raises(UnknownZone):
        source.forecast("GB", NOW, NOW + HOUR)


def test_a_file_that_names_no_zone_answers_for_any_until_the_settings_name_one(desk: Desk) -> None:
    assert ["local"] == list(desk.source(plain(1, 2)).zones())
    assert [1, 2] == desk.values(plain(1, 2), zone="DE")
    assert ["FR"] == list(desk.source(plain(1, 2), zone="FR").zones())
    with pytest.raises(UnknownZone):
        desk.source(plain(1, 2), zone="FR").forecast("DE", NOW, NOW + HOUR)


def test_a_zone_that_the_file_lacks_is_a_wrong_setting(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match=r"zone: found 'FR', accepted: what .* holds: DE, GB"):
        desk.source("time,DE,GB\n2026-03-02T00:00:00Z,1,2\n2026-03-02T01:00:00Z,1,2\n", zone="FR").zones()


def test_the_polls_of_one_interval_count_once_the_last_one(desk: Desk) -> None:
    header = "timestamp,zone_datetime,status,zone_name,carbon_intensity_avg,carbon_intensity_unit,fossilFuelPercentage"
    polls = [("00", 746), ("01", 745), ("01", 740), ("02", 700)]
    rows = [
        f"{1772409600 + i},2026-03-02T{h}:00:00.000Z,ok,AUS-NSW,{v},gCO2eq/kWh,9"
        for i, (h, v) in enumerate(polls)
    ]

    assert [746, 740, 700] == desk.values("\n".join([header, *rows]), zone="AUS-NSW")


def test_what_is_over_is_actual_and_what_is_to_come_a_forecast(desk: Desk) -> None:
    source = desk.source(plain(1, 2, 3, 4))
    desk.clock.set(NOW + timedelta(minutes=90))

    series = source.forecast("GB", NOW, NOW + 4 * HOUR)

    assert (Kind.ACTUAL, Kind.FORECAST, Kind.FORECAST, Kind.FORECAST) == series.known_as


def test_actuals_end_now(desk: Desk) -> None:
    source = desk.source(plain(1, 2, 3, 4))
    desk.clock.set(NOW + timedelta(minutes=90))

    series = source.actual("GB", NOW, NOW + 4 * HOUR)

    assert (NOW, NOW + timedelta(minutes=90)) == (series.start, series.end)
    assert (Kind.ACTUAL, Kind.ACTUAL) == series.known_as
    assert timedelta(0) == source.final_after
    with pytest.raises(TemporaryError, match="not over yet"):
        source.actual("GB", NOW + 2 * HOUR, NOW + 3 * HOUR)


def test_an_empty_cell_is_a_gap_that_nothing_bridges(desk: Desk) -> None:
    source = desk.source(plain(1, 2, "", 4, 5))

    assert NOW + 2 * HOUR == source.forecast("GB", NOW, NOW + 5 * HOUR).end
    with pytest.raises(
        TemporaryError, match="missing at 2026-03-02T02:30:00Z, known again from 2026-03-02T03:00:00Z"
    ):
        source.forecast("GB", NOW + timedelta(hours=2.5), NOW + 5 * HOUR)
    desk.clock.set(NOW + 9 * HOUR)
    assert NOW + 3 * HOUR == source.actual("GB", NOW + 2 * HOUR, NOW + 5 * HOUR).start


def test_a_missing_row_is_a_gap_too(desk: Desk) -> None:
    lines = plain(1, 2, 3, 4, 5, 6).splitlines()
    del lines[4]

    assert [1, 2, 3] == desk.values("\n".join(lines))


def test_a_genuine_zero_is_data(desk: Desk) -> None:
    assert [0, 5] == desk.values(plain(0, 5))


@pytest.mark.parametrize("start", [NOW - HOUR, NOW + 2 * HOUR])
def test_outside_of_the_file_nothing_is_known(desk: Desk, start: datetime) -> None:
    with pytest.raises(TemporaryError, match="known from 2026-03-02T00:00:00Z to 2026-03-02T02:00:00Z"):
        desk.source(plain(1, 2)).forecast("GB", start, start + HOUR)


ISSUED = "issued_utc,from_utc,lead_minutes,forecast_gco2_per_kwh\n" + "".join(
    f"2026-03-0{day}T0{hour}:00:00Z,2026-03-02T0{at}:00:00Z,0,{day * 100 + hour * 10 + at}\n"
    for day, hour in ((1, 0), (2, 2), (2, 4))
    for at in range(hour if day == 2 else 0, 8)
)


@pytest.mark.parametrize(
    ("now", "values", "issued"),
    [
        (NOW + HOUR, [100, 101, 102, 103, 104, 105, 106, 107], NOW - timedelta(days=1)),
        (NOW + 2 * HOUR, [100, 101, 222, 223, 224, 225, 226, 227], NOW + 2 * HOUR),
        (NOW + 9 * HOUR, [100, 101, 222, 223, 244, 245, 246, 247], NOW + 4 * HOUR),
    ],
)
def test_only_what_was_issued_by_now_counts_and_the_newest_of_it(
    desk: Desk, now: datetime, values: list[float], issued: datetime
) -> None:
    source = desk.source(ISSUED)
    desk.clock.set(now)

    series = source.forecast("GB", NOW, NOW + timedelta(days=1))

    assert (values, issued) == (series.g_per_kwh.tolist(), series.issued_at)
    assert {Kind.FORECAST} == set(series.known_as)
    assert Scope.DIRECT == series.measure.scope


def test_before_the_first_issue_nothing_is_known_and_a_forecast_is_never_an_actual(desk: Desk) -> None:
    source = desk.source(ISSUED)
    desk.clock.set(NOW - timedelta(days=2))
    with pytest.raises(TemporaryError, match="nothing was issued by 2026-02-28T00:00:00Z"):
        source.forecast("GB", NOW, NOW + HOUR)
    desk.clock.set(NOW + timedelta(days=2))
    with pytest.raises(TemporaryError, match="holds forecasts"):
        source.actual("GB", NOW, NOW + HOUR)


def test_in_autumn_the_hour_that_comes_twice_is_told_apart_by_its_order(desk: Desk) -> None:
    content = local(*(f"2026-10-25T{hour}:00" for hour in ("00", "01", "02", "02", "03")))
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)

    series = desk.source(content, timezone="Europe/Berlin").forecast("DE", start, start + 9 * HOUR)

    assert [0, 1, 2, 3, 4] == series.g_per_kwh.tolist()
    assert start + 5 * HOUR == series.end


def test_in_spring_an_hour_that_never_was_is_refused_and_the_rest_has_no_gap(desk: Desk) -> None:
    start = datetime(2026, 3, 29, 0, tzinfo=UTC)
    source = desk.source(
        local("2026-03-29T01:00", "2026-03-29T03:00", "2026-03-29T04:00"), timezone="Europe/Berlin"
    )

    assert start + 3 * HOUR == source.forecast("DE", start, start + 9 * HOUR).end
    with pytest.raises(
        SeriesError, match=r"line 3: found '2026-03-29T02:00', accepted: a time that exists in Europe/Berlin"
    ):
        desk.source(local("2026-03-29T01:00", "2026-03-29T02:00"), timezone="Europe/Berlin").forecast(
            "DE", start, start + HOUR
        )


def test_a_header_that_says_utc_is_believed(desk: Desk) -> None:
    with pytest.raises(
        ConfigurationError, match=r"timezone: found Europe/Berlin, but the header .* says UTC"
    ):
        desk.values("datetime_utc,DE\n2026-03-02,1\n2026-03-03,2\n", zone="DE", timezone="Europe/Berlin")


def test_pounds_a_megawatt_hour_become_grams_a_kilowatt_hour(desk: Desk) -> None:
    assert [pytest.approx(475.55, abs=0.01), pytest.approx(0.45359237)] == desk.values(
        plain(1048.41, 1), unit="lb/MWh"
    )


def test_the_settings_say_what_a_plain_file_cannot(desk: Desk) -> None:
    source = desk.source(plain(1, 2), signal="marginal", scope="direct")

    assert (Signal.MARGINAL, Scope.DIRECT) == (source.measure.signal, source.measure.scope)


def test_a_column_can_be_chosen(desk: Desk) -> None:
    content = "utc_time,ci_direct_actual,coal_mwh\n2026-03-02 00:00,10,5\n2026-03-02 01:00,20,6\n"

    assert [10, 20] == desk.values(content, column="CI_direct_actual")
    assert Scope.DIRECT == desk.source(content, column="ci_direct_actual").measure.scope
    with pytest.raises(
        ConfigurationError, match="column: found nothing, accepted: the one that holds the intensity"
    ):
        desk.values(content)
    with pytest.raises(
        ConfigurationError, match="column: found 'coal', accepted: one of 'utc_time', 'ci_direct_actual'"
    ):
        desk.values(content, column="coal")


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(desk: Desk) -> None:
    source = desk.source(plain(1, 2))
    assert [1, 2] == source.forecast("GB", NOW, NOW + 9 * HOUR).g_per_kwh.tolist()
    stamp = desk.path.stat()

    # same length, same time, same file: nothing tells that it changed
    desk.path.write_text(plain(3, 4), encoding="utf-8")
    os.utime(desk.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert [1, 2] == source.forecast("GB", NOW, NOW + 9 * HOUR).g_per_kwh.tolist()

    os.utime(desk.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert [3, 4] == source.forecast("GB", NOW, NOW + 9 * HOUR).g_per_kwh.tolist()


@pytest.mark.parametrize(
    ("name", "zone", "start", "value"),
    [
        ("electricitymaps-portal/ES_2021_hourly.csv.gz", "ES", "2021-01-01T00:00Z", 143.06),
        ("electricitymaps-zones-2022/zones_2022_hourly_lca.csv.gz", "AU-SA", "2022-01-01T00:00Z", 144.64),
        ("neso-carbon-intensity/gb_national_actual_2023-03-14_19.csv", "GB", "2023-03-14T03:30Z", 78),
        ("neso-carbon-intensity/gb_national_forecast_snapshots_2023-03-14_17.csv", "GB", "2023-03-14T03:30Z", 69),
        ("entsoe-2020/gb_ci_30min_ipcc.csv.gz", "GB", "2020-03-15T00:00Z", 92.498529),
        ("dacf/DE_day_ahead_forecast_vs_actual_2021H2.csv.gz", "DE", "2021-08-15T00:00Z", 252.75),
        ("provider-samples/static-csv/cats_24h_half_hourly.csv", "GB", "2023-05-04T12:30Z", 11),
        ("provider-samples/static-csv/lets_wait_awhile_ger_ci_head.csv", "DE", "2019-12-20T00:00Z", 218.290031),
        ("provider-samples/static-csv/watttime_vessim_example_head.csv", "Caiso_North", "2023-06-08T00:00Z", 425.016051),
        ("provider-samples/static-csv/co2signal_polled_AUS-NSW_head.csv", "AUS-NSW", "2021-10-08T15:00Z", 746),
        ("provider-samples/static-csv/electricitymaps_yearly_old_header_BR_2021_head.csv", "BR", "2021-01-01T00:00Z", 155.8),
    ],
)  # fmt: skip
def test_real_files_are_read(test_data: Path, name: str, zone: str, start: str, value: float) -> None:
    instant = datetime.fromisoformat(start)
    source = build({"path": str(test_data / name)}, context(FakeClock(instant)))

    assert value == source.forecast(zone, instant, instant + HOUR).at(instant)
    assert zone in source.zones() or ["local"] == list(source.zones())
