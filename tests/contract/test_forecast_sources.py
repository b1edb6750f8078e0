"""Every forecast source keeps the promises of its port: the fake, those that ship, and each wrapping."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from cleanhours.adapters.forecast_cache import Cached
from cleanhours.adapters.forecast_chain import Fallback, Sourced, sourced
from cleanhours.adapters.forecast_check import CheckedActuals
from cleanhours.adapters.forecast_history import FromHistory
from cleanhours.adapters.forecast_watch import WatchedActuals
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.http import Session
from cleanhours.ports import ForecastSource
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.forecast_sources import FakeForecastSource, ForecastSourceContract
from cleanhours.testing.telemetry import FakeTelemetry
from cleanhours_plugins.forecasts import climatology, csv
from cleanhours_plugins.forecasts.neso import NesoForecasts
from tests.unit.forecasts.worlds import Neso, context

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Contract(ForecastSourceContract):
    @pytest.fixture
    def start(self) -> datetime:
        return NOW

    @pytest.fixture
    def zone(self) -> str:
        return "GB"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def fake(clock: FakeClock) -> FakeForecastSource:
    starts = int((NOW - 40 * DAY).timestamp()) + 3600 * np.arange(50 * 24, dtype=np.int64)
    values = (150 + 50 * np.sin(np.arange(starts.size) / 24 * 2 * np.pi)).astype(np.float64)
    return FakeForecastSource(
        {"GB": IntensitySeries.of("GB", starts, values, step=timedelta(hours=1))}, clock
    )


class TestFake(Contract):
    @pytest.fixture
    def source(self, fake: FakeForecastSource) -> ForecastSource:
        return fake


class TestCsvWithAColumnPerZone(Contract):
    @pytest.fixture
    def source(self, tmp_path: Path, clock: FakeClock) -> ForecastSource:
        rows = [
            f"{(NOW + timedelta(hours=h)).isoformat()},{100 + h % 24},{300 + h % 7}" for h in range(-48, 96)
        ]
        (tmp_path / "trace.csv").write_text("\n".join(["datetime_utc,GB,DE", *rows]), encoding="utf-8")
        return csv.build({"path": str(tmp_path / "trace.csv")}, context(clock))


class TestCsvOfOneNamedZone(TestCsvWithAColumnPerZone):
    @pytest.fixture
    def source(self, tmp_path: Path, clock: FakeClock) -> ForecastSource:
        rows = [f"{(NOW + timedelta(minutes=30 * h)).isoformat()},{100 + h % 24}" for h in range(-48, 96)]
        (tmp_path / "trace.csv").write_text("\n".join(["time,intensity", *rows]), encoding="utf-8")
        return csv.build({"path": str(tmp_path / "trace.csv"), "zone": "GB"}, context(clock))


class TestNeso(Contract):
    @pytest.fixture
    def source(self, clock: FakeClock) -> Iterator[ForecastSource]:
        service, session = Neso(clock), Session(pause=lambda _: None)
        yield NesoForecasts(clock, service.url, session)
        session.close()
        service.close()


class TestNesoRegion(TestNeso):
    @pytest.fixture
    def zone(self) -> str:
        return "GB:13"


class TestClimatology(Contract):
    @pytest.fixture
    def source(self, clock: FakeClock) -> ForecastSource:
        return climatology.build({}, context(clock))


class TestHistory(Contract):
    @pytest.fixture
    def source(self, fake: FakeForecastSource, clock: FakeClock) -> ForecastSource:
        return FromHistory(fake, fake, clock)


class TestChecked(Contract):
    @pytest.fixture
    def source(self, fake: FakeForecastSource, clock: FakeClock) -> ForecastSource:
        return CheckedActuals(fake, fake, clock)


class TestWatched(Contract):
    @pytest.fixture
    def source(self, fake: FakeForecastSource) -> ForecastSource:
        return WatchedActuals(fake, fake, FakeTelemetry())


class TestCached(Contract):
    @pytest.fixture
    def source(self, fake: FakeForecastSource, clock: FakeClock, tmp_path: Path) -> ForecastSource:
        return Cached(fake, tmp_path, clock)


class TestFallback(Contract):
    @pytest.fixture
    def source(self, fake: FakeForecastSource, clock: FakeClock, tmp_path: Path) -> ForecastSource:
        down = FakeForecastSource({}, clock, name="elsewhere")
        whole = sourced(fake, clock=clock, telemetry=FakeTelemetry(), cache_folder=tmp_path)
        return Fallback([Sourced(down, down), whole])
