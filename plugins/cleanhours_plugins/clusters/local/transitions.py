"""What may become of a job, as rows of the queue: each step is written first and carried out afterwards.

Every function runs inside one write transaction and returns an error, empty when done. What is to be done once the
transaction holds (a supervisor to start, one to wake) is left with `Errands`. Whoever dies in between leaves the wish in
the row, and the next who looks finds it: see `recovering`.
"""

from __future__ import annotations

import os
import signal

from cleanhours_plugins.clusters.local import processes
from cleanhours_plugins.clusters.local.spawning import spawn_supervisor
from cleanhours_plugins.clusters.local.timekeeping import real_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from cleanhours_plugins.clusters.local.queue import Queue
    from cleanhours_plugins.clusters.local.timekeeping import SharedClock

    Spawn = Callable[[str, str, str, SharedClock], None]

FINISHED = ("succeeded", "failed", "cancelled")


class Errands:
    """What is done after a commit: starting supervisors, waking them."""

    def __init__(self, folder: str, clock: SharedClock, spawn: Spawn = spawn_supervisor) -> None:
        self._folder = folder
        self._clock = clock
        self._spawn = spawn
        self._claims: list[tuple[str, str]] = []
        self._pokes: list[str] = []

    def start(self, uid: str, claim: str) -> None:
        self._claims.append((uid, claim))

    def poke(self, supervisor: str | None) -> None:
        if supervisor:
            self._pokes.append(supervisor)

    def run(self) -> None:
        """A supervisor that cannot be started now (no processes left) is started by whoever looks next."""
        for supervisor in self._pokes:
            processes.send(supervisor, signal.SIGUSR1)
        for uid, claim in self._claims:
            try:
                self._spawn(self._folder, uid, claim, self._clock)
            except OSError:
                continue
        self._claims, self._pokes = [], []

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._claims, self._pokes = [], []


def start(queue: Queue, change: int, row: sqlite3.Row, location: str, errands: Errands) -> str:
    """Starts a job that waits, or lets it go on. Nothing for one that runs."""
    uid, state = row["uid"], row["state"]
    if error := _untouchable(row):
        return error
    if state == "pausing":
        return "it is still being paused: try again"
    if state not in ("pending", "held", "paused"):
        return ""
    if row["process"]:  # stopped, not gone
        queue.update(uid, change, state="released", wanted="continue", location=location)
        errands.poke(row["supervisor"])
    else:
        claim_for(queue, change, uid, errands, launch=True, location=location)
    return ""


def claim_for(
    queue: Queue, change: int, uid: str, errands: Errands, *, launch: bool, **columns: object
) -> None:
    """Makes a new claim, which voids every older one, and has a supervisor started on it."""
    claim = os.urandom(8).hex()
    if launch:
        columns |= {"launch": claim, "state": "released", "process": None, "wanted": ""}
    queue.update(uid, change, claim=claim, claimed_at=real_now(), supervisor=None, **columns)
    errands.start(uid, claim)


def stop(queue: Queue, change: int, row: sqlite3.Row, errands: Errands, *, owner: bool = False) -> str:
    """Pauses a job that runs; nothing for one that does not. With `owner`, nobody starts it until he resumes it."""
    uid, state = row["uid"], row["state"]
    if state in FINISHED or row["wanted"] == "end":
        return _untouchable(row)
    if state in ("running", "pausing") or (state == "released" and row["process"]):
        mine = {"owner_paused": 1} if owner else {}
        queue.update(uid, change, state="pausing", wanted="stop", **mine)
        errands.poke(row["supervisor"])
    elif state == "released":  # not started yet: without its claim no supervisor may start it
        queue.update(uid, change, claim=None, supervisor=None, **_at_rest(row, owner=owner))
    elif owner:
        queue.update(uid, change, **_at_rest(row, owner=True))
    return ""


def give_back(queue: Queue, change: int, row: sqlite3.Row) -> bool:
    """The owner resumes: the job is ours to plan again. False when he had not paused it."""
    if not row["owner_paused"] or row["state"] in FINISHED:
        return False
    back = {"state": _resting(row)} if row["state"] == "unmanaged" else {}
    queue.update(row["uid"], change, owner_paused=0, **back)
    return True


def end(queue: Queue, change: int, row: sqlite3.Row, now_us: int, errands: Errands) -> bool:
    """Cancels a job: at once where it has no process, else its supervisor ends it. False when it had ended."""
    if row["state"] in FINISHED:
        return False
    if row["process"]:
        queue.update(row["uid"], change, wanted="end")
        errands.poke(row["supervisor"])
    else:
        finish(queue, change, row["uid"], now_us, state="cancelled", message="cancelled")
    return True


def finish(queue: Queue, change: int, uid: str, now_us: int, **columns: object) -> None:
    """Closes the books of a job."""
    queue.close_segment(uid, now_us)
    queue.update(
        uid, change, finished_us=now_us, wanted="", claim=None, supervisor=None, process=None, **columns
    )


def rest(queue: Queue, change: int, row: sqlite3.Row, now_us: int, **columns: object) -> None:
    """The job has stopped: paused, or its owner's."""
    queue.close_segment(row["uid"], now_us)
    queue.update(
        row["uid"], change, wanted="", state="unmanaged" if row["owner_paused"] else "paused", **columns
    )


def _at_rest(row: sqlite3.Row, *, owner: bool) -> dict[str, object]:
    return {"state": "unmanaged", "owner_paused": 1} if owner else {"state": _resting(row)}


def _resting(row: sqlite3.Row) -> str:
    return "paused" if row["starts"] else "held"


def _untouchable(row: sqlite3.Row) -> str:
    if row["state"] in FINISHED:
        return f"it has {row['state']}"
    if row["wanted"] == "end":
        return "it is being cancelled"
    if row["owner_paused"]:
        return "its owner holds it"
    return ""
