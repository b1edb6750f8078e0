"""The port of the local cluster: what controller and command line ask of the queue, and tell it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cleanhours.domain.deadlines import latest_safe_start
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.jobs import AT_REST, Action, Applied, Decision, FinishedRun, Job, JobKey, JobState
from cleanhours.domain.locations import Room
from cleanhours.domain.plans import FORCED, Plan
from cleanhours.domain.progress import remaining_work
from cleanhours.domain.times import microseconds
from cleanhours.ports import Context, Submission
from cleanhours_plugins.clusters.local import submitting, transitions
from cleanhours_plugins.clusters.local.mirror import Mirror, finished_runs
from cleanhours_plugins.clusters.local.queue import BUSY_S, Queue, UnreadableQueue
from cleanhours_plugins.clusters.local.recovering import recover
from cleanhours_plugins.clusters.local.rows import encode
from cleanhours_plugins.clusters.local.settings import LocalSettings
from cleanhours_plugins.clusters.local.spawning import ensure_watchdog, spawn_supervisor
from cleanhours_plugins.clusters.local.timekeeping import SharedClock
from cleanhours_plugins.clusters.local.transitions import Errands

if TYPE_CHECKING:
    from cleanhours_plugins.clusters.local.transitions import Spawn

_WATCHDOG_EVERY_S: Final = 2.0


class LocalCluster:
    """Jobs of one user on this machine. Safe from several threads and processes at once; opens its file on first use.

    Unfinished jobs are kept in memory, and only what changed since is read again. Raises TemporaryError when the queue is
    locked or the disk is full (nothing is lost then), ConfigurationError when it cannot be read.
    """

    def __init__(
        self,
        settings: LocalSettings,
        context: Context,
        *,
        spawn: Spawn = spawn_supervisor,
        watch: Callable[[str, SharedClock], bool] = ensure_watchdog,
        busy_s: float = BUSY_S,
    ) -> None:
        self.name = settings.name
        self.powers = frozenset({Action.HOLD, Action.RELEASE, Action.SUSPEND, Action.RESUME, Action.REMARK})
        self.folder = context.state_folder / "clusters" / settings.name
        self._settings = settings
        self._context = context
        self._watch = watch
        self._busy_s = busy_s
        self._watched_at = float("-inf")
        self._clock = SharedClock.of(context.clock)
        self._errands = Errands(str(self.folder), self._clock, spawn)
        self._lock = threading.RLock()
        self._opened: Queue | None = None
        self._mirror = Mirror(settings.name)

    # -- what it is asked -------------------------------------------------------------------------------------------

    def pending(self) -> Sequence[Job]:
        return self._report(waiting=True)

    def running(self) -> Sequence[Job]:
        return self._report(waiting=False)

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        with self._asking() as queue:
            recover(queue, self._clock, self._errands)
            return finished_runs(queue, self.name, microseconds(since))

    def capacity(self) -> Mapping[str, Room]:
        location = self._context.locations[self._settings.location]
        given = location.capacity.slots
        slots = self._settings.slots if given is None else min(given, self._settings.slots)
        return {location.name: Room(replace(location, capacity=replace(location.capacity, slots=slots)))}

    def output(self, key: JobKey) -> Path:
        """The folder of a job's `stdout` and `stderr`."""
        return self.folder / "jobs" / key.uid

    # -- what it is told --------------------------------------------------------------------------------------------

    def submit(self, submission: Submission) -> JobKey:
        submitting.check(submission, self._settings.location)
        with self._asking() as queue:
            uid = submitting.enqueue(queue, submission, self._settings)
            self._keep_watch(at_once=True)
            return JobKey(self.name, uid)

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Applied]:
        if not decisions:
            return []
        try:
            with self._asking() as queue:
                try:
                    return self._apply(queue, decisions)
                except sqlite3.OperationalError as fault:
                    self._errands.forget()
                    if not queue.make_room(fault):
                        raise
                    return self._apply(queue, decisions)
        except TemporaryError as trouble:
            return [Applied(decision, str(trouble)) for decision in decisions]

    def cancel(self, key: JobKey) -> bool:
        now_us = microseconds(self._context.clock.now())
        return self._step(
            key, lambda queue, change, row: transitions.end(queue, change, row, now_us, self._errands)
        )

    def owner_pause(self, key: JobKey) -> bool:
        def pause(queue: Queue, change: int, row: sqlite3.Row) -> bool:
            if row["owner_paused"]:
                return False
            return not transitions.stop(queue, change, row, self._errands, owner=True)

        return self._step(key, pause)

    def owner_resume(self, key: JobKey) -> bool:
        def resume(queue: Queue, change: int, row: sqlite3.Row) -> bool:
            if not transitions.give_back(queue, change, row):
                return False
            if row["guarded"]:
                queue.update(key.uid, change, latest_us=self._latest_us(key.uid))
            return True

        return self._step(key, resume)

    def close(self) -> None:
        """Releases the queue; idempotent. Jobs, supervisors and the watchdog live on."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    # -- carrying out -----------------------------------------------------------------------------------------------

    def _apply(self, queue: Queue, decisions: Sequence[Decision]) -> list[Applied]:
        plans: dict[str, Plan] = {}
        touched: set[str] = set()
        applied = []
        with queue.writing() as change:
            self._mirror.refresh(queue)
            free = self._settings.slots - queue.used_slots()
            for decision in decisions:
                job = self._mirror.jobs.get(decision.key.uid)
                error = self._refusal(job, decision)
                if not error and job is not None:
                    if decision.action not in (Action.HOLD, Action.REMARK):
                        error, taken = self._act(queue, change, decision, free)
                        free -= taken
                        touched.add(decision.key.uid)
                    if not error and decision.plan.changed_from(plans.get(decision.key.uid, job.plan)):
                        plans[decision.key.uid] = decision.plan
                applied.append(Applied(decision, error))
            queue.connection.executemany(
                "UPDATE jobs SET change = ?, plan = ?, latest_us = ? WHERE uid = ?",
                [
                    (change, encode(plan.to_json()), microseconds(plan.latest_start), uid)
                    for uid, plan in plans.items()
                ],
            )
        self._mirror.wrote(queue, change, plans, touched)
        self._errands.run()
        self._keep_watch()
        return applied

    def _refusal(self, job: Job | None, decision: Decision) -> str:
        if job is None or decision.key.cluster != self.name:
            return f"no job {decision.key.uid} that waits or runs"
        if decision.action not in self.powers:
            return f"{decision.action} is not in this cluster's power"
        if decision.at != self._settings.location:
            return f"no location {decision.at!r}: it is at {self._settings.location!r}"
        if decision.action is Action.REMARK:
            return ""
        if job.state is JobState.UNMANAGED:
            return "its owner holds it"
        if decision.action is Action.HOLD and job.state not in AT_REST:
            return "it runs: suspend it"
        return ""

    def _act(self, queue: Queue, change: int, decision: Decision, free: int) -> tuple[str, int]:
        """Error, and the slots that the job takes from now on."""
        row = queue.row(decision.key.uid)
        if row is None:
            return f"no job {decision.key.uid}", 0
        if decision.action is Action.SUSPEND:
            return transitions.stop(queue, change, row, self._errands), 0
        waits = row["state"] in ("held", "paused")
        full = row["slots"] > free and free < self._settings.slots
        if waits and full and decision.reason not in FORCED:
            return "no slot free", 0
        error = transitions.start(queue, change, row, decision.at, self._errands)
        return error, row["slots"] if waits and not error else 0

    def _step(self, key: JobKey, step: Callable[[Queue, int, sqlite3.Row], bool]) -> bool:
        with self._asking() as queue:
            self._mirror.refresh(queue)
            with queue.writing() as change:
                row = queue.row(key.uid) if key.cluster == self.name else None
                done = row is not None and step(queue, change, row)
            self._errands.run()
            return done

    def _latest_us(self, uid: str) -> int:
        job = self._mirror.jobs[uid]
        remaining = remaining_work(job.request, job.segments, self._context.clock.now())
        if remaining is None:
            return microseconds(submitting.latest_start(job.request, self._settings.margins))
        restart = job.request.checkpoint if job.segments else timedelta(0)
        return microseconds(
            latest_safe_start(job.request, remaining, self._settings.margins, restart=restart)
        )

    # -- reading ----------------------------------------------------------------------------------------------------

    def _report(self, *, waiting: bool) -> list[Job]:
        with self._asking() as queue:
            recover(queue, self._clock, self._errands)
            self._mirror.refresh(queue)
            if self._mirror.jobs:
                self._keep_watch()
            now = self._context.clock.now()
            return [
                replace(job, remaining=remaining_work(job.request, job.segments, now))
                if job.segments
                else job
                for job in self._mirror.jobs.values()
                if (job.state in AT_REST) is waiting
            ]

    def _keep_watch(self, *, at_once: bool = False) -> None:
        """The watchdog lives, or is started: looked after every few seconds, and at every submission."""
        if not at_once and time.monotonic() - self._watched_at < _WATCHDOG_EVERY_S:
            return
        self._watched_at = time.monotonic()
        try:
            self._watch(str(self.folder), self._clock)
        except OSError:
            self._watched_at = float("-inf")  # no process to be had: the next look tries again

    @contextmanager
    def _asking(self) -> Iterator[Queue]:
        with self._lock:
            try:
                yield self._queue()
            except (sqlite3.OperationalError, OSError) as fault:
                self._errands.forget()
                delay = timedelta(seconds=5)
                raise TemporaryError(
                    f"cluster {self.name}: queue {self.folder}: {fault}", delay=delay
                ) from fault
            except (UnreadableQueue, sqlite3.DatabaseError) as fault:
                self._errands.forget()
                raise ConfigurationError(f"cluster {self.name}: {fault}") from fault

    def _queue(self) -> Queue:
        if self._opened is None:
            queue = Queue(str(self.folder), busy_s=self._busy_s)
            self._opened = queue
            told: dict[str, Any] = {
                "slots": self._settings.slots,
                "grace": self._settings.grace.total_seconds(),
            }
            if any(queue.setting(key) != value for key, value in told.items()):
                with queue.writing():
                    queue.connection.executemany(
                        "UPDATE meta SET value = ? WHERE key = ?",
                        [(value, key) for key, value in told.items()],
                    )
        return self._opened
