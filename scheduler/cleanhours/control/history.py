"""Durations that their owners did not give, taken from earlier runs of the same work."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from cleanhours.domain.jobs import FinishedRun, Job
from cleanhours.ports import Ledger

_Work = tuple[str, str, str]


@dataclass(slots=True)
class Durations:
    """Remembers the median running time of each work (cluster, namespace, name) until another run of it ends."""

    _known: dict[_Work, timedelta | None] = field(default_factory=dict)

    def complete(self, job: Job, ledger: Ledger) -> Job:
        """The job with a duration: its own, else the median of its history, else unchanged."""
        if job.request.duration is not None or job.complaints:
            return job
        work = (job.key.cluster, job.namespace, job.name)
        if work not in self._known:
            runs = ledger.durations(*work)
            self._known[work] = sorted(runs)[len(runs) // 2] if runs else None
        duration = self._known[work]
        if duration is None:
            return job
        ran = sum(
            (part.end - part.start for part in job.segments if part.end is not None), start=timedelta(0)
        )
        return replace(
            job,
            request=replace(job.request, duration=duration),
            remaining=max(duration - ran, timedelta(seconds=1)),
        )

    def forget(self, run: FinishedRun) -> None:
        """Asks the ledger again for this work next time."""
        self._known.pop((run.key.cluster, run.namespace, run.name), None)
