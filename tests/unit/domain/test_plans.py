"""Plan version 1: one record for every door."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cleanhours.domain.intensity import Scope, Signal
from cleanhours.domain.plans import ForecastId, Plan, Reason, Segment, format_mass

START = datetime(2026, 11, 26, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLAN = Plan(
    location="eu",
    zone="GB",
    start=START,
    end=START + 5 * HOUR,
    segments=(
        Segment(START, START + HOUR, "eu", "GB"),
        Segment(START + 3 * HOUR, START + 5 * HOUR, "eu", "GB"),
    ),
    latest_start=START + 9 * HOUR,
    reason=Reason.LOWEST_SLOTS,
    mean_g_per_kwh=100.0,
    expected_g=1000.0,
    baseline_g=2800.0,
    signal=Signal.AVERAGE,
    scope=Scope.DIRECT,
    forecast=ForecastId("neso", START - HOUR, 3600.0),
    power_w=1000.0,
    power_assumed=True,
    note="the forecast ends before the slack does",
)


def test_the_keys_are_those_of_version_1() -> None:
    keys = [
        "version", "location", "zone", "start", "end", "segments", "latest_start", "mean_g_per_kwh", "expected_g",
        "baseline_g", "saving_percent", "reason", "signal", "scope", "forecast", "power_w", "power_assumed", "note", "sentence",
    ]  # fmt: skip

    assert keys == list(PLAN.to_json())
    assert "2026-11-26T15:00:00Z" == PLAN.to_json()["start"]
    assert {"provider": "neso", "issued_at": "2026-11-26T14:00:00Z", "age_seconds": 3600.0} == PLAN.to_json()[
        "forecast"
    ]


def test_a_plan_survives_json_sentence_and_all() -> None:
    again = Plan.from_json(json.loads(json.dumps(PLAN.to_json())))

    assert PLAN.to_json() == again.to_json()
    assert not again.changed_from(PLAN)


def test_the_sentence_says_when_where_why_and_what_for() -> None:
    assert (
        "Start Thu 2026-11-26T15:00:00Z in eu (GB) in 2 runs until 2026-11-26T20:00:00Z (lowest-slots), expecting 1 kg "
        "instead of 2.8 kg CO2e, 64.3 % less; the forecast ends before the slack does."
    ) == PLAN.sentence


def test_a_plan_changes_with_its_place_segments_reason_and_guarantee_only() -> None:
    same = replace(PLAN, expected_g=1.0, baseline_g=2.0, forecast=None, note="", mean_g_per_kwh=None)

    assert not same.changed_from(PLAN)
    assert PLAN.changed_from(None)
    for change in (
        {"location": "us"}, {"segments": PLAN.segments[:1]}, {"reason": Reason.CAPACITY},
        {"latest_start": START}, {"start": START + HOUR},
    ):  # fmt: skip
        assert replace(PLAN, **change).changed_from(PLAN)


def test_a_baseline_of_zero_has_no_percentage() -> None:
    assert replace(PLAN, baseline_g=0.0).saving_percent is None
    assert replace(PLAN, baseline_g=None).saving_percent is None


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 2: this release reads version 1"):
        Plan.from_json({**PLAN.to_json(), "version": 2})


@pytest.mark.parametrize(
    ("grams", "text"),
    [(0.0, "0 mg"), (0.78, "780 mg"), (1.5, "1.5 g"), (2800, "2.8 kg"), (1.2e6, "1.2 t"), (-5, "-5 g")],
)
def test_masses_are_written_for_people(grams: float, text: str) -> None:
    assert text == format_mass(grams)
