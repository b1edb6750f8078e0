"""Stretches: what ran, and was stopped by somebody else, before its object forgets when it started. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cleanhours.domain.jobs import RunSegment
from cleanhours_plugins.clusters.kubernetes.records import Record


def stopped_elsewhere(
    before: Sequence[RunSegment], record: Record, now_known: Sequence[RunSegment], seen_at: datetime
) -> tuple[RunSegment, ...]:
    """Of the runs that were known `before`, those that the object says nothing of any more, closed.

    An owner who suspends a Job, and Kueue where it preempts one, take its start away with it (servers from 1.36 on; older
    ones at the next start). It ended when its controller saw that, or, where that is not known, when it last was seen to
    run (`seen_at`): what is not known to have run is not accounted, and nothing is accounted twice.
    """
    still = {run.start for run in now_known}
    activity = record.activity
    end = activity.stopped_at or min(seen_at, activity.started_at or seen_at)
    return tuple(
        run if run.end is not None else replace(run, end=max(run.start, end))
        for run in before
        if run.start not in still
    )


def with_stretches(record: Record, stretches: Sequence[RunSegment]) -> tuple[RunSegment, ...]:
    """The runs that are written on the object and these, in order of time; those already there stand."""
    written = {run.start for run in record.runs}
    added = [run for run in stretches if run.start not in written]
    return tuple(sorted((*record.runs, *added), key=lambda run: run.start))
