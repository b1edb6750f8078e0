"""Embodied carbon and SCI of runs: beside the other figures, from the operator's own numbers, unknown where unknown."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cleanhours.apps.report import Embodying, Question, check_unit, report_csv, report_html, report_json
from cleanhours.domain.accounts import Entry
from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.hardware import Hardware
from cleanhours.domain.jobs import RunSegment
from cleanhours.domain.resources import Demand
from tests.unit.apps.rows_of_a_ledger import HOUR, NOON, a_run, unmeasured

FOUR_YEARS = timedelta(days=4 * 365)
GPUS = Hardware(1752.0, FOUR_YEARS, gpus=8)
"""1,752 kg over 35,040 h: 50 g an hour for the whole, 6.25 g for each of its eight GPUs."""


def held(entry: Entry, demand: Demand, **changed: Any) -> Entry:
    return replace(entry, run=replace(entry.run, allocated=demand, **changed))


def row(entry: Entry, known: Embodying) -> dict[str, Any]:
    found: dict[str, Any] = report_json([entry], Question(embodying=known))["runs"][0]
    return found


def test_the_specs_own_example_a_thousand_kilos_over_four_years() -> None:
    server = Hardware(1000.0, FOUR_YEARS, cpus=64)
    found = row(held(a_run(), Demand(64_000)), Embodying(server))

    assert 28_538_813 == found["embodied_ug"]  # 1000 kg / 35,040 h: "28 g per hour"


def test_m_is_the_share_of_time_and_of_gpus_and_the_sci_adds_the_emissions() -> None:
    found = row(held(a_run(hours=(2, 1), emissions_ug=100_000_000), Demand(gpus=2)), Embodying(GPUS))

    assert 3 * 2 * 6_250_000 == found["embodied_ug"]
    assert 100_000_000 + 37_500_000 == found["sci_ug_per_unit"]
    assert ("job", 1.0) == (found["sci_unit"], found["sci_units"])
    assert "1752 kg x 2 h / 35040 h x 2/8 GPUs at local + 1752 kg x 1 h" in found["embodied_inputs"]
    assert 100_000_000 == found["emissions_ug"]


def test_more_than_one_server_counts_each() -> None:
    assert 20 * 6_250_000 == row(held(a_run(), Demand(gpus=20)), Embodying(GPUS))["embodied_ug"]


def test_a_location_of_its_own_goes_before_what_holds_everywhere() -> None:
    parts = (
        RunSegment(NOON, NOON + HOUR, "local"),
        RunSegment(NOON + HOUR, NOON + 2 * HOUR, "north"),
    )
    moved = held(a_run(), Demand(gpus=8), segments=parts, finished_at=NOON + 2 * HOUR)
    known = Embodying(GPUS, {"north": replace(GPUS, server_kg_co2e=3504.0)})

    assert 150_000_000 == row(moved, known)["embodied_ug"]
    assert row(moved, Embodying(None, {"north": GPUS}))["embodied_ug"] is None


@pytest.mark.parametrize(
    ("entry", "known"),
    [
        (held(a_run(), Demand(cpu_millicores=4000)), Embodying(GPUS)),
        (held(a_run(), Demand()), Embodying(Hardware(1000.0, FOUR_YEARS, cpus=64))),
        (held(a_run(), Demand(gpus=1), segments=()), Embodying(GPUS)),
    ],
)
def test_what_is_not_known_is_none_and_not_zero(entry: Entry, known: Embodying) -> None:
    found = row(entry, known)

    assert (None, None, "") == (found["embodied_ug"], found["sci_ug_per_unit"], found["embodied_inputs"])


def test_a_run_without_known_energy_has_an_m_and_no_sci() -> None:
    found = row(held(unmeasured(), Demand(gpus=8)), Embodying(GPUS))

    assert (50_000_000, None) == (found["embodied_ug"], found["sci_ug_per_unit"])


@pytest.mark.parametrize(
    ("samples", "sci"),
    [("4", 37_500_000), ("0", None), ("many", None), ("inf", None), ("nan", None), (None, None)],
)
def test_the_unit_may_be_a_label_that_is_a_number(samples: str | None, sci: int | None) -> None:
    labels = {} if samples is None else {"samples": samples}
    entry = held(a_run(emissions_ug=100_000_000), Demand(gpus=8), labels=labels)
    found = row(entry, Embodying(GPUS, per=check_unit("label:samples")))

    assert ("samples", sci) == (found["sci_unit"], found["sci_ug_per_unit"])


@pytest.mark.parametrize("word", ["jobs", "label:", ""])
def test_any_other_unit_is_refused(word: str) -> None:
    with pytest.raises(InvalidRequest, match="label:NAME"):
        check_unit(word)


def test_nothing_is_said_of_machines_that_nobody_described() -> None:
    entry = held(a_run(), Demand(gpus=8))

    assert "embodied_ug" not in row(entry, Embodying())
    assert "embodied" not in report_csv([entry]).split("\n", 1)[0]
    assert "SCI" not in report_html([entry], generated_at=NOON)


def test_table_and_page_show_m_apart_with_its_inputs() -> None:
    entry = held(a_run(), Demand(gpus=2))
    question = Question(embodying=Embodying(GPUS))
    (line,) = csv.DictReader(io.StringIO(report_csv([entry], question)))
    html = report_html([entry], generated_at=NOON, question=question)

    assert ("12500000", "112500000") == (line["embodied_ug"], line["sci_ug_per_unit"])
    assert "Embodied carbon and SCI" in html
    assert "x 2/8 GPUs at local" in html
