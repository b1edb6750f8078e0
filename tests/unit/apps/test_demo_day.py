from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cleanhours.apps.demo.grid import HOME
from cleanhours.apps.demo.jobs import DAY, DEMO_JOBS, DemoJob
from cleanhours.domain.deadlines import Margins
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.rules import Rules
from cleanhours.planning.policies import make_plan
from tests.unit.apps.test_demo_grid import ORIGIN, grid_at

RATE = 1440.0
RULES = Rules(margins=Margins(queue=timedelta(seconds=2 * RATE)))


def plan_of(job: DemoJob) -> Plan:
    now = ORIGIN + job.submitted_after
    forecast = grid_at(now).forecast(HOME, now, now + 2 * DAY)
    places = {"local": Location("local", HOME)}
    return make_plan(
        job.request(now), [{HOME: forecast}], now=now, locations=places, home="local", rules=RULES
    )


PLANS = {job.name: plan_of(job) for job in DEMO_JOBS}


def test_eight_jobs_have_different_wishes() -> None:
    assert 8 == len(DEMO_JOBS) == len(PLANS)
    assert {True, False} == {job.interruptible for job in DEMO_JOBS}
    assert 8 == len({job.power_w for job in DEMO_JOBS})


def test_the_day_is_an_interesting_one() -> None:
    waits = [name for name, plan in PLANS.items() if plan.start > ORIGIN + timedelta(hours=2)]

    assert len(waits) >= 6
    assert 2 <= len(PLANS["llm-sft"].segments)
    assert {Reason.LOWEST_WINDOW, Reason.LOWEST_SLOTS, Reason.BELOW_MIN_SAVING} <= {
        p.reason for p in PLANS.values()
    }


def test_everything_is_over_within_the_day() -> None:
    for plan in PLANS.values():
        assert plan.end is not None
        assert plan.end <= ORIGIN + DAY


def test_the_planned_day_avoids_a_good_part() -> None:
    expected = sum(plan.expected_g or 0 for plan in PLANS.values())
    baseline = sum(plan.baseline_g or 0 for plan in PLANS.values())

    assert expected < 0.7 * baseline


def test_the_training_fits_its_duration_with_time_to_start() -> None:
    for job in DEMO_JOBS:
        real = job.duration.total_seconds() / RATE

        assert job.steps * job.step_seconds(RATE) <= 0.85 * real
        assert job.step_seconds(RATE) > 0


def test_a_job_with_a_checkpoint_restarts_by_the_same_command_and_another_is_stopped_in_place(
    tmp_path: Path,
) -> None:
    submissions = {job.name: job.submission(ORIGIN, RATE, tmp_path) for job in DEMO_JOBS}

    assert submissions["llm-sft"].command == submissions["llm-sft"].restart
    assert () == submissions["asr-ablation"].restart
    assert str(tmp_path / "llm-sft.npz") in submissions["llm-sft"].command
