"""A world for the local cluster: a state folder, and a clock that runs so fast that a minute passes in a twelfth of a second."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cleanhours.domain.caps import Cap
from cleanhours.domain.jobs import Action, Applied, FinishedRun, Job, JobKey, JobState
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.rules import Rules
from cleanhours.domain.times import instant_at
from cleanhours.ports import Cluster, Submission, Telemetry
from cleanhours.testing.clocks import MONDAY
from cleanhours.testing.cluster_contract import LONG_AGO, decision_for
from cleanhours_plugins.clusters.local.cluster import LocalCluster
from cleanhours_plugins.clusters.local.processes import family
from cleanhours_plugins.clusters.local.settings import read_settings
from cleanhours_plugins.clusters.local.timekeeping import SharedClock, real_now

RATE = 720.0
PATIENCE_S = 20.0


class FastClock:
    """The cluster's own clock as a port."""

    def __init__(self, rate: float = RATE, origin: datetime = MONDAY) -> None:
        self.rate = rate
        self.origin: datetime | None = origin
        self.real_origin = real_now()
        self._shared = SharedClock.of(self)

    def now(self) -> datetime:
        return instant_at(self._shared.now_us())

    def real_seconds_until(self, instant: datetime) -> float:
        return max((instant - self.now()).total_seconds() / self.rate, 0.0)


class World:
    """A context, the cluster in it, and how jobs are made and waited for."""

    telemetry: Telemetry

    def __init__(self, folder: Path, *, rate: float = RATE, **settings: Any) -> None:
        self.folder = folder
        self.state_folder = folder / "state"
        self.state_folder.mkdir(mode=0o700, exist_ok=True)
        self.clock = FastClock(rate)
        self.locations: Mapping[str, Location] = {"local": Location("local", "GB")}
        self.rules = Rules()
        self.default_words: Mapping[str, str] = {}
        self.settings = {"slots": 2, "grace": "1s", **settings}
        self._made: list[LocalCluster] = []
        self.local = self.another()

    def another(self, **options: Any) -> LocalCluster:
        """A second controller on the same queue."""
        self._made.append(LocalCluster(read_settings(self.settings), self, **options))
        return self._made[-1]

    def plan(
        self, request: JobRequest, *, home: str | None = None, queue_margin: timedelta | None = None
    ) -> Plan:
        raise AssertionError("the local cluster plans nothing")

    def cluster(self, name: str) -> Cluster:
        raise AssertionError("the local cluster asks for no other")

    def command(self, name: str, work: timedelta, exit_code: int) -> tuple[str, ...]:
        """Many short sleeps: a sleep that is stopped does not end later."""
        naps = max(round(work.total_seconds() / self.clock.rate / 0.02), 1)
        return (
            "/bin/sh",
            "-c",
            f"i=0; while [ $i -lt {min(naps, 3000)} ]; do sleep 0.02; i=$((i+1)); done; exit {exit_code}",
        )

    def wait(self, condition: Callable[[], bool]) -> None:
        until(condition)

    def submit(self, *command: str, **wishes: Any) -> JobKey:
        """Queues a command that may wait twelve hours, unless told otherwise."""
        extra = {key: wishes.pop(key) for key in ("restart", "environment", "name") if key in wishes}
        wishes = {"duration": timedelta(hours=1), "max_delay": timedelta(days=300), **wishes}
        request = JobRequest(submitted=self.clock.now(), **wishes)
        return self.local.submit(
            Submission(**{"name": "job", **extra}, command=command, request=request, folder=self.folder)
        )

    def tell(
        self,
        key: JobKey,
        action: Action,
        reason: Reason = Reason.DEADLINE_GUARD,
        latest: timedelta = timedelta(hours=9),
        cap: Cap | None = None,
    ) -> Applied:
        """Decides one thing, with a plan whose latest start is so far away."""
        now = self.clock.now()
        decision = decision_for(self.find(key), action, now, reason)
        start = (now + latest).replace(microsecond=0)
        plan = replace(decision.plan, latest_start=start, cap=cap)
        (applied,) = self.local.apply([replace(decision, plan=plan)])
        return applied

    def release(self, key: JobKey) -> None:
        assert "" == self.tell(key, Action.RELEASE).error

    def find(self, key: JobKey) -> Job:
        for _ in range(3):
            # two questions: a job that changes sides between them is in neither answer
            for job in (*self.local.pending(), *self.local.running()):
                if job.key == key:
                    return job
        raise LookupError(key)

    def until_state(self, key: JobKey, state: JobState) -> Job:
        until(lambda: self.find(key).state is state)
        return self.find(key)

    def runs(self) -> list[FinishedRun]:
        return list(self.local.finished(LONG_AGO))

    def over(self, key: JobKey) -> FinishedRun:
        until(lambda: any(run.key.uid == key.uid for run in self.runs()))
        (run,) = [run for run in self.runs() if run.key.uid == key.uid]
        return run

    def output(self, key: JobKey, stream: str = "stdout") -> str:
        return (self.local.output(key) / stream).read_text()

    def lines(self, name: str = "ran") -> list[str]:
        """What jobs wrote to a file of theirs."""
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def rows(self) -> list[dict[str, Any]]:
        """The queue as it is."""
        with self.local._asking() as queue:
            return [dict(row) for row in queue.all("SELECT * FROM jobs ORDER BY seq")]

    def supervisor_of(self, key: JobKey) -> int:
        (row,) = [row for row in self.rows() if row["uid"] == key.uid]
        return int(row["supervisor"].split(":")[0]) if row["supervisor"] else 0

    def watchdog(self) -> int:
        """The pid of the living watchdog, 0 without."""
        return next(iter(processes_with(str(self.local.folder), "local.watchdog")), 0)

    def clear(self) -> None:
        """Leaves no process behind: first who could start others, then the jobs."""
        for pid in processes_with(str(self.local.folder), "clusters.local."):
            kill(pid)
        for row in self.rows():
            if row["process"]:
                for pid in family(int(row["process"].split(":")[0])):
                    kill(pid)
        for pid in processes_in(self.folder):  # begun just now, and not yet written down
            kill(pid)
        for cluster in (self.local, *self._made):
            cluster.close()


def processes_with(*words: str) -> list[int]:
    """Pids whose command line holds all words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if all(word in line for word in words) and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return sorted(found)


def processes_in(folder: Path) -> list[int]:
    """Pids of those, other than this one, that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def until(condition: Callable[[], bool]) -> None:
    """Looks again and again, generously long: only a broken promise takes so long."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)


__all__ = ["FastClock", "World", "kill", "processes_with", "until"]
