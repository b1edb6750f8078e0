"""The chain: its words, its levels, who answers for whom, and that nobody's trouble is another's."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest

from cleanhours.adapters.forecast_chain import Chain, Fallback, Sourced, from_spec, read_link, sourced
from cleanhours.domain.errors import ConfigurationError, SeriesError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Scope
from cleanhours.domain.zones import Unserved
from cleanhours.ports import ForecastSource, Observing, Outlook, Screening
from cleanhours.testing.clocks import MONDAY, FakeClock
from cleanhours.testing.forecast_sources import FakeForecastSource
from cleanhours.testing.telemetry import FakeTelemetry

HOUR = timedelta(hours=1)
LIFECYCLE, DIRECT = Measure(), Measure(scope=Scope.DIRECT)


def flat(zone: str, value: float, measure: Measure = LIFECYCLE, count: int = 96) -> IntensitySeries:
    starts = int(MONDAY.timestamp()) + 3600 * np.arange(count, dtype=np.int64)
    return IntensitySeries.of(zone, starts, np.full(count, value), step=HOUR, measure=measure)


class World:
    """A clock, and sources wrapped as the settings would wrap them."""

    def __init__(self) -> None:
        self.clock = FakeClock(MONDAY)
        self.telemetry = FakeTelemetry()

    def fake(self, name: str, *series: IntensitySeries) -> FakeForecastSource:
        return FakeForecastSource({one.zone: one for one in series}, self.clock, name=name)

    def wrap(self, source: FakeForecastSource, **how: Any) -> Sourced:
        return sourced(source, clock=self.clock, telemetry=self.telemetry, **how)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("text", "plugin", "settings"),
    [
        ("neso", "neso", {}),
        ("csv:trace.csv", "csv", {"path": "trace.csv"}),
        ("csv:/a b/trace.csv.gz?scope=direct&zone=GB", "csv", {"path": "/a b/trace.csv.gz", "scope": "direct", "zone": "GB"}),
        ("csv:trace.csv?zone=GB:13&timezone=Europe/London", "csv", {"path": "trace.csv", "zone": "GB:13", "timezone": "Europe/London"}),
        ("neso?base_url=http://127.0.0.1:80/x", "neso", {"base_url": "http://127.0.0.1:80/x"}),
        ("csv:C:/x.csv?column=a%26b", "csv", {"path": "C:/x.csv", "column": "a&b"}),
    ],
)  # fmt: skip
def test_a_link_is_a_source_with_its_settings(text: str, plugin: str, settings: dict[str, str]) -> None:
    assert (plugin, settings) == (read_link(text).plugin, from_spec(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "csv:",
        "csv:?zone=GB",
        "csv:x?",
        "csv:x?zone",
        "csv:x?zone=A&zone=B",
        "csv:x?path=y",
        " csv:x",
        "history:",
        "history:history:neso",
    ],
)
def test_a_link_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="forecast chain: found"):
        read_link(text)


def test_history_is_a_word_before_a_source() -> None:
    link = read_link("history:csv:trace.csv?zone=GB")

    assert ("csv", {"path": "trace.csv", "zone": "GB"}, True) == (
        link.plugin,
        link.settings,
        link.from_history,
    )


def test_each_level_holds_what_its_source_knows_of_each_zone(world: World) -> None:
    best = world.fake("best", flat("GB", 1))
    last = world.fake("last", flat("GB", 2), flat("DE", 3))
    chain = Chain([world.wrap(best), world.wrap(last)])

    first, second = chain.levels(["GB", "DE", "ATLANTIS"], MONDAY, MONDAY + HOUR)

    assert {"GB": 1} == {zone: series.at(MONDAY) for zone, series in first.items()}
    assert {"GB": 2, "DE": 3} == {zone: series.at(MONDAY) for zone, series in second.items()}


def test_who_needs_the_best_level_alone_asks_nobody_else(world: World) -> None:
    best, last = world.fake("best", flat("GB", 1)), world.fake("last", flat("GB", 2))
    deepening = Chain([world.wrap(best), world.wrap(last)]).deepening(["GB"], MONDAY, MONDAY + HOUR)

    assert [["GB"]] == [list(level) for level in next(deepening)]
    assert [] == last.asked
    assert [["GB"], ["GB"]] == [list(level) for level in next(deepening)]
    assert [] == list(deepening)


def test_a_zone_may_have_a_chain_of_its_own(world: World) -> None:
    chain = Chain(
        [world.wrap(world.fake("a", flat("GB", 1), flat("DE", 1)))],
        {"DE": [world.wrap(world.fake("b", flat("DE", 2))), world.wrap(world.fake("c", flat("DE", 3)))]},
    )

    levels = chain.levels(["GB", "DE"], MONDAY, MONDAY + HOUR)

    assert [{"GB": 1, "DE": 2}, {"DE": 3}] == [
        {z: s.at(MONDAY) for z, s in level.items()} for level in levels
    ]
    assert ["a", "b", "c"] == [link.name for link in chain.every]


@pytest.mark.parametrize(
    "error", [TemporaryError("x"), SeriesError("x"), ConfigurationError("x"), ZeroDivisionError("x")]
)
def test_a_source_that_fails_is_absent_and_the_others_are_not(world: World, error: Exception) -> None:
    broken = world.fake("broken", flat("GB", 1))
    broken.error = error
    chain = Chain([world.wrap(broken), world.wrap(world.fake("good", flat("GB", 2)))])

    assert [[], ["GB"]] == [list(level) for level in chain.levels(["GB"], MONDAY, MONDAY + HOUR)]


def test_a_chain_is_an_outlook(world: World) -> None:
    chain: Outlook = Chain([])

    assert [] == list(chain.levels(["GB"], MONDAY, MONDAY + HOUR))
    assert timedelta(days=7) == chain.final_after("GB")
    with pytest.raises(TemporaryError, match="no source of its chain observes"):
        chain.actual("GB", MONDAY, MONDAY + HOUR)


class Typical(FakeForecastSource):
    typical = True

    def forecast(self, zone: str, start: Any, end: Any) -> IntensitySeries:
        series = super().forecast(zone, start, end)
        return replace(series, kinds=np.full(len(series), list(Kind).index(Kind.TYPICAL), np.uint8))

    actual = None  # type: ignore[assignment]


def test_actuals_come_from_the_first_that_knows_them_all_then_in_part_then_as_typical(world: World) -> None:
    part = world.fake("part", flat("GB", 1, count=2))
    whole = world.fake("whole", flat("GB", 2))
    typical = Typical({"GB": flat("GB", 3)}, world.clock, name="typical")
    chain = Chain([world.wrap(part), world.wrap(whole), Sourced(typical, typical)])
    world.clock.set(MONDAY + 9 * HOUR)

    def found() -> tuple[float, Kind]:
        series = chain.actual("GB", MONDAY, MONDAY + 4 * HOUR)
        return series.at(MONDAY), series.worst_kind(MONDAY, MONDAY + HOUR)

    assert (2, Kind.ACTUAL) == found()
    whole.error = TemporaryError("down")
    assert (1, Kind.ACTUAL) == found()
    part.error = TemporaryError("down")
    assert (3, Kind.TYPICAL) == found()
    typical.error = TemporaryError("down")
    with pytest.raises(TemporaryError, match="what was in GB is not known: down; down; down"):
        found()
    with pytest.raises(UnknownZone):
        Chain([world.wrap(world.fake("x", flat("GB", 1)))]).actual("DE", MONDAY, MONDAY + HOUR)


def test_a_fallback_takes_the_next_source_but_never_another_measure(world: World) -> None:
    first = world.fake("first", flat("GB", 1))
    other = world.fake("other", flat("GB", 2, DIRECT))
    third = world.fake("third", flat("GB", 3))
    fallback = Fallback([world.wrap(source) for source in (first, other, third)])

    assert 1 == fallback.forecast("GB", MONDAY, MONDAY + HOUR).at(MONDAY)
    first.error = TemporaryError("down")
    assert 3 == fallback.forecast("GB", MONDAY, MONDAY + HOUR).at(MONDAY)
    third.error = SeriesError("nonsense")
    with pytest.raises(
        TemporaryError, match=r"no source knows GB: down; other measures .*direct.*; nonsense"
    ):
        fallback.forecast("GB", MONDAY, MONDAY + HOUR)
    fallback = Fallback([world.wrap(other), world.wrap(world.fake("x", flat("FR", 1)))])
    with pytest.raises(UnknownZone):
        fallback.forecast("DE", MONDAY, MONDAY + HOUR)


def test_trouble_is_said_once_and_its_end_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    source = world.fake("moody", flat("GB", 1))
    wrapped = world.wrap(source).wrapped
    caplog.set_level(logging.INFO)

    for error in [None, TemporaryError("down")] + [TemporaryError("still down")] * 5 + [None, None]:
        source.error = error
        Chain([Sourced(source, wrapped)]).levels(["GB"], MONDAY, MONDAY + HOUR)

    assert [
        ("WARNING", "moody has no forecast for GB: down"),
        ("INFO", "moody answers again for GB (forecast)"),
    ] == [(record.levelname, record.message) for record in caplog.records]
    assert {"ok": 3, "temporary": 6} == {
        dict(labels)["outcome"]: count for (_, labels), count in world.telemetry.counted.items()
    }


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (flat("DE", 1), "asked for zone GB, answered for DE"),
        (flat("GB", 1, DIRECT), "declares .* answered .*direct"),
        (replace(flat("GB", 1), micrograms=np.full(96, -1, np.int64)), r"-1e-06 \(96 such\), accepted: 0 to 5000"),
        (replace(flat("GB", 1), borders=flat("GB", 1).borders[::-1]), "borders that do not rise"),
        (replace(flat("GB", 1), borders=flat("GB", 1).borders[:5]), "5 borders and 96 kinds for 96 values"),
        (replace(flat("GB", 1), borders=flat("GB", 1).borders + 7200), "asked from .*T00:00:00Z, answered from .*T02:00:00Z"),
        (replace(flat("GB", 1), issued_at=MONDAY + 3 * HOUR), "3h from now: one of the clocks is wrong"),
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_does_not_come_through(
    world: World, answer: IntensitySeries, said: str
) -> None:
    class Careless(FakeForecastSource):
        def forecast(self, zone: str, start: Any, end: Any) -> IntensitySeries:
            return answer

    source = Careless({"GB": flat("GB", 1)}, world.clock)

    with pytest.raises(SeriesError, match=said):
        world.wrap(source).wrapped.forecast("GB", MONDAY, MONDAY + HOUR)


@pytest.mark.parametrize("age", [timedelta(hours=48), timedelta(hours=49)])
def test_a_stale_forecast_is_no_forecast(world: World, age: timedelta) -> None:
    source = world.fake("old", replace(flat("GB", 1), issued_at=MONDAY - age))

    if age == timedelta(hours=48):
        assert world.wrap(source).wrapped.forecast("GB", MONDAY, MONDAY + HOUR)
    else:
        with pytest.raises(
            TemporaryError, match="stale: issued at 2026-02-27T23:00:00Z, 2d1h ago, accepted: 2d"
        ):
            world.wrap(source).wrapped.forecast("GB", MONDAY, MONDAY + HOUR)


def test_optional_powers_are_those_of_the_bare_plugin(world: World, tmp_path: Path) -> None:
    class Blind:
        name = "blind"

        def forecast(self, zone: str, start: Any, end: Any) -> IntensitySeries:
            return flat("GB", 1)

    blind = sourced(Blind(), clock=world.clock, telemetry=world.telemetry, cache_folder=tmp_path)
    seeing = world.wrap(world.fake("seeing", flat("GB", 1)), cache_folder=tmp_path)

    assert (None, None, None) == (blind.actuals, blind.measure, blind.zones)
    assert isinstance(seeing.actuals, Observing)
    assert (Measure(), ["GB"]) == (seeing.measure, seeing.zones)
    assert not isinstance(seeing.wrapped, Observing)
    with pytest.raises(ConfigurationError, match="history:blind: blind does not observe"):
        sourced(Blind(), clock=world.clock, telemetry=world.telemetry, from_history=True)


def test_a_source_with_a_past_forecasts_from_it(world: World) -> None:
    starts = int((MONDAY - timedelta(days=30)).timestamp()) + 3600 * np.arange(31 * 24, dtype=np.int64)
    daily = (200 + np.arange(starts.size) % 24).astype(np.float64)
    past = IntensitySeries.of("GB", starts, daily, step=HOUR)
    link = world.wrap(world.fake("meter", past), from_history=True)

    world.clock.set(MONDAY + HOUR / 2)
    series = link.wrapped.forecast("GB", MONDAY, MONDAY + timedelta(days=2))

    assert [200.0 + hour for hour in range(24)] * 2 == pytest.approx(series.resample(HOUR).g_per_kwh.tolist())
    assert (Kind.ACTUAL, Kind.FORECAST) == (series.kind_at(MONDAY), series.kind_at(MONDAY + HOUR))
    assert ("history:meter", MONDAY + HOUR / 2) == (series.provider, series.issued_at)
    world.clock.set(MONDAY + timedelta(days=9))
    with pytest.raises(TemporaryError, match="meter"):
        link.wrapped.forecast("GB", world.clock.now(), world.clock.now() + HOUR)


def test_a_past_with_a_gap_is_asked_behind_it(world: World) -> None:
    class Gappy(FakeForecastSource):
        def actual(self, zone: str, start: Any, end: Any) -> IntensitySeries:
            gap = MONDAY - timedelta(days=5)
            if start < gap:
                return super().actual(zone, start, gap)
            return super().actual(zone, max(start, gap + 3 * HOUR), end)

    starts = int((MONDAY - timedelta(days=30)).timestamp()) + 3600 * np.arange(31 * 24, dtype=np.int64)
    past = IntensitySeries.of("GB", starts, (200 + np.arange(starts.size) % 24).astype(np.float64), step=HOUR)
    link = world.wrap(Gappy({"GB": past}, world.clock), from_history=True)

    series = link.wrapped.forecast("GB", MONDAY, MONDAY + timedelta(days=1))

    assert [200.0 + hour for hour in range(24)] == pytest.approx(series.g_per_kwh.tolist())


class Unlisted:
    """A source that cannot say which zones it serves before it is asked for one."""

    name = "unlisted"

    def __init__(self, of: FakeForecastSource) -> None:
        self._of = of

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        return self._of.forecast(zone, start, end)


class Faulty(FakeForecastSource):
    def zones(self) -> Never:
        raise RuntimeError("what nobody foresaw")


def test_a_zone_is_unserved_when_every_source_of_its_chain_says_so(world: World) -> None:
    first, second = world.fake("first", flat("GB", 1)), world.fake("second", flat("FR", 1), flat("GB", 2))
    of_no = [world.wrap(world.fake("third", flat("NO", 1)))]
    chain = Chain([world.wrap(first), world.wrap(second, from_history=True)], {"FR": of_no})

    assert isinstance(chain, Screening)
    assert Unserved("DEE", ("first", "history:second"), ("FR", "GB")) == chain.unserved("DEE")
    assert Unserved("FR", ("third",), ("NO",)) == chain.unserved("FR")
    assert None is chain.unserved("GB")
    assert None is Chain([]).unserved("GB")
    assert [] == [*first.asked, *second.asked], "nobody was asked"


def test_who_cannot_say_what_he_serves_is_believed_once_he_refused(world: World) -> None:
    fake = world.fake("fake", flat("GB", 1))
    source: ForecastSource = Unlisted(fake)
    chain = Chain([sourced(source, clock=world.clock, telemetry=world.telemetry)])
    assert None is chain.unserved("DEE")

    fake.error = TemporaryError("away")
    chain.levels(["DEE"], MONDAY, MONDAY + HOUR)
    assert None is chain.unserved("DEE")

    fake.error = None
    chain.levels(["DEE", "GB"], MONDAY, MONDAY + HOUR)
    assert Unserved("DEE", ("unlisted",)) == chain.unserved("DEE")
    assert None is chain.unserved("GB")


def test_a_fault_in_a_plugin_makes_no_zone_unserved(world: World) -> None:
    faulty = Faulty({"GB": flat("GB", 1)}, world.clock)
    chain = Chain([world.wrap(faulty)])
    assert None is chain.unserved("DEE")

    chain.levels(["DEE"], MONDAY, MONDAY + HOUR)
    assert Unserved("DEE", ("fake",)) == chain.unserved("DEE")


class Postal(FakeForecastSource):
    """A source that serves more zones than it lists, as postcodes are."""

    def serves(self, zone: str) -> bool:
        return zone.startswith("GB")


def test_a_zone_is_observed_by_who_serves_it_listed_or_not(world: World) -> None:
    """Runs in a zone that is, wait for what really was; others are closed on typical values at once."""
    postal = Chain([world.wrap(Postal({"GB": flat("GB", 1)}, world.clock))])
    faulty = Chain([world.wrap(Faulty({"GB": flat("GB", 1)}, world.clock))])
    typical = Chain([world.wrap(Typical({"GB": flat("GB", 1)}, world.clock))])

    assert [True, True, False] == [postal.observes(zone) for zone in ("GB", "GB:OX1", "FR")]
    assert faulty.observes("GB")
    assert not typical.observes("GB")
