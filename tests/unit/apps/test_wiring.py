"""The plan of one job: at the home that is said, on the best level that knows it, without waiting for who is silent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.adapters.clock import StoppedClock
from cleanhours.adapters.forecast_patience import Patience
from cleanhours.adapters.settings import Settings, load_settings
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.errors import ConfigurationError, NotConfigured
from cleanhours.domain.intensity import Signal
from cleanhours.domain.requests import JobRequest
from cleanhours.testing.clocks import MONDAY, FakeClock
from tests.flow.command_line import write_trace
from tests.unit.forecasts.worlds import Neso

TWO_PLACES = """
[locations.clean]
zone = "FR"
[locations.dirty]
zone = "PL"
[forecasts]
chain = ["climatology"]
[forecasts.zones]
FR = ["csv:{folder}/clean.csv"]
PL = ["csv:{folder}/dirty.csv"]
"""


def settings(folder: Path, text: str) -> Settings:
    (folder / "cleanhours.toml").write_text(text)
    return load_settings(environment={"HOME": str(folder)}, folder=folder, system=folder)


@pytest.fixture
def two_places(tmp_path: Path) -> Wiring:
    write_trace(tmp_path / "clean.csv", [50.0] * 48)
    write_trace(tmp_path / "dirty.csv", [500.0] * 48)
    text = TWO_PLACES.format(folder=tmp_path)
    return Wiring(lambda: settings(tmp_path, text), clock=StoppedClock(MONDAY))


def request(*locations: str, at: datetime = MONDAY) -> JobRequest:
    hour = timedelta(hours=1)
    return JobRequest(submitted=at, duration=hour, max_delay=12 * hour, locations=locations, power_w=1000.0)


@pytest.mark.parametrize(
    ("home", "locations", "location", "baseline"),
    [
        (None, (), "clean", 50),
        (None, ("dirty", "clean"), "clean", 500),
        (None, ("elsewhere", "dirty"), "dirty", 500),
        ("dirty", (), "dirty", 500),
        ("clean", ("dirty",), "clean", 50),
        ("dirty", ("clean",), "clean", 500),
    ],
)
def test_home_is_what_is_said_else_the_first_of_the_request_else_of_the_settings(
    two_places: Wiring, home: str | None, locations: tuple[str, ...], location: str, baseline: float
) -> None:
    plan = two_places.plan(request(*locations), home=home)

    assert location == plan.location
    assert pytest.approx(baseline) == plan.baseline_g


def test_a_home_that_nobody_configured_is_refused(two_places: Wiring) -> None:
    with pytest.raises(NotConfigured, match="no location 'mars' is configured; known: clean, dirty"):
        two_places.plan(request(), home="mars")


@pytest.fixture
def neso() -> Iterator[Neso]:
    service = Neso(FakeClock(MONDAY))
    yield service
    service.close()


def test_a_provider_that_never_answers_costs_the_patience_there_is_and_leaves_a_typical_plan(
    tmp_path: Path, neso: Neso
) -> None:
    neso.silent = threading.Event()
    told = settings(tmp_path, f'[forecasts.sources.neso]\nbase_url = "{neso.url}"')
    providers = []
    for _ in range(2):
        wiring = Wiring(lambda: told, clock=StoppedClock(MONDAY), patience=Patience(0.2))
        plan = wiring.plan(request())
        providers.append(plan.forecast and plan.forecast.provider)

    assert ["climatology"] * 2 == providers
    assert 1 == len(neso.asked)


def test_a_second_measure_comes_from_sources_that_tell_what_was(tmp_path: Path) -> None:
    write_trace(tmp_path / "marginal.csv", [700.0] * 48)
    second = f"csv:{tmp_path / 'marginal.csv'}?signal=marginal&zone=GB"

    def wired(*beside: str) -> Wiring:
        text = f"[forecasts]\nbeside = [{', '.join(map(repr, beside))}]"
        return Wiring(lambda: settings(tmp_path, text), clock=StoppedClock(MONDAY + timedelta(hours=9)))

    outlook = wired(second).beside
    assert outlook is not None
    assert Signal.MARGINAL is outlook.actual("GB", MONDAY, MONDAY + timedelta(hours=2)).measure.signal
    assert wired().beside is None
    assert wired(second).at(MONDAY, "climatology", "GB").beside is None
    with pytest.raises(
        ConfigurationError, match=r"forecasts\.beside: found 'climatology', accepted: sources that"
    ):
        _ = wired(second, "climatology").beside
