"""The planners reproduce what others published, on the same data. Each kind has a generated twin that never skips."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from cleanhours.domain.intensity import IntensitySeries
from tests.unit.planning import published
from tests.unit.planning.published import HOUR, YEAR_START

ARRIVAL_ZONES = ("US-CAL-CISO", "DE", "AU-SA", "GB")
ARRIVAL_CASES = ((1, 24), (6, 24), (24, 24), (24, 168), (96, 168), (168, 168))


@pytest.mark.parametrize("zone", ARRIVAL_ZONES)
@pytest.mark.parametrize(("job", "slack"), [(6, 24), (24, 168)])
def test_the_limits_papers_optima_are_ours_for_every_arrival(
    test_data: Path, zone: str, job: int, slack: int
) -> None:
    assert _distance_by_arrival(test_data, zone, job, slack) == (0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("zone", ARRIVAL_ZONES)
@pytest.mark.parametrize(
    ("job", "slack"), [case for case in ARRIVAL_CASES if case not in ((6, 24), (24, 168))]
)
def test_the_limits_papers_other_optima_are_ours_too(
    test_data: Path, zone: str, job: int, slack: int
) -> None:
    assert _distance_by_arrival(test_data, zone, job, slack) == (0.0, 0.0)


def _distance_by_arrival(data: Path, zone: str, job: int, slack: int) -> tuple[float, float]:
    expected = published.published_arrivals(data, zone, job, slack)
    series = published.year_of_zones(data)[zone]
    found = published.optima_by_arrival(series, job, slack, expected[0].size)
    contiguous, interruptible = (
        np.abs(np.round(ours, 2) - theirs).max() for ours, theirs in zip(found, expected, strict=True)
    )
    return float(contiguous), float(interruptible)


def test_the_limits_papers_means_are_ours_in_all_zones(test_data: Path) -> None:
    zones = published.year_of_zones(test_data)
    means = published.published_means(test_data)
    assert (99, 99 * 35) == (len({mean.zone for mean in means}), len(means))
    for mean in means:
        best = published.contiguous_by_arrival(
            zones[mean.zone], mean.job_hours, mean.slack_hours, mean.arrivals
        )
        assert mean.contiguous == pytest.approx(np.round(best, 2).mean(), abs=0.00006), mean


@pytest.mark.slow
def test_the_limits_papers_interruptible_means_are_ours_in_all_zones(test_data: Path) -> None:
    zones = published.year_of_zones(test_data)
    for mean in published.published_means(test_data):
        if (mean.job_hours, mean.slack_hours) == (6, 24):
            _, best = published.optima_by_arrival(zones[mean.zone], 6, 24, mean.arrivals)
            assert mean.interruptible == pytest.approx(np.round(best, 2).mean(), abs=0.00006), mean


def test_gaias_optima_are_ours(test_data: Path) -> None:
    total, contiguous, interruptible = published.alibaba_ratios(
        test_data, published.year_of_zones(test_data)["AU-SA"]
    )
    assert (562.171256, 0.611964, 0.546196) == (
        round(total, 6),
        round(contiguous, 6),
        round(interruptible, 6),
    )


@pytest.mark.parametrize("zone", ["gb", "fr"])
def test_lets_wait_awhiles_savings_are_ours(test_data: Path, zone: str) -> None:
    expected = {
        "gb": {"next_workday": (6.657, 9.228), "semi_weekly": (14.852, 20.088)},
        "fr": {"next_workday": (4.873, 6.260), "semi_weekly": (11.249, 13.947)},
    }[zone]
    found = published.wait_awhile_savings(test_data, zone)
    assert expected == {name: (round(window, 3), round(slots, 3)) for name, (window, slots) in found.items()}


def test_optima_by_arrival_are_those_of_trying_everything() -> None:
    """The generated twin: three weeks of hours, every arrival, every start and every choice of hours."""
    dice = np.random.default_rng(5)
    hours = dice.integers(50, 400, 8760).astype(float)
    series = IntensitySeries.of("AA", YEAR_START + HOUR * np.arange(8760), hours, step=timedelta(hours=1))
    for job, slack in ((1, 24), (6, 24), (24, 168)):
        contiguous, interruptible = published.optima_by_arrival(series, job, slack, 500)
        again = published.contiguous_by_arrival(series, job, slack, 500)
        for arrival in range(500):
            window = hours[arrival : arrival + slack + job]
            assert (
                min(window[i : i + job].sum() for i in range(slack + 1))
                == contiguous[arrival]
                == again[arrival]
            )
            assert np.sort(window)[:job].sum() == interruptible[arrival]
