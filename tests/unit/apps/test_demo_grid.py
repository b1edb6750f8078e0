from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cleanhours.apps.demo.grid import HOME, ZONES, DemoGrid
from cleanhours.domain.errors import TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure
from cleanhours.ports import Declaring, ForecastSource, Listing, Observing
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.forecast_sources import ForecastSourceContract

HOUR = timedelta(hours=1)
ORIGIN = datetime(2026, 6, 18, 16, tzinfo=UTC)


def grid_at(instant: datetime = ORIGIN, seed: int = 7) -> DemoGrid:
    return DemoGrid(FakeClock(instant), ORIGIN, seed=seed)


def day_of(zone: str) -> IntensitySeries:
    midnight = datetime(2026, 6, 19, tzinfo=UTC)
    return grid_at(ORIGIN + timedelta(days=5)).actual(zone, midnight, midnight + 24 * HOUR)


class TestTheDemoGridKeepsThePromisesOfASource(ForecastSourceContract):
    @pytest.fixture
    def source(self) -> ForecastSource:
        return grid_at()

    @pytest.fixture
    def zone(self) -> str:
        return HOME

    @pytest.fixture
    def start(self) -> datetime:
        return ORIGIN


def test_it_has_the_optional_powers_of_a_source() -> None:
    grid = grid_at()

    assert all(isinstance(grid, power) for power in (Observing, Declaring, Listing))
    assert ("demo", Measure()) == (grid.name, grid.measure)
    assert "no real data" in grid.attribution


def test_a_forecast_begins_with_the_interval_that_holds_its_start_and_reaches_48_hours() -> None:
    series = grid_at(ORIGIN + timedelta(minutes=40)).forecast(
        HOME, ORIGIN + timedelta(minutes=40), ORIGIN + 90 * HOUR
    )

    assert ORIGIN + timedelta(minutes=30) == series.start == series.issued_at
    assert ORIGIN + timedelta(minutes=30) + 48 * HOUR == series.end
    assert {Kind.FORECAST} == set(series.known_as)


def test_the_same_question_gets_the_same_answer_and_another_seed_another_grid() -> None:
    one, same, other = (grid_at(seed=seed).forecast(HOME, ORIGIN, ORIGIN + 24 * HOUR) for seed in (7, 7, 8))

    assert one.micrograms.tolist() == same.micrograms.tolist()
    assert one.micrograms.tolist() != other.micrograms.tolist()


def test_nothing_is_actual_before_it_is_over() -> None:
    series = grid_at(ORIGIN + timedelta(minutes=40)).actual(HOME, ORIGIN - HOUR, ORIGIN + 24 * HOUR)

    assert ORIGIN + timedelta(minutes=30) == series.end
    assert {Kind.ACTUAL} == set(series.known_as)


def test_an_actual_never_changes_as_time_goes_on() -> None:
    early, late = (
        grid_at(ORIGIN + days * 24 * HOUR).actual(HOME, ORIGIN - 9 * HOUR, ORIGIN) for days in (0, 6)
    )

    assert early.micrograms.tolist() == late.micrograms.tolist()


def test_forecasts_miss_and_miss_more_the_further_they_look() -> None:
    errors: dict[int, list[float]] = {1: [], 24: []}
    for hours in range(0, 200, 5):
        said = grid_at(ORIGIN + hours * HOUR).forecast(
            HOME, ORIGIN + hours * HOUR, ORIGIN + (hours + 26) * HOUR
        )
        was = grid_at(ORIGIN + 300 * HOUR).actual(HOME, said.start, said.end)
        for lead, found in errors.items():
            at = said.start + lead * HOUR
            found.append(abs(said.at(at) / was.at(at) - 1))

    assert 0 < float(np.mean(errors[1])) < float(np.mean(errors[24])) < 0.2


def test_what_was_said_then_can_be_asked_for_later_and_the_future_cannot() -> None:
    then = grid_at().forecast(HOME, ORIGIN, ORIGIN + 24 * HOUR)
    later = grid_at(ORIGIN + 30 * HOUR)

    assert (
        then.micrograms.tolist() == later.said(HOME, ORIGIN, ORIGIN, ORIGIN + 24 * HOUR).micrograms.tolist()
    )
    assert ORIGIN + 30 * HOUR == later.said(HOME, ORIGIN + 99 * HOUR, ORIGIN, ORIGIN + 40 * HOUR).issued_at


def test_the_south_dips_at_noon_and_peaks_in_the_evening() -> None:
    south = day_of("DEMO-SOUTH")
    midnight = south.start

    noon, night, evening = (south.mean(midnight + h * HOUR, midnight + (h + 2) * HOUR) for h in (11, 2, 18))

    assert noon < 0.6 * night
    assert night < 0.8 * evening


def test_every_zone_is_plausible() -> None:
    for zone in ZONES:
        values = day_of(zone).g_per_kwh
        assert 10 < values.min() <= values.max() < 900


def test_what_it_does_not_serve_is_refused_by_name() -> None:
    with pytest.raises(UnknownZone, match=r"demo does not serve zone 'GB'; it serves DEMO-NORTH"):
        grid_at().forecast("GB", ORIGIN, ORIGIN + HOUR)
    with pytest.raises(TemporaryError, match="nothing known"):
        grid_at().actual(HOME, ORIGIN + HOUR, ORIGIN + 2 * HOUR)
