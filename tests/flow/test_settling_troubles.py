"""What goes wrong with one run, meter or cluster while runs are settled: it is that one's trouble, said once, and nothing is lost."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest

from cleanhours.control.settling import RETRY, Settler
from cleanhours.domain.accounts import Entry
from cleanhours.domain.energy import EnergyProfile
from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.jobs import FinishedRun
from cleanhours.testing.ledgers import FakeLedger
from cleanhours.testing.meters import FakeMeter
from tests.flow.test_cycle import HOUR, Stage
from tests.flow.test_meter_patience import ended


@dataclass
class Crashing:
    """A meter that was never told of what it finds with some runs."""

    of: str = "evil"
    name: str = "crashing"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        if run.name == self.of:
            raise TypeError("unhashable type: 'dict'")
        return FakeMeter(watts=500).energy(run)


class Refusing(FakeLedger):
    """A ledger into which some rows do not fit."""

    refuses = "evil"

    def record(self, entry: Entry) -> bool:
        if entry.run.name == self.refuses:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        return super().record(entry)


def two_runs(stage: Stage) -> None:
    for name in ("evil", "innocent"):
        stage.submit(name, max_delay=0 * HOUR)
    ended(stage)
    stage.clock.set(stage.clock.now() + HOUR)
    stage.reconciler.tick()


def names(entries: Sequence[Entry]) -> list[str]:
    return sorted(entry.run.name for entry in entries)


def test_a_meter_that_fails_as_nobody_foresaw_hides_no_other_run(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    two_runs(stage)
    settler = Settler(stage.world, (Crashing(),))

    with caplog.at_level(logging.WARNING):
        settler.settle()

    rows = {row.run.name: row for row in stage.ledger.current()}
    assert {"evil", "innocent", "train"} == set(rows)
    assert rows["innocent"].profile.millijoules > 0
    assert "no meter knew its energy: crashing: unhashable type: 'dict'" == rows["evil"].unmeasured
    (told,) = caplog.records
    assert told.exc_info is not None
    assert "meter=crashing run=evil" in told.getMessage()


def test_a_row_that_cannot_be_written_is_tried_again_and_keeps_no_other_from_being() -> None:
    stage = Stage()
    two_runs(stage)
    ledger = Refusing(stage.ledger.pages)
    settler = Settler(replace(stage.world, ledger=ledger), (FakeMeter(watts=500),))

    assert ["innocent", "train"] == names(settler.settle())
    assert ["evil"] == [run.name for run in settler.open_runs]

    ledger.refuses = ""
    stage.clock.set(stage.clock.now() + RETRY)
    assert ["evil"] == names(settler.settle())
    assert () == settler.open_runs


@dataclass
class Silent:
    """A cluster that does not answer for a while."""

    name: str = "silent"
    away: bool = True
    asked: list[datetime] = field(default_factory=list)

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        self.asked.append(since)
        if self.away:
            raise TemporaryError("nobody answers")
        return ()


def test_a_cluster_that_does_not_answer_hides_no_other_and_is_asked_for_all_that_it_did_not_tell() -> None:
    stage = Stage()
    two_runs(stage)
    silent = Silent()
    world = replace(stage.world, clusters=(silent, stage.cluster))  # type: ignore[arg-type]
    settler = Settler(world, (FakeMeter(watts=500),))

    assert ["evil", "innocent", "train"] == names(settler.settle())
    first = silent.asked[0]
    stage.clock.set(stage.clock.now() + 3 * HOUR)
    silent.away = False
    settler.settle()
    settler.settle()

    assert silent.asked[1] <= first + 3 * HOUR
    assert silent.asked[2] == stage.clock.now() - HOUR


def test_a_trouble_is_said_once_and_again_when_all_was_well_between(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    meter = Crashing()
    settler = Settler(stage.world, (meter,))
    with caplog.at_level(logging.WARNING):
        for names_ in (("evil", "evil"), ("fine", "evil")):
            for name in names_:
                stage.submit(name, max_delay=0 * HOUR)
                stage.reconciler.tick()
                stage.clock.set(stage.clock.now() + 3 * HOUR)
                stage.reconciler.tick()
                settler.settle()

    assert 2 == len(caplog.records)
    assert 4 == len(stage.ledger.current())
