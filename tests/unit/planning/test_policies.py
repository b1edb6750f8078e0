"""One job's plan: what each policy chooses, and what a plan promises."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanhours.domain.deadlines import latest_safe_start
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest, Policy
from cleanhours.domain.rules import Rules
from cleanhours.domain.times import instant_of
from cleanhours.planning.policies import make_plan
from cleanhours.planning.questions import Progress
from tests.unit.planning.asked import AHEAD, HOUR, JOB, hours, planned
from tests.unit.planning.made import EXACT, NOW, START, made_job, made_series, made_world


def test_a_job_that_cannot_pause_gets_the_cleanest_window() -> None:
    plan = planned(replace(JOB, duration=2 * HOUR), AHEAD)
    assert (Reason.LOWEST_WINDOW, [(2, 4)]) == (plan.reason, hours(plan))


def test_grams_are_power_times_intensity_times_pue() -> None:
    level = [AHEAD, replace(made_series([50, 10, 50, 50, 50, 50, 50, 50], step=HOUR), zone="BB")]
    plan = planned(replace(JOB, locations=("coast", "hills")), level)
    assert ("hills", [(1, 2)]) == (plan.location, hours(plan))
    assert (10.0, 2 * 10 * 1.5, 2 * 100.0) == (plan.mean_g_per_kwh, plan.expected_g, plan.baseline_g)
    assert 85.0 == plan.saving_percent


def test_a_job_that_can_pause_gets_the_cleanest_hours() -> None:
    plan = planned(
        replace(JOB, duration=3 * HOUR, interruptible=True), made_series([9, 1, 9, 1, 9, 1, 9, 9], step=HOUR)
    )
    assert (Reason.LOWEST_SLOTS, [(1, 2), (3, 4), (5, 6)]) == (plan.reason, hours(plan))


def test_a_pause_that_loses_more_than_it_saves_is_not_made() -> None:
    request = replace(JOB, duration=2 * HOUR, interruptible=True, checkpoint=timedelta(minutes=30))
    plan = planned(request, made_series([90, 40, 45, 40, 90, 90, 90, 90], step=HOUR))
    assert [(1, 3)] == hours(plan)


def test_a_plan_with_pauses_runs_the_lost_time_too() -> None:
    request = replace(JOB, duration=2 * HOUR, interruptible=True, checkpoint=timedelta(minutes=30))
    plan = planned(request, made_series([90, 10, 90, 10, 40, 90, 90, 90], step=HOUR))
    assert [(1, 2), (3, 4.5)] == hours(plan)
    assert 2 * (10 + 10 + 20) == plan.expected_g


def test_delay_is_weighed_against_carbon() -> None:
    falling = made_series([100, 80, 40, 20, 15, 14, 13, 12], step=HOUR)
    request = replace(JOB, policy=Policy.CARBON_TIME)
    starts = [
        hours(planned(request, falling, rules=replace(EXACT, delay_g_per_hour=weight)))[0][0]
        for weight in (0, 5, 45, 500)
    ]
    assert [7, 4, 2, 0] == starts
    assert Reason.CARBON_TIME is planned(request, falling).reason


def test_the_last_safe_start_is_taken_when_asked_for() -> None:
    plan = planned(replace(JOB, policy=Policy.DEADLINE_ONLY), AHEAD)
    assert (Reason.DEADLINE_ONLY, [(7, 8)], plan.latest_start) == (plan.reason, hours(plan), plan.start)


def test_elastic_is_planned_as_what_the_job_can_do_and_says_so() -> None:
    request = replace(JOB, policy=Policy.ELASTIC, duration=2 * HOUR)
    assert Reason.LOWEST_WINDOW is planned(request, AHEAD).reason
    plan = planned(replace(request, interruptible=True), AHEAD)
    assert (Reason.LOWEST_SLOTS, True) == (plan.reason, "cannot be scaled" in plan.sentence)


def test_run_now_runs_now() -> None:
    plan = planned(replace(JOB, policy=Policy.RUN_NOW), AHEAD)
    assert (Reason.RUN_NOW, [(0, 1)], 200.0, 200.0) == (
        plan.reason,
        hours(plan),
        plan.expected_g,
        plan.baseline_g,
    )


def test_moving_data_costs_energy_at_both_ends_once() -> None:
    hills = replace(made_series([60] * 8, step=HOUR), zone="BB")
    flat = made_series([100] * 8, step=HOUR)
    places = {"coast": Location("coast", "AA"), "hills": Location("hills", "BB")}
    request = replace(JOB, locations=("hills",), data_bytes=500 * 10**9, power_w=2000)
    plan = make_plan(
        request, [{"AA": flat, "BB": hills}], now=NOW, locations=places, home="coast", rules=EXACT
    )
    assert ("hills", 2 * 60 + 0.5 * (100 + 60) / 2) == (plan.location, plan.expected_g)
    too_much = replace(request, data_bytes=1001 * 10**9)
    plan = make_plan(
        too_much, [{"AA": flat, "BB": hills}], now=NOW, locations=places, home="coast", rules=EXACT
    )
    assert ("coast", Reason.BELOW_MIN_SAVING) == (plan.location, plan.reason)


def test_data_moves_when_moving_is_clean() -> None:
    home = made_series([100, 100, 60, 100], step=HOUR)
    hills = replace(made_series([50, 50, 50, 50], step=HOUR), zone="BB")
    places = {"coast": Location("coast", "AA"), "hills": Location("hills", "BB")}
    request = replace(JOB, duration=timedelta(minutes=90), locations=("hills",), data_bytes=10**12)
    plan = make_plan(
        request, [{"AA": home, "BB": hills}], now=NOW, locations=places, home="coast", rules=EXACT
    )
    assert ("hills", [(2, 3.5)], 150 + 55) == (plan.location, hours(plan), plan.expected_g)


def test_the_owners_own_earliest_start_is_kept() -> None:
    rising = made_series([1, 2, 3, 4, 5, 6, 7, 8], step=HOUR)
    plan = planned(replace(JOB, earliest=NOW + 3 * HOUR), rising)
    assert ([(3, 4)], 8.0) == (hours(plan), plan.baseline_g)


def test_a_fraction_of_a_second_is_rounded_up() -> None:
    plan = planned(replace(JOB, policy=Policy.RUN_NOW), AHEAD, at=timedelta(microseconds=1))
    assert NOW + timedelta(seconds=1) == plan.start


def test_on_a_clock_set_back_nobody_waits_longer_than_he_may() -> None:
    request = replace(JOB, deadline=None, max_delay=2 * HOUR, submitted=NOW + HOUR)
    assert (Reason.NO_SLACK, [(0, 1)]) == (planned(request, AHEAD).reason, hours(planned(request, AHEAD)))
    moments = replace(request, submitted=NOW + timedelta(seconds=59))
    assert Reason.LOWEST_WINDOW == planned(moments, AHEAD).reason


def test_max_delay_bounds_the_wait() -> None:
    plan = planned(replace(JOB, deadline=None, max_delay=2 * HOUR), AHEAD)
    assert [(2, 3)] == hours(plan)


def test_a_slightly_better_plan_does_not_replace_the_current_one() -> None:
    before = planned(JOB, AHEAD)
    moved = made_series([100, 80, 19.8, 20, 60, 90, 100, 100], step=HOUR)
    kept = planned(JOB, moved, current=before, rules=replace(EXACT, hysteresis_percent=2))
    assert ([(3, 4)], 200.0) == (hours(kept), kept.baseline_g)
    better = made_series([100, 80, 19.5, 20, 60, 90, 100, 100], step=HOUR)
    assert [(2, 3)] == hours(planned(JOB, better, current=before, rules=replace(EXACT, hysteresis_percent=2)))


def test_a_kept_plan_has_the_new_figures() -> None:
    before = planned(JOB, AHEAD)
    kept = planned(JOB, made_series([120, 90, 50, 30, 70, 95, 110, 110], step=HOUR), current=before)
    assert (60.0, 240.0, Reason.LOWEST_WINDOW) == (kept.expected_g, kept.baseline_g, kept.reason)


def test_a_current_plan_that_is_no_longer_possible_is_dropped() -> None:
    before = planned(JOB, AHEAD)
    sooner = replace(JOB, deadline=NOW + 3 * HOUR)
    assert [(2, 3)] == hours(
        planned(sooner, AHEAD, current=before, rules=Rules(hysteresis_percent=50, margins=EXACT.margins))
    )


def test_a_running_job_that_cannot_pause_goes_on_where_it_is() -> None:
    progress = Progress(remaining=HOUR / 2, at="hills", running=True)
    plan = planned(JOB, [AHEAD, replace(AHEAD, zone="BB")], at=HOUR, progress=progress)
    assert ("hills", [(1, 1.5)], Reason.RUN_NOW) == (plan.location, hours(plan), plan.reason)


def test_a_running_job_that_can_pause_may_be_paused_but_never_moved() -> None:
    request = replace(JOB, duration=2 * HOUR, interruptible=True, locations=("coast", "hills"))
    clean = replace(made_series([1] * 8, step=HOUR), zone="BB")
    progress = Progress(remaining=HOUR, at="coast", running=True)
    plan = planned(request, [AHEAD, clean], progress=progress)
    assert ("coast", [(3, 4)]) == (plan.location, hours(plan))


def test_going_on_loses_nothing_and_resuming_loses_the_checkpoint() -> None:
    request = replace(JOB, duration=2 * HOUR, interruptible=True, checkpoint=timedelta(minutes=15))
    steady = made_series([10, 10, 10, 10, 10, 10, 10, 10], step=HOUR)
    running = planned(request, steady, progress=Progress(remaining=HOUR, at="coast", running=True))
    paused = planned(request, steady, progress=Progress(remaining=HOUR, at="coast", paused=True))
    assert ([(0, 1)], [(0, 1.25)]) == (hours(running), hours(paused))
    assert paused.latest_start == running.latest_start == NOW + 6.75 * HOUR


def test_room_decides_where_the_best_window_is() -> None:
    busy = np.array([[START, START + 2 * 3600], [START + 4 * 3600, START + 8 * 3600]])
    assert [(4, 5)] == hours(planned(JOB, AHEAD, gaps={"coast": busy}))


def test_a_job_not_worth_delaying_waits_for_room_only() -> None:
    rising = made_series([1, 2, 3, 4, 5, 6, 7, 8], step=HOUR)
    busy = np.array([[START + 3600, START + 8 * 3600]])
    plan = planned(JOB, rising, gaps={"coast": busy})
    assert (Reason.CAPACITY, [(1, 2)]) == (plan.reason, hours(plan))


def test_a_deadline_goes_before_capacity() -> None:
    plan = planned(JOB, AHEAD, gaps={"coast": np.empty((0, 2), np.int64)})
    assert (Reason.CAPACITY, [(7, 8)]) == (plan.reason, hours(plan))
    assert "before capacity" in plan.sentence


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_every_question_has_an_answer_that_keeps_its_promises(seed: int) -> None:
    dice = random.Random(seed)
    _, rooms, level = made_world(dice, 0)
    job = made_job(dice, 0, tuple(rooms))
    request = job.request
    locations = {name: room.location for name, room in rooms.items()}
    plan = make_plan(request, [level], now=NOW, locations=locations, home=job.home)
    latest = latest_safe_start(request, request.duration or timedelta(0), Rules().margins)
    soonest = max(NOW, request.earliest or NOW)
    late = latest < soonest
    assert plan.start >= soonest
    if request.duration is None:
        return
    assert sum(((one.end - one.start) for one in plan.segments), timedelta(0)) >= request.duration
    assert plan.start == soonest or plan.start <= plan.latest_start
    assert late or not request.flexible or plan.segments[-1].end <= plan.latest_start + request.duration
    if request.deadline is not None and not late and plan.start <= plan.latest_start:
        assert plan.segments[-1].end <= request.deadline
    assert plan == Plan.from_json(plan.to_json()) or plan.sentence == Plan.from_json(plan.to_json()).sentence


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_one_more_location_or_hour_of_slack_never_makes_a_plan_worse(seed: int) -> None:
    dice = random.Random(seed)
    _, rooms, level = made_world(dice, 0)
    locations = {name: room.location for name, room in rooms.items()}
    job = made_job(dice, 0, ("coast", "hills"))
    request = replace(
        job.request, duration=job.request.duration or HOUR, deadline=NOW + timedelta(seconds=dice.randint(6000, 18000)),
        max_delay=None, earliest=None, policy=None, pause_energy_j=0.0, locations=("coast", "hills"),
    )  # fmt: skip

    def emitted(wish: JobRequest) -> float:
        plan = make_plan(wish, [level], now=NOW, locations=locations, home="coast", rules=EXACT)
        assert plan.expected_g is not None
        return plan.expected_g

    least = emitted(request)
    assert emitted(replace(request, locations=("coast", "hills", "river"))) <= least
    assert emitted(replace(request, locations=())) >= least
    assert request.deadline is not None
    # see options.py: with pauses, what moving data costs is not part of the optimum
    if not request.interruptible:
        assert emitted(replace(request, deadline=request.deadline + HOUR)) <= least
    at_home = replace(request, data_bytes=0)
    assert emitted(replace(at_home, deadline=request.deadline + HOUR)) <= emitted(at_home)


@pytest.mark.parametrize("policy", [None, *Policy])
def test_no_policy_is_late(policy: Policy | None) -> None:
    for interruptible in (False, True):
        request = replace(JOB, policy=policy, interruptible=interruptible, checkpoint=timedelta(minutes=5))
        plan = planned(request, AHEAD, rules=Rules())
        assert plan.end is not None
        assert request.deadline is not None
        assert plan.end <= request.deadline - Rules().margins.queue
        assert instant_of(START) <= plan.start <= plan.latest_start
