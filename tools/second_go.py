"""Runs pytest; one to three tests that failed get a second go, by themselves, and are named whatever becomes of them.

Real servers and real seconds share a machine with each other: a test that fails beside others and passes alone is fragile,
one that fails twice is broken. Both are said; only the second fails the run. More than three are no coincidence.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

AT_MOST: Final = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Takes pytest's arguments, returns its exit code: that of the second go where there was one."""
    words = sys.argv[1:] if arguments is None else [*arguments]
    with TemporaryDirectory() as folder:
        own = [sys.executable, "-m", "pytest", "-o", f"cache_dir={folder}", *words]
        code = subprocess.call(own)
        if code != pytest.ExitCode.TESTS_FAILED:
            return code
        failed = _failed(Path(folder))
        if not 1 <= len(failed) <= AT_MOST:
            _say(f"none for this run, in which {len(failed)} tests failed")
            return code
        _say("these failed, and run again by themselves:", *failed)
        code = subprocess.call([*own, "--last-failed", "--numprocesses", "0"])
        broken = _failed(Path(folder))
        _say("BROKEN, they failed twice:", *broken)
        _say("FRAGILE, they passed by themselves and are to be mended:", *sorted({*failed} - {*broken}))
        return code


def _failed(cache: Path) -> list[str]:
    """The tests that pytest's own cache plugin wrote down. A module that cannot be imported is none."""
    written = cache / "v" / "cache" / "lastfailed"
    found: dict[str, bool] = json.loads(written.read_text("utf-8")) if written.exists() else {}
    return sorted(name for name in found if "::" in name)


def _say(what: str, *tests: str) -> None:
    if tests or not what.endswith(":"):
        print(f"second go: {what}", *tests, sep="\n    ", flush=True)


if __name__ == "__main__":
    sys.exit(main())
