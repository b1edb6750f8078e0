"""One decision's planning over 10,000 queued jobs: three locations, a day by quarter hours, capacity that binds."""

from __future__ import annotations

from datetime import timedelta

from cleanhours.planning.fleet import plan_all
from tests.benchmarks.figures import Figure, quickest
from tests.benchmarks.fleets import NOW, a_day, a_fleet, with_plans

JOBS = 10_000


def run() -> list[Figure]:
    """Cold: no job has a plan. Steady: half a minute later every job has one."""
    jobs, rooms = a_fleet(JOBS)
    levels = [a_day()]
    plans, memory = plan_all(NOW, jobs, rooms, levels)
    later, planned = NOW + timedelta(seconds=30), with_plans(jobs, plans)
    cold = quickest(lambda: plan_all(NOW, jobs, rooms, levels), rounds=3)
    steady = quickest(lambda: plan_all(later, planned, rooms, levels, memory=memory), rounds=3)
    emitted = sum(plan.expected_g or 0 for plan in plans.values())
    at_once = sum(plan.baseline_g or 0 for plan in plans.values())
    return [
        Figure("planning 10,000 queued jobs, cold", "≤ 1 s", cold, "s", cold <= 1),
        Figure("planning 10,000 queued jobs, steady", "≤ 1 s", steady, "s", steady <= 1),
        Figure("their emissions, of those at once without limits", "", 100 * emitted / at_once, "%", None),
    ]
