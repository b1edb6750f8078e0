"""Settlement: measured energy on actual intensity, in whole numbers that add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cleanhours.domain.accounts import Cause, Entry, Settled
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.errors import ConfigurationError, SeriesError
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Scope
from cleanhours.domain.jobs import FinishedRun, JobState, RunKey, RunSegment
from cleanhours.domain.locations import Location
from cleanhours.domain.requests import JobRequest
from cleanhours.planning.finality import NotYet
from cleanhours.planning.settling import settle, spans

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = T0 + timedelta(days=30)
WEEK = timedelta(days=7)
LOCATIONS = {
    "home": Location("home", "GB", 1.0),
    "north": Location("north", "NO", 1.2),
}


def at(hours: float) -> datetime:
    return T0 + timedelta(hours=hours)


def hourly(zone: str, *values: float, kind: Kind = Kind.ACTUAL, provider: str = "test") -> IntensitySeries:
    return IntensitySeries.of(
        zone, [at(h) for h in range(len(values))], values, step=HOUR, kind=kind, provider=provider
    )


def a_run(*segments: tuple[float, float, str], request: JobRequest | None = None, **more: Any) -> FinishedRun:
    parts = tuple(RunSegment(at(start), at(end), name) for start, end, name in segments)
    return replace(
        FinishedRun(
            key=RunKey("local", "1", 1),
            name="train",
            namespace="ada",
            state=JobState.SUCCEEDED,
            request=request or JobRequest(submitted=T0),
            home="home",
            segments=parts,
            finished_at=parts[-1].end or T0 if parts else T0,
        ),
        **more,
    )


def steady(run: FinishedRun, watts: int, method: Method = Method.MEASURED) -> EnergyProfile:
    return EnergyProfile(
        tuple(
            EnergySlice(
                s.start,
                s.end,
                Component.CPU,
                int(watts * 1000 * (s.end - s.start).total_seconds()),
                method,
                "m",
            )
            for s in run.segments
            if s.end is not None
        )
    )


def settled(
    run: FinishedRun, profile: EnergyProfile, actuals: Mapping[str, IntensitySeries], **more: Any
) -> Entry:
    entry = settle(run, profile, actuals, LOCATIONS, **{"now": LATER, "final_after": WEEK, **more})
    assert isinstance(entry, Entry), entry
    return entry


def test_a_kilowatt_for_an_hour_emits_the_intensity_of_that_hour() -> None:
    run = a_run((2, 3, "home"))
    entry = settled(run, steady(run, 1000), {"GB": hourly("GB", 300, 200, 50)})
    assert (50_000_000, 300_000_000) == (entry.emissions_ug, entry.baseline_ug)
    assert 250_000_000 == entry.avoided_ug[Cause.DELAYED]
    assert 250_000_000 == entry.total_avoided_ug
    assert Settled.FINAL is entry.settled


def test_a_run_in_dirtier_hours_keeps_its_negative() -> None:
    run = a_run((1, 2, "home"))
    entry = settled(run, steady(run, 1000), {"GB": hourly("GB", 100, 175.5)})
    assert -75_500_000 == entry.total_avoided_ug


def test_the_baseline_starts_at_the_owners_own_earliest_start() -> None:
    run = a_run((2, 3, "home"), request=JobRequest(submitted=T0, earliest=at(1)))
    entry = settled(run, steady(run, 1000), {"GB": hourly("GB", 300, 200, 50)})
    assert 200_000_000 == entry.baseline_ug


def test_each_cause_is_the_difference_of_one_change() -> None:
    """Submitted at 0, ran 1 to 2 at home and 4 to 5 in the north: by hand, hour by hour."""
    run = a_run((1, 2, "home"), (4, 5, "north"))
    gb, no = hourly("GB", 400, 300, 200, 100, 90, 80), hourly("NO", 50, 40, 30, 20, 10, 5)
    entry = settled(run, steady(run, 1000), {"GB": gb, "NO": no})
    assert 700_000_000 == entry.baseline_ug  # GB: 400 + 300
    assert {
        Cause.DELAYED: 200_000_000,  # GB 1 to 3: 300 + 200
        Cause.RELOCATED: 164_000_000,  # the second hour at NO 2 to 3: 300 + 1.2 x 30
        Cause.PAUSED: 24_000_000,  # the second hour at NO 4 to 5: 300 + 1.2 x 10
        Cause.SCALED: 0,
        Cause.CAPPED: 0,
    } == entry.avoided_ug
    assert 312_000_000 == entry.emissions_ug
    assert -720_000_000 == entry.energy_avoided_mj[Cause.RELOCATED]  # 0.2 kWh more overhead in the north


def test_pue_counts_once_and_exactly() -> None:
    run = replace(a_run((0, 1, "north")), home="north")
    entry = settled(run, steady(run, 1000), {"NO": hourly("NO", 10)})
    assert (12_000_000, 12_000_000) == (entry.emissions_ug, entry.baseline_ug)
    assert 3_600_000_000 == entry.profile.millijoules  # metered: before PUE


def test_the_baseline_leaves_out_what_our_pauses_cost() -> None:
    """Two hours of work and half an hour of checkpoint: the baseline has two hours."""
    request = JobRequest(submitted=T0, interruptible=True, checkpoint=timedelta(minutes=30))
    run = a_run((0, 1, "home"), (2, 3.5, "home"), request=request)
    entry = settled(run, steady(run, 1000), {"GB": hourly("GB", 100, 100, 100, 100)})
    assert (250_000_000, 200_000_000) == (entry.emissions_ug, entry.baseline_ug)
    assert -50_000_000 == entry.avoided_ug[Cause.PAUSED]
    assert -1_800_000_000 == entry.energy_avoided_mj[Cause.PAUSED]


@pytest.mark.parametrize(
    ("method", "baseline"), [(Method.MEASURED, 199_000_000), (Method.DECLARED, 200_000_000)]
)
def test_joules_of_a_pause_are_left_out_where_they_were_metered(method: Method, baseline: int) -> None:
    request = JobRequest(submitted=T0, interruptible=True, pause_energy_j=36_000)
    run = a_run((0, 1, "home"), (2, 3, "home"), request=request)
    entry = settled(run, steady(run, 1000, method), {"GB": hourly("GB", 100, 100, 100, 100)})
    assert baseline == entry.baseline_ug


def test_moving_data_costs_half_at_each_end_once() -> None:
    request = JobRequest(submitted=T0, data_bytes=500 * 10**9)
    run = a_run((0, 1, "north"), (1, 2, "home"), (2, 3, "north"), request=request)
    actuals = {"GB": hourly("GB", 100, 100, 100), "NO": hourly("NO", 20, 20, 20)}
    with_data = settled(run, steady(run, 1000), actuals, transfer_kwh_per_gb=0.001)
    without = settled(run, steady(run, 1000), actuals)
    moved = 25_000_000 + 5_000_000  # 0.25 kWh at 100, 0.25 kWh at 20
    assert moved == (with_data.emissions_ug or 0) - (without.emissions_ug or 0)
    assert with_data.baseline_ug == without.baseline_ug
    assert moved == without.avoided_ug[Cause.RELOCATED] - with_data.avoided_ug[Cause.RELOCATED]
    assert {("m",), ("transfer",)} == {share.meters for share in with_data.shares}
    assert with_data.profile.millijoules == sum(share.millijoules for share in with_data.shares)
    assert with_data == settled(run, with_data.profile, actuals, transfer_kwh_per_gb=0.001)  # settled again


def test_a_slice_over_a_pause_lies_where_the_job_ran() -> None:
    run = a_run((0, 1, "home"), (3, 4, "home"))
    whole = EnergyProfile((EnergySlice(at(0), at(4), Component.CPU, 7_200_000_000, Method.MODELLED, "m"),))
    entry = settled(run, whole, {"GB": hourly("GB", 100, 999, 999, 50)})
    assert 150_000_000 == entry.emissions_ug


def test_energy_beside_every_segment_is_not_lost() -> None:
    run = a_run((0, 1, "home"), finished_at=at(1))
    late = EnergyProfile((EnergySlice(at(1), at(1.5), Component.GPU, 3_600_000_000, Method.MEASURED, "m"),))
    assert 60_000_000 == settled(run, late, {"GB": hourly("GB", 100, 60)}).emissions_ug


def test_a_run_shorter_than_a_second_is_settled() -> None:
    start = at(0) + timedelta(milliseconds=1)
    segment = RunSegment(start, start, "home")
    run = replace(a_run((0, 1, "home")), segments=(segment,), finished_at=start)
    profile = EnergyProfile((EnergySlice(start, start, Component.CPU, 36_000, Method.MEASURED, "m"),))
    assert 1_000 == settled(run, profile, {"GB": hourly("GB", 100)}).emissions_ug


def test_grams_are_shared_in_proportion_to_joules() -> None:
    run = a_run((0, 1, "home"))
    slices = [(Component.CPU, 1, Method.MODELLED, "processes"), (Component.GPU, 2, Method.MEASURED, "nvml")]
    profile = EnergyProfile(
        tuple(EnergySlice(at(0), at(1), c, mj * 10**9, m, name) for c, mj, m, name in slices)
    )
    entry = settled(run, profile, {"GB": hourly("GB", 0.0001)})
    assert [Method.MEASURED, Method.MODELLED] == [share.method for share in entry.shares]
    assert [56, 28] == [share.emissions_ug for share in entry.shares]  # 83.3 µg: 2 to 1, rounded once a slice


def test_a_row_wears_the_location_that_drew_most() -> None:
    run = a_run((0, 1, "home"), (1, 3, "north"))
    entry = settled(run, steady(run, 10), {"GB": hourly("GB", 1, 1, 1), "NO": hourly("NO", 1, 1, 1)})
    assert "north" == entry.location


# --- how far a row may still change --------------------------------------------------------------------------------


def test_actuals_younger_than_final_are_provisional() -> None:
    run = a_run((0, 1, "home"))
    series = {"GB": hourly("GB", 100)}
    young = settled(run, steady(run, 1), series, now=at(1) + WEEK - timedelta(seconds=1))
    old = settled(run, steady(run, 1), series, now=at(1) + WEEK)
    assert (Settled.PROVISIONAL, Settled.FINAL) == (young.settled, old.settled)


def test_each_zone_has_its_own_wait() -> None:
    run = a_run((0, 1, "north"))
    series = {"GB": hourly("GB", 100), "NO": hourly("NO", 10)}
    entry = settled(run, steady(run, 1), series, now=at(2), final_after={"GB": timedelta(0), "NO": WEEK})
    assert Settled.PROVISIONAL is entry.settled


def test_an_estimate_anywhere_keeps_a_row_provisional() -> None:
    run = a_run((1, 2, "home"))
    kinds = [Kind.ESTIMATED, Kind.ACTUAL]  # only the baseline rests on the estimate
    series = IntensitySeries.of("GB", [at(0), at(1)], [100, 90], kind=kinds)
    assert Settled.PROVISIONAL is settled(run, steady(run, 1), {"GB": series}).settled


def test_typical_intensity_closes_a_run_only_after_the_wait() -> None:
    run = a_run((0, 1, "home"))
    series = {"GB": hourly("GB", 100, kind=Kind.TYPICAL)}
    early = settle(run, steady(run, 1), series, LOCATIONS, now=at(2), final_after=WEEK)
    assert isinstance(early, NotYet)
    assert at(2) < early.until <= at(1) + WEEK
    assert Settled.TYPICAL is settled(run, steady(run, 1), series, now=at(1) + WEEK).settled
    assert (
        Settled.TYPICAL is settled(run, steady(run, 1), series, now=at(1), typical_after=timedelta(0)).settled
    )


def test_what_is_not_published_is_waited_for() -> None:
    run = a_run((0, 2, "home"))
    for actuals in ({}, {"GB": hourly("GB", 100)}):
        outcome = settle(run, steady(run, 1), actuals, LOCATIONS, now=at(2), final_after=WEEK)
        assert isinstance(outcome, NotYet)
        assert at(2) < outcome.until
        assert "GB" in outcome.reason


@pytest.mark.parametrize(("now", "again"), [(1.999, 2), (2, 2.5), (3, 3.5)])
def test_a_run_that_has_just_ended_is_tried_again_when_its_last_second_is_over(
    now: float, again: float
) -> None:
    run = a_run((0, 2, "home"))

    outcome = settle(run, steady(run, 1), {}, LOCATIONS, now=at(now), final_after=WEEK)

    assert isinstance(outcome, NotYet)
    assert at(again) == outcome.until


def test_a_run_whose_energy_nobody_knows_has_no_amounts() -> None:
    entry = settled(a_run((0, 1, "home")), EnergyProfile(), {}, unmeasured="no meter here")
    assert (None, None, None) == (entry.emissions_ug, entry.baseline_ug, entry.total_avoided_ug)
    assert "no meter here" == entry.unmeasured
    assert {} == entry.avoided_ug


def test_intensities_of_different_measures_are_not_added() -> None:
    run = a_run((0, 1, "north"))
    direct = replace(hourly("NO", 10), measure=Measure(scope=Scope.DIRECT))
    with pytest.raises(SeriesError, match="different things"):
        settled(run, steady(run, 1), {"GB": hourly("GB", 100), "NO": direct})


def test_a_location_that_is_gone_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'mars'.*known: home, north"):
        settled(a_run((0, 1, "mars")), steady(a_run((0, 1, "mars")), 1), {})


def test_the_intensity_used_is_kept_for_run_and_baseline() -> None:
    run = a_run((2, 3, "home"))
    entry = settled(run, steady(run, 1), {"GB": hourly("GB", 300, 200, 50)})
    assert [(at(2), at(3), 50_000_000)] == [(u.start, u.end, u.micrograms_per_kwh) for u in entry.intensity]
    assert [(at(0), at(1), 300_000_000)] == [
        (u.start, u.end, u.micrograms_per_kwh) for u in entry.baseline_intensity
    ]


def test_spans_name_what_must_be_asked_for() -> None:
    run = a_run((2, 3, "north"))
    first, last = spans(run, LOCATIONS)["GB"]
    assert (T0, True) == (first, last >= at(3))
    assert {"GB", "NO"} == set(spans(run, LOCATIONS))


def test_a_run_that_began_before_its_submission_asks_for_its_whole_baseline() -> None:
    run = a_run((0, 2, "home"), request=JobRequest(submitted=at(1)))

    assert spans(run, LOCATIONS)["GB"][1] >= at(3)
    entry = settled(run, steady(run, 1000), {"GB": hourly("GB", 10, 20, 40, 50)})
    assert (30_000_000, 60_000_000) == (entry.emissions_ug, entry.baseline_ug)


# --- promises ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "state", "kept"),
    [
        (JobRequest(submitted=T0), JobState.SUCCEEDED, None),
        (JobRequest(submitted=T0, deadline=at(5)), JobState.SUCCEEDED, True),
        (JobRequest(submitted=T0, deadline=at(4.9)), JobState.SUCCEEDED, False),
        (JobRequest(submitted=T0, deadline=at(4)), JobState.CANCELLED, None),
        (JobRequest(submitted=T0, deadline=at(6)), JobState.FAILED, None),
        (JobRequest(submitted=T0, deadline=at(4)), JobState.FAILED, False),
        (JobRequest(submitted=T0, max_delay=3 * HOUR), JobState.SUCCEEDED, True),  # waited 1, paused 2
        (
            JobRequest(submitted=T0, max_delay=3 * HOUR, checkpoint=timedelta(seconds=1)),
            JobState.SUCCEEDED,
            False,
        ),
        (JobRequest(submitted=T0, earliest=at(1), max_delay=2 * HOUR), JobState.SUCCEEDED, True),
    ],
)
def test_a_promise_is_judged_by_what_was_lost(
    request_: JobRequest, state: JobState, kept: bool | None
) -> None:
    run = a_run((1, 2, "home"), (4, 5, "home"), request=request_, state=state)
    series = {"GB": hourly("GB", 1, 1, 1, 1, 1)}
    assert kept is settled(run, steady(run, 1), series).deadline_kept
