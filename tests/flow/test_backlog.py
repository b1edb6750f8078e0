"""Runs that wait for their account outlive the process that measured them, and the cluster that showed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cleanhours.control.settling import LOOK_BACK, OVERLAP, Settler
from cleanhours.domain.energy import EnergyProfile
from cleanhours.domain.jobs import FinishedRun
from cleanhours.ports import Meter
from cleanhours.testing.backlogs import FakeBacklog
from cleanhours.testing.meters import FakeMeter
from tests.flow.test_cycle import HOUR, Stage
from tests.flow.test_meter_patience import Away, ended


@dataclass
class Forgetting:
    """A cluster that shows what ended once."""

    name: str
    runs: Sequence[FinishedRun] = ()
    asked: list[datetime] = field(default_factory=list)

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        self.asked.append(since)
        shown, self.runs = self.runs, ()
        return shown


class Ignorant:
    """A meter that was not there while the run ran."""

    name = "ignorant"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        return EnergyProfile(coverage=0.0)


def a_stage() -> tuple[Stage, Forgetting]:
    stage = Stage()
    ended(stage)
    return stage, Forgetting("fake", stage.cluster.finished(stage.clock.now() - LOOK_BACK))


def settler_of(stage: Stage, cluster: Forgetting, backlog: FakeBacklog, meter: Meter) -> Settler:
    """A new process."""
    world = replace(stage.world, clusters=(cluster,))  # type: ignore[arg-type]
    return Settler(world, (meter,), backlog=backlog)


def test_what_a_meter_knew_is_settled_by_whoever_comes_next() -> None:
    stage, cluster = a_stage()
    backlog = FakeBacklog()
    stage.outlook.down = True

    assert [] == settler_of(stage, cluster, backlog, FakeMeter(watts=500)).settle()
    (kept,) = backlog.waiting()
    assert kept.profile is not None

    stage.outlook.down = False
    stage.clock.set(stage.clock.now() + HOUR)
    (entry,) = settler_of(stage, cluster, backlog, Ignorant()).settle()

    assert kept.profile.millijoules == entry.profile.millijoules > 0
    assert [] == list(backlog.waiting())


def test_a_run_that_was_not_measured_yet_is_measured_by_whoever_comes_next() -> None:
    stage, cluster = a_stage()
    backlog = FakeBacklog()

    assert [] == settler_of(stage, cluster, backlog, Away()).settle()
    (entry,) = settler_of(stage, cluster, backlog, FakeMeter(watts=500)).settle()

    assert entry.profile.millijoules > 0


def test_a_run_whose_row_was_written_just_before_the_end_is_not_settled_again() -> None:
    stage, cluster = a_stage()
    backlog = FakeBacklog()
    settler_of(stage, cluster, backlog, Away()).settle()
    (left,) = backlog.waiting()
    settler_of(stage, cluster, backlog, FakeMeter(watts=500)).settle()
    backlog.keep([left])  # as if the process had ended between the row and this

    settler = settler_of(stage, cluster, backlog, FakeMeter(watts=900))
    assert [] == settler.settle()

    assert 1 == len(stage.ledger.current())
    assert ((), []) == (settler.open_runs, list(backlog.waiting()))


def test_a_new_process_asks_from_where_the_last_one_stopped_however_long_ago() -> None:
    stage, cluster = a_stage()
    backlog = FakeBacklog()
    settler_of(stage, cluster, backlog, FakeMeter(watts=500)).settle()
    stopped = stage.clock.now()
    stage.clock.set(stopped + timedelta(days=60))

    settler_of(stage, cluster, backlog, FakeMeter(watts=500)).settle()

    assert [stopped - LOOK_BACK, stopped - OVERLAP] == cluster.asked


def test_nothing_is_taken_up_of_clusters_that_are_not_looked_at_here() -> None:
    stage, cluster = a_stage()
    backlog = FakeBacklog()
    settler_of(stage, cluster, backlog, Away()).settle()

    settler = settler_of(stage, Forgetting("other"), backlog, FakeMeter(watts=500))

    assert [] == settler.settle()
    assert 1 == len(backlog.waiting())
