"""The unfinished jobs of a queue in memory: only what changed since is read again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cleanhours.domain.jobs import FinishedRun, Job, RunSegment
from cleanhours.domain.plans import Plan
from cleanhours_plugins.clusters.local.queue import Queue
from cleanhours_plugins.clusters.local.rows import JOB_COLUMNS, job_of, run_of, segments_of

_Answer = tuple[list[sqlite3.Row], dict[str, tuple[RunSegment, ...]]]


class Mirror:
    """`jobs` by uid, in the order of submission; `remaining` is filled in for those that never ran, who asks for others."""

    def __init__(self, cluster: str) -> None:
        self.jobs: dict[str, Job] = {}
        self._cluster = cluster
        self._seen = 0

    def refresh(self, queue: Queue) -> None:
        """Takes in what anybody changed."""
        latest = queue.changed()
        if latest != self._seen:
            self._take(queue, "change > ?", self._seen)
            self._seen = latest

    def wrote(self, queue: Queue, change: int, plans: Mapping[str, Plan], touched: Iterable[str]) -> None:
        """After our own transaction, which began with a refresh: plans need not be read back, touched jobs must be."""
        moved = set(touched)
        for uid in plans.keys() - moved:
            self.jobs[uid] = replace(self.jobs[uid], plan=plans[uid])
        if moved:
            self._take(queue, "uid IN (SELECT value FROM json_each(?))", json.dumps(sorted(moved)))
        self._seen = change

    def _take(self, queue: Queue, condition: str, value: object) -> None:
        rows, parts = _read(queue, condition, "seq", value)
        for row in rows:
            uid = row["uid"]
            if row["finished_us"] is not None:
                self.jobs.pop(uid, None)
                continue
            job = job_of(row, self._cluster, parts.get(uid, ()), self.jobs.get(uid))
            self.jobs[uid] = job if job.segments else replace(job, remaining=job.request.duration)


def finished_runs(queue: Queue, cluster: str, since_us: int) -> list[FinishedRun]:
    """Runs that ended at or after `since_us`, oldest first."""
    rows, parts = _read(queue, "finished_us >= ?", "finished_us, seq", since_us)
    return [run_of(row, cluster, parts.get(row["uid"], ())) for row in rows]


def _read(queue: Queue, condition: str, order: str, value: object) -> _Answer:
    jobs = f"SELECT {JOB_COLUMNS} FROM jobs WHERE {condition} ORDER BY {order}"  # noqa: S608
    of_jobs = f"SELECT uid FROM jobs WHERE {condition}"  # noqa: S608
    segments = f"SELECT * FROM segments WHERE uid IN ({of_jobs}) ORDER BY uid, place"  # noqa: S608
    return queue.all(jobs, value), segments_of(queue.all(segments, value))
