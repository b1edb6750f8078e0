"""Somebody sets the machine's clock two hours on or back under a real controller: it notices, and no job is late for it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import require_component
from tests.flow.command_line import Shell
from tests.integration.faults.conftest import QUICK, leave_nothing, soon

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


@dataclass(frozen=True)
class SteppedShell(Shell):
    """A world whose clock is the machine's plus what stands in the file `offset`; what is steady stays steady."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "offset"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, seconds: int) -> None:
        fresh = self.folder / "offset.new"
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self.folder / "offset")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[SteppedShell]:
    require_component("faketime", "apt-get install faketime")
    (tmp_path / "offset").write_text("+0\n")
    shell = SteppedShell(tmp_path, f'{QUICK}[forecasts]\nchain = ["climatology"]\n')
    yield shell
    leave_nothing(shell)


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "max_delay"), [(7200, "90m"), (-7200, "8s")])
def test_a_stepped_clock_makes_no_job_late(shell: SteppedShell, seconds: int, max_delay: str) -> None:
    leading = _controlling(shell)
    shell.run("submit", "--duration", "1s", "--max-delay", max_delay, "--", "touch", "ran")

    shell.step(seconds)

    soon(
        (shell.folder / "ran").exists, 120
    )  # without notice of the step it would take an hour and a half, or two
    soon(lambda: not shell.json("jobs"))
    assert leading.stderr is not None
    told = next(line for line in leading.stderr if "clock stepped" in line)
    assert seconds == pytest.approx(int(told.rpartition("seconds=")[2]), abs=5)
    assert leading.poll() is None
    leading.send_signal(signal.SIGTERM)
    _, log = leading.communicate(timeout=90)
    assert "Traceback" not in log


def _controlling(shell: Shell) -> subprocess.Popen[str]:
    leading = shell.start("-v", "controller")
    assert leading.stderr is not None
    assert any("controlling" in line for line in leading.stderr)
    return leading
