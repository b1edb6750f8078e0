"""The command line's start-up, and a real controller process with 10,000 jobs in its queue."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from cleanhours.adapters.clock import SystemClock
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import format_instant
from cleanhours.ports import Submission
from tests.benchmarks.figures import Figure, quickest

JOBS = 10_000
MIB = 2**20
SETTINGS = """
[clusters.local]
type = "local"
slots = 2500
[locations.local]
zone = "GB"
[forecasts]
chain = ["csv:trace.csv?zone=GB"]
[metrics]
listen = "127.0.0.1:0"
"""


def run() -> list[Figure]:
    """Starts processes: the figures include the interpreter."""
    with tempfile.TemporaryDirectory(prefix="cleanhours-bench-") as name:
        folder = Path(name)
        _write_world(folder)
        return [*_start_up(folder), *_crowded(folder)]


def _start_up(folder: Path) -> Iterator[Figure]:
    plan = (
        "plan",
        "--forecast",
        "csv:trace.csv",
        "--zone",
        "GB",
        "--max-delay",
        "6h",
        "--duration",
        "1h",
        "--json",
    )
    for words, target, limit in ((("--help",), "≤ 150 ms", 150.0), (plan, "", None)):
        milliseconds = 1000 * quickest(lambda words=words: _command(folder, *words), rounds=10)  # type: ignore[misc]
        met = None if limit is None else milliseconds <= limit
        yield Figure(f"start-up of cleanhours {words[0]}", target, milliseconds, "ms", met)
    yield Figure("of which an empty interpreter", "", 1000 * quickest(_empty, rounds=10), "ms", None)


def _crowded(folder: Path) -> Iterator[Figure]:
    with _controller(folder) as idle:
        yield Figure("a controller without jobs, resident", "", _resident(idle) / MIB, "MiB", None)
    begin = time.perf_counter()
    _fill(folder)
    yield Figure("submissions to the local queue", "", JOBS / (time.perf_counter() - begin), "/s", None)
    with _controller(folder) as crowded:
        resident = _resident(crowded) / MIB
        yield Figure(
            "a controller with 10,000 queued jobs, resident", "≤ 130 MiB", resident, "MiB", resident <= 130
        )
        yield Figure(
            "its processor time over the first minute, catching up included",
            "",
            _processor_over(crowded, 60.0),
            "s",
            None,
        )


def _write_world(folder: Path) -> None:
    dice = random.Random(5)
    start = SystemClock().now().replace(minute=0, second=0, microsecond=0)
    rows = ["time,intensity"]
    level = 250.0
    for quarter in range(4 * 48):
        level = min(max(level + dice.gauss(0, 9), 20), 600)
        rows.append(f"{format_instant(start + quarter * timedelta(minutes=15))},{level:.1f}")
    (folder / "trace.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "cleanhours.toml").write_text(SETTINGS, encoding="utf-8")


def _fill(folder: Path) -> None:
    """70 % that cannot pause, 25 % that can at no cost, 5 % that lose five minutes."""
    dice = random.Random(6)
    before = Path.cwd()
    os.chdir(folder)
    try:
        world = Wiring.lazily(str(folder / "cleanhours.toml"), str(folder / "state"))
        queue = world.queue()
        now = world.clock.now()
        for number in range(JOBS):
            kind = dice.random()
            duration = timedelta(minutes=dice.randint(15, 480))
            request = JobRequest(
                submitted=now,
                duration=duration,
                earliest=now + timedelta(hours=1),  # none starts while we measure
                deadline=now + duration * 1.1 + timedelta(minutes=dice.randint(120, 1440)),
                interruptible=kind >= 0.7,
                checkpoint=timedelta(minutes=5) if kind >= 0.95 else timedelta(0),
            )
            queue.submit(Submission(name=f"job-{number}", command=("true",), request=request, folder=folder))
    finally:
        os.chdir(before)


def _command(folder: Path, *words: str) -> None:
    command = [sys.executable, "-m", "cleanhours", "--state", str(folder / "state"), *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def _empty() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True, stdin=subprocess.DEVNULL)


@contextmanager
def _controller(folder: Path) -> Iterator[int]:
    """The process id of a controller that has ticked once."""
    command = [sys.executable, "-m", "cleanhours", "--state", str(folder / "state"), "controller"]
    said = folder / "controller.log"
    with said.open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stderr=log)
    try:
        while "controlling" not in said.read_text():
            if process.poll() is not None:
                raise ChildProcessError(said.read_text()[-2000:])
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def _processor_over(pid: int, seconds: float) -> float:
    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = used()
    time.sleep(seconds)
    return used() - before
