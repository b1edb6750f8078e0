"""A report as rows: CSV for spreadsheets and JSON for programs, in the ledger's own whole units."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from cleanhours.apps.report.asking import NOTHING_ASKED, Question
from cleanhours.apps.report.besides import BESIDE_COLUMNS, beside_row, summarise_beside, told_beside
from cleanhours.apps.report.cells import cell
from cleanhours.apps.report.embodied import EMBODIED_COLUMNS, embodied_row
from cleanhours.apps.report.grouping import grouped
from cleanhours.apps.report.notes import METHOD, NOT_COUNTED, STATEMENT
from cleanhours.apps.report.summary import summarise
from cleanhours.domain.accounts import Cause, Entry
from cleanhours.domain.energy import Component
from cleanhours.domain.times import format_instant
from cleanhours.planning.uncapping import cap_kept

VERSION: Final = 1
MOST_LABELS: Final = 200
"""Columns for labels: each user may invent eight for each job, and the table is as wide as all of them, in each line."""


def report_csv(entries: Sequence[Entry], question: Question = NOTHING_ASKED) -> str:
    """One line a run, RFC 4180. Amounts are whole millijoules (before PUE) and micrograms CO2e; unknown is empty.

    Each label that some run wears is a column `label_NAME`, after the fixed ones, of too many those that most runs wear; a
    second measure and embodied carbon where they were asked for.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    labels = sorted(labels_by_use(entries)[:MOST_LABELS])
    beside = BESIDE_COLUMNS if told_beside(entries) else ()
    extra = (*beside, *(EMBODIED_COLUMNS if question.embodying.wanted else ()))
    writer.writerow([*_COLUMNS, *extra, *_STATED, *(cell(f"label_{label}") for label in labels)])
    credit = " | ".join(question.credits_due)
    for entry in entries:
        row = (
            run_row(entry)
            | beside_row(entry)
            | embodied_row(entry, question.embodying)
            | {"attribution": credit, "statement": STATEMENT}
        )
        worn = [entry.run.labels.get(label) for label in labels]
        writer.writerow([*(cell(row[column]) for column in (*_COLUMNS, *extra, *_STATED)), *map(cell, worn)])
    return text.getvalue()


def labels_by_use(entries: Sequence[Entry]) -> list[str]:
    """Every label that some run wears, those that most runs wear first."""
    worn = Counter(label for entry in entries for label in entry.run.labels)
    return sorted(worn, key=lambda label: (-worn[label], label))


def report_json(entries: Sequence[Entry], question: Question = NOTHING_ASKED) -> dict[str, Any]:
    """The summaries and every run, plain JSON values; names as they are, for the reader's own escaping."""
    document: dict[str, Any] = {
        "version": VERSION,
        "as_of": _instant(question.as_of),
        "method": {
            "statement": list(METHOD),
            "not_counted": list(NOT_COUNTED),
            "attributions": question.credits_due,
        },
        "summaries": [summary.to_json() for summary in summarise(entries)],
    }
    second = told_beside(entries)
    if second:
        document["beside"] = [summary.to_json() for summary in summarise_beside(entries)]
    if question.by:
        document["grouped"] = grouped(entries, question.by).to_json()
    document["runs"] = [
        run_row(entry)
        | (beside_row(entry) if second else {})
        | {"labels": dict(entry.run.labels)}
        | embodied_row(entry, question.embodying)
        for entry in entries
    ]
    return document


def run_row(entry: Entry) -> dict[str, Any]:
    """A run as plain values: words, whole numbers, true or false, None where unknown."""
    return {**_who(entry), **_when(entry), **_amounts(entry), **_how(entry)}


def _who(entry: Entry) -> dict[str, Any]:
    run = entry.run
    return {
        "cluster": run.key.cluster,
        "namespace": run.namespace,
        "job": run.name,
        "uid": run.key.uid,
        "attempt": run.key.attempt,
        "owner": run.owner,
        "state": run.state.value,
        "home": run.home,
        "location": entry.location,
    }


def _when(entry: Entry) -> dict[str, Any]:
    run = entry.run
    running = sum(((part.end or run.finished_at) - part.start).total_seconds() for part in run.segments)
    return {
        "submitted": format_instant(run.request.submitted),
        "started": _instant(run.started_at),
        "finished": format_instant(run.finished_at),
        "running_s": round(running),
        "pauses": max(len(run.segments) - 1, 0),
        "deadline": _instant(run.request.deadline),
        "deadline_kept": entry.deadline_kept,
    }


def _amounts(entry: Entry) -> dict[str, Any]:
    known = entry.emissions_ug is not None
    return {
        "energy_mj": entry.profile.millijoules if known or entry.profile.slices else None,
        "emissions_ug": entry.emissions_ug,
        "baseline_ug": entry.baseline_ug,
        "avoided_ug": entry.total_avoided_ug,
        **{f"avoided_{cause}_ug": entry.avoided_ug.get(cause, 0) if known else None for cause in Cause},
        "energy_avoided_mj": sum(entry.energy_avoided_mj.values()) if known else None,
        **{
            f"energy_avoided_{cause}_mj": entry.energy_avoided_mj.get(cause, 0) if known else None
            for cause in Cause
        },
    }


def _how(entry: Entry) -> dict[str, Any]:
    plan = entry.run.plan
    return {
        "reason": None if plan is None else plan.reason.value,
        "methods": " ".join(dict.fromkeys(share.method.value for share in entry.shares)),
        "meters": " ".join(dict.fromkeys(meter for share in entry.shares for meter in share.meters)),
        "components": " ".join(one.value for one in Component if one in entry.profile.components),
        "coverage": entry.profile.coverage if entry.profile.slices else None,
        "upper_estimate": entry.profile.upper_estimate,
        "cap_w": None if plan is None or plan.cap is None else plan.cap.limit_w,
        "cap_kept": cap_kept(entry.run, entry.profile),
        "signal": entry.measure.signal.value,
        "scope": entry.measure.scope.value,
        "basis": entry.measure.basis.value,
        "providers": " ".join(entry.providers),
        "settled": entry.settled.value,
        "settled_at": format_instant(entry.settled_at),
        "unmeasured": entry.unmeasured,
    }


_COLUMNS: Final = (
    "cluster", "namespace", "job", "uid", "attempt", "owner", "state", "home", "location",
    "submitted", "started", "finished", "running_s", "pauses", "deadline", "deadline_kept",
    "energy_mj", "emissions_ug", "baseline_ug", "avoided_ug",
    *(f"avoided_{cause}_ug" for cause in Cause),
    "energy_avoided_mj", *(f"energy_avoided_{cause}_mj" for cause in Cause),
    "reason", "methods", "meters", "components", "coverage", "upper_estimate", "cap_w", "cap_kept", "signal", "scope", "basis",
    "providers", "settled", "settled_at", "unmeasured",
)  # fmt: skip
_STATED: Final = ("attribution", "statement")


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
