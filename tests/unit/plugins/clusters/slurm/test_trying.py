"""What is read of `sbatch --test-only`: whether there is a node, and when the job would start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cleanhours_plugins.clusters.slurm.interrupting import Patience
from cleanhours_plugins.clusters.slurm.trying import Trial, Tried

AT = 1_795_392_383


def trial(folder: Path, work: str) -> Trial:
    program = folder / "sbatch"
    program.write_text(f"#!/bin/sh\n{work}\n", "utf-8")
    program.chmod(0o755)
    return Trial.begin(str(program), ["--wrap", "x"], None)


@pytest.mark.parametrize(
    ("said", "status", "tried"),
    [
        (
            f"sbatch: Job 2 to start at {AT} using 1 processors on nodes fr1 in partition fr",
            0,
            Tried(starts=AT),
        ),
        (
            f"Job de is best\nsbatch: Job 9 to start at {AT} using 2 processors on de1,fr1",
            0,
            Tried(starts=AT),
        ),
        ("sbatch: Job 2 to start at 2026-11-22T17:00:00 using 1 processors", 0, Tried()),
        ("", 0, Tried()),
        ("allocation failure: Requested node configuration is not available", 1, Tried(nowhere=True)),
        ("allocation failure: Invalid partition name specified", 1, Tried()),
        (f"sbatch: Job 2 to start at {AT} using 1 processors", 1, Tried()),
    ],
)
def test_what_slurm_says_is_read(tmp_path: Path, said: str, status: int, tried: Tried) -> None:
    found = trial(tmp_path, f"cat >&2 <<'END'\n{said}\nEND\nexit {status}")

    assert tried == found.answer(Patience({}))


def test_it_is_asked_for_seconds_since_1970_whatever_its_user_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    found = trial(
        tmp_path, f'[ "$SLURM_TIME_FORMAT" = %s ] && echo "sbatch: Job 2 to start at {AT} using 1" >&2'
    )

    assert Tried(starts=AT) == found.answer(Patience({}))
    assert "relative" == os.environ["SLURM_TIME_FORMAT"]


def test_what_is_not_said_in_time_or_at_all_is_not_known(tmp_path: Path) -> None:
    assert Tried() == trial(tmp_path, "exec sleep 60").answer(Patience({"CLEANHOURS_PATIENCE": "0.2"}))
    assert Tried() == Trial.begin(str(tmp_path / "none"), [], None).answer(Patience({}))
