"""Finds again what a killed process left behind, whoever looks: controller, command line or watchdog.

A job belongs to its supervisor while that lives. When it does not:

- its status file tells how the job ended: recorded;
- its process still runs: a new supervisor adopts it (its exit status will not be known, for it is not its child);
- its process was never let go (the mark that it makes before it becomes the command is missing): started again;
- else it ran and is gone: failed, and the message says that nobody saw how. It is not started a second time.
"""

from __future__ import annotations

import json
import os

from cleanhours_plugins.clusters.local import processes, transitions
from cleanhours_plugins.clusters.local.spawning import job_folder
from cleanhours_plugins.clusters.local.timekeeping import real_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Any

    from cleanhours_plugins.clusters.local.queue import Queue
    from cleanhours_plugins.clusters.local.timekeeping import SharedClock
    from cleanhours_plugins.clusters.local.transitions import Errands

PATIENCE_S = 5.0
"""How long a supervisor may take from its claim to its first word. Shorter costs nothing but a process too many."""

LOST = "its supervisor was killed while it ran, so nobody saw how it ended"
REBOOTED = "the machine restarted while it ran"


def recover(queue: Queue, clock: SharedClock, errands: Errands) -> None:
    """Looks at every job that has or is due a supervisor, and puts right what has none. Raises sqlite3.OperationalError."""
    rows = queue.all("SELECT * FROM jobs WHERE claim IS NOT NULL")
    lost = [row["uid"] for row in rows if _lost(row)]
    for uid in lost:
        with queue.writing() as change:
            row = queue.row(uid)
            if row is not None and row["claim"] and _lost(row):  # somebody may have been faster
                _put_right(queue, change, row, clock, errands)
        errands.run()


def _lost(row: sqlite3.Row) -> bool:
    if row["supervisor"]:
        return not processes.alive(row["supervisor"])
    return bool(abs(real_now() - row["claimed_at"]) > PATIENCE_S)  # abs: the wall clock may step back


def _put_right(queue: Queue, change: int, row: sqlite3.Row, clock: SharedClock, errands: Errands) -> None:
    uid = row["uid"]
    status = read_status(queue.folder, uid, row["launch"])
    if "exit_code" in status:
        record_end(queue, change, row, status)
    elif not row["process"]:
        transitions.claim_for(queue, change, uid, errands, launch=True)
    elif processes.alive(row["process"]):
        transitions.claim_for(queue, change, uid, errands, launch=False)
    else:
        bury(queue, change, row, clock, errands)


def bury(queue: Queue, change: int, row: sqlite3.Row, clock: SharedClock, errands: Errands) -> None:
    """A process that is gone and whose end nobody saw: failed, or started again if it provably never began."""
    uid = row["uid"]
    same_boot = processes.this_boot(row["process"])
    if same_boot and not os.path.exists(mark(queue.folder, uid, row["launch"])):  # noqa: PTH110
        queue.drop_open_segment(uid)
        if row["wanted"] == "end":
            transitions.finish(queue, change, uid, clock.now_us(), state="cancelled", message="cancelled")
        elif row["wanted"] == "stop":
            transitions.rest(queue, change, row, clock.now_us(), process=None, claim=None, supervisor=None)
        else:
            starts = max(row["starts"] - 1, 0)
            transitions.claim_for(queue, change, uid, errands, launch=True, starts=starts)
        return
    seen_us = _last_seen(queue.folder, row, clock)
    cancelled = row["wanted"] == "end"
    transitions.finish(
        queue,
        change,
        uid,
        clock.now_us() if same_boot else seen_us,
        state="cancelled" if cancelled else "failed",
        message="cancelled" if cancelled else (LOST if same_boot else REBOOTED),
        usage_known=0,
    )


def record_end(queue: Queue, change: int, row: sqlite3.Row, status: dict[str, Any]) -> None:
    """Writes what a supervisor saw of the end of a process: the job's end, or a pause of one that restarts."""
    cpu_seconds = (row["cpu_seconds"] or 0.0) + status["cpu_seconds"]
    rss = max(row["max_rss_bytes"] or 0, status["max_rss_bytes"])
    usage = {"cpu_seconds": cpu_seconds, "max_rss_bytes": rss}
    if status["paused"]:
        transitions.rest(
            queue, change, row, status["ended_us"], process=None, claim=None, supervisor=None, **usage
        )
        return
    if status["cancelled"]:
        state, message = "cancelled", "cancelled"
    else:
        state, message = ("failed" if status["exit_code"] else "succeeded"), status["message"]
    code = status["exit_code"]
    transitions.finish(
        queue, change, row["uid"], status["ended_us"], state=state, exit_code=code, message=message, **usage
    )


def mark(folder: str, uid: str, launch: str) -> str:
    """The file that a process makes as its last deed before it becomes the command."""
    return f"{job_folder(folder, uid)}/launched-{launch}"


def status_path(folder: str, uid: str, launch: str) -> str:
    """Where a supervisor says what it knows of a process, whole or not at all."""
    return f"{job_folder(folder, uid)}/status-{launch}.json"


def read_status(folder: str, uid: str, launch: str | None) -> dict[str, Any]:
    """What the supervisor last wrote; empty when it wrote nothing."""
    try:
        with open(status_path(folder, uid, launch or ""), encoding="utf-8") as file:  # noqa: PTH123
            return dict(json.load(file))
    except (OSError, ValueError):
        return {}


def _last_seen(folder: str, row: sqlite3.Row, clock: SharedClock) -> int:
    """When its supervisor last looked at it: it touches the status file each time."""
    path = status_path(folder, row["uid"], row["launch"])
    try:
        return min(clock.at_real(os.stat(path).st_mtime), clock.now_us())  # noqa: PTH116
    except OSError:
        return clock.now_us()
