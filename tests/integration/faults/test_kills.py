"""kill -9 of everything that is ours, at any time, with the real commands: no job lost, none run twice, each accounted once."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.flow.command_line import Shell, write_trace
from tests.integration.faults.conftest import QUICK, StartController, soon, this_hour

JOBS = 10


def ours(shell: Shell, word: str) -> list[int]:
    """Processes of this world whose command line holds `word`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
            if str(shell.state) in line and word in line:
                found.append(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_killed_every_job_runs_once_and_is_accounted_once(
    filed: Shell, controller: StartController, seed: int
) -> None:
    chance = random.Random(seed)
    write_trace(filed.folder / "trace.csv", [100.0] * 48, this_hour())
    chain = '[forecasts]\nchain = ["csv:trace.csv?zone=GB"]\n'
    (filed.folder / "cleanhours.toml").write_text(f"{QUICK}{chain}[clusters.local]\nslots = 3\n")
    leading = controller(filed)
    for number in range(JOBS):
        filed.run(
            "submit", "--name", f"job-{number}", "--duration", "1s", "--max-delay", "30s",
            "--", "sh", "-c", f"echo {number} >> ran; sleep 0.7",
        )  # fmt: skip
        for word in chance.sample(["watchdog", "supervisor", "controller", "nobody"], 2):
            for pid in ours(filed, word):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(chance.random() / 4)
        if leading.poll() is not None and chance.random() < 0.5:
            leading = controller(filed)
    if leading.poll() is not None:
        leading = controller(filed)

    soon(lambda: not filed.json("jobs"), 90)

    leading.send_signal(signal.SIGTERM)
    leading.wait(30)
    filed.run("controller", "--once")
    assert sorted(map(str, range(JOBS))) == sorted((filed.folder / "ran").read_text().split())
    rows = filed.json("report")["runs"]
    assert sorted(f"job-{number}" for number in range(JOBS)) == sorted(row["job"] for row in rows)
    over = {run["id"]: run["state"] for run in filed.json("jobs", "--all")}
    assert set(over.values()) <= {"succeeded", "failed"}
