"""Rows that a disk or a person has damaged: each is named, stays as it is, and keeps no other run from its account."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.adapters.ledger import SqlLedger, open_ledger
from cleanhours.adapters.ledger.backlog import SqlBacklog
from cleanhours.control.settling import Settler
from cleanhours.domain.accounts import Entry, Settled
from cleanhours.domain.errors import CleanhoursError
from cleanhours.testing.ledgers import FakeLedger
from cleanhours.testing.meters import FakeMeter
from cleanhours.testing.outlooks import FakeOutlook
from tests.flow.test_cycle import HOUR, Stage, grid
from tests.flow.test_meter_patience import Away
from tests.flow.test_settling_troubles import names, two_runs

YOUNG = timedelta(days=2)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.sqlite"


@pytest.fixture
def ledger(url: str) -> Iterator[SqlLedger]:
    with closing(open_ledger(url)) as opened:
        yield opened


def a_stage(ledger: SqlLedger | FakeLedger) -> Stage:
    """Three runs whose intensity is young for two days."""
    stage = Stage(FakeOutlook({"GB": grid()}, final_after=YOUNG))
    stage.world = replace(stage.world, ledger=ledger)
    two_runs(stage)
    stage.settler = Settler(stage.world, (FakeMeter(watts=500),))
    return stage


def damage(url: str, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as raw, raw:
        raw.execute("DROP TRIGGER IF EXISTS entries_no_update")
        raw.execute(statement, values)


def details(url: str) -> dict[int, str]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as raw:
        raw.text_factory = lambda stored: stored.decode("latin-1")
        return dict(raw.execute("SELECT id, detail FROM entries"))


def cut_off(url: str) -> None:
    damage(url, "UPDATE entries SET detail = substr(detail, 1, 99) WHERE name = 'evil'")


def flipped(url: str) -> None:
    damage(url, "UPDATE entries SET detail = CAST(x'7bff' AS TEXT) WHERE name = 'evil'")


def misspelt(url: str) -> None:
    damage(
        url,
        """UPDATE entries SET detail = replace(detail, '"delayed":', '"delayed":1') WHERE name = 'evil'""",
    )


@pytest.mark.parametrize("harm", [cut_off, flipped, misspelt])
def test_a_damaged_row_stays_as_it_is_and_the_others_are_settled_again(
    ledger: SqlLedger, url: str, harm: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    stage = a_stage(ledger)
    assert ["evil", "innocent", "train"] == names(stage.settler.settle())
    harm(url)
    before = details(url)
    stage.clock.set(stage.clock.now() + 2 * YOUNG)

    with caplog.at_level(logging.WARNING):
        written = stage.settler.settle()
        for _ in range(3):
            assert [] == stage.settler.settle()

    assert ["innocent", "train"] == names(written)
    assert {Settled.FINAL} == {entry.settled for entry in written}
    assert before == {number: text for number, text in details(url).items() if number in before}
    (told,) = caplog.records
    assert "damaged rows=1" in told.getMessage()
    assert "of entries (fake:" in told.getMessage()
    assert 1 == stage.telemetry.total("faults_total", part="ledger")

    stage.clock.set(stage.clock.now() + HOUR)
    stage.settler.settle()
    assert 2 == len(caplog.records), "named once in each pass"


def test_the_accounts_of_others_are_told_while_a_row_is_damaged(ledger: SqlLedger, url: str) -> None:
    stage = a_stage(ledger)
    stage.settler.settle()
    stage.settler = Settler(stage.world, (FakeMeter(watts=500),))
    cut_off(url)
    stage.clock.set(stage.clock.now() + 2 * YOUNG)
    stage.settler.settle()

    assert 2 / 3 == pytest.approx(1 - (ledger.totals().provisional_ratio or 0))
    with pytest.raises(CleanhoursError, match="is damaged"):
        ledger.current()


class Strange(FakeLedger):
    """A ledger with a row that reads well, and that nobody can make an account of."""

    strange = False

    def provisional(self, damaged: Callable[[CleanhoursError], None] | None = None) -> Sequence[Entry]:
        rows = super().provisional(damaged)
        return [self._made_strange(row) if row.run.name == "evil" else row for row in rows]

    def _made_strange(self, row: Entry) -> Entry:
        return replace(row, run=replace(row.run, segments=("nonsense",))) if self.strange else row  # type: ignore[arg-type]


def test_a_row_of_which_no_account_can_be_made_keeps_no_other_from_being_settled_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = Strange()
    stage = a_stage(ledger)
    stage.settler.settle()
    ledger.strange = True
    stage.clock.set(stage.clock.now() + 2 * YOUNG)

    with caplog.at_level(logging.WARNING):
        assert ["innocent", "train"] == names(stage.settler.settle())

    (told,) = caplog.records
    assert "not settled run=evil" in told.getMessage()
    assert told.exc_info is not None
    assert 1 == stage.telemetry.total("faults_total", part="settlement")


def test_a_damaged_run_that_waits_is_named_and_asked_for_again(
    ledger: SqlLedger, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = a_stage(ledger)
    with closing(SqlBacklog(url)) as backlog:
        assert [] == Settler(stage.world, (Away(),), backlog=backlog).settle()
        assert 3 == len(backlog.waiting())
        damage(url, "UPDATE waiting_runs SET detail = '{' WHERE instr(detail, '\"evil\"')")
        with pytest.raises(CleanhoursError, match=r"the waiting run fake:\S+ attempt 1 is damaged"):
            backlog.waiting()

        with caplog.at_level(logging.WARNING):
            stage.clock.set(stage.clock.now() + 6 * HOUR)
            settler = Settler(stage.world, (FakeMeter(watts=500),), backlog=backlog)
            assert ["evil", "innocent", "train"] == names(settler.settle())

        assert 1 == sum("damaged rows=1" in record.getMessage() for record in caplog.records)
        assert [] == list(backlog.waiting()), "what was damaged goes when its run has its account"
