"""From plans to actions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cleanhours.control.deciding import decide, next_due, ramp
from cleanhours.domain.caps import Cap
from cleanhours.domain.jobs import Action, Decision, Job, JobKey, JobState
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.requests import JobRequest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALL = frozenset(Action)


def plan(
    *hours: tuple[float, float], reason: Reason = Reason.LOWEST_WINDOW, latest: float = 20, at: str = "eu"
) -> Plan:
    segments = tuple(Segment(NOW + a * HOUR, NOW + b * HOUR, at, "GB") for a, b in hours)
    return Plan(
        location=at, zone="GB", start=segments[0].start, end=segments[-1].end, segments=segments,
        latest_start=NOW + latest * HOUR, reason=reason,
    )  # fmt: skip


def job(state: JobState, old: Plan | None = None, *, uid: str = "1", interruptible: bool = True) -> Job:
    request = JobRequest(submitted=NOW, duration=HOUR, max_delay=20 * HOUR, interruptible=interruptible)
    return Job(
        key=JobKey("c", uid), name="train", namespace="ml", state=state, request=request, home="eu", plan=old,
        movable=interruptible,
    )  # fmt: skip


NOW_PLAN, LATER = plan((0, 1)), plan((3, 4))


@pytest.mark.parametrize(
    ("state", "old", "new", "action"),
    [
        (JobState.PENDING, None, NOW_PLAN, Action.RELEASE),
        (JobState.PENDING, None, LATER, Action.HOLD),
        (JobState.HELD, LATER, LATER, None),
        (JobState.HELD, LATER, plan((5, 6)), Action.REMARK),
        (JobState.HELD, LATER, NOW_PLAN, Action.RELEASE),
        (JobState.PAUSED, LATER, NOW_PLAN, Action.RESUME),
        (JobState.PAUSED, LATER, LATER, None),
        (JobState.RUNNING, NOW_PLAN, NOW_PLAN, None),
        (JobState.RUNNING, NOW_PLAN, LATER, Action.SUSPEND),
        (JobState.RUNNING, NOW_PLAN, plan((3, 4), latest=0), None),
        (JobState.RUNNING, NOW_PLAN, plan((0, 1), at="us"), Action.RELOCATE),
        (JobState.RUNNING, NOW_PLAN, plan((3, 4), at="us"), Action.RELOCATE),
        (JobState.RUNNING, NOW_PLAN, plan((0, 1), latest=0, at="us"), None),
        (JobState.RELEASED, NOW_PLAN, plan((0, 1), at="us"), Action.REMARK),
        (JobState.RELEASED, NOW_PLAN, LATER, Action.REMARK),
        (JobState.RELEASED, replace(NOW_PLAN, cap=Cap(250, 1.1, 800, 1000)), NOW_PLAN, Action.REMARK),
        (JobState.HELD, LATER, replace(LATER, cap=Cap(250, 1.1, 800, 1000)), Action.REMARK),
        (JobState.PAUSING, NOW_PLAN, LATER, None),
        (JobState.MOVING, NOW_PLAN, LATER, None),
        (JobState.UNMANAGED, LATER, NOW_PLAN, None),
    ],
)
def test_each_state_has_its_action(
    state: JobState, old: Plan | None, new: Plan, action: Action | None
) -> None:
    decision = decide(job(state, old), new, NOW, ALL)

    assert action == (None if decision is None else decision.action)


@pytest.mark.parametrize(
    ("old", "new", "news"),
    [
        (plan((-1, 5)), plan((0, 5)), False),
        (plan((-1, 5), reason=Reason.LOWEST_SLOTS, latest=9), plan((0, 5), latest=8), False),
        (plan((-1, 5)), plan((0, 6)), False),
        (plan((-1, 5)), plan((0, 2), (3, 6)), True),
        (plan((-1, 2), (3, 6)), plan((0, 2), (3, 6)), False),
        (plan((-1, 2), (3, 6)), plan((0, 2.01), (3.01, 6)), False),
        (plan((-1, 2), (3, 6)), plan((0, 2.1), (3, 6)), True),
        (plan((-1, 2), (3, 6)), plan((0, 5)), True),
        (plan((-3, -2), (-1, 6)), plan((0, 6)), False),
        (plan((-1, 2), (3, 6)), plan((0, 2), (3, 6), at="us"), True),
    ],
)
def test_only_other_pauses_or_places_are_news_of_a_running_job(old: Plan, new: Plan, news: bool) -> None:
    running = replace(job(JobState.RUNNING, old), movable=False)
    assert news == (decide(running, new, NOW, ALL) is not None)


@pytest.mark.parametrize(
    ("late", "fresh", "carried_out"),
    [
        (0, plan((0, 1)), "announced"),
        (50, plan((50 / 3600, 1 + 50 / 3600)), "announced"),
        (70, plan((70 / 3600, 1 + 70 / 3600)), "fresh"),
        (0, plan((0, 1), reason=Reason.CAPACITY), "fresh"),
        (0, plan((0, 1), at="us"), "fresh"),
    ],
)
def test_a_start_on_time_carries_out_the_plan_that_was_announced(
    late: int, fresh: Plan, carried_out: str
) -> None:
    announced = replace(plan((0, 1)), expected_g=100, baseline_g=300)
    decision = decide(job(JobState.HELD, announced), fresh, NOW + timedelta(seconds=late), ALL)
    assert decision is not None
    assert (announced if carried_out == "announced" else fresh) is decision.plan


def test_what_cannot_be_interrupted_is_never_suspended() -> None:
    running = job(JobState.RUNNING, NOW_PLAN, interruptible=False)

    assert Action.REMARK == decide(running, LATER, NOW, ALL).action  # type: ignore[union-attr]
    assert Action.REMARK == decide(job(JobState.RUNNING, NOW_PLAN), LATER, NOW, frozenset()).action  # type: ignore[union-attr]


def test_the_ramp_lets_the_least_slack_first_and_never_slows_a_deadline() -> None:
    jobs = {one.key: one for one in (job(JobState.HELD, uid=str(number)) for number in range(6))}
    decisions = [
        Decision(key, Action.RELEASE, plan((0, 1), latest=20 - int(key.uid)), Reason.LOWEST_WINDOW)
        for key in jobs
    ]
    decisions[0] = replace(decisions[0], reason=Reason.DEADLINE_GUARD)
    decisions[1] = replace(decisions[1], action=Action.HOLD)

    passed = ramp(decisions, jobs, most=2)

    assert ["0", "1", "5", "4"] == [decision.key.uid for decision in passed]


def test_the_next_due_is_a_start_a_pause_or_a_guard() -> None:
    held, running, guarded = (job(JobState.HELD, uid=uid) for uid in "abc")
    running = replace(running, state=JobState.RUNNING)
    plans = {held.key: LATER, running.key: plan((-1, 2), (5, 6)), guarded.key: plan((9, 10), latest=1)}

    assert NOW + 1 * HOUR == next_due([held, running, guarded], plans, NOW)
    assert NOW + 2 * HOUR == next_due([held, running], plans, NOW)
    assert NOW + 3 * HOUR == next_due([held], plans, NOW)
    assert next_due([replace(held, state=JobState.UNMANAGED)], plans, NOW) is None
