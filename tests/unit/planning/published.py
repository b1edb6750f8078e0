"""Published results and the data they were computed from, as the planners' own values."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.planning.slots import lowest_slots, lowest_slots_costs
from cleanhours.planning.windows import cost_of_windows, lowest_window, lowest_windows

HOUR = 3600
YEAR_START = int(datetime(2022, 1, 1, tzinfo=UTC).timestamp())
YEAR_END = YEAR_START + 8760 * HOUR
GRAM_HOURS = 1_000_000 * HOUR
"""µg/kWh x s in a gram per kWh over an hour."""

Floats = npt.NDArray[np.float64]


class PublishedMean(NamedTuple):
    zone: str
    job_hours: int
    slack_hours: int
    arrivals: int
    contiguous: float
    interruptible: float


def year_of_zones(data: Path) -> dict[str, IntensitySeries]:
    """99 zones, hourly, 2022 (Sukprasert et al., EuroSys 2024, from Electricity Maps, ODbL 1.0)."""
    with gzip.open(data / "electricitymaps-zones-2022" / "zones_2022_hourly_lca.csv.gz", "rt") as file:
        names, *rows = csv.reader(file)
    values = np.array([row[1:] for row in rows], float)
    hours = YEAR_START + HOUR * np.arange(len(rows))
    step = timedelta(hours=1)
    return {
        zone: IntensitySeries.of(zone, hours, values[:, i], step=step) for i, zone in enumerate(names[1:])
    }


def published_means(data: Path) -> list[PublishedMean]:
    with gzip.open(data / "eurosys24-limits" / "golden_means_2022.csv.gz", "rt") as file:
        return [
            PublishedMean(row["zone"], int(row["job_hours"]), int(row["slack_hours"]), int(row["n_arrivals"]),
                          float(row["mean_noninterrupt_sum_gco2"]), float(row["mean_interrupt_sum_gco2"]))
            for row in csv.DictReader(file)
        ]  # fmt: skip


def published_arrivals(data: Path, zone: str, job: int, slack: int) -> tuple[Floats, Floats]:
    """Per hour of arrival: the best contiguous window and the best hours, gCO2e at 1 kW."""
    name = f"{zone}_job{job}_slack{slack}.csv.gz"
    table = np.loadtxt(data / "eurosys24-limits" / "per_arrival" / name, delimiter=",", skiprows=1)
    return table[:, 1], table[:, 2]


def optima_by_arrival(series: IntensitySeries, job: int, slack: int, count: int) -> tuple[Floats, Floats]:
    """The same from our planners: each arrival's window ends `slack` hours after it could, or with the year."""
    contiguous, interruptible = np.empty(count), np.empty(count)
    for first in range(0, count, 96):
        arrivals = np.arange(first, min(count, first + 96))
        starts = YEAR_START + HOUR * arrivals
        ends = np.minimum(starts + HOUR * (slack + job), YEAR_END)
        works = np.full(arrivals.size, HOUR * job)
        contiguous[arrivals] = lowest_windows(series, works, starts, ends - works).costs / GRAM_HOURS
        interruptible[arrivals] = lowest_slots_costs(series, works, starts, ends) / GRAM_HOURS
    return contiguous, interruptible


def contiguous_by_arrival(series: IntensitySeries, job: int, slack: int, count: int) -> Floats:
    """The best of all hourly starts for each arrival: whole-hour jobs on hourly data need no others."""
    starts = np.arange(YEAR_START, YEAR_END - HOUR * job + 1, HOUR)
    costs = cost_of_windows(series, starts, HOUR * job)
    if slack < costs.size:
        padded = np.concatenate((costs, np.full(slack, costs.max())))
        best = np.lib.stride_tricks.sliding_window_view(padded, slack + 1).min(axis=1)
    else:
        best = np.minimum.accumulate(costs[::-1])[::-1]
    return np.asarray(best[:count] / GRAM_HOURS, np.float64)


def alibaba_ratios(data: Path, zone: IntensitySeries) -> tuple[float, float, float]:
    """GAIA's thousand jobs: emissions at once (kg at 1 kW a CPU), then the best window and slots as a share of it."""
    first = YEAR_START + 7000 * HOUR
    totals = np.zeros(3)
    with (data / "gaia" / "pai_1k.csv").open() as file:
        for row in csv.DictReader(file):
            length = int(float(row["length"])) // 5 * 5
            arrival = first + int(float(row["arrival_time"])) // 5 * 5
            latest = arrival + (6 if float(row["length"]) < 7200 else 24) * HOUR
            if not length:
                continue
            window = lowest_window(zone, length, arrival, latest)
            slots = lowest_slots(zone, length, arrival, latest + length)
            assert window is not None
            assert slots is not None
            at_once = zone.integral_between(arrival, arrival + length)
            totals += float(row["cpus"]) * np.array([at_once, window.cost, slots.cost])
    return float(totals[0] / GRAM_HOURS / 1000), float(totals[1] / totals[0]), float(totals[2] / totals[0])


def wait_awhile_savings(data: Path, zone: str) -> dict[str, tuple[float, float]]:
    """Let's Wait Awhile, scenario II, strict: percent saved by windows and by slots, for both kinds of deadline."""
    folder = data / "entsoe-2020"
    with gzip.open(folder / f"{zone}_ci_30min_ipcc.csv.gz", "rt") as file:
        rows = [(datetime.fromisoformat(row["time"]).replace(tzinfo=UTC), float(row["carbon_intensity"]))
                for row in csv.DictReader(file)]  # fmt: skip
    new_year = datetime(2020, 1, 1, tzinfo=UTC)
    rows = [(time, value) for time, value in rows if time >= new_year and time.minute % 30 == 0]
    half_hour = timedelta(minutes=30)
    series = IntensitySeries.of(zone, [t for t, _ in rows], [v for _, v in rows], step=half_hour)
    found = {}
    with gzip.open(folder / "lwa_ml_jobs_seed0.csv.gz", "rt") as file:
        jobs = [
            (int(row["arrival_minute_of_2020"]), int(row["duration_minutes"])) for row in csv.DictReader(file)
        ]
    for name, deadline_of in (("next_workday", next_workday), ("semi_weekly", semi_weekly)):
        totals = np.zeros(3)
        for arrival, duration in jobs:
            start = new_year + timedelta(minutes=arrival)
            deadline = min(deadline_of(start + timedelta(minutes=duration)), series.end)
            begin, end, length = int(start.timestamp()), int(deadline.timestamp()), duration * 60
            window = lowest_window(series, length, begin, end - length)
            slots = lowest_slots(series, length, begin, end)
            assert window is not None
            assert slots is not None
            totals += [series.integral_between(begin, begin + length), window.cost, slots.cost]
        found[name] = (float(100 * (1 - totals[1] / totals[0])), float(100 * (1 - totals[2] / totals[0])))
    return found


def next_workday(finished: datetime) -> datetime:
    nine = finished.replace(hour=9, minute=0)
    if finished.weekday() == 5:
        return nine + timedelta(days=2)
    if finished.weekday() == 6 or finished > finished.replace(hour=17, minute=0):
        return nine + timedelta(days=1)
    return nine if finished.hour < 9 else finished


def semi_weekly(finished: datetime) -> datetime:
    nine = finished.replace(hour=9, minute=0)
    while nine < finished or nine.weekday() not in (0, 3):
        nine += timedelta(days=1)
    return nine


def expected_results(data: Path, folder: str) -> dict[str, object]:
    result: dict[str, object] = json.loads((data / folder / "expected_results.json").read_text())
    return result
