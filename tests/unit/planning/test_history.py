"""Forecasting from a zone's own past: by the definition, and as good as it was measured to be."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanhours.domain.errors import SeriesError
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Scope
from cleanhours.planning.history import forecast_from_history, hourly_means

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
Floats = npt.NDArray[np.float64]


def hours(values: list[float] | Floats, start: datetime = START, step: timedelta = HOUR) -> IntensitySeries:
    first = int(start.timestamp())
    starts = first + int(step.total_seconds()) * np.arange(len(values), dtype=np.int64)
    return IntensitySeries.of(
        "GB", starts, values, step=step, kind=Kind.ACTUAL, measure=Measure(scope=Scope.DIRECT)
    )


def by_definition(values: list[float], lead: int) -> float:
    """P(hour) + anomaly x 0.93^lead, as written down: means over the hours that are whole days apart."""

    def profile(hour_of: int, upto: int) -> float:
        past = [(t, values[t]) for t in range(upto + 1) if (t - hour_of) % 24 == 0]
        newest = past[-1][0]
        weights = [float(2.0 ** (-(newest - t) / 24 / 4)) for t, _ in past]
        return float(sum(w * v for w, (_, v) in zip(weights, past, strict=True))) / sum(weights)

    last = len(values) - 1
    anomaly = values[last] - profile(last, last - 1) if last >= 24 else 0.0
    return max(0.0, profile(last + lead, last) + anomaly * 0.93**lead)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 900), min_size=24, max_size=120), st.integers(1, 60))
def test_it_is_the_profile_of_the_hour_and_the_fading_anomaly(values: list[float], length: int) -> None:
    history = hours(values)

    forecast = forecast_from_history(history, history.end + length * HOUR).series

    expected = [by_definition(values, lead) for lead in range(1, length + 1)]
    assert forecast.g_per_kwh == pytest.approx(expected, abs=1e-5)
    assert (history.end, history.end + length * HOUR) == (forecast.start, forecast.end)
    assert {Kind.FORECAST} == set(forecast.known_as)
    assert history.measure == forecast.measure


def test_half_hours_are_read_by_the_hour_and_a_running_hour_goes_on_as_it_began() -> None:
    steady = [100.0] * 96
    history = hours([*steady, 140.0], step=HOUR / 2)

    forecast = forecast_from_history(history, history.end + 3 * HOUR).series

    assert history.end == forecast.start
    assert START + timedelta(hours=49) == forecast.cut(history.end, history.end + HOUR / 2).end
    assert 140.0 == forecast.g_per_kwh[0]
    assert 100 + 40 * 0.93 < 140 > forecast.g_per_kwh[1] > 100


def test_hours_that_lack_between_parts_are_left_out_of_the_profile() -> None:
    day = np.arange(0.0, 240.0, 10.0)
    parts = [hours(day), hours(day[6:], START + timedelta(hours=30))]

    forecast = forecast_from_history(parts, START + timedelta(days=3)).series

    assert day.tolist() == pytest.approx(forecast.g_per_kwh.tolist())
    assert np.isnan(hourly_means(parts)[1][24:30]).all()


@pytest.mark.parametrize(
    ("parts", "until", "said"),
    [
        ([], START, "no history at all"),
        ([hours([1.0] * 23)], START + timedelta(days=2), "accepted: a day at least"),
        ([hours([1.0] * 30)], START + timedelta(hours=30), "nothing is left to forecast"),
        (
            [hours([1.0] * 30), hours([1.0] * 30)],
            START + timedelta(days=9),
            "begins before the one before it ends",
        ),
    ],
)
def test_what_is_no_history_is_refused(parts: list[IntensitySeries], until: datetime, said: str) -> None:
    with pytest.raises(SeriesError, match=said):
        forecast_from_history(parts, until)


def test_its_own_error_is_that_of_the_same_forecasts_made_before() -> None:
    noise = np.random.default_rng(3)
    values = 200 + 50 * np.sin(np.arange(240) / 24 * 2 * np.pi) + noise.normal(0, 10, 240)
    told = forecast_from_history(hours(values), START + timedelta(hours=246))

    missed = []
    for origin in range(48, 240):
        earlier = forecast_from_history(
            hours(values[:origin]), START + timedelta(hours=origin + 6)
        ).series.g_per_kwh
        missed.append([earlier[i] - values[origin + i] if origin + i < 240 else np.nan for i in range(6)])
    assert told.mean_abs_error_g_per_kwh == pytest.approx(np.nanmean(np.abs(missed), axis=0), abs=1e-5)
    assert told.sd_g_per_kwh == pytest.approx(np.sqrt(np.nanmean(np.square(missed), axis=0)), abs=1e-5)


def test_a_history_too_short_to_judge_itself_says_so() -> None:
    assert np.isnan(forecast_from_history(hours([1.0] * 30), START + timedelta(hours=40)).sd_g_per_kwh).all()


Work = list[tuple[int, int, int]]


def carbon_ratio(values: Floats, jobs: Work, first: int, *, clairvoyant: bool = False) -> float:
    """Carbon of interruptible jobs (arrival s, length s, CPUs) re-planned hourly on the past alone, against run-now.

    GAIA's rule: 6 h of slack under 2 h of length, else 24 h. The running hour is known.
    """
    series = hours(values)
    spent = at_once = 0.0
    told: dict[int, Floats] = {}

    def expected(hour: int, count: int) -> Floats:
        if clairvoyant:
            return values[first + hour : first + hour + count]
        if hour not in told:
            now = first + hour + 1
            past = series.cut(START, START + now * HOUR)
            ahead = forecast_from_history(past, past.end + timedelta(hours=150)).series.g_per_kwh
            told[hour] = np.concatenate(([values[now - 1]], ahead))
        return told[hour][:count]

    for arrival, length, cpus in jobs:
        deadline = arrival + length + (6 if length < 7200 else 24) * 3600
        base = int(START.timestamp()) + first * 3600
        at_once += cpus * series.integral_between(base + arrival, base + arrival + length) / 1e6
        now, rest = arrival, length
        while rest > 0:
            hour, closes = now // 3600, min((now // 3600 + 1) * 3600, deadline)
            ahead = expected(hour, -(-deadline // 3600) - hour)
            room = np.full(ahead.size, 3600)
            room[-1] = deadline - (hour + ahead.size - 1) * 3600
            cheaper = int(room[1:][ahead[1:] < ahead[0]].sum())
            work = min(closes - now, max(0, rest - cheaper))
            spent += cpus * work * values[first + hour]
            rest, now = rest - work, closes
    return spent / at_once


@pytest.mark.parametrize(
    ("zone", "ratio"),
    [("AU-SA", 0.625), ("US-CAL-CISO", 0.742), ("DE", 0.916), ("GB", 0.841), ("US-TEX-ERCO", 0.900)],
)
def test_it_keeps_what_was_measured(test_data: Path, zone: str, ratio: float) -> None:
    path = test_data / "electricitymaps-zones-2022" / "zones_2022_hourly_lca.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        values = np.array([float(row[zone]) for row in csv.DictReader(file)])
    with (test_data / "gaia" / "pai_1k.csv").open(encoding="utf-8") as file:
        jobs = [
            (int(float(row["arrival_time"])) // 5 * 5, int(float(row["length"])) // 5 * 5, int(row["cpus"]))
            for row in csv.DictReader(file)
        ]

    assert ratio == round(carbon_ratio(values, jobs, 7000), 3)


def test_on_a_grid_with_a_daily_rhythm_it_keeps_most_of_the_possible_saving() -> None:
    noise = np.random.default_rng(7)
    hour = np.arange(24 * 30)
    weather = np.convolve(noise.normal(0, 25, hour.size + 23), np.ones(24) / 24**0.5, "valid")
    values = np.clip(300 + 120 * np.sin(hour / 24 * 2 * np.pi) + weather, 10, None)
    jobs = [(int(noise.integers(0, 5 * 86400)), int(noise.integers(600, 40_000)), 1) for _ in range(150)]

    possible = 1 - carbon_ratio(values, jobs, 20 * 24, clairvoyant=True)
    kept = 1 - carbon_ratio(values, jobs, 20 * 24)

    assert possible > 0.1
    assert 0.85 * possible < kept <= possible
