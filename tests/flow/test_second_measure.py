"""A second measure, marginal intensity say, stands beside the account: it plans nothing, delays nothing, and is never added."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.adapters.ledger import open_ledger
from cleanhours.control.settling import Settler
from cleanhours.domain.accounts import Cause, Entry, Settled
from cleanhours.domain.intensity import IntensitySeries, Measure, Signal
from cleanhours.planning.finality import TYPICAL_AFTER
from cleanhours.testing.clocks import MONDAY
from cleanhours.testing.outlooks import FakeOutlook
from tests.flow.command_line import Shell
from tests.flow.test_cycle import DAY, HOUR, Stage, grid

MARGINAL = Measure(signal=Signal.MARGINAL)
BACKWARDS = [750 - value for value in DAY]
"""The hours that are clean on average are the worst ones here."""


def marginal(hours: int = 96, *, final_after: timedelta = timedelta(0), zone: str = "GB") -> FakeOutlook:
    values = (BACKWARDS * 4)[:hours]
    series = IntensitySeries.of(
        zone, [MONDAY + hour * HOUR for hour in range(hours)], values,
        step=HOUR, measure=MARGINAL, provider="second",
    )  # fmt: skip
    return FakeOutlook({zone: series}, final_after=final_after)


def ran(stage: Stage) -> Entry:
    """The row of a job of two hours that was delayed, as far as it is settled."""
    stage.submit()
    stage.live(MONDAY + 20 * HOUR)
    [entry] = stage.ledger.current()
    return entry


def beside(outlook: FakeOutlook | None) -> Stage:
    stage = Stage()
    stage.settler = Settler(stage.world, stage.settler.meters, stage.reconciler.history, beside=outlook)
    return stage


def test_the_same_run_is_settled_in_both_measures_and_planned_in_the_first() -> None:
    alone, both = ran(beside(None)), ran(beside(marginal()))
    second = both.beside
    assert second is not None
    assert alone.run.segments == both.run.segments
    assert (alone.emissions_ug, alone.baseline_ug, alone.shares) == (
        both.emissions_ug,
        both.baseline_ug,
        both.shares,
    )
    assert (MARGINAL, ("second",), Settled.FINAL) == (second.measure, second.providers, second.settled)
    # 1 kW from noon to two instead of at midnight: 100 and 90 g instead of 300 and 290, and by the other clock 650 and 660
    assert (190_000_000, 590_000_000) == (both.emissions_ug, both.baseline_ug)
    assert (1_310_000_000, 910_000_000) == (second.emissions_ug, second.baseline_ug)
    assert -400_000_000 == second.total_avoided_ug == second.avoided_ug[Cause.DELAYED]
    assert second.total_avoided_ug == sum(second.avoided_ug.values())


def test_the_account_waits_for_none_of_it_and_gets_it_when_it_is_known() -> None:
    stage = beside(marginal(13))
    early = ran(stage)
    assert early.settled is Settled.FINAL
    assert early.beside is not None
    assert early.beside.settled is Settled.PROVISIONAL
    assert early.beside.emissions_ug is None
    assert "not published yet" in early.beside.unknown

    stage.settler.beside = marginal()
    stage.clock.set(MONDAY + 22 * HOUR)
    [late] = stage.settler.settle()
    assert late.beside is not None
    assert 1_310_000_000 == late.beside.emissions_ug
    assert [] == stage.ledger.provisional()
    totals = stage.ledger.totals()
    assert 0 == totals.corrections_ug
    assert [190_000_000] == [one.emissions_ug for one in totals.counted]
    assert [(Signal.MARGINAL, 1_310_000_000, 910_000_000)] == [
        (one.signal, one.emissions_ug, one.baseline_ug) for one in totals.beside
    ]


def test_what_is_final_stays_as_it_was_when_the_second_measure_is_revised() -> None:
    stage = beside(marginal(final_after=24 * HOUR))
    first = ran(stage)
    assert first.beside is not None
    assert first.beside.settled is Settled.PROVISIONAL
    stage.outlook.truth["GB"] = grid([value + 1 for value in DAY])
    stage.clock.set(MONDAY + 40 * HOUR)
    [again] = stage.settler.settle()
    assert (first.emissions_ug, first.intensity) == (again.emissions_ug, again.intensity)
    assert again.beside is not None
    assert again.beside.settled is Settled.FINAL
    stage.clock.set(MONDAY + 50 * HOUR)
    assert [] == stage.settler.settle()


@pytest.mark.parametrize("outlook", [marginal(13), marginal(zone="FR")], ids=["unpublished", "another zone"])
def test_what_nobody_publishes_is_closed_as_unknown_after_a_week(outlook: FakeOutlook) -> None:
    stage = beside(outlook)
    ran(stage)
    stage.clock.set(MONDAY + TYPICAL_AFTER + 20 * HOUR)
    [closed] = stage.settler.settle()
    assert closed.beside is not None
    assert (Settled.FINAL, None, None) == (
        closed.beside.settled,
        closed.beside.measure,
        closed.beside.emissions_ug,
    )
    assert "GB" in closed.beside.unknown
    assert [] == stage.ledger.provisional()
    assert () == stage.ledger.totals().beside


def test_a_second_provider_that_is_away_is_asked_once_for_all_runs() -> None:
    class Away(FakeOutlook):
        tries = 0

        def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
            self.tries += 1
            return super().actual(zone, start, end)

    away = Away({"GB": marginal().truth["GB"]})
    away.down = True
    stage = beside(away)
    for _ in range(5):
        stage.submit()
    stage.reconciler.tick()
    stage.clock.set(MONDAY + 16 * HOUR)
    stage.reconciler.tick()
    stage.clock.set(MONDAY + 20 * HOUR)
    rows = stage.settler.settle()
    assert [Settled.FINAL] * 5 == [row.settled for row in rows]
    assert 2 == away.tries, "once while rows are written, once when open ones are settled again"
    away.down = False
    stage.clock.set(MONDAY + 22 * HOUR)
    assert 5 == len(stage.settler.settle())
    assert [] == stage.ledger.provisional()


def test_who_no_longer_asks_for_it_keeps_what_was_known() -> None:
    stage = beside(marginal(final_after=24 * HOUR))
    first = ran(stage)
    stage.settler.beside = None
    stage.clock.set(MONDAY + 40 * HOUR)
    assert [] == stage.settler.settle()
    [kept] = stage.ledger.current()
    assert first.beside == kept.beside


def test_a_second_measure_that_mixes_measures_is_unknown_and_harms_nobody() -> None:
    stage = beside(marginal())
    assert stage.settler.beside is not None
    stage.settler.beside.truth["FR"] = grid(zone="FR")  # type: ignore[attr-defined]
    stage = Stage(outlook=FakeOutlook({"GB": grid(), "FR": grid([10.0] * 24, "FR")}), others={"there": "FR"})
    second = marginal()
    second.truth["FR"] = grid(zone="FR")
    stage.settler = Settler(stage.world, stage.settler.meters, stage.reconciler.history, beside=second)
    stage.submit(locations=("here", "there"))
    stage.live(MONDAY + 20 * HOUR)
    [entry] = stage.ledger.current()
    assert ("there", Settled.FINAL) == (entry.location, entry.settled)
    assert entry.beside is not None
    assert entry.beside.emissions_ug is None
    assert "measure different things" in entry.beside.unknown


def test_its_source_is_listed_and_credited_and_a_wrong_one_hides_no_other_credit(tmp_path: Path) -> None:
    def shell(*beside: str) -> Shell:
        return Shell(tmp_path, f'[forecasts]\nchain = ["climatology"]\nbeside = {list(beside)}\n')

    rows = shell("neso").json("sources")
    assert [("climatology", 1), ("neso", None), ("csv", None)] == [
        (row["name"], row["level"]) for row in rows
    ]
    assert rows[1]["says"].startswith("beside the chain: average, direct")
    open_ledger(f"sqlite:///{shell('neso').state / 'ledger.sqlite'}").close()
    both = shell("neso").json("report")["method"]["attributions"]
    assert [row["attribution"] for row in rows[:2]] == both

    wrong = shell("nosuch").run("report", "--json")
    assert "credits left out: no forecast source 'nosuch'" in wrong.stderr
    assert both[:1] == json.loads(wrong.stdout)["method"]["attributions"]
    refused = shell("climatology").run("controller", "--once", code=None)
    assert (2, "") == (refused.returncode, refused.stdout)
    assert "forecasts.beside: found 'climatology'" in refused.stderr
