"""What docs/report.md works out by hand is what settlement and the report say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from cleanhours.apps.report import Embodying, Question, report_json
from cleanhours.domain.accounts import Cause, Entry
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.hardware import Hardware
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.jobs import FinishedRun, JobState, RunKey, RunSegment
from cleanhours.domain.locations import Location
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Demand
from cleanhours.planning.settling import settle
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "report.md").read_text("utf-8")
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRAM = 1_000_000


def the_example() -> Entry:
    parts = tuple(RunSegment(NOON + n * HOUR, NOON + (n + 1) * HOUR, "north") for n in (10, 13))
    run = FinishedRun(
        key=RunKey("local", "1", 1), name="train", namespace="ada", state=JobState.SUCCEEDED,
        request=JobRequest(submitted=NOON), home="home", segments=parts, finished_at=NOON + 14 * HOUR,
        allocated=Demand(gpus=2),
    )  # fmt: skip
    slices = tuple(
        EnergySlice(part.start, part.end or NOON, Component.WHOLE, 3_600_000_000, Method.MEASURED, "m")
        for part in parts
    )
    hours = [NOON + n * HOUR for n in range(15)]
    actuals = {
        zone: IntensitySeries.of(zone, hours, values, step=HOUR, kind=Kind.ACTUAL)
        for zone, values in (("GB", [300] * 10 + [200] * 5), ("NO", [50] * 12 + [30] * 3))
    }
    places = {"home": Location("home", "GB", 1.1), "north": Location("north", "NO", 1.2)}
    now = NOON + timedelta(days=30)
    entry = settle(run, EnergyProfile(slices), actuals, places, now=now, final_after=timedelta(days=7))
    assert isinstance(entry, Entry)
    return entry


def test_the_worked_example_is_what_settlement_makes_of_it() -> None:
    entry = the_example()
    avoided = {cause: int(entry.avoided_ug[cause] / GRAM) for cause in Cause}

    assert (660 * GRAM, 96 * GRAM) == (entry.baseline_ug, entry.emissions_ug)
    assert f"It emitted 96 g instead of 660 g and avoided {sum(avoided.values())} g." in PAGE
    for cause in (Cause.DELAYED, Cause.RELOCATED, Cause.PAUSED):
        assert f"| `{cause}` | {avoided[cause]} |" in PAGE


def test_the_sci_of_the_example_is_what_the_report_says() -> None:
    known = Embodying(Hardware(1752.0, timedelta(days=4 * 365), gpus=8))
    (run,) = report_json([the_example()], Question(embodying=known))["runs"]

    assert (25 * GRAM, 121 * GRAM) == (run["embodied_ug"], run["sci_ug_per_unit"])
    assert "= 25 g, and its SCI is 96 + 25 = 121 g a job." in PAGE


def test_every_option_and_setting_that_the_page_names_is_there() -> None:
    from cleanhours.adapters.tables import HardwareTable
    from cleanhours.apps.commands.queueing import submit
    from cleanhours.apps.commands.reconciling import reconcile
    from cleanhours.apps.commands.reporting import report

    known = {name for command in (report, reconcile, submit) for one in command.params for name in one.opts}
    assert set(re.findall(r"(--[a-z][a-z-]+)", PAGE)) <= known
    (table,) = re.findall(r"^\[embodied\]\n(.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert {line.split(" ")[0] for line in table.splitlines()} <= set(HardwareTable.model_fields)
