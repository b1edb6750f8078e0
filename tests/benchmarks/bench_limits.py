"""The published means of the limits paper for jobs that may be interrupted: 99 zones x 7 lengths, by slack."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from tests.benchmarks.figures import Figure
from tests.conftest import REPOSITORY
from tests.unit.planning import published

BY_NAME_ONLY = True
"""Too long for `make bench`: run as `python -m tests.benchmarks limits`."""

SLACKS_H = tuple(int(word) for word in os.environ.get("CLEANHOURS_BENCH_SLACKS", "24,168").split(","))
"""A minute or two for these; 480, 720 and 8760, the others there are, take most of an hour."""

ROUNDING = 0.00006
"""Their means have four decimals, of sums that have two."""


def run() -> list[Figure]:
    """How many means are not ours, and by how much the worst is off beyond rounding; nothing where the data sets are missing."""
    data = Path(os.environ.get("CLEANHOURS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not data.is_dir():
        return [Figure("limits: no data sets (CLEANHOURS_TEST_DATA)", "", float("nan"), "", None)]
    zones = sorted({mean.zone for mean in published.published_means(data)})
    differences: list[float] = []
    with ProcessPoolExecutor() as pool:
        for number, found in enumerate(pool.map(partial(_of_zone, data), zones), 1):
            differences += found
            if sys.stderr.isatty():
                print(f"\r{number} of {len(zones)} zones", end="", file=sys.stderr, flush=True)
    worst = max(differences)
    return [
        Figure(f"interruptible means compared, slack {SLACKS_H} h", "", len(differences), "", None),
        Figure("largest difference beyond their rounding", "0.00", worst, "", worst < 1e-9),
    ]


def _of_zone(data: Path, zone: str) -> list[float]:
    series = published.year_of_zones(data)[zone]
    means = [m for m in published.published_means(data) if m.zone == zone and m.slack_hours in SLACKS_H]
    found = []
    for mean in means:
        _, best = published.optima_by_arrival(series, mean.job_hours, mean.slack_hours, mean.arrivals)
        found.append(max(0.0, abs(float(np.round(best, 2).mean()) - mean.interruptible) - ROUNDING))
    return found
