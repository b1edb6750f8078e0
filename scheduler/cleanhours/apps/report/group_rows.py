"""Groups as rows: a line for each group, measure and settlement, whose whole numbers add up to the report's sums."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cleanhours.apps.report.asking import Question
from cleanhours.apps.report.besides import BESIDE_COLUMNS, beside_sums, besides_apart, told_beside
from cleanhours.apps.report.cells import cell
from cleanhours.apps.report.grouping import UNMEASURED, Dimension, Group, grouped, settled_rows
from cleanhours.apps.report.notes import STATEMENT
from cleanhours.apps.report.summary import Summary, summarise
from cleanhours.domain.accounts import Cause, Entry, Settled
from cleanhours.domain.energy import Method


def groups_csv(entries: Sequence[Entry], question: Question) -> str:
    """RFC 4180, no line of totals: what is added up in a spreadsheet is added once. Units as in the rows of runs.

    A second measure has its columns as there, where it was asked for.
    """
    grouping = grouped(entries, question.by)
    text = io.StringIO()
    writer = csv.writer(text)
    own = [dimension.column for dimension in grouping.dimensions]
    columns = (*_COLUMNS, *(BESIDE_COLUMNS if told_beside(entries) else ()), *_STATED)
    writer.writerow([*map(cell, own), *columns])
    credit = " | ".join(question.credits_due)
    for group in grouping.groups:
        for row in group_rows(group, grouping.dimensions):
            row |= {"attribution": credit, "statement": STATEMENT}
            writer.writerow([cell(row[column]) for column in (*own, *columns)])
    return text.getvalue()


def group_rows(group: Group, dimensions: Sequence[Dimension]) -> Iterator[dict[str, Any]]:
    """The lines of a group, apart by settlement in both measures, so that both add up.

    `provisional_share` is the group's of that measure, the rest the line's own.
    """
    who = {one.column: value for one, value in zip(dimensions, group.values, strict=True)}
    for whole in group.summaries:
        for settled, rows in settled_rows(group.entries, whole.measure):
            for part in besides_apart(rows):
                (summary,) = summarise(part)
                line = _line(settled, summary) | beside_sums(part)
                yield {**who, **line, "provisional_share": whole.provisional_share}


def _line(settled: str, summary: Summary) -> dict[str, Any]:
    known = settled != UNMEASURED
    sums = summary.by_settled[Settled(settled)].to_json() if known else {}
    causes = {
        column: sum(amounts.get(cause, {}).values()) if known else None
        for cause in Cause
        for column, amounts in (
            (f"avoided_{cause}_ug", summary.by_cause),
            (f"energy_avoided_{cause}_mj", summary.energy_by_cause),
        )
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
    *(f"energy_avoided_{cause}_mj" for cause in Cause),
    *(f"energy_{method.value.replace('-', '_')}_mj" for method in Method),
    "deadlines_kept", "deadlines_missed", "provisional_share", "coverage",
)  # fmt: skip
_STATED: Final = ("attribution", "statement")
