"""The shipped alert, on what the whole cycle really tells of a provider that goes away for days."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanhours.testing.clocks import MONDAY
from tests.flow.test_forecast_lost import BACK, END, HOUR, LOST, STEP, a_provider_that_goes_away
from tests.integration.prometheus.telling import Telling

pytestmark = pytest.mark.integration


def test_it_stands_as_long_as_the_provider_is_away_and_ends_when_it_is_back(tmp_path: Path) -> None:
    telling = Telling(STEP, ("cleanhours_forecast_age_seconds",))
    for _, exposition in a_provider_that_goes_away(tmp_path / "cache"):
        telling.scrape(exposition)
    instants = [MONDAY + n * HOUR for n in range((END - MONDAY) // HOUR)]
    raised = telling.raised(tmp_path, "CleanhoursForecastStale", (when - MONDAY for when in instants))

    assert {when - MONDAY for when in instants if LOST + 6 * HOUR <= when < BACK} == raised
