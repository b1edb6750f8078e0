"""How long a meter that asks for time is waited for: from when it is first asked, and not for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cleanhours.control.measuring import LONGEST_PATIENCE, PATIENCE
from cleanhours.control.settling import Settler
from cleanhours.domain.energy import EnergyProfile
from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.jobs import FinishedRun
from cleanhours.ports import Meter
from cleanhours.testing.clocks import MONDAY
from cleanhours.testing.meters import FakeMeter
from tests.flow.test_cycle import HOUR, Stage

MINUTE = timedelta(minutes=1)


@dataclass
class Away:
    """A meter whose server comes back, or not."""

    away: bool = True
    name: str = "away"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        if self.away:
            raise TemporaryError("nobody answers", delay=MINUTE)
        return FakeMeter(watts=500).energy(run)


def ended(stage: Stage) -> None:
    """A run of two hours that nobody has settled."""
    stage.submit(max_delay=timedelta(0))
    while not stage.cluster.finished(MONDAY):
        stage.reconciler.tick()
        stage.clock.set(stage.clock.now() + HOUR)


def asked_for(stage: Stage, settler: Settler, length: timedelta) -> int:
    """Rows that were written within a time."""
    until, rows = stage.clock.now() + length, len(settler.settle())
    while stage.clock.now() < until:
        stage.clock.set(stage.clock.now() + MINUTE)
        rows += len(settler.settle())
    return rows


def settler_of(stage: Stage, *meters: Meter) -> Settler:
    return Settler(stage.world, meters)


def test_a_run_that_ended_long_before_anybody_looked_is_waited_for_too() -> None:
    stage, away = Stage(), Away()
    ended(stage)
    stage.clock.set(stage.clock.now() + 8 * HOUR)
    settler = settler_of(stage, away)

    assert 0 == asked_for(stage, settler, PATIENCE / 2)
    away.away = False
    assert 1 == asked_for(stage, settler, PATIENCE / 2)

    (row,) = stage.ledger.current()
    assert 500 * 7200 * 1000 == row.profile.millijoules


def test_nobody_is_waited_for_longer_than_that() -> None:
    stage = Stage()
    ended(stage)

    assert 1 == asked_for(stage, settler_of(stage, Away()), PATIENCE + MINUTE)

    (row,) = stage.ledger.current()
    assert row.emissions_ug is None
    assert "no meter knew its energy: away: nobody answers" == row.unmeasured


def test_a_controller_that_begins_again_and_again_settles_at_last() -> None:
    stage = Stage()
    ended(stage)

    assert [] == settler_of(stage, Away()).settle()
    stage.clock.set(stage.clock.now() + LONGEST_PATIENCE)
    assert 1 == len(settler_of(stage, Away()).settle())
