"""Groups as rows: a line for each group, measure and settlement, whose whole numbers add up to the report's sums."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cleanhours.apps.report.asking import Question
from cleanhours.apps.report.cells import cell
from cleanhours.apps.report.grouping import UNMEASURED, Dimension, Group, grouped, settled_apart
from cleanhours.apps.report.notes import STATEMENT
from cleanhours.apps.report.summary import Summary
from cleanhours.domain.accounts import Cause, Entry, Settled
from cleanhours.domain.energy import Method


def groups_csv(entries: Sequence[Entry], question: Question) -> str:
    """RFC 4180, no line of totals: what is added up in a spreadsheet is added once. Units as in the rows of runs."""
    grouping = grouped(entries, question.by)
    text = io.StringIO()
    writer = csv.writer(text)
    columns = [dimension.column for dimension in grouping.dimensions]
    writer.writerow([*map(cell, columns), *_COLUMNS])
    credit = " | ".join(question.credits_due)
    for group in grouping.groups:
        for row in group_rows(group, grouping.dimensions):
            row |= {"attribution": credit, "statement": STATEMENT}
            writer.writerow([cell(row[column]) for column in (*columns, *_COLUMNS)])
    return text.getvalue()


def group_rows(group: Group, dimensions: Sequence[Dimension]) -> Iterator[dict[str, Any]]:
    """The lines of a group. `provisional_share` is the group's of that measure, the rest the line's own."""
    who = {one.column: value for one, value in zip(dimensions, group.values, strict=True)}
    for whole in group.summaries:
        for settled, summary in settled_apart(group.entries, whole.measure):
            yield {**who, **_line(settled, summary), "provisional_share": whole.provisional_share}


def _line(settled: str, summary: Summary) -> dict[str, Any]:
    known = settled != UNMEASURED
    sums = summary.by_settled[Settled(settled)].to_json() if known else {}
    causes = {
        f"avoided_{cause}_ug": sum(summary.by_cause.get(cause, {}).values()) if known else None
        for cause in Cause
    }
    methods = {
        f"energy_{method.value.replace('-', '_')}_mj": sum(
            row.millijoules for row in summary.by_method.get(method, {}).values()
        )
        if known
        else None
        for method in Method
    }
    return {
        "signal": summary.measure.signal.value,
        "scope": summary.measure.scope.value,
        "basis": summary.measure.basis.value,
        "providers": " ".join(summary.providers),
        "settled": settled,
        **{name: sums.get(name) for name in _SUMS},
        "runs": summary.by_settled[Settled(settled)].runs if known else len(summary.unmeasured),
        **causes,
        **methods,
        "deadlines_kept": summary.deadlines_kept,
        "deadlines_missed": summary.deadlines_missed,
        "coverage": summary.coverage,
    }


_SUMS: Final = ("energy_mj", "emissions_ug", "baseline_ug", "avoided_ug", "energy_avoided_mj")
_COLUMNS: Final = (
    "signal", "scope", "basis", "providers", "settled", "runs", *_SUMS,
    *(f"avoided_{cause}_ug" for cause in Cause),
    *(f"energy_{method.value.replace('-', '_')}_mj" for method in Method),
    "deadlines_kept", "deadlines_missed", "provisional_share", "coverage", "attribution", "statement",
)  # fmt: skip
