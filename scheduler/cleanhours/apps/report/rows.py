"""A report as rows: CSV for spreadsheets and JSON for programs, in the ledger's own whole units."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from cleanhours.apps.escaping import escape_csv
from cleanhours.apps.report.summary import summarise
from cleanhours.domain.accounts import Cause, Entry
from cleanhours.domain.times import format_instant

VERSION: Final = 1


def report_csv(entries: Sequence[Entry]) -> str:
    """One line a run, RFC 4180. Amounts are whole millijoules (before PUE) and micrograms CO2e; unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for entry in entries:
        row = run_row(entry)
        writer.writerow([_cell(row[column]) for column in _COLUMNS])
    return text.getvalue()


def report_json(entries: Sequence[Entry]) -> dict[str, Any]:
    """The summaries and every run, plain JSON values; names as they are, for the reader's own escaping."""
    return {
        "version": VERSION,
        "summaries": [summary.to_json() for summary in summarise(entries)],
        "runs": [run_row(entry) for entry in entries],
    }


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
    }


def _how(entry: Entry) -> dict[str, Any]:
    plan = entry.run.plan
    return {
        "reason": None if plan is None else plan.reason.value,
        "methods": " ".join(dict.fromkeys(share.method.value for share in entry.shares)),
        "meters": " ".join(dict.fromkeys(meter for share in entry.shares for meter in share.meters)),
        "coverage": entry.profile.coverage if entry.profile.slices else None,
        "upper_estimate": entry.profile.upper_estimate,
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
    "energy_avoided_mj", "reason", "methods", "meters", "coverage", "upper_estimate", "signal", "scope", "basis",
    "providers", "settled", "settled_at", "unmeasured",
)  # fmt: skip


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return escape_csv(value) if isinstance(value, str) else value
