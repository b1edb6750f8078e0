"""Climatology judged on a year it was not made from: what it keeps of the saving that perfect knowledge would give."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.forecasts import csv
from cleanhours_plugins.forecasts.climatology import Climatology
from tests.benchmarks.figures import Figure
from tests.conftest import REPOSITORY
from tests.unit.forecasts.worlds import context

Floats = npt.NDArray[np.float64]

YEAR = datetime(2021, 1, 1, tzinfo=UTC)
ZONES = ("ES", "BR", "NO", "US-CAL-CISO")
WORK_H = 8
SLACKS_H = {"1 d": 24, "4 d": 96}


def year_of(data: Path, zone: str) -> Floats:
    """Hourly lifecycle intensity of the year, gCO2e/kWh."""
    path = data / "electricitymaps-portal" / f"{zone}_{YEAR.year}_hourly.csv.gz"
    source = csv.build({"path": str(path)}, context(FakeClock(YEAR)))
    values: Floats = source.forecast(zone, YEAR, YEAR.replace(year=YEAR.year + 1)).g_per_kwh
    return values


def share_kept(actual: Floats, expected: Floats, window_h: int) -> float:
    """Saving of 8 h of interruptible work in the hours thought cheapest, over that in those that were; a job every 3 h.

    Savings are against running at once, in a window of `window_h` hours, planned once.
    """
    at_once = best = chosen = 0.0
    for start in range(0, actual.size - window_h, 3):
        window = actual[start : start + window_h]
        thought = np.argsort(expected[start : start + window_h], kind="stable")[:WORK_H]
        at_once += window[:WORK_H].sum()
        best += np.sort(window)[:WORK_H].sum()
        chosen += window[thought].sum()
    return float((at_once - chosen) / (at_once - best))


def judged(data: Path) -> dict[str, dict[str, float]]:
    """Per zone: the share kept with a slack of a day and of four (0 to 1), and the mean absolute error in percent."""
    found = {}
    for zone in ZONES:
        actual = year_of(data, zone)
        expected = Climatology().forecast(zone, YEAR, YEAR + timedelta(hours=actual.size)).g_per_kwh
        found[zone] = {name: share_kept(actual, expected, window) for name, window in SLACKS_H.items()}
        found[zone]["MAPE"] = 100 * float(np.mean(np.abs(expected - actual) / actual))
    return found


def run() -> list[Figure]:
    """The means over the zones, and each zone's; nothing where the data sets are missing."""
    data = Path(os.environ.get("CLEANHOURS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not data.is_dir():
        return [Figure("climatology: no data sets (CLEANHOURS_TEST_DATA)", "", float("nan"), "", None)]
    zones = judged(data)
    figures = []
    for slack, least in (("1 d", 0.80), ("4 d", 0.65)):
        mean = sum(row[slack] for row in zones.values()) / len(zones)
        name = f"climatology on 2021, saving kept with {slack} of slack, mean"
        figures.append(Figure(name, f"≥ {least:.2f}", mean, "", mean >= least))
    for zone, row in zones.items():
        figures += [Figure(f"of which {zone}, {slack}", "", row[slack], "", None) for slack in SLACKS_H]
        figures.append(Figure(f"mean absolute error in {zone}", "", row["MAPE"], "%", None))
    return figures
