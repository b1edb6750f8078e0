"""Great Britain's API: what is asked, what is made of the answers, and every trap it is known for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.domain.errors import ConfigurationError, SeriesError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import Kind, Scope
from cleanhours.http import Session
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.forecasts.neso import NesoForecasts, build, place_of, question, read
from tests.unit.forecasts.worlds import Neso, context, value_at

NOW = datetime(2026, 3, 2, 12, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def service(clock: FakeClock) -> Iterator[Neso]:
    service = Neso(clock)
    yield service
    service.close()


@pytest.fixture
def source(service: Neso, clock: FakeClock) -> Iterator[NesoForecasts]:
    session = Session(pause=lambda _: None, timeout_s=1, retries=1)
    yield NesoForecasts(clock, service.url, session)
    session.close()


def test_48_half_hours_ahead_come_as_a_forecast(source: NesoForecasts) -> None:
    series = source.forecast("GB", NOW, NOW + timedelta(hours=24))

    assert datetime(2026, 3, 2, 12, tzinfo=UTC) == series.start
    assert datetime(2026, 3, 3, 12, 30, tzinfo=UTC) == series.end
    assert value_at(NOW) == series.at(NOW)
    assert {Kind.FORECAST} == set(series.known_as)
    assert (Scope.DIRECT, "neso", NOW) == (series.measure.scope, series.provider, series.issued_at)


def test_asked_on_a_border_the_half_hour_before_it_is_not_taken_for_the_first(
    source: NesoForecasts, service: Neso
) -> None:
    border = datetime(2026, 3, 2, 21, tzinfo=UTC)

    series = source.forecast("GB", border, border + HOUR)

    assert ["/intensity/2026-03-02T21:01Z/fw48h"] == service.asked
    assert border == series.start


def test_a_half_hour_answered_too_early_is_dropped(source: NesoForecasts, service: Neso) -> None:
    border = datetime(2026, 3, 2, 21, tzinfo=UTC)
    rows = service.rows(border, border + HOUR, actuals=True)
    assert rows[0]["from"] == "2026-03-02T20:30Z"
    service.answers = [(200, json.dumps({"data": rows}))]

    assert border == source.forecast("GB", border, border + HOUR).start


def test_a_region_comes_in_an_envelope_of_its_own(source: NesoForecasts, service: Neso) -> None:
    series = source.forecast("GB:13", NOW, NOW + HOUR)

    assert ["/regional/intensity/2026-03-02T12:01Z/fw48h/regionid/13"] == service.asked
    assert ("GB:13", value_at(NOW)) == (series.zone, series.at(NOW))


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_postcode_comes_as_a_list_or_as_an_object(
    source: NesoForecasts, service: Neso, wrapped: bool
) -> None:
    inner = {"regionid": 3, "postcode": "RG10", "data": service.rows(NOW, NOW + HOUR, actuals=False)}
    service.answers = [(200, json.dumps({"data": [inner] if wrapped else inner}))]

    series = source.forecast("GB:postcode:RG10", NOW, NOW + HOUR)

    assert ["/regional/intensity/2026-03-02T12:01Z/fw48h/postcode/RG10"] == service.asked
    assert value_at(NOW) == series.at(NOW)


def test_ranges_are_asked_in_utc_and_each_half_hour_counts_once(
    source: NesoForecasts, service: Neso, clock: FakeClock
) -> None:
    # clocks in Great Britain went forward at 01:00 UTC on 29 March 2026: a local day has 46 half hours
    clock.set(datetime(2026, 4, 20, tzinfo=UTC))
    start = datetime(2026, 3, 20, tzinfo=UTC)

    series = source.actual("GB", start, start + timedelta(days=20))

    assert (start, start + timedelta(days=20)) == (series.start, series.end)
    assert 20 * 48 == len(series)
    assert [
        "/intensity/2026-03-20T00:01Z/2026-04-01T23:31Z",
        "/intensity/2026-04-02T00:01Z/2026-04-08T23:31Z",
    ] == service.asked


def test_a_short_forecast_ends_early(source: NesoForecasts, service: Neso) -> None:
    service.horizon = timedelta(hours=15)

    series = source.forecast("GB", NOW, NOW + timedelta(hours=48))

    assert NOW.replace(hour=3, minute=30) + timedelta(days=1) == series.end


def test_what_really_was_takes_the_place_of_its_forecast(source: NesoForecasts) -> None:
    series = source.forecast("GB", NOW - 2 * HOUR, NOW + HOUR)

    assert value_at(NOW - 2 * HOUR) + 10 == series.at(NOW - 2 * HOUR)
    assert (Kind.ACTUAL, Kind.FORECAST) == (series.kind_at(NOW - HOUR), series.kind_at(NOW))


def test_actuals_end_where_they_are_published(source: NesoForecasts) -> None:
    series = source.actual("GB", NOW - 3 * HOUR, NOW + 3 * HOUR)

    assert {Kind.ACTUAL} == set(series.known_as)
    assert NOW.replace(minute=0) == series.end


def test_a_region_has_estimates_for_actuals(source: NesoForecasts) -> None:
    series = source.actual("GB:17", NOW - 3 * HOUR, NOW + 3 * HOUR)

    assert {Kind.ESTIMATED} == set(series.known_as)
    assert NOW.replace(minute=0) == series.end


def test_a_gap_ends_the_forecast_and_is_not_bridged(source: NesoForecasts, service: Neso) -> None:
    rows = service.rows(NOW, NOW + 4 * HOUR, actuals=True)
    rows[3]["intensity"]["forecast"] = None
    service.answers = [(200, json.dumps({"data": rows}))]

    assert NOW.replace(hour=13, minute=30) == source.forecast("GB", NOW, NOW + 4 * HOUR).end


def test_zero_is_a_value_here(source: NesoForecasts, service: Neso) -> None:
    rows = service.rows(NOW, NOW + HOUR, actuals=False)
    rows[0]["intensity"]["forecast"] = 0
    service.answers = [(200, json.dumps({"data": {"data": rows}}))]

    assert source.forecast("GB:1", NOW, NOW + HOUR).at(NOW) == 0


@pytest.mark.parametrize("zone", ["GB", "GB:13", "GB:postcode:RG10"])
@pytest.mark.parametrize("body", ["{}", '{"data":[]}', '{"data":{"regionid":1,"data":[]}}'])
def test_an_answer_of_nothing_may_be_better_at_the_next_tick(
    source: NesoForecasts, service: Neso, zone: str, body: str
) -> None:
    service.answers = [(200, body)]

    with pytest.raises(TemporaryError, match="nothing known at 2026-03-02T12:10:00Z"):
        source.forecast(zone, NOW, NOW + HOUR)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html><body>Bad gateway</body></html>", "no JSON but '<html>"),
        ('{"data": {"regionid": 1}}', "no list of half hours"),
        ('{"error": "x"}', "without data"),
        ("[1, 2]", "without data"),
        ('{"data": [{"from": "2026-03-02T12:00Z"}]}', "no half hour"),
        ('{"data": [7]}', "no half hour"),
        (
            '{"data": [{"from": "2026-03-02T12:00Z", "to": "2026-03-02T12:30Z", "intensity": {"forecast": "12"}}]}',
            "intensity '12', accepted: a number or null",
        ),
        (
            '{"data": [{"from": "2026-03-02T12:00Z", "to": "2026-03-02T14:00Z", "intensity": {"forecast": 1}}]}',
            "no half hour: from 2026-03-02T12:00Z to 2026-03-02T14:00Z",
        ),
        (
            '{"data": [{"from": "2026-03-02T12:00Z", "to": "2026-03-02T12:30Z", "intensity": {"forecast": -5}}]}',
            "-5.0 at 2026-03-02T12:00:00Z",
        ),
        (
            '{"data": [{"from": "2026-03-02T12:00Z", "to": "2026-03-02T12:30Z", "intensity": {"forecast": NaN}}]}',
            "nan at 2026-03-02T12:00:00Z",
        ),
    ],
)
def test_an_answer_without_sense_says_what_it_was(
    source: NesoForecasts, service: Neso, body: str, said: str
) -> None:
    service.answers = [(200, body)]

    with pytest.raises(SeriesError) as refused:
        source.forecast("GB", NOW, NOW + HOUR)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, TemporaryError),
        (401, ConfigurationError),
        (403, ConfigurationError),
        (404, ConfigurationError),
        (429, TemporaryError),
        (500, TemporaryError),
    ],
)
def test_each_status_becomes_the_error_of_what_happens_next(
    source: NesoForecasts, service: Neso, status: int, error: type[Exception]
) -> None:
    outage = '{"error":{"code":"500 Internal Server Error","message":"Requested resource not found."}}'
    service.answers = [(status, outage)] * 4

    with pytest.raises(error, match="Requested resource not found"):
        source.forecast("GB", NOW, NOW + HOUR)


def test_a_server_that_does_not_answer_is_given_up(service: Neso, clock: FakeClock) -> None:
    service.silent = threading.Event()
    session = Session(pause=lambda _: None, timeout_s=0.05, retries=0)

    with pytest.raises(TemporaryError, match=r"no answer within 0\.05 s"):
        NesoForecasts(clock, service.url, session).forecast("GB", NOW, NOW + HOUR)

    session.close()


@pytest.mark.parametrize(
    "zone", ["DE", "GB:0", "GB:19", "GB:postcode:RG10/../x", "GB:postcode:", "gb:london", ""]
)
def test_a_zone_elsewhere_is_unknown_and_nobody_is_asked(
    source: NesoForecasts, service: Neso, zone: str
) -> None:
    with pytest.raises(UnknownZone):
        source.forecast(zone, NOW, NOW + HOUR)

    assert [] == service.asked


@pytest.mark.parametrize(
    "answer", [(200, ""), (400, '{"error":{"message":"No postcode match can be found."}}')]
)
def test_a_postcode_that_nobody_has_is_unknown(
    source: NesoForecasts, service: Neso, answer: tuple[int, str]
) -> None:
    service.answers = [answer]

    with pytest.raises(UnknownZone, match="GB:postcode:ZZ9"):
        source.forecast("GB:postcode:ZZ9", NOW, NOW + HOUR)


def test_only_the_outward_half_of_a_postcode_leaves_the_house() -> None:
    assert (
        question(place_of("GB:postcode:RG10 9XX"), NOW)
        == "/regional/intensity/2026-03-02T12:01Z/fw48h/postcode/RG10"
    )


def test_settings_it_does_not_know_are_refused_all_at_once(clock: FakeClock) -> None:
    with pytest.raises(ConfigurationError) as refused:
        build({"base_ulr": "x", "base_url": "ftp://x", "key": 1}, context(clock))

    for said in ("did you mean 'base_url'?", "key: found '1'", "base_url: found 'ftp://x'"):
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [
        ("national_fw48h_20231203.json", "2023-12-03T10:30Z", 96),
        ("regional_fw48h_regionid13_20231203.json", "2023-12-03T10:30Z", 96),
        ("national_fw24h_boundary_quirk_20200521.json", "2020-05-21T21:00Z", 48),
    ],
)
def test_recorded_answers_are_read(test_data: Path, name: str, first: str, count: int) -> None:
    start = datetime.fromisoformat(first)
    text = (test_data / "provider-samples" / "uk-carbon-intensity" / name).read_text(encoding="utf-8")

    rows = read(text, start)

    assert (start.timestamp(), count) == (rows[0].start, len(rows))
    assert all(row.forecast is not None for row in rows)
