"""A database that somebody else holds, and a disk that is full, while the real controller runs: late at worst, never lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.flow.command_line import Shell, write_trace
from tests.integration.faults.conftest import StartController, soon, this_hour

HELD_S = 7.0


def jobs_that_ran(shell: Shell) -> list[str]:
    path = shell.folder / "ran"
    return path.read_text().split() if path.exists() else []


def submit(shell: Shell, name: str, max_delay: str) -> None:
    shell.run(
        "submit", "--name", name, "--duration", "1s", "--max-delay", max_delay, "--", "sh", "-c", f"echo {name} >> ran"
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("database", ["ledger.sqlite", "clusters/local/queue.sqlite"])
def test_a_locked_database_loses_nothing(filed: Shell, controller: StartController, database: str) -> None:
    write_trace(filed.folder / "trace.csv", [100.0] * 48, this_hour())
    leading = controller(filed)
    submit(filed, "before", "2s")
    submit(filed, "meanwhile", "5s")

    with closing(sqlite3.connect(filed.state / database, isolation_level=None)) as somebody:
        somebody.execute("BEGIN EXCLUSIVE")
        time.sleep(HELD_S)
        somebody.execute("ROLLBACK")

    soon(lambda: sorted(jobs_that_ran(filed)) == ["before", "meanwhile"])
    submit(filed, "after", "1s")
    soon(lambda: "after" in jobs_that_ran(filed))
    soon(lambda: not filed.json("jobs"))
    assert leading.poll() is None
    leading.send_signal(signal.SIGTERM)
    leading.communicate(timeout=90)
    filed.run("controller", "--once")
    assert ["after", "before", "meanwhile"] == sorted(run["job"] for run in filed.json("report")["runs"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "cleanhours-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk is mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_costs_no_deadline_and_no_row(
    small_disk: Path, filed: Shell, controller: StartController
) -> None:
    write_trace(filed.folder / "trace.csv", [100.0] * 48, this_hour())
    leading = controller(filed)
    submit(filed, "meanwhile", "6s")
    ballast = small_disk / "ballast"
    with ballast.open(
        "wb", buffering=0
    ) as file:  # what a buffer still holds would not fit either, when it is closed
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass

    soon(lambda: jobs_that_ran(filed) == ["meanwhile"])
    refused = filed.run("submit", "--", "true", code=None)
    assert "Traceback" not in refused.stderr
    assert leading.poll() is None

    ballast.unlink()
    soon(lambda: not filed.json("jobs"))
    leading.send_signal(signal.SIGTERM)
    leading.communicate(timeout=90)
    filed.run("controller", "--once")
    assert "meanwhile" in {run["job"] for run in filed.json("report")["runs"]}
