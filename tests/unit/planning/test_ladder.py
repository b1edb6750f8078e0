"""Every rung of the ladder: a job that cannot be planned runs, and the reason says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cleanhours.domain.intensity import Measure, Scope
from cleanhours.domain.plans import Reason
from cleanhours.domain.rules import Rules
from tests.unit.planning.asked import AHEAD, HOUR, JOB, hours, planned
from tests.unit.planning.made import EXACT, NOW, made_series


def test_a_job_without_wishes_runs_now() -> None:
    plan = planned(replace(JOB, deadline=None), AHEAD)
    assert (Reason.RUN_NOW, [(0, 1)]) == (plan.reason, hours(plan))


def test_a_job_of_unknown_duration_runs_now() -> None:
    plan = planned(replace(JOB, duration=None), AHEAD)
    assert (Reason.NO_DURATION, NOW, None, ()) == (plan.reason, plan.start, plan.end, plan.segments)


def test_a_job_without_slack_runs_now() -> None:
    plan = planned(replace(JOB, duration=9 * HOUR), AHEAD)
    assert (Reason.NO_SLACK, [(0, 9)]) == (plan.reason, hours(plan))


def test_a_deadline_in_the_past_runs_now() -> None:
    assert Reason.NO_SLACK is planned(replace(JOB, deadline=NOW - HOUR), AHEAD).reason


def test_a_held_job_past_its_latest_safe_start_is_released_by_the_guard() -> None:
    held = planned(JOB, AHEAD)
    waiting = replace(held, start=NOW + 9 * HOUR)
    plan = planned(JOB, AHEAD, at=7 * HOUR + timedelta(seconds=1), current=waiting)
    assert (Reason.DEADLINE_GUARD, NOW + 7 * HOUR + timedelta(seconds=1)) == (plan.reason, plan.start)


def test_without_forecast_nothing_is_held() -> None:
    plan = planned(JOB)
    assert (Reason.NO_FORECAST, NOW, None) == (plan.reason, plan.start, plan.expected_g)


def test_a_forecast_that_does_not_cover_the_work_is_none() -> None:
    assert (
        Reason.NO_FORECAST is planned(replace(JOB, duration=3 * HOUR), made_series([5, 1], step=HOUR)).reason
    )


def test_a_forecast_that_begins_later_is_none() -> None:
    late = made_series([5, 1, 5, 5], step=HOUR, start=NOW + HOUR)
    assert Reason.NO_FORECAST is planned(JOB, late).reason


def test_a_saving_below_the_minimum_is_not_waited_for() -> None:
    rules = replace(EXACT, minimum_saving_percent=5.0)
    plan = planned(JOB, made_series([100, 96, 100, 100, 100, 100, 100, 100], step=HOUR), rules=rules)
    assert (Reason.BELOW_MIN_SAVING, [(0, 1)]) == (plan.reason, hours(plan))
    plan = planned(JOB, made_series([100, 95, 100, 100, 100, 100, 100, 100], step=HOUR), rules=rules)
    assert (Reason.LOWEST_WINDOW, [(1, 2)]) == (plan.reason, hours(plan))


def test_who_has_waited_keeps_the_reason_when_waiting_on_is_not_worth_it() -> None:
    held = planned(JOB, made_series([100, 100, 100, 100, 50, 100, 100, 100], step=HOUR))
    assert [(4, 5)] == hours(held)

    plan = planned(JOB, made_series([100] * 8, step=HOUR), at=HOUR, current=held, rules=Rules())

    assert (Reason.LOWEST_WINDOW, NOW + HOUR) == (plan.reason, plan.start)
    assert "waiting on would save too little" in plan.sentence


def test_a_wait_that_is_nearly_over_is_finished() -> None:
    dawn = made_series([100, 100, 100, 100, 50, 100, 100, 100], step=HOUR)
    held = planned(JOB, dawn)
    rules = Rules(minimum_saving_percent=20.0)

    near = planned(JOB, dawn, at=4 * HOUR - timedelta(minutes=6), current=held, rules=rules)
    far = planned(JOB, dawn, at=4 * HOUR - timedelta(minutes=7), current=held, rules=rules)

    assert (Reason.LOWEST_WINDOW, held.start) == (near.reason, near.start)
    assert NOW + 4 * HOUR - timedelta(minutes=7) == far.start


def test_a_flat_forecast_runs_now() -> None:
    plan = planned(JOB, made_series([50] * 8, step=HOUR), rules=Rules())
    assert (Reason.BELOW_MIN_SAVING, [(0, 1)]) == (plan.reason, hours(plan))


def test_no_carbon_at_all_runs_now_and_saves_nothing() -> None:
    plan = planned(JOB, made_series([0] * 8, step=HOUR), rules=Rules())
    assert (Reason.BELOW_MIN_SAVING, 0.0, None) == (plan.reason, plan.baseline_g, plan.saving_percent)


def test_a_horizon_that_ends_early_is_planned_inside_and_said() -> None:
    plan = planned(JOB, made_series([9, 5, 7], step=HOUR))
    assert (Reason.LOWEST_WINDOW, [(1, 2)]) == (plan.reason, hours(plan))
    assert "the forecast ends 2026-03-01T03:00:00Z" in plan.sentence


def test_a_level_that_does_not_know_every_candidate_is_passed_over() -> None:
    both = [AHEAD, replace(made_series([30] * 8, step=HOUR), zone="BB", provider="typical")]
    typical = [replace(one, provider="typical") for one in both]
    request = replace(JOB, locations=("coast", "hills"))
    plan = planned(request, AHEAD, typical)
    assert plan.forecast is not None
    assert "typical" == plan.forecast.provider


def test_levels_of_different_scope_are_never_compared() -> None:
    direct = replace(made_series([1] * 8, step=HOUR), zone="BB", measure=Measure(scope=Scope.DIRECT))
    plan = planned(replace(JOB, locations=("coast", "hills")), [AHEAD, direct])
    assert Reason.NO_FORECAST is plan.reason


def test_a_series_is_never_continued_by_another_level() -> None:
    plan = planned(
        replace(JOB, duration=2 * HOUR), made_series([50, 40], step=HOUR), made_series([1] * 9, step=HOUR)
    )
    assert [(0, 2)] == hours(plan)
