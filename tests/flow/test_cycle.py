"""The promises of the design, read aloud on the whole cycle: fake cluster, fake outlook, time as a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.control.reconciling import Outcome, Reconciler, World
from cleanhours.control.settling import Settler
from cleanhours.control.watching import ForecastWatch
from cleanhours.domain.accounts import Cause, Settled
from cleanhours.domain.errors import Complaint, TemporaryError
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import Action, Job, JobKey, JobState, RunKey
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Capacity
from cleanhours.domain.rules import Rules
from cleanhours.ports import Submission
from cleanhours.testing.clocks import MONDAY, FakeClock
from cleanhours.testing.clusters import FakeCluster
from cleanhours.testing.ledgers import FakeLedger
from cleanhours.testing.meters import FakeMeter
from cleanhours.testing.outlooks import FakeOutlook
from cleanhours.testing.telemetry import FakeTelemetry

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = [
    300,
    290,
    280,
    260,
    250,
    240,
    260,
    300,
    350,
    380,
    300,
    200,
    100,
    90,
    120,
    200,
    300,
    400,
    450,
    460,
    420,
    380,
    350,
    320,
]


def grid(values: Sequence[float] = DAY, zone: str = "GB", days: int = 4) -> IntensitySeries:
    many = [*values] * days
    return IntensitySeries.of(zone, [MONDAY + hour * HOUR for hour in range(len(many))], many, step=HOUR)


class Everyone:
    """A leadership that may be lost."""

    leads = True

    def may_act(self) -> bool:
        return self.leads


@dataclass
class Stage:
    """A whole system in memory."""

    outlook: FakeOutlook = field(default_factory=lambda: FakeOutlook({"GB": grid()}))
    slots: int = 100
    rules: Rules = Rules()
    shadow: bool = False
    clock: FakeClock = field(default_factory=FakeClock)
    others: Mapping[str, str] = field(default_factory=dict)
    """More locations, and their grid zones."""

    def __post_init__(self) -> None:
        here = Location("here", "GB", capacity=Capacity(slots=self.slots))
        locations = {"here": here} | {name: Location(name, zone) for name, zone in self.others.items()}
        self.cluster = FakeCluster(self.clock, rooms={name: Room(place) for name, place in locations.items()})
        self.ledger = FakeLedger()
        self.telemetry = FakeTelemetry()
        self.leadership = Everyone()
        self.world = World(
            clusters=(self.cluster,),
            forecasts=ForecastWatch(self.outlook),
            ledger=self.ledger,
            locations=locations,
            rules=self.rules,
            clock=self.clock,
            telemetry=self.telemetry,
            leadership=self.leadership,
            shadow=self.shadow,
        )
        self.reconciler = Reconciler(self.world)
        self.settler = Settler(self.world, (FakeMeter(watts=1000),), self.reconciler.history)

    def submit(self, name: str = "train", **wishes: object) -> JobKey:
        values: Mapping[str, object] = {"duration": 2 * HOUR, "max_delay": 20 * HOUR} | wishes
        request = JobRequest(submitted=self.clock.now(), **values)  # type: ignore[arg-type]
        return self.cluster.submit(
            Submission(name=name, command=("true",), request=request, folder=Path("/"))
        )

    def job(self, key: JobKey) -> Job:
        return next(one for one in [*self.cluster.pending(), *self.cluster.running()] if one.key == key)

    def live(self, until: datetime, step: timedelta = 5 * MINUTE) -> Outcome:
        """Ticks as the controller does: every `step`, and at each next due."""
        outcome = self.reconciler.tick()
        while self.clock.now() < until:
            due = outcome.next_due
            ahead = self.clock.now() + step
            self.clock.set(min(instant for instant in (due, ahead, until) if instant is not None))
            outcome = self.reconciler.tick()
            self.settler.settle()
        return outcome


def test_a_job_is_held_until_the_clean_hours_and_starts_to_the_second() -> None:
    stage = Stage()
    key = stage.submit()

    stage.live(MONDAY + 12 * HOUR)

    job = stage.job(key)
    assert JobState.RUNNING == job.state
    assert MONDAY + 12 * HOUR == job.started_at
    assert Reason.LOWEST_WINDOW == job.plan.reason  # type: ignore[union-attr]


def test_a_start_that_is_due_happens_at_any_fraction_of_its_second() -> None:
    stage = Stage()
    key = stage.submit()
    stage.reconciler.tick()

    stage.clock.set(MONDAY + 12 * HOUR + timedelta(microseconds=50))
    stage.reconciler.tick()

    assert JobState.RUNNING == stage.job(key).state


def test_reconciling_twice_is_reconciling_once() -> None:
    stage = Stage()
    stage.submit()
    stage.reconciler.tick()
    acted = len(stage.cluster.acted)

    outcome = stage.reconciler.tick()

    assert () == outcome.applied
    assert acted == len(stage.cluster.acted)


def test_what_finished_is_settled_on_what_really_happened() -> None:
    stage = Stage()
    stage.submit(power_w=1000.0)

    stage.live(MONDAY + 15 * HOUR)

    (entry,) = stage.ledger.current()
    assert Settled.FINAL == entry.settled
    assert (100 + 90) * 1_000_000 == entry.emissions_ug
    assert (300 + 290) * 1_000_000 == entry.baseline_ug
    assert {Cause.DELAYED: 400_000_000} == {cause: n for cause, n in entry.avoided_ug.items() if n}
    assert entry.deadline_kept is True


def test_nobody_asks_again_for_a_run_that_has_a_row_however_long_its_cluster_shows_it() -> None:
    asked: list[Sequence[RunKey]] = []

    class Asked(FakeLedger):
        def known(self, keys: Sequence[RunKey]) -> frozenset[RunKey]:
            asked.append(keys)
            return super().known(keys)

    stage = Stage()
    ledger = Asked(stage.ledger.pages)
    settler = Settler(replace(stage.world, ledger=ledger), stage.settler.meters)
    stage.submit(max_delay=0 * HOUR)
    stage.live(MONDAY + HOUR)
    stage.clock.set(MONDAY + 2 * HOUR)
    stage.reconciler.tick()
    rows = [len(settler.settle()) for _ in range(4)]

    assert [1, 0, 0, 0] == rows
    assert 2 == len(asked)


def test_no_forecast_never_holds_a_job() -> None:
    stage = Stage()
    stage.outlook.down = True
    key = stage.submit()

    stage.reconciler.tick()

    assert JobState.RUNNING == stage.job(key).state
    assert Reason.NO_FORECAST == stage.job(key).plan.reason  # type: ignore[union-attr]


def test_a_request_that_cannot_be_read_runs_now_and_says_so() -> None:
    stage = Stage()
    broken = Job(
        key=JobKey("fake", "x"), name="broken", namespace="ml", state=JobState.PENDING, home="here",
        request=JobRequest(submitted=MONDAY), complaints=(Complaint("deadline", "soon", "RFC 3339"),),
    )  # fmt: skip
    stage.cluster.add(broken)

    stage.reconciler.tick()

    assert Reason.INVALID_REQUEST == stage.job(broken.key).plan.reason  # type: ignore[union-attr]
    assert JobState.RUNNING == stage.job(broken.key).state


def test_without_a_duration_it_runs_now_until_history_knows_it() -> None:
    stage = Stage()
    stage.cluster.lasting["nightly"] = 3 * HOUR
    first = stage.submit("nightly", duration=None)
    stage.reconciler.tick()
    assert Reason.NO_DURATION == stage.job(first).plan.reason  # type: ignore[union-attr]
    stage.live(MONDAY + 4 * HOUR)

    second = stage.submit("nightly", duration=None)
    stage.live(MONDAY + 6 * HOUR)

    assert JobState.HELD == stage.job(second).state
    assert Reason.LOWEST_WINDOW == stage.job(second).plan.reason  # type: ignore[union-attr]


def test_an_interruptible_job_rests_in_dirty_hours_and_is_on_time() -> None:
    saw = [100, 100, 500, 500, 100, 100] + [500] * 18
    stage = Stage(outlook=FakeOutlook({"GB": grid(saw)}))
    key = stage.submit(duration=4 * HOUR, max_delay=None, deadline=MONDAY + 9 * HOUR, interruptible=True)

    stage.live(MONDAY + 3 * HOUR)
    assert JobState.PAUSED == stage.job(key).state
    stage.live(MONDAY + 7 * HOUR)

    (entry,) = stage.ledger.current()
    assert [(0, 2), (4, 6)] == [
        ((s.start - MONDAY) // HOUR, (s.end - MONDAY) // HOUR)
        for s in entry.run.segments
        if s.end is not None
    ]
    assert entry.avoided_ug[Cause.PAUSED] > 0


@pytest.mark.parametrize("fault", ["provider gone", "forecast lies", "clock back", "clock forward"])
def test_no_fault_costs_a_deadline(fault: str) -> None:
    lying = grid([500] * 12 + [1] * 12, days=4)
    stage = Stage(outlook=FakeOutlook({"GB": grid()}, {"GB": lying} if fault == "forecast lies" else None))
    deadline = MONDAY + 14 * HOUR
    stage.submit(duration=2 * HOUR, max_delay=None, deadline=deadline)
    stage.live(MONDAY + 5 * HOUR)

    stage.outlook.down = fault == "provider gone"
    if fault.startswith("clock"):
        stage.clock.set(stage.clock.now() + (2 * HOUR if fault.endswith("forward") else -2 * HOUR))
    stage.live(deadline)

    (run,) = stage.cluster.finished(MONDAY)
    assert run.finished_at <= deadline


def test_a_wrong_duration_is_guarded_by_the_safety_factor() -> None:
    stage = Stage(outlook=FakeOutlook({"GB": grid([500] * 20 + [1] * 4)}))
    stage.cluster.lasting["train"] = 4 * HOUR + 20 * MINUTE
    stage.submit(duration=4 * HOUR, max_delay=None, deadline=MONDAY + 24 * HOUR)

    stage.live(MONDAY + 24 * HOUR)

    (run,) = stage.cluster.finished(MONDAY)
    assert run.finished_at <= MONDAY + 24 * HOUR


def test_many_jobs_do_not_stampede() -> None:
    stage = Stage(slots=2)
    keys = [stage.submit(f"job-{number}", duration=HOUR) for number in range(8)]

    stage.live(MONDAY + 23 * HOUR)

    runs = stage.cluster.finished(MONDAY)
    assert len(keys) == len(runs)
    instants = sorted(run.segments[0].start for run in runs)
    for instant in instants:
        assert 2 >= sum(run.segments[0].start <= instant < run.finished_at for run in runs)


def test_who_does_not_lead_writes_nothing() -> None:
    stage = Stage()
    stage.submit()
    stage.leadership.leads = False

    outcome = stage.reconciler.tick()

    assert () == outcome.applied
    assert [] == stage.cluster.acted


@pytest.mark.parametrize("interruptible", [False, True])
def test_a_running_job_is_written_to_only_when_its_plan_changes(interruptible: bool) -> None:
    stage = Stage()
    key = stage.submit(duration=4 * HOUR, max_delay=2 * HOUR, interruptible=interruptible)

    stage.live(MONDAY + 5 * HOUR)

    assert JobState.RUNNING == stage.job(key).state
    assert [Action.REMARK, Action.RELEASE] == [decision.action for decision in stage.cluster.acted]
    assert 1 == len(stage.ledger.plans(key))


def test_shadow_starts_what_nobody_else_would_and_holds_nothing() -> None:
    stage = Stage(shadow=True)
    key = stage.submit()

    stage.reconciler.tick()

    assert JobState.RUNNING == stage.job(key).state
    assert [Action.RELEASE] == [decision.action for decision in stage.cluster.acted]
    assert [Reason.SHADOW] == [decision.reason for decision in stage.cluster.acted]


def test_what_the_owner_paused_stays_the_owners() -> None:
    stage = Stage()
    key = stage.submit()
    stage.reconciler.tick()
    stage.cluster.owner_pause(key)

    stage.live(MONDAY + 30 * HOUR, step=HOUR)

    assert JobState.UNMANAGED == stage.job(key).state


def test_one_clusters_trouble_is_not_the_next_ones() -> None:
    stage = Stage()
    other = FakeCluster(stage.clock, name="other", rooms={"here": Room(Location("here", "GB"))})
    stage.reconciler.world = World(
        **{name: getattr(stage.world, name) for name in World.__dataclass_fields__}
        | {"clusters": (stage.cluster, other)}
    )
    stage.cluster.trouble = TemporaryError("gone")
    other.submit(
        Submission(
            name="x", command=("true",), request=JobRequest(submitted=MONDAY, duration=HOUR), folder=Path("/")
        )
    )

    stage.reconciler.tick()

    assert 1 == len(other.running())


def test_the_ramp_spreads_releases_but_not_deadlines() -> None:
    stage = Stage(rules=Rules(releases_per_tick=3))
    flat = grid([100] * 24)
    stage.outlook.forecasts = stage.outlook.truth = {"GB": flat}
    for number in range(7):
        stage.submit(f"late-{number}", max_delay=timedelta(0))
    for number in range(7):
        stage.submit(f"calm-{number}")

    outcome = stage.reconciler.tick()

    released = [job.name for job in stage.cluster.running()]
    assert 7 == sum(name.startswith("late") for name in released)
    assert 3 == sum(name.startswith("calm") for name in released)
    assert outcome.next_due == stage.clock.now() + timedelta(seconds=1)
