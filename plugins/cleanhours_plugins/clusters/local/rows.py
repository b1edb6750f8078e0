"""Rows of the queue as the domain's words, and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from cleanhours.domain.jobs import FinishedRun, Job, JobKey, JobState, RunKey, RunSegment
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import instant_at

encode: Final = json.JSONEncoder(separators=(",", ":")).encode
"""Compact JSON, without making an encoder for each of ten thousand plans."""

JOB_COLUMNS: Final = (
    "uid, change, name, namespace, owner, labels, request, home, state, location, plan, finished_us, exit_code, "
    "message, cpu_seconds, max_rss_bytes, usage_known"
)


def segments_of(rows: Iterable[sqlite3.Row]) -> dict[str, tuple[RunSegment, ...]]:
    """Segments by job, in order."""
    found: dict[str, list[RunSegment]] = {}
    for row in rows:
        end = None if row["end_us"] is None else instant_at(row["end_us"])
        part = RunSegment(
            instant_at(row["start_us"]), end, row["location"], tuple(json.loads(row["handles"]))
        )
        found.setdefault(row["uid"], []).append(part)
    return {uid: tuple(parts) for uid, parts in found.items()}


def job_of(row: sqlite3.Row, cluster: str, segments: tuple[RunSegment, ...], known: Job | None = None) -> Job:
    """A job that has not finished, without what depends on the time. `known` saves reading what never changes."""
    if known is not None:
        return replace(
            known,
            state=JobState(row["state"]),
            location=row["location"],
            plan=plan_of(row),
            started_at=segments[0].start if segments else None,
            segments=segments,
        )
    return Job(
        key=JobKey(cluster, row["uid"]),
        name=row["name"],
        namespace=row["namespace"],
        state=JobState(row["state"]),
        request=JobRequest.from_json(json.loads(row["request"])),
        home=row["home"],
        location=row["location"],
        plan=plan_of(row),
        owner=row["owner"],
        labels=json.loads(row["labels"]),
        started_at=segments[0].start if segments else None,
        segments=segments,
    )


def run_of(row: sqlite3.Row, cluster: str, segments: tuple[RunSegment, ...]) -> FinishedRun:
    """A run that is over."""
    request = JobRequest.from_json(json.loads(row["request"]))
    return FinishedRun(
        key=RunKey(cluster, row["uid"], 1),
        name=row["name"],
        namespace=row["namespace"],
        state=JobState(row["state"]),
        request=request,
        home=row["home"],
        segments=segments,
        finished_at=instant_at(row["finished_us"]),
        allocated=request.demand,
        owner=row["owner"],
        labels=json.loads(row["labels"]),
        plan=plan_of(row),
        exit_code=row["exit_code"],
        message=row["message"],
        usage=_usage(row),
    )


def plan_of(row: sqlite3.Row) -> Plan | None:
    """The plan in force, if any was written."""
    return None if row["plan"] is None else Plan.from_json(json.loads(row["plan"]))


def _usage(row: sqlite3.Row) -> Mapping[str, float]:
    """Nothing, where nobody saw all of it: a part would be too little."""
    if not row["usage_known"] or row["cpu_seconds"] is None:
        return {}
    return {"cpu_seconds": row["cpu_seconds"], "max_rss_bytes": float(row["max_rss_bytes"])}
