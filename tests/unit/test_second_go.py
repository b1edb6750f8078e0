"""A test that fails once gets a second go and is named; one that fails twice, and many that fail, fail the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

FRAGILE = """
from pathlib import Path
def test_{name}():
    before, _ = Path("{name}.seen").exists(), Path("{name}.seen").touch()
    assert before
"""
BROKEN = "def test_broken():\n    assert False\n"
SOUND = "def test_sound():\n    with open('runs', 'a') as runs:\n        runs.write('x')\n"


def second_go(folder: Path, *modules: str, arguments: tuple[str, ...] = ()) -> tuple[int, str]:
    """The exit code and what was printed, of these test modules in a project of their own."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for number, text in enumerate(modules):
        (folder / f"test_{number}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tools" / "second_go.py", "--numprocesses", "2", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_passes_runs_once(tmp_path: Path) -> None:
    code, said = second_go(tmp_path, SOUND)

    assert (0, "x") == (code, (tmp_path / "runs").read_text())
    assert "second go" not in said


def test_a_test_that_fails_once_is_named_and_nothing_else_runs_again(tmp_path: Path) -> None:
    code, said = second_go(tmp_path, SOUND, FRAGILE.format(name="shy"))

    assert (0, "x") == (code, (tmp_path / "runs").read_text())
    assert (
        "second go: FRAGILE, they passed by themselves and are to be mended:\n    test_1.py::test_shy\n"
        in said
    )
    assert "BROKEN" not in said


def test_a_test_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    code, said = second_go(tmp_path, SOUND, BROKEN, FRAGILE.format(name="shy"))

    assert pytest.ExitCode.TESTS_FAILED == code
    assert "second go: BROKEN, they failed twice:\n    test_1.py::test_broken\nsecond go: FRAGILE" in said
    assert said.endswith("are to be mended:\n    test_2.py::test_shy\n")


def test_many_that_fail_are_no_coincidence(tmp_path: Path) -> None:
    code, said = second_go(tmp_path, *(FRAGILE.format(name=f"shy{number}") for number in range(4)))

    assert pytest.ExitCode.TESTS_FAILED == code
    assert "second go: none for this run, in which 4 tests failed\n" in said


@pytest.mark.parametrize(
    ("module", "arguments", "code"),
    [
        ("import nothing_of_that_name\n", (), pytest.ExitCode.TESTS_FAILED),
        (SOUND, ("--no-such-flag",), pytest.ExitCode.USAGE_ERROR),
        ("", (), pytest.ExitCode.NO_TESTS_COLLECTED),
    ],
    ids=["cannot be imported", "wrong flag", "no tests"],
)
def test_what_is_no_failed_test_gets_none(
    tmp_path: Path, module: str, arguments: tuple[str, ...], code: pytest.ExitCode
) -> None:
    found, said = second_go(tmp_path, module, arguments=arguments)

    assert code == found
    assert "by themselves" not in said
