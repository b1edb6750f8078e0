"""A provider goes away for days: the real cache and chain fall to typical values, and the age of its forecast grows on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cleanhours.adapters.exposition import PREFIX, Exposition, PrometheusTelemetry
from cleanhours.adapters.forecast_chain import Chain, sourced
from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.testing.clocks import MONDAY, FakeClock
from cleanhours.testing.forecast_sources import FakeForecastSource
from cleanhours_plugins.forecasts.climatology import Climatology
from tests.flow.test_cycle import Stage, grid

HOUR = timedelta(hours=1)
STEP = timedelta(minutes=15)
LOST, BACK, END = MONDAY + 12 * HOUR, MONDAY + 48 * HOUR, MONDAY + 60 * HOUR
STALE_S = 6 * 3600
Ages = dict[str, float]


class Issuing(FakeForecastSource):
    """Each answer was issued just now, as NESO's are."""

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        return replace(super().forecast(zone, start, end), issued_at=self._clock.now())


def a_provider_that_goes_away(folder: Path) -> Iterator[tuple[datetime, Exposition]]:
    """What the whole cycle tells every quarter of an hour. GB has a provider, from LOST to BACK a dead one; FR never had any."""
    yield from lived(Stage(others={"there": "FR"}), folder, END)


def lived(stage: Stage, folder: Path, until: datetime) -> Iterator[tuple[datetime, Exposition]]:
    """A controller that keeps its forecasts in `folder`, from the stage's now."""
    provider = Issuing({"GB": grid(days=12)}, stage.clock, name="neso")
    links = (provider, Climatology())
    wrapped = [
        sourced(one, clock=stage.clock, telemetry=stage.telemetry, cache_folder=folder) for one in links
    ]
    stage.world.forecasts.outlook = Chain(wrapped)
    exposition = Exposition(stage.ledger, PrometheusTelemetry(), clusters=["local"])
    while stage.clock.now() < until:
        away = LOST <= stage.clock.now() < BACK
        provider.error = TemporaryError("neso is away") if away else None
        stage.world.forecasts.renew_known(stage.clock.now())
        stage.reconciler.tick()
        assert stage.reconciler.snapshot is not None
        exposition.show(stage.reconciler.snapshot)
        yield stage.clock.now(), exposition
        stage.clock.advance(STEP)


def told(exposition: Exposition, name: str) -> Iterator[tuple[dict[str, str], float]]:
    for metric in exposition.collect():
        for sample in metric.samples:
            if sample.name == PREFIX + name:
                yield dict(sample.labels), sample.value


def test_a_controller_started_meanwhile_tells_the_age_of_what_the_one_before_it_had(tmp_path: Path) -> None:
    clock = FakeClock(MONDAY)
    for _ in lived(Stage(clock=clock, others={"there": "FR"}), tmp_path, LOST + 20 * HOUR):
        pass
    ages = [
        {worn["zone"]: age for worn, age in told(exposition, "forecast_age_seconds")}
        for _, exposition in lived(Stage(clock=clock, others={"there": "FR"}), tmp_path, BACK + HOUR)
    ]

    assert 20 * 3600 <= ages[0]["GB"] <= 21 * 3600
    assert ages[-1]["GB"] < 3600, "and then it is back"
    assert all({"GB"} == told.keys() for told in ages)


def test_the_age_grows_as_long_as_the_provider_is_away(tmp_path: Path) -> None:
    ages: dict[datetime, Ages] = {}
    typical: set[datetime] = set()
    for now, exposition in a_provider_that_goes_away(tmp_path):
        ages[now] = {worn["zone"]: age for worn, age in told(exposition, "forecast_age_seconds")}
        for worn, _ in told(exposition, "carbon_intensity_grams_per_kwh"):
            if (worn["zone"], worn["kind"], worn["lead"]) == ("GB", "typical", "0h"):
                typical.add(now)

    assert BACK - LOST - 7 * HOUR < len(typical) * STEP < BACK - LOST, "the plans stood on typical values"
    assert all({"GB"} == told.keys() for told in ages.values()), "FR stands on typical values from the start"
    stale = {now for now, told in ages.items() if told["GB"] > STALE_S}
    assert LOST + 5 * HOUR < min(stale) <= LOST + 6.5 * HOUR
    assert {now for now in ages if min(stale) <= now < BACK} == stale, "the alert would come and go"
    assert BACK - LOST - HOUR / 2 <= timedelta(seconds=max(told["GB"] for told in ages.values()))
