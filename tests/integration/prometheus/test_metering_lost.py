"""A meter breaks: what the real ledger and exposition then tell raises the shipped alerts, within a day or two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from cleanhours.adapters.exposition import Exposition, PrometheusTelemetry
from cleanhours.adapters.ledger import SqlLedger, open_ledger
from cleanhours.domain.accounts import MethodShare, Settled
from cleanhours.domain.energy import EnergyProfile, Method
from cleanhours.domain.snapshots import Snapshot
from cleanhours.testing.ledger_contract import HOUR, START, an_entry
from tests.integration.prometheus.telling import Telling
from tests.integration.prometheus.week import NOTHING

pytestmark = pytest.mark.integration

DAY: Final = timedelta(days=1)
BROKEN: Final = 10 * DAY
END: Final = 13 * DAY
NAMES: Final = (
    "cleanhours_runs_settled_total",
    "cleanhours_meter_coverage_ratio",
    "cleanhours_corrections_grams",
)
ALERTS: Final = ("CleanhoursRunsUnmeasured", "CleanhoursMeteringLost", "CleanhoursMeterCoverageLow")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")) as ledger:
        yield ledger


def known(method: Method, coverage: float = 1.0) -> dict[str, Any]:
    share = MethodShare(method, ("m",), 3_600_000, 60, 100)
    return {"shares": (share,), "profile": EnergyProfile((), coverage), "settled": Settled.PROVISIONAL}


def told(ledger: SqlLedger, broken: Mapping[str, Any], *, step: timedelta = HOUR) -> Telling:
    """A run ends every step and is settled at once; from BROKEN on as `broken` says."""
    telling = Telling(step, NAMES)
    exposition = Exposition(ledger, PrometheusTelemetry(), clusters=["local"])
    for n in range(END // step + 1):
        more = known(Method.MEASURED) if n * step < BROKEN else broken
        ledger.record(an_entry(str(n), finished_at=START + n * step, **more))
        exposition.show(Snapshot(now=START + n * step))
        telling.scrape(exposition)
    return telling


def first_raised(telling: Telling, folder: Path) -> dict[str, timedelta]:
    """Alert by alert, how long after the break it was first raised and then stood until the end."""
    found = {}
    for alert in ALERTS:
        hours = range(DAY // HOUR, END // HOUR + 1)
        raised = telling.raised(folder, alert, (n * HOUR for n in hours))
        if raised:
            assert {n * HOUR for n in hours if n * HOUR >= min(raised)} == raised, f"{alert} has holes"
            found[alert] = min(raised) - BROKEN
    return found


def test_runs_that_fall_to_declared_watts_are_noticed(ledger: SqlLedger, tmp_path: Path) -> None:
    """Their coverage is 1: nothing but the share of the measured ones tells."""
    raised = first_raised(told(ledger, known(Method.DECLARED)), tmp_path)

    assert {"CleanhoursMeteringLost"} == raised.keys()
    assert 0 * HOUR < raised["CleanhoursMeteringLost"] <= 14 * HOUR


def test_runs_that_nobody_measures_are_noticed(ledger: SqlLedger, tmp_path: Path) -> None:
    raised = first_raised(told(ledger, NOTHING), tmp_path)

    assert {"CleanhoursRunsUnmeasured", "CleanhoursMeteringLost"} == raised.keys()
    assert 0 * HOUR < raised["CleanhoursRunsUnmeasured"] <= 4 * HOUR


def test_a_meter_that_sees_half_is_noticed_within_days_however_old_the_ledger(
    ledger: SqlLedger, tmp_path: Path
) -> None:
    for n in range(200):
        entry = an_entry(f"old {n}", finished_at=START - (n + 1) * DAY, **known(Method.MEASURED))
        ledger.record(entry)
    raised = first_raised(told(ledger, known(Method.MEASURED, 0.5)), tmp_path)

    assert {"CleanhoursMeterCoverageLow"} == raised.keys()
    assert 0 * HOUR < raised["CleanhoursMeterCoverageLow"] < 3 * DAY


def test_nothing_is_raised_where_nothing_broke(ledger: SqlLedger, tmp_path: Path) -> None:
    assert {} == first_raised(told(ledger, known(Method.MEASURED)), tmp_path)
