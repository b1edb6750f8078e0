"""How far our optima are from published ones, on the same data: 0.00 after rounding to their decimals."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tests.benchmarks.figures import Figure
from tests.conftest import REPOSITORY
from tests.unit.planning import published

ZONES = ("US-CAL-CISO", "DE", "AU-SA", "GB")
CASES = ((1, 24), (6, 24), (24, 24), (24, 168), (96, 168), (168, 168))
WAIT_AWHILE = {
    "gb": {"next_workday": (6.657, 9.228), "semi_weekly": (14.852, 20.088)},
    "fr": {"next_workday": (4.873, 6.260), "semi_weekly": (11.249, 13.947)},
}


def run() -> list[Figure]:
    """The largest differences; nothing where the data sets are missing."""
    data = Path(os.environ.get("CLEANHOURS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not data.is_dir():
        return [Figure("exactness: no data sets (CLEANHOURS_TEST_DATA)", "", float("nan"), "", None)]
    zones = published.year_of_zones(data)
    _, contiguous, interruptible = published.alibaba_ratios(data, zones["AU-SA"])
    differences = {
        "limits paper, per arrival, 4 zones x 6 cases, contiguous": 0.0,
        "limits paper, per arrival, 4 zones x 6 cases, interruptible": 0.0,
        "limits paper, means of 99 zones x 35 cases, contiguous": 0.0,
        "limits paper, means of 99 zones, job 6 h, slack 24 h, interruptible": 0.0,
        "GAIA, best contiguous 0.611964": abs(round(contiguous, 6) - 0.611964),
        "GAIA, k cheapest 0.546196": abs(round(interruptible, 6) - 0.546196),
        "Let's Wait Awhile, GB and FR, 8 savings": 0.0,
    }
    names = list(differences)
    for zone in ZONES:
        for case in CASES:
            theirs = published.published_arrivals(data, zone, *case)
            ours = published.optima_by_arrival(zones[zone], *case, theirs[0].size)
            for name, mine, other in zip(names[:2], ours, theirs, strict=True):
                differences[name] = max(differences[name], float(np.abs(np.round(mine, 2) - other).max()))
    for mean in published.published_means(data):
        case = (mean.job_hours, mean.slack_hours)
        best = published.contiguous_by_arrival(zones[mean.zone], *case, mean.arrivals)
        differences[names[2]] = max(differences[names[2]], _beyond_rounding(best, mean.contiguous))
        if case == (6, 24):
            _, best = published.optima_by_arrival(zones[mean.zone], *case, mean.arrivals)
            differences[names[3]] = max(differences[names[3]], _beyond_rounding(best, mean.interruptible))
    for zone, expected in WAIT_AWHILE.items():
        for kind, pair in published.wait_awhile_savings(data, zone).items():
            distance = max(
                abs(round(one, 3) - other) for one, other in zip(pair, expected[kind], strict=True)
            )
            differences[names[6]] = max(differences[names[6]], distance)
    return [Figure(name, "0.00", value, "", value < 1e-9) for name, value in differences.items()]


def _beyond_rounding(best: published.Floats, mean: float) -> float:
    """How far a mean of sums, rounded as theirs are, is from the published one beyond its fourth decimal."""
    return max(0.0, abs(float(np.round(best, 2).mean()) - mean) - 0.00006)
