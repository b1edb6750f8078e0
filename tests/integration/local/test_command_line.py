"""The whole thing as its user runs it: real commands, a real controller process, real time, jobs of a second."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.adapters.clock import SystemClock
from tests.flow.command_line import Shell, write_trace

DIRTY, CLEAN = 500.0, 50.0
SETTINGS = """
[planning]
safety = 1.0
queue_margin = "0s"
minimum_saving_percent = 0
tick = "30s"
[forecasts]
chain = ["csv:trace.csv?zone=GB"]
[metrics]
listen = "127.0.0.1:0"
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path, SETTINGS)
    yield shell
    for job in shell.json("jobs"):
        shell.run("cancel", job["id"], code=None)


def now() -> datetime:
    return SystemClock().now().replace(microsecond=0)


def trace(shell: Shell, dirty_s: int) -> datetime:
    """A dirty stretch from now, ten clean seconds, and dirt again; says when the clean ones begin."""
    start = now()
    write_trace(
        shell.folder / "trace.csv",
        [DIRTY] * dirty_s + [CLEAN] * 10 + [DIRTY] * 600,
        start,
        timedelta(seconds=1),
    )
    return start + timedelta(seconds=dirty_s)


def until(met: Callable[[], bool], seconds: float = 30) -> None:
    for _ in range(int(seconds * 10)):
        if met():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture
def controller(shell: Shell) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = shell.start("controller")
        started.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if "controlling" in line:
                return process
        raise AssertionError(f"the controller ended with {process.wait()}")

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=90)


def test_a_job_waits_for_the_clean_seconds_and_starts_in_them(
    shell: Shell, controller: Callable[[], subprocess.Popen[str]]
) -> None:
    clean = trace(shell, dirty_s=8)
    shell.run(
        "submit",
        "--max-delay",
        "1m",
        "--duration",
        "3s",
        "--",
        "sh",
        "-c",
        "date +%s > begun && mv begun started",
    )
    controller()

    until((shell.folder / "started").exists)

    started = datetime.fromtimestamp(int((shell.folder / "started").read_text()), UTC)
    assert clean <= started <= clean + timedelta(seconds=4)


def test_a_killed_controller_costs_no_deadline(
    shell: Shell, controller: Callable[[], subprocess.Popen[str]]
) -> None:
    trace(shell, dirty_s=9)
    submitted = now()
    shell.run(
        "submit",
        "--max-delay",
        "10s",
        "--duration",
        "2s",
        "--",
        "sh",
        "-c",
        "date +%s > begun && mv begun started",
    )
    leading = controller()
    (job,) = shell.json("jobs")
    assert "held" == job["state"]

    os.kill(leading.pid, signal.SIGKILL)
    until((shell.folder / "started").exists)

    started = datetime.fromtimestamp(int((shell.folder / "started").read_text()), UTC)
    assert started <= submitted + timedelta(seconds=13)


def test_run_gives_back_what_the_command_gave(shell: Shell) -> None:
    trace(shell, dirty_s=0)

    done = shell.run("run", "--", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)

    assert "out\n" == done.stdout
    assert "err\n" in done.stderr


def test_run_waits_as_long_as_it_pays(shell: Shell) -> None:
    clean = trace(shell, dirty_s=6)

    done = shell.run("run", "--max-delay", "1m", "--duration", "2s", "--", "date", "+%s")

    assert clean.timestamp() <= int(done.stdout) <= clean.timestamp() + 4
    assert "lowest-window" in done.stderr


def test_a_command_that_is_not_there_says_so(shell: Shell) -> None:
    trace(shell, dirty_s=0)

    done = shell.run("run", "--", "/nonexistent/program", code=127)

    assert "/nonexistent/program" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_state_folder_has_one_controller(
    shell: Shell, controller: Callable[[], subprocess.Popen[str]]
) -> None:
    trace(shell, dirty_s=0)
    leading = controller()

    refused = shell.run("controller", code=1)

    assert f"pid {leading.pid}" in refused.stderr


def test_the_controller_leaves_on_sigterm_and_jobs_stay(
    shell: Shell, controller: Callable[[], subprocess.Popen[str]]
) -> None:
    trace(shell, dirty_s=120)
    shell.run("submit", "--max-delay", "4m", "--duration", "1s", "--name", "later", "--", "true")
    leading = controller()

    leading.send_signal(signal.SIGTERM)

    assert 0 == leading.wait(timeout=90)
    assert ["held"] == [job["state"] for job in shell.json("jobs")]


def test_the_owner_pauses_resumes_explains_and_cancels(shell: Shell) -> None:
    trace(shell, dirty_s=120)
    shell.run("submit", "--max-delay", "4m", "--duration", "1s", "--name", "mine", "--", "true")
    shell.run("controller", "--once")

    assert "waits because" in shell.run("explain", "mine").stdout
    assert {"paused": True} == {
        key: value for key, value in shell.json("pause", "mine").items() if key == "paused"
    }
    assert "its owner" in shell.run("explain", "local:mine").stdout
    shell.run("pause", "mine", code=1)
    shell.run("resume", "mine")
    assert ["held"] == [job["state"] for job in shell.json("jobs")]
    shell.run("cancel", "mine")
    assert [] == shell.json("jobs")
    assert "cancelled" in shell.run("explain", "mine").stdout
    assert "mine" in shell.run("jobs", "--all").stdout


def test_shadow_holds_nothing(shell: Shell) -> None:
    trace(shell, dirty_s=120)
    shell.run("submit", "--max-delay", "4m", "--duration", "1s", "--", "sh", "-c", "echo > ran")

    shell.run("controller", "--once", "--shadow")

    until((shell.folder / "ran").exists)


def test_hostile_names_stay_harmless(shell: Shell) -> None:
    trace(shell, dirty_s=120)

    refused = shell.run("submit", "--name", "\x1b[31mred\nline", "--max-delay", "4m", "--", "true", code=2)

    assert "\x1b" not in refused.stderr
    assert "name" in refused.stderr


def test_a_report_of_real_runs_has_every_figure_and_its_method(shell: Shell) -> None:
    trace(shell, dirty_s=0)
    shell.run("run", "--power", "100W", "--duration", "1s", "--max-delay", "2s", "--", "sleep", "1")
    time.sleep(1)
    shell.run("controller", "--once")

    report = shell.json("report")
    page = shell.run("report", "--format", "html").stdout

    assert "sleep" in str(report)
    assert page.startswith("<!doctype html>")
    assert "sleep" in shell.run("report", "--format", "csv").stdout
