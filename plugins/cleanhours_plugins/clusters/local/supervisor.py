"""Watches over one job: starts it, stops it, lets it go on, ends it, and writes down what became of it.

`python -m cleanhours_plugins.clusters.local.supervisor FOLDER UID CLAIM CLOCK`. Every step is in the queue before it is
done, so that a supervisor can be killed anywhere: `recovering` says what happens then. The job ends when its main process
does; what it leaves behind (its group, its session, daemons: this process is their subreaper) is sent SIGTERM, and
SIGKILL after the grace, and its use of the machine is counted.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time

from cleanhours_plugins.clusters.local import processes, recovering, transitions
from cleanhours_plugins.clusters.local.launching import Launch, describe, end_gently
from cleanhours_plugins.clusters.local.listening import Ears, adopt_orphans, close_inherited
from cleanhours_plugins.clusters.local.queue import Queue
from cleanhours_plugins.clusters.local.spawning import job_folder
from cleanhours_plugins.clusters.local.timekeeping import SharedClock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Result = TypeVar("Result")

POWER_CAP = "CLEANHOURS_POWER_CAP_W"
"""Tells the command the watts that it is to limit each of its accelerators to; not there where it is not capped."""
LOOK_EVERY_S = 2.0
"""It is woken when something is wanted of it; this is for when the waker died before it could."""
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Supervisor:
    """One claim on one job."""

    def __init__(self, folder: str, uid: str, claim: str, clock: SharedClock) -> None:
        self.folder, self.uid, self.claim, self.clock = folder, uid, claim, clock
        self.queue = Queue(folder)
        self.grace_s = float(self.queue.setting("grace"))
        self.pid = 0
        self.launch = ""
        self.restarts = False
        self.adopted = False
        self._process = ""
        self.status: int | None = None
        self.message = ""
        self.cpu_seconds, self.max_rss_bytes = 0.0, 0
        self.asked_to_end: str = ""
        self._kill_at = 0.0
        self._segment = (clock.now_us(), time.monotonic())
        self._ears = Ears()
        self._deaf = False

    def run(self) -> None:
        """From the claim to the last word."""
        row = self.patiently(self.take)
        if row is None:
            return
        self.restarts = json.loads(row["restart"]) != []
        if row["process"]:
            self.adopt(row)
        elif not self.begin(row):
            return
        while not self.ended():
            self.obey()
            self._wait()
        self.conclude()

    # -- beginning --------------------------------------------------------------------------------------------------

    def take(self) -> sqlite3.Row | None:
        """Makes the claim ours; None when it is void or another has it."""
        with self.queue.writing() as change:
            row = self.queue.row(self.uid)
            if row is None or row["claim"] != self.claim or row["supervisor"]:
                return None
            self.queue.update(self.uid, change, supervisor=processes.identity(os.getpid()))
            return row

    def begin(self, row: sqlite3.Row) -> bool:
        """Starts the command, once it is written that it starts; False when that is not wanted any more."""
        self.launch = row["launch"]
        launch = self.fork(row)
        self.pid = launch.pid
        process = processes.identity(launch.pid)
        if not self.patiently(lambda: self.record(process)):
            launch.give_up()
            return False
        self.write_status({"process": process})
        fault = self.let_go(launch)
        if fault:
            self.message = fault
        return True

    def fork(self, row: sqlite3.Row) -> Launch:
        """A child that waits for its word."""
        found = self.queue.all("SELECT variables FROM environments WHERE digest = ?", row["environment"])
        command = json.loads(row["restart"] if row["starts"] and self.restarts else row["command"])
        output = job_folder(self.folder, self.uid)
        mark = recovering.mark(self.folder, self.uid, self.launch)
        environment = json.loads(found[0][0])
        environment.pop(POWER_CAP, None)  # that of a job which submitted this one
        cap = json.loads(row["plan"] or "{}").get("cap")
        if cap:
            environment[POWER_CAP] = f"{cap['limit_w']:g}"
        return Launch(command, environment, json.loads(row["folder"]), output, mark)

    def record(self, process: str) -> bool:
        """Writes that this process runs; False when the claim is void: then it must not."""
        with self.queue.writing() as change:
            row = self.queue.row(self.uid)
            if row is None or row["claim"] != self.claim or row["state"] != "released":
                return False
            now = self._now_segment()
            self.queue.open_segment(
                self.uid, now, row["location"], json.dumps([str(processes.pid_of(process))])
            )
            self.queue.update(self.uid, change, state="running", process=process, starts=row["starts"] + 1)
            return True

    def let_go(self, launch: Launch) -> str:
        """The command begins; the reason when it cannot."""
        return launch.let_go()

    def adopt(self, row: sqlite3.Row) -> None:
        """Watches a process whose supervisor was killed."""
        self.launch, self.adopted = row["launch"], True
        self.pid = processes.pid_of(row["process"])
        self._process = row["process"]
        start = self.queue.all("SELECT start_us FROM segments WHERE uid = ? AND end_us IS NULL", self.uid)
        if start:  # when it really began: a step of the clock since then cannot be told apart any more
            gone = self.clock.real_seconds(self.clock.now_us() - start[0][0])
            self._segment = (start[0][0], time.monotonic() - gone)
        self._deaf = not self._ears.watch(self.pid)

    # -- while it runs ----------------------------------------------------------------------------------------------

    def ended(self) -> bool:
        """Buries every child that is dead; whether the main process is among them."""
        if self.adopted:
            return not processes.alive(self._process)
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self.cpu_seconds += usage.ru_utime + usage.ru_stime
            self.max_rss_bytes = max(self.max_rss_bytes, usage.ru_maxrss * _RSS_UNIT)
            if pid == self.pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def obey(self) -> None:
        """Does what the row wants done."""
        try:
            row = self.queue.row(self.uid)
        except sqlite3.OperationalError:
            return  # the next look may do better
        if row is None or row["claim"] != self.claim:
            return
        wanted = row["wanted"]
        if wanted == "end" or (wanted == "stop" and self.restarts):
            self._end(wanted)
        elif wanted == "stop":
            processes.send_all(self.family(), signal.SIGSTOP)
            self.patiently(lambda: self._write_stopped(self._until_us()))
        elif wanted == "continue":
            processes.send_all(self.family(), signal.SIGCONT)
            self.patiently(self._write_going_on)

    def family(self, *, unburied: bool = False) -> list[int]:
        """Every process of the job; zombies too, where we are who buries them."""
        above = None if self.adopted else os.getpid()
        return processes.family(self.pid, above, unburied=unburied and not self.adopted)

    def _end(self, wanted: str) -> None:
        if not self.asked_to_end:
            self._kill_at = time.monotonic() + self.grace_s
            end_gently(self.family())
        elif time.monotonic() >= self._kill_at:
            processes.send_all(self.family(), signal.SIGKILL)
        self.asked_to_end = wanted

    def _write_stopped(self, now_us: int) -> None:
        with self.queue.writing() as change:
            row = self.queue.row(self.uid)
            if row is not None and row["claim"] == self.claim and row["wanted"] == "stop":
                transitions.rest(self.queue, change, row, now_us)

    def _write_going_on(self) -> None:
        with self.queue.writing() as change:
            row = self.queue.row(self.uid)
            if row is not None and row["claim"] == self.claim and row["wanted"] == "continue":
                handles = json.dumps([str(self.pid)])
                self.queue.open_segment(self.uid, self._now_segment(), row["location"], handles)
                self.queue.update(self.uid, change, state="running", wanted="")

    def _wait(self) -> None:
        pause = LOOK_EVERY_S
        if self.asked_to_end:
            pause = min(max(self._kill_at - time.monotonic(), 0.02), pause)
        self._ears.wait(min(pause, 0.2) if self._deaf else pause)
        try:
            os.utime(recovering.status_path(self.folder, self.uid, self.launch))
        except OSError:
            return

    # -- the end ----------------------------------------------------------------------------------------------------

    def conclude(self) -> None:
        """Ends what was left behind, and writes how it ended: to the status file first, then to the queue."""
        ended_us = self._until_us()
        if not self.adopted:
            self.write_status(self._verdict(ended_us))
        self._clear()
        if self.adopted:
            self.patiently(lambda: self._write_unseen(ended_us))
            return
        verdict = self._verdict(ended_us)
        self.write_status(verdict)
        self.patiently(lambda: self.write_end(verdict))

    def write_end(self, verdict: dict[str, Any]) -> None:
        """The last word in the queue, unless another had it."""
        with self.queue.writing() as change:
            row = self.queue.row(self.uid)
            if row is not None and row["claim"] == self.claim:
                recovering.record_end(self.queue, change, row, verdict)

    def write_status(self, status: dict[str, Any]) -> None:
        """The status file, whole or not at all. On a full disk the queue alone has to tell."""
        path = recovering.status_path(self.folder, self.uid, self.launch)
        try:
            handle = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(handle, json.dumps(status).encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(f"{path}.new", path)  # noqa: PTH105
        except OSError as fault:
            print(f"{path}: {fault}", file=sys.stderr)  # noqa: T201

    def _verdict(self, ended_us: int) -> dict[str, Any]:
        status = self.status or 0
        return {
            "exit_code": status if status >= 0 else 128 - status,
            "message": self.message or describe(status),
            "ended_us": ended_us,
            "paused": self.asked_to_end == "stop",
            "cancelled": self.asked_to_end == "end",
            "cpu_seconds": round(self.cpu_seconds, 6),
            "max_rss_bytes": self.max_rss_bytes,
        }

    def _write_unseen(self, ended_us: int) -> None:
        with self.queue.writing() as change:
            row = self.queue.row(self.uid)
            if row is None or row["claim"] != self.claim:
                return
            errands = transitions.Errands(self.folder, self.clock)
            if self.asked_to_end == "stop":
                gone = {"process": None, "claim": None, "supervisor": None, "usage_known": 0}
                transitions.rest(self.queue, change, row, ended_us, **gone)
            else:
                recovering.bury(self.queue, change, row, self.clock, errands)
        errands.run()

    def _clear(self) -> None:
        """What the job left behind must not outlive it."""
        left = self._left_behind()
        if not left:
            return
        end_gently(left)
        kill_at = time.monotonic() + self.grace_s
        while left := self._left_behind():
            if time.monotonic() >= kill_at:
                processes.send_all(left, signal.SIGKILL)
            time.sleep(0.02)

    def _left_behind(self) -> list[int]:
        self.ended()  # buries: what is not buried is not counted
        return [pid for pid in self.family(unburied=True) if pid != self.pid]

    def patiently(self, write: Callable[[], Result]) -> Result:
        """Tries until the queue lets us write: a full disk or a long lock must lose nothing."""
        while True:
            try:
                return write()
            except sqlite3.OperationalError as fault:
                if not self.queue.make_room(fault):
                    time.sleep(0.5)

    def _now_segment(self) -> int:
        self._segment = (self.clock.now_us(), time.monotonic())
        return self._segment[0]

    def _until_us(self) -> int:
        """Now, unless somebody set the clock meanwhile: a stretch is as long as it really was."""
        start_us, begun = self._segment
        real_us = start_us + self.clock.length_us(time.monotonic() - begun)
        now_us = self.clock.now_us()
        return now_us if abs(self.clock.real_seconds(now_us - real_us)) < 2 else real_us


def main(arguments: list[str]) -> int:
    """FOLDER UID CLAIM CLOCK."""
    folder, uid, claim, clock = arguments
    close_inherited()
    adopt_orphans()
    Supervisor(folder, uid, claim, SharedClock.parse(clock)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
