"""What people, files and terminals may throw at the command line: nothing is obeyed, nothing crashes, no text is lost."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.flow.command_line import Shell, write_trace

NAME = '=cmd|"é日本…"<script>alert(1)</script>'


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    write_trace(tmp_path / "trace.csv", [300, 200, 100, 400])
    return Shell(tmp_path, '[forecasts]\nchain = ["csv:trace.csv"]\n')


def said(shell: Shell, encoding: str, *arguments: str) -> bytes:
    done = subprocess.run(
        shell.command(*arguments), cwd=shell.folder, capture_output=True, timeout=60, check=False,
        env={**shell.environment(), "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_of_a_terminal_is_written_to(shell: Shell, encoding: str) -> None:
    shell.run("submit", "--name", NAME, "--max-delay", "1h", "--duration", "1s", "--", "true")

    listed = said(shell, encoding, "jobs")
    explained = said(shell, encoding, "explain", NAME)

    assert b"script" in listed
    assert b"script" in explained
    shell.run("cancel", NAME)
    assert "<!doctype html>" in said(shell, encoding, "report").decode("utf-8").lower()
    said(shell, encoding, "report", "--format", "csv").decode("utf-8")


def test_all_faults_of_the_settings_get_a_line_each(shell: Shell) -> None:
    (shell.folder / "cleanhours.toml").write_text('[metrcs]\nx = 1\n[planning]\nsafety = "much"\n', "utf-8")

    refused = shell.run("jobs", code=2).stderr.splitlines()

    assert "cleanhours: the settings are wrong:" == refused[0]
    assert 3 == len(refused)
    assert any(line.startswith("  metrcs: no such setting; did you mean 'metrics'?") for line in refused)


def test_everything_kept_is_private_whatever_the_umask(shell: Shell) -> None:
    before = os.umask(0)
    try:
        shell.run("submit", "--duration", "1s", "--", "true")
        shell.run("controller", "--once")
    finally:
        os.umask(before)

    kept = [shell.state, *shell.state.rglob("*")]
    assert {"ledger.sqlite", "queue.sqlite", "jobs"} <= {path.name for path in kept}
    assert [] == [str(path) for path in kept if path.stat().st_mode & 0o077]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
@pytest.mark.parametrize("command", ["jobs", "report", "plan"])
def test_output_that_finds_no_room_is_one_line_of_error(shell: Shell, command: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            shell.command(command), cwd=shell.folder, stdout=full, stderr=subprocess.PIPE, text=True,
            env=shell.environment(), timeout=60, check=False,
        )  # fmt: skip

    assert (1, "cleanhours: [Errno 28] No space left on device") == (
        done.returncode,
        done.stderr.splitlines()[-1],
    )
    assert "Traceback" not in done.stderr
