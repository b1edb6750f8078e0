"""Starts or resumes what is due when nobody else does: one process per state folder, until its queue is empty.

`python -m cleanhours_plugins.clusters.local.watchdog FOLDER CLOCK`. It gives a controller `HEAD_START_S` of real time
after each latest safe start, and finds what killed processes left behind. Jobs that asked for no time at all wait for a
free slot only.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import sys
import time
from datetime import UTC, datetime

from cleanhours_plugins.clusters.local import transitions
from cleanhours_plugins.clusters.local.listening import close_inherited
from cleanhours_plugins.clusters.local.queue import WAITING, Queue
from cleanhours_plugins.clusters.local.recovering import recover
from cleanhours_plugins.clusters.local.spawning import open_lock
from cleanhours_plugins.clusters.local.timekeeping import SharedClock, SteadyClock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cleanhours_plugins.clusters.local.timekeeping import Showing

LOOK_EVERY_S = 1.0
HEAD_START_S = 0.5
SHORTEST_S = 0.02
_PATIENCE_S = 1.0


class Watchdog:
    """One look at a time; `run` repeats it."""

    def __init__(self, folder: str, clock: SharedClock, *, showing: Showing | None = None) -> None:
        self.queue = Queue(folder)
        self.clock = clock
        self.showing = showing or SteadyClock(clock)
        self.errands = transitions.Errands(folder, clock)

    def look(self) -> float | None:
        """Does what is due; how long to really sleep then, None when no job is left."""
        recover(self.queue, self.clock, self.errands)
        head_start_us = self.clock.length_us(HEAD_START_S)
        self._start_due(self.showing.now_us() - head_start_us)
        left = self.queue.all("SELECT count(*) FROM jobs WHERE finished_us IS NULL")[0][0]
        if not left:
            return None
        due_us = self.queue.all(f"SELECT min(latest_us) FROM jobs WHERE guarded AND state IN {WAITING}")[0][0]  # noqa: S608
        if due_us is None:
            return LOOK_EVERY_S
        until = self.clock.real_seconds(due_us + head_start_us - self.showing.now_us())
        return min(max(until, SHORTEST_S), LOOK_EVERY_S)

    def _start_due(self, now_us: int) -> None:
        question = (
            f"SELECT * FROM jobs WHERE state IN {WAITING} AND latest_us <= ? ORDER BY guarded DESC, seq"  # noqa: S608
        )
        if not self.queue.all(f"{question} LIMIT 1", now_us):
            return
        with self.queue.writing() as change:
            limit = int(self.queue.setting("slots"))
            free = limit - self.queue.used_slots()
            for row in self.queue.all(question, now_us):
                if not row["guarded"] and row["slots"] > free and free < limit:
                    continue
                free -= row["slots"]
                self._start(change, row, now_us)
        self.errands.run()

    def _start(self, change: int, row: sqlite3.Row, now_us: int) -> None:
        location = row["location"] or row["home"]
        error = transitions.start(self.queue, change, row, location, self.errands)
        if not error and row["plan"] is not None and row["guarded"]:
            self.queue.update(row["uid"], change, plan=_guarded(row["plan"], now_us))

    def run(self, lock: int) -> None:
        """Until the queue is empty. A submission between the last look and the lock's end is seen by the look after it."""
        while self.queue.in_place():
            try:
                pause = self.look()
            except sqlite3.OperationalError as fault:
                self.errands.forget()
                pause = 0.0 if self.queue.make_room(fault) else LOOK_EVERY_S
            if pause is not None:
                time.sleep(pause)
                continue
            fcntl.flock(lock, fcntl.LOCK_UN)
            if not self.queue.all("SELECT 1 FROM jobs WHERE finished_us IS NULL LIMIT 1") or not seize(lock):
                return


def seize(lock: int) -> bool:
    """Locks the file that says that a watchdog lives; False when another does. Who only asks holds it for a moment."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.02)
        else:
            return True


def _guarded(plan: str, now_us: int) -> str:
    """The plan as it was acted on: the deadline forced it."""
    words = json.loads(plan)
    now = datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sentence = f"Started {now} in {words['location']} at its latest safe start (deadline-guard)."
    words |= {"start": now, "reason": "deadline-guard", "sentence": sentence}
    words.pop("cap", None)  # there is no time left to be slower
    return json.dumps(words)


def main(arguments: list[str]) -> int:
    """FOLDER CLOCK."""
    folder, clock = arguments
    close_inherited()
    lock = open_lock(folder)
    if seize(lock):
        Watchdog(folder, SharedClock.parse(clock)).run(lock)
    os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
