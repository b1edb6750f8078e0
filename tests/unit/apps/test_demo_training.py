from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np


def training(checkpoint: Path, *, steps: int = 30, step_seconds: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cleanhours.apps.demo.training", "--steps", str(steps)]
    command += ["--checkpoint", str(checkpoint), "--step-seconds", str(step_seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def steps_and_losses(output: str) -> list[tuple[int, float]]:
    return [
        (int(step), float(loss))
        for step, loss in re.findall(r"^step (\d+)/\d+ loss ([\d.]+)$", output, re.MULTILINE)
    ]


def interrupted_after(steps: int, checkpoint: Path) -> str:
    """What a run printed that was sent SIGTERM when it had said that it did so many steps."""
    process = training(checkpoint, step_seconds=0.02)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(f"step {steps}/") and "loss" in line:
            process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    process.stderr.close()
    process.stdout.close()

    assert -signal.SIGTERM == process.wait(20)
    return "".join(lines)


def test_the_loss_falls_and_every_step_is_done(tmp_path: Path) -> None:
    output, errors = training(tmp_path / "run.npz").communicate(timeout=60)
    told = steps_and_losses(output)

    assert "" == errors
    assert list(range(1, 31)) == [step for step, _ in told]
    assert told[-1][1] < 0.3 * told[0][1]


def test_a_run_that_was_stopped_goes_on_from_its_checkpoint_to_the_very_same_end(tmp_path: Path) -> None:
    first = interrupted_after(7, tmp_path / "paused.npz")
    second, _ = training(tmp_path / "paused.npz").communicate(timeout=60)
    whole, _ = training(tmp_path / "whole.npz").communicate(timeout=60)
    done = steps_and_losses(first) + steps_and_losses(second)

    assert "checkpoint written" in first
    assert steps_and_losses(whole) == done
    with np.load(tmp_path / "paused.npz") as paused, np.load(tmp_path / "whole.npz") as straight:
        assert 30 == int(paused["step"])
        np.testing.assert_array_equal(straight["first"], paused["first"])


def test_a_finished_run_that_is_started_again_does_nothing_more(tmp_path: Path) -> None:
    training(tmp_path / "run.npz").communicate(timeout=60)
    again = training(tmp_path / "run.npz")
    output, _ = again.communicate(timeout=60)

    assert [] == steps_and_losses(output)
    assert 0 == again.returncode


def test_a_checkpoint_that_cannot_be_read_is_named_and_the_run_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "run.npz").write_bytes(b"half a chec")
    output, errors = training(tmp_path / "run.npz", steps=3).communicate(timeout=60)

    assert "cannot be read" in errors
    assert [1, 2, 3] == [step for step, _ in steps_and_losses(output)]


def test_no_half_checkpoint_is_left_behind(tmp_path: Path) -> None:
    training(tmp_path / "run.npz", steps=6).communicate(timeout=60)

    assert ["run.npz"] == [file.name for file in tmp_path.iterdir()]
