"""Ticks of the real cycle over 10,000 queued jobs: three locations, a day by quarter hours, capacity that binds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from time import perf_counter

from cleanhours.control.reconciling import Reconciler, World
from cleanhours.control.watching import ForecastWatch
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import Action, Applied, Decision, FinishedRun, Job, JobKey, JobState
from cleanhours.domain.locations import Room
from cleanhours.domain.rules import Rules
from cleanhours.planning.fleet import plan_all
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.ledgers import FakeLedger
from cleanhours.testing.outlooks import FakeOutlook
from cleanhours.testing.telemetry import FakeTelemetry
from tests.benchmarks.figures import Figure, quickest
from tests.benchmarks.fleets import NOW, a_day, a_fleet

JOBS = 10_000


class Shelf:
    """A cluster that only remembers: what is measured is the tick, not a database."""

    name = "here"
    powers = frozenset(Action)

    def __init__(self, jobs: Sequence[Job], rooms: Mapping[str, Room]) -> None:
        self.jobs: dict[JobKey, Job] = {job.key: job for job in jobs}
        self.rooms = rooms

    def pending(self) -> Sequence[Job]:
        return [job for job in self.jobs.values() if job.state is JobState.HELD]

    def running(self) -> Sequence[Job]:
        return [job for job in self.jobs.values() if job.state is not JobState.HELD]

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        return ()

    def capacity(self) -> Mapping[str, Room]:
        return self.rooms

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Applied]:
        for decision in decisions:
            job = self.jobs[decision.key]
            state = JobState.RUNNING if decision.action in {Action.RELEASE, Action.RESUME} else job.state
            self.jobs[decision.key] = replace(job, plan=decision.plan, state=state)
        return [Applied(decision) for decision in decisions]


class Leads:
    """Nobody else is there."""

    def may_act(self) -> bool:
        return True


def run() -> list[Figure]:
    """Cold: no job has a plan; steady: every job has one and half a minute has passed."""
    jobs, rooms = a_fleet(JOBS)
    day = a_day()
    # the better of two lives: other work on the machine only adds to a tick
    cold, steady, ticks, unplanned = min(_lived(jobs, rooms, day) for _ in range(2))
    levels = [day]
    at_once = quickest(lambda: plan_all(NOW, jobs, rooms, levels), rounds=2)
    plans, _ = plan_all(NOW, jobs, rooms, levels)
    emitted = sum(plan.expected_g or 0 for plan in plans.values())
    baseline = sum(plan.baseline_g or 0 for plan in plans.values())
    ample, wide = a_fleet(JOBS, spread=20)
    return [
        Figure("a tick over 10,000 queued jobs, the longest from cold", "≤ 1 s", cold, "s", cold <= 1),
        Figure("a tick over 10,000 queued jobs, steady", "≤ 1 s", steady, "s", steady <= 1),
        Figure("ticks from cold until every job has its plan", "", ticks, "", None),
        Figure("jobs without a plan then", "0", unplanned, "", unplanned == 0),
        Figure("planning all 10,000 in one go, capacity binding", "", at_once, "s", None),
        Figure(
            "the same with room for all",
            "",
            quickest(lambda: plan_all(NOW, ample, wide, levels), rounds=2),
            "s",
            None,
        ),
        Figure("their emissions, of those at once without limits", "", 100 * emitted / baseline, "%", None),
    ]


def _lived(
    jobs: Sequence[Job], rooms: Mapping[str, Room], day: Mapping[str, IntensitySeries]
) -> tuple[float, float, int, int]:
    """The longest tick until all are planned, the shortest of three steady ones, how many it took, and who had none."""
    clock = FakeClock(NOW)
    shelf = Shelf(jobs, rooms)
    world = World(
        clusters=(shelf,),
        forecasts=ForecastWatch(FakeOutlook(day), refresh=timedelta(hours=2)),
        ledger=FakeLedger(),
        locations={name: room.location for name, room in rooms.items()},
        rules=Rules(),
        clock=clock,
        telemetry=FakeTelemetry(),
        leadership=Leads(),
    )
    reconciler = Reconciler(world)
    longest, ticks = 0.0, 0
    while ticks < 60 and any(job.plan is None for job in shelf.jobs.values()):
        longest, ticks = max(longest, _timed(reconciler)), ticks + 1
        clock.advance(timedelta(seconds=1))
    clock.advance(timedelta(seconds=30))
    steady = min(_timed(reconciler) for _ in range(3))
    return longest, steady, ticks, sum(job.plan is None for job in shelf.jobs.values())


def _timed(reconciler: Reconciler) -> float:
    begin = perf_counter()
    reconciler.tick()
    return perf_counter() - begin
