"""A private world for the real command line, and a stand-in provider on loopback that can be told to misbehave."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from cleanhours.adapters.clock import SystemClock
from tests.flow.command_line import Shell
from tests.unit.forecasts.worlds import Neso

QUICK = """
[planning]
safety = 1.0
queue_margin = "0s"
minimum_saving_percent = 0
[metrics]
listen = "127.0.0.1:0"
"""
"""No margins, so that a test of seconds has slack; a port that is free."""

StartController = Callable[..., subprocess.Popen[str]]


def settings_of(url: str) -> str:
    """A world whose only forecasts come from a provider at `url`."""
    return f'{QUICK}[forecasts]\nchain = ["neso"]\n[forecasts.sources.neso]\nbase_url = "{url}"\n'


@pytest.fixture
def provider() -> Iterator[Neso]:
    service = Neso(SystemClock())  # type: ignore[arg-type]
    yield service
    service.close()


@pytest.fixture
def live(tmp_path: Path, provider: Neso) -> Iterator[Shell]:
    """A world whose only forecasts come from the stand-in provider."""
    shell = Shell(tmp_path, settings_of(provider.url))
    yield shell
    leave_nothing(shell)


@pytest.fixture
def filed(tmp_path: Path) -> Iterator[Shell]:
    """A world whose forecasts come from trace.csv in its folder."""
    shell = Shell(tmp_path, f'{QUICK}[forecasts]\nchain = ["csv:trace.csv?zone=GB"]\n')
    yield shell
    leave_nothing(shell)


@pytest.fixture
def controller() -> Iterator[Callable[[Shell], subprocess.Popen[str]]]:
    """Starts a controller and waits until it controls; every one is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(shell: Shell, *arguments: str) -> subprocess.Popen[str]:
        process = shell.start("-v", "controller", *arguments)
        started.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if "controlling" in line:
                return process
        raise AssertionError(f"the controller ended with {process.wait()}")

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=90)


def this_hour() -> datetime:
    return SystemClock().now().replace(minute=0, second=0, microsecond=0)


def soon(met: Callable[[], object], seconds: float = 90) -> None:
    """Waits until something is so, and fails when it has not come true by then."""
    give_up = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < give_up, f"not within {seconds} s"
        time.sleep(0.05)


def leave_nothing(shell: Shell) -> None:
    """Cancels what is left, so that no watchdog outlives its test."""
    for job in shell.json("jobs"):
        shell.run("cancel", job["id"], code=None)
