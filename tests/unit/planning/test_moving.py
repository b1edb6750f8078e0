"""Jobs that have started and may go on elsewhere: what moving costs, when it is worth it, and what an oracle finds."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.rules import Rules
from cleanhours.planning.fleet import plan_all
from cleanhours.planning.policies import make_plan
from cleanhours.planning.questions import Progress
from tests.unit.planning.made import EXACT, MINUTE, NOW, made_series

HOUR = timedelta(hours=1)
PLACES = {
    "coast": Location("coast", "AA"),
    "hills": Location("hills", "BB"),
    "river": Location("river", "CC"),
}
JOB = JobRequest(
    submitted=NOW, duration=4 * HOUR, deadline=NOW + 8 * HOUR, power_w=1000, interruptible=True,
    locations=("coast", "hills"),
)  # fmt: skip
RUNNING = Progress(remaining=2 * HOUR, at="coast", running=True, movable=True)
PAUSED = Progress(remaining=2 * HOUR, at="coast", paused=True, movable=True)
HERE = [100.0] * 8
THERE = [50.0] * 8


def planned(
    request: JobRequest, here: list[float], there: list[float], progress: Progress, rules: Rules = EXACT
) -> Plan:
    level = {"AA": made_series(here, step=HOUR), "BB": made_series(there, step=HOUR, zone="BB")}
    return make_plan(
        request, [level], now=NOW, locations=PLACES, home="coast", rules=rules, progress=progress
    )


@pytest.mark.parametrize("progress", [RUNNING, PAUSED])
def test_a_started_job_goes_on_where_it_is_cleaner(progress: Progress) -> None:
    plan = planned(JOB, HERE, THERE, progress)
    assert ("hills", NOW, NOW + 2 * HOUR, 100.0) == (plan.location, plan.start, plan.end, plan.expected_g)


@pytest.mark.parametrize("progress", [RUNNING, PAUSED])
def test_a_job_that_is_not_movable_stays(progress: Progress) -> None:
    assert "coast" == planned(JOB, HERE, THERE, progress._replace(movable=False)).location


def test_moving_a_running_job_costs_its_checkpoint() -> None:
    request = replace(JOB, checkpoint=HOUR)
    plan = planned(request, HERE, [60.0] * 8, RUNNING)
    assert ("hills", 180.0, NOW + 3 * HOUR) == (plan.location, plan.expected_g, plan.end)
    assert "coast" == planned(request, HERE, [67.0] * 8, RUNNING).location


def test_moving_costs_the_transfer_of_the_data_once_more() -> None:
    rules = replace(EXACT, transfer_kwh_per_gb=0.01)
    plan = planned(replace(JOB, data_bytes=100 * 10**9), HERE, THERE, RUNNING, rules)
    assert ("hills", 100.0 + 75.0) == (plan.location, plan.expected_g)
    assert "coast" == planned(replace(JOB, data_bytes=200 * 10**9), HERE, THERE, RUNNING, rules).location


def test_going_back_home_moves_no_data() -> None:
    rules = replace(EXACT, transfer_kwh_per_gb=0.01)
    away = RUNNING._replace(at="hills")
    plan = planned(replace(JOB, data_bytes=200 * 10**9), THERE, HERE, away, rules)
    assert ("coast", 100.0) == (plan.location, plan.expected_g)


def test_a_running_job_is_not_moved_for_less_than_the_hysteresis() -> None:
    rules = replace(EXACT, hysteresis_percent=2)
    assert "coast" == planned(JOB, HERE, [98.0] * 8, RUNNING, rules).location
    assert "hills" == planned(JOB, HERE, [97.9] * 8, RUNNING, rules).location


def test_a_job_runs_on_until_the_other_grid_is_cleaner() -> None:
    plan = planned(JOB, [30.0] + [90.0] * 7, [90.0] + [30.0] * 7, RUNNING)
    assert [("coast", NOW, NOW + HOUR), ("hills", NOW + HOUR, NOW + 2 * HOUR)] == [
        (one.location, one.start, one.end) for one in plan.segments
    ]
    assert ("coast", 60.0, 30.0) == (plan.location, plan.expected_g, plan.mean_g_per_kwh)
    assert "hills" in plan.sentence


def test_a_job_that_may_not_be_late_any_more_is_not_moved() -> None:
    late = replace(JOB, deadline=NOW + 2 * HOUR + 10 * MINUTE, checkpoint=11 * MINUTE)
    assert "coast" == planned(late, HERE, THERE, RUNNING).location


def test_a_release_may_queue_longer_at_one_cluster_than_at_another() -> None:
    job = Job(
        key=JobKey("c", "1"), name="train", namespace="", state=JobState.HELD, home="coast",
        request=replace(JOB, interruptible=False),
    )  # fmt: skip
    rooms = {name: Room(place) for name, place in PLACES.items()}
    ((_, quick),) = plan_all(NOW, [job], rooms, [], EXACT)[0].items()
    ((_, slow),) = plan_all(NOW, [replace(job, queue_margin=10 * MINUTE)], rooms, [], EXACT)[0].items()
    assert 10 * MINUTE == quick.latest_start - slow.latest_start


@given(st.integers(0, 2**32))
@settings(max_examples=150)
def test_no_single_run_elsewhere_or_here_would_be_better(seed: int) -> None:
    """The oracle tries every minute at every location; pauses may make the plan better still, never worse."""
    dice = random.Random(seed)
    count = 40
    level = {
        zone: made_series([dice.choice((10, 40, 70, 100)) for _ in range(count)], zone=zone)
        for zone in ("AA", "BB", "CC")
    }
    work, lost = dice.randint(3, 10), dice.choice((0, 2))
    request = replace(
        JOB, duration=20 * MINUTE, deadline=NOW + dice.randint(work + lost, count) * MINUTE,
        checkpoint=lost * MINUTE, locations=("coast", "hills", "river"),
        data_bytes=dice.choice((0, 10**9)),
    )  # fmt: skip
    rules = replace(EXACT, transfer_kwh_per_gb=0.005)
    at = dice.choice(("coast", "hills"))
    running = dice.random() < 0.5
    progress = Progress(remaining=work * MINUTE, at=at, running=running, paused=not running, movable=True)
    plan = make_plan(
        request, [level], now=NOW, locations=PLACES, home="coast", rules=rules, progress=progress
    )
    best = oracle(request, level, at, work, lost, running=running)
    assert plan.expected_g is not None
    assert plan.expected_g <= best + 1e-9


def oracle(
    request: JobRequest,
    level: dict[str, IntensitySeries],
    at: str,
    work: int,
    lost: int,
    *,
    running: bool,
) -> float:
    assert request.deadline is not None
    last = int((request.deadline - NOW) / MINUTE)
    prices = {zone: [n / 1e6 for n in series.micrograms.tolist()] for zone, series in level.items()}
    found: list[float] = []
    for name, place in PLACES.items():
        stays = running and name == at
        for start in range(1 if stays else last + 1):
            length = work + (0 if stays else lost)
            if start + length > last:
                continue
            grams = sum(prices[place.zone][start : start + length]) / 60
            if request.data_bytes and name not in (at, "coast"):
                grams += 0.005 * (prices[place.zone][start] + prices["AA"][start]) / 2
            found.append(grams)
    if running:
        found += moving_later(request, prices, at, work, lost, last)
    return min(found)


def moving_later(
    request: JobRequest, prices: dict[str, list[float]], at: str, work: int, lost: int, last: int
) -> list[float]:
    """What running on for some minutes and then moving costs."""
    here = prices[PLACES[at].zone]
    found = []
    for name, place in PLACES.items():
        there = prices[place.zone]
        for turn in range(1, work):
            if name == at or lost + work > last:
                continue
            grams = (sum(here[:turn]) + sum(there[turn : lost + work])) / 60
            if request.data_bytes and name not in (at, "coast"):
                grams += 0.005 * (there[turn] + prices["AA"][turn]) / 2
            found.append(grams)
    return found


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_alone_in_a_fleet_a_job_moves_as_it_would_alone(seed: int) -> None:
    dice = random.Random(seed)
    level = {
        zone: made_series([dice.choice((10, 40, 70, 100)) for _ in range(60)], zone=zone)
        for zone in ("AA", "BB", "CC")
    }
    job = Job(
        key=JobKey("c", "1"), name="train", namespace="", home="coast", location=dice.choice(("coast", "hills")),
        state=dice.choice((JobState.RUNNING, JobState.PAUSED)), started_at=NOW, movable=True,
        request=replace(JOB, duration=20 * MINUTE, deadline=NOW + 50 * MINUTE, checkpoint=MINUTE),
        remaining=10 * MINUTE,
    )  # fmt: skip
    rooms = {name: Room(place) for name, place in PLACES.items()}
    running = job.state is JobState.RUNNING
    alone = make_plan(
        job.request, [level], now=NOW, locations=PLACES, home="coast", rules=EXACT,
        progress=Progress(remaining=job.remaining, at=job.location, running=running, paused=not running, movable=True),
    )  # fmt: skip
    assert {job.key: alone} == plan_all(NOW, [job], rooms, [level], EXACT)[0]
