"""A second measure in the report: columns, sums and a card of their own, added to nothing."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from cleanhours.apps.report import (
    Question,
    groups_csv,
    parse_dimensions,
    report_csv,
    report_html,
    report_json,
)
from cleanhours.domain.accounts import Beside, Cause, Entry, Settled
from cleanhours.domain.energy import Method
from cleanhours.domain.intensity import Measure, Signal
from tests.unit.apps.rows_of_a_ledger import NOON, a_run, unmeasured

MARGINAL = Measure(signal=Signal.MARGINAL)
SECOND = Beside(
    settled=Settled.PROVISIONAL,
    measure=MARGINAL,
    providers=("second",),
    emissions_ug=101,
    baseline_ug=60,
    avoided_ug={Cause.DELAYED: -41},
)
UNKNOWN = Beside(settled=Settled.PROVISIONAL, unknown="not published yet")


def rows() -> list[Entry]:
    return [
        replace(a_run(uid="1"), beside=SECOND),
        replace(a_run(uid="2"), beside=UNKNOWN),
        a_run(uid="3", emissions_ug=5),
    ]


def test_each_run_says_both_and_unknown_is_empty() -> None:
    known, unknown, never = csv.DictReader(io.StringIO(report_csv(rows())))
    assert ("average", "100000000") == (known["signal"], known["emissions_ug"])
    assert ("marginal", "lifecycle", "consumption", "second", "provisional") == tuple(
        known[f"beside_{name}"] for name in ("signal", "scope", "basis", "providers", "settled")
    )
    amounts = [f"beside_{name}_ug" for name in ("emissions", "baseline", "avoided")]
    assert ["101", "60", "-41"] == [known[name] for name in amounts]
    for line in (unknown, never):
        assert ["", "", ""] == [line[name] for name in amounts]
    assert ("not published yet", "") == (unknown["beside_unknown"], never["beside_unknown"])


def test_where_nobody_asked_for_it_there_are_no_columns() -> None:
    assert "beside" not in report_csv([a_run()])
    assert "beside" not in report_json([a_run()])
    assert "Beside" not in report_html([a_run()], generated_at=NOON)


def test_its_sums_are_apart_and_change_no_other() -> None:
    entries = rows()
    told = report_json(entries)
    assert told["summaries"] == report_json([replace(entry, beside=None) for entry in entries])["summaries"]
    [second] = told["beside"]
    assert ("marginal", ["second"]) == (second["signal"], second["providers"])
    assert (1, 101, 60, -41) == tuple(
        second["settled"]["provisional"][name]
        for name in ("runs", "emissions_ug", "baseline_ug", "avoided_ug")
    )
    assert 0 == second["settled"]["final"]["runs"]
    assert -41 == second["avoided_by_cause_ug"]["delayed"]["provisional"]


def test_its_grams_are_split_by_method_exactly() -> None:
    one = a_run()
    halves = tuple(
        replace(one.shares[0], method=method, millijoules=energy)
        for method, energy in ((Method.MEASURED, 2_000_000_000), (Method.DECLARED, 1_600_000_000))
    )
    [second] = report_json([replace(one, shares=halves, beside=SECOND)])["beside"]
    split = [second["by_method"][name]["provisional"]["emissions_ug"] for name in ("measured", "declared")]
    assert [56, 45] == split


def test_groups_have_it_too() -> None:
    told = report_json(rows(), Question(by=parse_dimensions(["month"])))
    [group] = told["grouped"]["groups"]
    assert told["beside"] == group["beside"]


def test_lines_of_groups_have_its_columns_and_add_up_in_both_measures() -> None:
    settled = replace(SECOND, settled=Settled.FINAL, emissions_ug=7, baseline_ug=9, providers=("third",))
    entries = [
        *rows(),
        replace(a_run(uid="4"), beside=replace(SECOND, emissions_ug=1, baseline_ug=2)),
        replace(a_run(uid="5", settled=Settled.PROVISIONAL), beside=settled),
        replace(a_run(uid="6", emissions_ug=8), beside=replace(UNKNOWN, unknown="no such zone")),
        replace(unmeasured(uid="7"), beside=UNKNOWN),
    ]
    question = Question(by=parse_dimensions(["namespace"]))
    lines = list(csv.DictReader(io.StringIO(groups_csv(entries, question))))
    told = [
        tuple(
            line[name]
            for name in ("settled", "runs", "beside_settled", "beside_emissions_ug", "beside_avoided_ug")
        )
        for line in lines
    ]

    assert [
        ("final", "2", "provisional", "102", "-40"),
        ("final", "3", "", "", ""),
        ("provisional", "1", "final", "7", "2"),
        ("unmeasured", "1", "", "", ""),
    ] == told
    assert "no such zone | not published yet" == lines[1]["beside_unknown"]
    assert ["second", "", "third", ""] == [line["beside_providers"] for line in lines]
    plain = list(
        csv.DictReader(io.StringIO(groups_csv([replace(one, beside=None) for one in entries], question)))
    )
    for column in ("runs", "energy_mj", "emissions_ug", "avoided_ug"):
        assert sum(int(one[column] or 0) for one in plain) == sum(int(one[column] or 0) for one in lines)
    assert not any("beside" in column for column in plain[0])


def test_the_page_has_a_card_that_says_what_it_is() -> None:
    page = report_html(rows(), generated_at=NOON)
    assert 1 == page.count("Beside: marginal, lifecycle, consumption")
    assert "nothing here may be added" in page
