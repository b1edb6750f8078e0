"""Planning many jobs together is planning them one by one, by least slack, in the room that is left."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanhours.domain.caps import CapPoint, PowerCurve
from cleanhours.domain.deadlines import latest_safe_start
from cleanhours.domain.errors import Complaint
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.intervals import Integers
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours.domain.rules import Rules
from cleanhours.planning.fleet import plan_all
from cleanhours.planning.memory import Memory, Tick
from cleanhours.planning.policies import make_plan
from cleanhours.planning.turns import progress_of
from tests.unit.planning.made import EXACT, NOW, made_series, made_world

CURVE = PowerCurve.of(
    [CapPoint(250, 110, 88_000), CapPoint(225, 140, 85_000), CapPoint(300, 100, 100_000)], 50
)
_RUNS = (JobState.RUNNING, JobState.RELEASED)


def straightforward(
    now: datetime,
    jobs: Sequence[Job],
    rooms: Mapping[str, Room],
    level: Mapping[str, IntensitySeries],
    rules: Rules,
) -> dict[JobKey, Plan]:
    """One job after the other, each by `make_plan` in the gaps that bookings, counted naively, leave."""
    bookings = {name: list(room.others) for name, room in rooms.items()}
    locations = {name: room.location for name, room in rooms.items()}
    plans = {}
    for job in sorted(jobs, key=lambda job: _order(job, rules)):
        gaps = {
            name: naive_gaps(rooms[name].location.capacity, taken, job.request.demand)
            for name, taken in bookings.items()
        }
        plan = make_plan(
            job.request, [level], now=now, locations=locations, home=job.home, rules=_rules_of(job, rules),
            progress=progress_of(job), current=job.plan, gaps=gaps,
        )  # fmt: skip
        plans[job.key] = plan
        for segment in plan.segments:
            bookings[segment.location].append(Booking(segment.start, segment.end, job.request.demand))
        if not plan.segments:
            hour = plan.start + timedelta(hours=1)
            bookings[plan.location].append(Booking(plan.start, hour, job.request.demand))
    return plans


def _rules_of(job: Job, rules: Rules) -> Rules:
    queue = rules.margins.queue if job.queue_margin is None else job.queue_margin
    return replace(rules, margins=replace(rules.margins, queue=queue))


def _order(job: Job, rules: Rules) -> tuple[int, datetime, JobKey]:
    restart = job.request.checkpoint if job.state in (*_RUNS, JobState.PAUSED) else timedelta(0)
    latest = latest_safe_start(
        job.request, job.remaining or timedelta(0), _rules_of(job, rules).margins, restart=restart
    )
    if job.state in _RUNS:
        searched = job.state is JobState.RUNNING and job.request.interruptible and latest >= NOW
        free = searched and job.request.flexible and job.remaining is not None
        phase = 1 if free and job.request.policy in (None, "lowest-slots", "elastic") else 0
    else:
        phase = 2 if job.remaining is None or not job.request.flexible else 3
    return phase, latest, job.key


def naive_gaps(capacity: Capacity, taken: Sequence[Booking], demand: Demand) -> Integers | None:
    """Where the demand fits beside all bookings: every stretch between two changes is looked at by itself."""
    limits = dict(zip(("cpu_millicores", "memory_bytes", "gpus", "slots"), capacity.limits(), strict=True))
    asked = {name: limit for name, limit in limits.items() if limit is not None and getattr(demand, name)}
    if not asked:
        return None
    edges = sorted({-(10**12), 10**12, *(int(t.timestamp()) for b in taken for t in (b.start, b.end))})
    gaps: list[list[int]] = []
    for begin, end in itertools.pairwise(edges):
        there = [b.demand for b in taken if b.start.timestamp() <= begin and b.end.timestamp() >= end]
        if all(sum(getattr(d, n) for d in there) + getattr(demand, n) <= limit for n, limit in asked.items()):
            if gaps and gaps[-1][1] == begin:
                gaps[-1][1] = end
            else:
                gaps.append([begin, end])
    return np.array(gaps, np.int64).reshape(-1, 2)


@given(st.integers(0, 2**32), st.integers(1, 14))
@settings(max_examples=60)
def test_a_fleet_is_planned_as_if_one_by_one(seed: int, count: int) -> None:
    dice = random.Random(seed)
    jobs, rooms, level = made_world(dice, count)
    rules = dice.choice((Rules(), EXACT, Rules(delay_g_per_hour=200.0)))
    rules = replace(rules, power_curves=dice.choice(({}, {"net": CURVE})))
    expected = straightforward(NOW, jobs, rooms, level, rules)
    found, memory = plan_all(NOW, jobs, rooms, [level], rules)
    assert expected == found
    later = NOW + timedelta(seconds=30)
    jobs = [replace(job, plan=found[job.key]) for job in jobs]
    again, _ = plan_all(later, jobs, rooms, [level], rules, memory=memory)
    assert straightforward(later, jobs, rooms, level, rules) == again


@given(st.integers(0, 2**32), st.integers(1, 14))
@settings(max_examples=40)
def test_capacity_is_exceeded_only_where_a_plan_says_so(seed: int, count: int) -> None:
    jobs, rooms, level = made_world(random.Random(seed), count)
    plans, _ = plan_all(NOW, jobs, rooms, [level])
    obliged = (
        Reason.NO_DURATION,
        Reason.NO_SLACK,
        Reason.RUN_NOW,
        Reason.DEADLINE_ONLY,
        Reason.DEADLINE_GUARD,
    )
    by_key = {job.key: job for job in jobs}
    for name, room in rooms.items():
        polite = [
            (segment, by_key[key].request.demand)
            for key, plan in plans.items()
            for segment in plan.segments
            if plan.location == name and plan.reason not in obliged and "before capacity" not in plan.note
            and by_key[key].state not in _RUNS
        ]  # fmt: skip
        taken = [*room.others, *(Booking(one.start, one.end, demand) for one, demand in polite)]
        nothing = Capacity(*(limit for limit in room.location.capacity.limits()))
        for booking in taken[len(room.others) :]:
            rest = [other for other in taken if other is not booking]
            gaps = naive_gaps(nothing, rest, booking.demand)
            start, end = booking.start.timestamp(), booking.end.timestamp()
            assert gaps is None or any(first <= start and end <= last for first, last in gaps)


def a_job(name: str, *, state: JobState = JobState.HELD, request: JobRequest | None = None) -> Job:
    wish = request or JobRequest(
        submitted=NOW, duration=timedelta(hours=1), deadline=NOW + timedelta(hours=6)
    )
    return Job(
        key=JobKey("here", name), name=name, namespace="", state=state, request=wish, home="coast",
        remaining=wish.duration, location="coast" if state is JobState.RUNNING else None,
    )  # fmt: skip


def one_room(slots: int) -> dict[str, Room]:
    return {"coast": Room(Location("coast", "AA", 1.0, Capacity(slots=slots)))}


AHEAD = {"AA": made_series([90, 50, 10, 30, 70, 90, 90, 90], step=timedelta(hours=1))}
LEVELS = [AHEAD]


def test_many_equal_jobs_do_not_all_start_in_the_cleanest_hour() -> None:
    plans, _ = plan_all(NOW, [a_job(f"job-{i}") for i in range(6)], one_room(2), [AHEAD])
    starts = sorted((plan.start - NOW) / timedelta(hours=1) for plan in plans.values())
    assert [1, 1, 2, 2, 3, 3] == starts


def test_the_job_with_the_least_slack_chooses_first() -> None:
    urgent = JobRequest(submitted=NOW, duration=timedelta(hours=1), deadline=NOW + timedelta(hours=4))
    plans, _ = plan_all(NOW, [a_job("a"), a_job("b", request=urgent)], one_room(1), [AHEAD])
    hours = {key.uid: (plan.start - NOW) / timedelta(hours=1) for key, plan in plans.items()}
    assert {"b": 2, "a": 3} == hours


def test_what_runs_keeps_its_room() -> None:
    running = a_job(
        "running", state=JobState.RUNNING, request=JobRequest(submitted=NOW, duration=timedelta(hours=3))
    )
    plans, _ = plan_all(NOW, [a_job("held"), running], one_room(1), [AHEAD])
    assert (NOW, NOW + timedelta(hours=3)) == (plans[running.key].start, plans[JobKey("here", "held")].start)


def test_a_job_of_unknown_duration_keeps_others_away_for_an_hour() -> None:
    unknown = a_job("unknown", request=JobRequest(submitted=NOW))
    clean_now = {"AA": made_series([10, 20, 30, 40, 50, 60, 70, 80], step=timedelta(hours=1))}
    plans, _ = plan_all(NOW, [a_job("held"), unknown], one_room(1), [clean_now])
    assert (Reason.NO_DURATION, NOW) == (plans[unknown.key].reason, plans[unknown.key].start)
    assert NOW + timedelta(hours=1) == plans[JobKey("here", "held")].start


def test_a_job_with_complaints_runs_now_and_says_what_is_wrong() -> None:
    job = replace(a_job("wrong"), complaints=(Complaint("max-delay", "soon", "a duration"),))
    plans, _ = plan_all(NOW, [job], one_room(0), [AHEAD])
    plan = plans[job.key]
    assert (Reason.INVALID_REQUEST, NOW) == (plan.reason, plan.start)
    assert "max-delay: found 'soon'" in plan.sentence


@pytest.mark.parametrize("state", [JobState.UNMANAGED, JobState.SUCCEEDED])
def test_what_is_not_ours_to_plan_is_left_alone(state: JobState) -> None:
    assert {} == plan_all(NOW, [a_job("theirs", state=state)], one_room(1), [AHEAD])[0]


def test_no_deadline_is_lost_for_want_of_room() -> None:
    plans, _ = plan_all(NOW, [a_job(f"job-{i}") for i in range(9)], one_room(1), [AHEAD])
    assert all(plan.start <= plan.latest_start for plan in plans.values())
    assert {Reason.CAPACITY} == {plan.reason for plan in plans.values() if "before capacity" in plan.note}


def test_what_time_did_not_suffice_for_is_planned_next_as_if_at_once() -> None:
    jobs = [a_job(f"job-{number:03}") for number in range(600)]
    rooms = one_room(200)
    whole, _ = plan_all(NOW, jobs, rooms, LEVELS)
    plans: dict[JobKey, Plan] = {}
    memory: object | None = None
    counts = []
    for _ in range(3):
        seen = [replace(job, plan=plans.get(job.key), state=JobState.HELD) for job in jobs]
        plans, memory = plan_all(NOW, seen, rooms, LEVELS, memory=memory, out_of_time=lambda: True)
        counts.append(len(plans))

    assert [256, 512, 600] == counts
    assert [] == [key for key in whole if plans[key].changed_from(whole[key])]


def put_off() -> tuple[list[Job], dict[JobKey, Plan], Memory]:
    """Six hundred jobs, of which the first tick had time for a chunk."""
    jobs = [a_job(f"job-{number:03}") for number in range(600)]
    plans, memory = plan_all(NOW, jobs, one_room(200), LEVELS, out_of_time=lambda: True)
    assert isinstance(memory, Memory)
    return jobs, plans, memory


def test_who_is_put_off_keeps_his_place_and_is_not_asked_again_before_his_turn() -> None:
    jobs, plans, memory = put_off()
    rooms = one_room(200)
    whole, _ = plan_all(NOW, jobs, rooms, LEVELS)
    for waiting in (344, 88):
        assert waiting == len(memory.still_put_off(Tick(NOW, jobs, rooms, LEVELS, Rules())))
        jobs = [replace(job, plan=plans[job.key]) if job.key in plans else job for job in jobs]
        plans, again = plan_all(NOW, jobs, rooms, LEVELS, memory=memory, out_of_time=lambda: True)
        assert isinstance(again, Memory)
        memory = again
    assert {} == memory.put_off
    assert [] == [key for key in whole if plans[key].changed_from(whole[key])]


def test_who_is_put_off_is_asked_anew_where_anything_may_be_another() -> None:
    jobs, _, memory = put_off()
    rooms = one_room(200)
    latest = min(latest for _, latest in memory.put_off.values())
    assert 344 == len(memory.still_put_off(Tick(NOW, jobs, rooms, LEVELS, Rules())))
    others = [replace(job) for job in jobs]
    for tick in (
        Tick(NOW, others, rooms, LEVELS, Rules()),
        Tick(NOW, jobs, rooms, [AHEAD], Rules()),
        Tick(NOW, jobs, rooms, LEVELS, Rules(hysteresis_percent=5)),
        Tick(NOW - timedelta(seconds=1), jobs, rooms, LEVELS, Rules()),
        Tick(datetime.fromtimestamp(latest - 120, UTC), jobs, rooms, LEVELS, Rules()),
    ):
        assert {} == memory.still_put_off(tick)


def test_who_is_put_off_until_it_is_too_late_runs_at_once_all_the_same() -> None:
    jobs, _, memory = put_off()
    late = NOW + timedelta(hours=5)
    plans, _ = plan_all(late, jobs, one_room(200), LEVELS, memory=memory, out_of_time=lambda: True)
    assert 600 == len(plans)
    assert {late} == {plan.start for plan in plans.values()}


def test_out_of_time_plans_in_force_stay() -> None:
    jobs = [a_job(f"job-{number:03}") for number in range(300)]
    plans, _ = plan_all(NOW, jobs, one_room(200), LEVELS)
    held = [replace(job, plan=plans[job.key], state=JobState.HELD) for job in jobs]

    again, _ = plan_all(NOW, held, one_room(200), [dict(AHEAD)], out_of_time=lambda: True)

    assert 300 == len(again)
    assert 44 <= sum(again[key] is plans[key] for key in plans)


def test_when_nothing_changed_the_plans_are_the_ones_that_a_search_finds() -> None:
    jobs = [a_job(f"job-{number:03}") for number in range(60)]
    rooms = one_room(5)
    plans, memory = plan_all(NOW, jobs, rooms, LEVELS)
    held = [replace(job, plan=plans[job.key], state=JobState.HELD) for job in jobs]
    later = NOW + timedelta(minutes=1)

    remembered, _ = plan_all(later, held, rooms, LEVELS, memory=memory)
    searched, _ = plan_all(later, held, rooms, LEVELS)

    assert [] == [key for key in searched if remembered[key].changed_from(searched[key])]


def test_another_forecast_or_request_or_room_is_not_remembered() -> None:
    job = a_job("one")
    plans, memory = plan_all(NOW, [job], one_room(1), LEVELS)
    held = replace(job, plan=plans[job.key], state=JobState.HELD)
    assert isinstance(memory, Memory)
    same = (NOW, [held], one_room(1), LEVELS, Rules())
    assert [(held.key, True)] == [(key, one.kept) for key, one in memory.still_best(Tick(*same)).items()]

    due = plans[job.key].start
    other = replace(held, request=replace(job.request, interruptible=not job.request.interruptible))
    for changed in (
        (NOW, [held], one_room(1), [dict(AHEAD)], Rules()),
        (NOW, [held], one_room(2), LEVELS, Rules()),
        (NOW, [held], one_room(1), LEVELS, Rules(hysteresis_percent=5)),
        (NOW, [other], one_room(1), LEVELS, Rules()),
        (due, [held], one_room(1), LEVELS, Rules()),
        (NOW, [replace(held, state=JobState.RUNNING)], one_room(1), LEVELS, Rules()),
    ):
        assert {} == memory.still_best(Tick(*changed))


def test_a_newcomer_without_room_makes_everybody_ask_again() -> None:
    calm = a_job("calm")
    rooms = one_room(1)
    plans, memory = plan_all(NOW, [calm], rooms, LEVELS)
    held = replace(calm, plan=plans[calm.key], state=JobState.HELD)
    start = plans[calm.key].start
    urgent = a_job("urgent")
    urgent = replace(
        urgent,
        request=replace(
            urgent.request, earliest=start, deadline=start + timedelta(hours=1, minutes=40), max_delay=None
        ),
    )

    again, _ = plan_all(NOW, [held, urgent], rooms, LEVELS, memory=memory)

    assert Reason.CAPACITY is not again[urgent.key].reason
