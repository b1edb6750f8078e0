"""The sbatch behind ours: the next program of that name in PATH, found without what takes long to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cleanhours_plugins.clusters.slurm.commands.sbatch import real_sbatch

OURS = "#!/usr/bin/python3\nfrom cleanhours.apps.sbatch import main; main()\n"


def program(folder: Path, name: str = "sbatch", text: str = "#!/bin/sh\n", mode: int = 0o755) -> str:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text, "utf-8")
    file.chmod(mode)
    return str(file)


def test_it_is_the_first_in_path_that_can_be_run_and_is_no_copy_of_ours(tmp_path: Path) -> None:
    program(tmp_path / "text", mode=0o644)
    (tmp_path / "folder" / "sbatch").mkdir(parents=True)
    program(tmp_path / "ours", text=OURS)
    real = program(tmp_path / "real")
    program(tmp_path / "later")
    folders = [
        "",
        "/not/there",
        *(str(tmp_path / name) for name in ("text", "folder", "ours", "real", "later")),
    ]

    assert real == real_sbatch(None, ":".join(folders))


def test_a_link_to_the_program_that_runs_is_not_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, real = program(tmp_path / "ours", "cleanhours-sbatch"), program(tmp_path / "real")
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "sbatch"
    link.symlink_to(ours)
    monkeypatch.setattr(sys, "argv", [str(link)])

    assert real == real_sbatch(None, f"{link.parent}:{tmp_path / 'real'}")


def test_without_another_there_is_none(tmp_path: Path) -> None:
    program(tmp_path / "ours", text=OURS)

    assert real_sbatch(None, f"{tmp_path / 'ours'}:{tmp_path}") is None


def test_one_that_is_named_is_looked_up_like_any_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = program(tmp_path / "bin", "sbatch-22")
    monkeypatch.chdir(tmp_path)

    assert named == real_sbatch("sbatch-22", str(tmp_path / "bin"))
    assert named == real_sbatch(named, "")
    assert "bin/sbatch-22" == real_sbatch("bin/sbatch-22", "")
    assert real_sbatch("bin/sbatch-23", str(tmp_path / "bin")) is None


def test_one_that_is_named_is_no_copy_of_ours_but_may_speak_of_us(tmp_path: Path) -> None:
    copy = program(tmp_path / "copy", text=OURS)
    site = program(tmp_path / "site", text="#!/bin/sh\n# behind cleanhours-sbatch\nexec /usr/bin/sbatch\n")

    assert real_sbatch(copy, "") is None
    assert site == real_sbatch(site, "")


def test_who_looks_for_it_waits_for_no_large_import() -> None:
    """shutil brings lzma and bz2, pathlib urllib: 7 ms of a submission."""
    looks = (
        "import sys; from cleanhours_plugins.clusters.slurm.commands.sbatch import real_sbatch as look; "
        "look(None, '/usr/bin:/bin'); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", looks], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": ":".join(sys.path)})  # fmt: skip

    assert {"shutil", "pathlib", "subprocess", "dataclasses"}.isdisjoint(done.stdout.split())
