"""A bar that fills while a job waits for its clean hours, on a terminal only."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING

from cleanhours.domain.jobs import WAITING, Job
from cleanhours.domain.times import format_duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class WaitBar:
    """Shows how much of a wait is over; nothing off a terminal, nothing while the job runs. Close it before others print."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, job: Job, now: datetime) -> None:
        """One look at the job."""
        if not sys.stderr.isatty() or job.plan is None or job.state not in WAITING or job.plan.start <= now:
            self.close()
            return
        progress, task = self._open()
        whole = (job.plan.start - job.request.submitted).total_seconds()
        past = (now - job.request.submitted).total_seconds()
        left = format_duration(job.plan.start - now)
        progress.update(task, total=max(whole, 1), completed=past, description=f"starts in {left}")

    def close(self) -> None:
        """Takes the bar away; idempotent."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None

    def _open(self) -> tuple[Progress, TaskID]:
        if self._progress is None or self._task is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (BarColumn(), TextColumn("{task.description}"))
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._progress.start()
            self._task = self._progress.add_task("")
        return self._progress, self._task
