from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

from cleanhours.apps.report import (
    MOST_LABELS,
    Question,
    in_known_measures,
    labels_by_use,
    report_csv,
    report_json,
)
from cleanhours.apps.report.summary import summarise
from cleanhours.domain.accounts import Cause
from cleanhours.domain.measures import Measure, Scope
from tests.unit.apps.rows_of_a_ledger import HOUR, NOON, a_run, unmeasured


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_line_carries_the_rows_whole_numbers_with_method_signal_and_settlement() -> None:
    (line,) = read(
        report_csv([a_run(emissions_ug=100, avoided_ug={Cause.DELAYED: 70, Cause.PAUSED: -20}, hours=(1, 2))])
    )

    assert ("100", "150", "50", "70", "-20", "0") == (
        line["emissions_ug"], line["baseline_ug"], line["avoided_ug"],
        line["avoided_delayed_ug"], line["avoided_paused_ug"], line["avoided_scaled_ug"],
    )  # fmt: skip
    assert ("declared", "average", "lifecycle", "final", "lowest-window", "1") == (
        line["methods"], line["signal"], line["scope"], line["settled"], line["reason"], line["pauses"],
    )  # fmt: skip


def test_the_lines_add_up_to_the_json_summary() -> None:
    entries = [
        a_run(uid=str(index), emissions_ug=10**12 + index, millijoules=10**13 + 7 * index)
        for index in range(9)
    ]
    lines = read(report_csv(entries))
    (summary,) = report_json(entries)["summaries"]

    assert sum(int(line["emissions_ug"]) for line in lines) == summary["settled"]["final"]["emissions_ug"]
    assert sum(int(line["energy_mj"]) for line in lines) == summary["settled"]["final"]["energy_mj"]


def test_energy_that_was_avoided_is_told_by_cause_as_emissions_are() -> None:
    saved = {Cause.CAPPED: 7_000, Cause.PAUSED: -2_000}
    entries = [
        a_run(energy_avoided_mj=saved),
        a_run(uid="2", energy_avoided_mj={Cause.CAPPED: 1}),
        unmeasured(uid="3"),
    ]
    first, second, unknown = read(report_csv(entries))
    document = report_json(entries)
    (summary,) = document["summaries"]
    columns = [f"energy_avoided_{name}mj" for name in ("", "delayed_", "paused_", "capped_")]

    assert ["5000", "0", "-2000", "7000"] == [first[name] for name in columns]
    assert ["1", "0", "0", "1"] == [second[name] for name in columns]
    assert [""] * 4 == [unknown[name] for name in columns]
    assert [5000, 1, None] == [run["energy_avoided_mj"] for run in document["runs"]]
    assert [7000, 1, None] == [run["energy_avoided_capped_mj"] for run in document["runs"]]
    causes = summary["energy_avoided_by_cause_mj"]
    assert (7001, -2000) == (causes["capped"]["final"], causes["paused"]["final"])
    assert (
        5001
        == summary["settled"]["final"]["energy_avoided_mj"]
        == summary["by_location"]["local"]["final"]["energy_avoided_mj"]
    )


def test_a_method_has_no_share_of_what_was_avoided_of_the_energy() -> None:
    (summary,) = report_json([a_run(energy_avoided_mj={Cause.CAPPED: 7_000})])["summaries"]
    shares = summary["by_method"]["declared"]["final"]

    assert 3_600_000_000 == shares["energy_mj"]
    assert "energy_avoided_mj" not in shares


def test_what_nobody_measured_is_empty_and_not_zero() -> None:
    (line,) = read(report_csv([unmeasured()]))

    assert ("", "", "", "", "") == (
        line["energy_mj"], line["emissions_ug"], line["baseline_ug"], line["avoided_ug"], line["avoided_delayed_ug"]
    )  # fmt: skip
    assert "no meter saw it" == line["unmeasured"]


def test_a_job_named_like_a_formula_stays_a_name() -> None:
    (line,) = read(report_csv([a_run("=cmd|' /C calc'!A0\x1b[31m")]))

    assert "'=cmd|' /C calc'!A0\\x1b[31m" == line["job"]


def test_a_deadline_is_kept_missed_or_was_never_set() -> None:
    lines = read(report_csv([a_run(deadline=NOON + 9 * HOUR), a_run(deadline=NOON + HOUR), a_run()]))

    assert ["true", "false", ""] == [line["deadline_kept"] for line in lines]


def test_json_is_plain_and_keeps_names_as_they_are() -> None:
    name = "<script>alert(1)</script>\n=1"
    document = json.loads(json.dumps(report_json([a_run(name), unmeasured(uid="2")])))

    assert [name, "unseen"] == [run["job"] for run in document["runs"]]
    assert document["runs"][1]["energy_mj"] is None


def test_without_rows_there_is_a_heading_and_no_line() -> None:
    assert [] == read(report_csv([]))
    assert ([], []) == (report_json([])["summaries"], report_json([])["runs"])


def test_labels_are_columns_and_a_run_without_one_leaves_it_empty() -> None:
    worn = replace(a_run().run, labels={"team": "vision", "=cost": "7"})
    lines = read(report_csv([a_run(run=worn), a_run(uid="2")]))

    assert ["vision", ""] == [line["label_team"] for line in lines]
    assert ["7", ""] == [line["label_=cost"] for line in lines]
    assert {"team": "vision", "=cost": "7"} == report_json([a_run(run=worn)])["runs"][0]["labels"]


def test_a_table_is_no_wider_than_can_be_read_however_many_labels_are_invented() -> None:
    runs = [
        a_run(uid=str(n), run=replace(a_run(uid=str(n)).run, labels={"team": "vision", f"a{n:03}": "x"}))
        for n in range(MOST_LABELS + 50)
    ]
    lines = read(report_csv(runs))
    columns = [name for name in lines[0] if name.startswith("label_")]

    assert MOST_LABELS == len(columns)
    assert {"vision"} == {line["label_team"] for line in lines}
    assert "label_a000" in columns
    assert MOST_LABELS + 51 == len(labels_by_use(runs))


def test_every_form_says_how_it_was_made_what_it_leaves_out_and_whom_to_credit() -> None:
    asked = Question(attributions=["NESO, CC BY 4.0", "NESO, CC BY 4.0", "Ember"], as_of=NOON)
    method = report_json([a_run()], asked)["method"]
    (line,) = read(report_csv([a_run()], asked))

    assert ["NESO, CC BY 4.0", "Ember"] == method["attributions"]
    assert any("Making" in one for one in method["not_counted"])
    assert any("PUE" in one for one in method["statement"])
    assert "2026-03-05T12:00:00Z" == report_json([], asked)["as_of"]
    assert "NESO, CC BY 4.0 | Ember" == line["attribution"]
    assert "not counted: making of machines" in line["statement"]


def test_a_row_says_of_what_its_energy_is() -> None:
    (row,) = read(report_csv([a_run()]))
    assert "whole" == row["components"]


def test_a_run_that_nobody_measured_is_counted_beside_those_of_its_ledger() -> None:
    direct = Measure(scope=Scope.DIRECT)
    known, unknown = a_run(uid="1", measure=direct), unmeasured()

    (summary,) = summarise(in_known_measures([known, unknown]))

    assert (direct, 1) == (summary.measure, len(summary.unmeasured))
    assert [unknown] == list(in_known_measures([unknown]))
