"""The real command line in a process of its own, in a private world."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cleanhours.domain.times import format_instant
from cleanhours.testing.clocks import MONDAY


@dataclass(frozen=True)
class Shell:
    """Runs `cleanhours` with its own state folder, home and settings file."""

    folder: Path
    settings: str = ""

    def __post_init__(self) -> None:
        (self.folder / "cleanhours.toml").write_text(self.settings, encoding="utf-8")

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEANHOURS_")}
        return inherited | {
            "HOME": str(self.folder),
            "XDG_STATE_HOME": str(self.folder / "xdg"),
            "NO_COLOR": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cleanhours", "--state", str(self.state), *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, env=self.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment(), text=True,
            capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip
        if code is not None:
            assert code == done.returncode, (arguments, done.stdout, done.stderr)
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)


def write_trace(
    path: Path, values: list[float], start: datetime = MONDAY, step: timedelta = timedelta(hours=1)
) -> Path:
    """A plain `time,intensity` file."""
    rows = [f"{format_instant(start + index * step)},{value}" for index, value in enumerate(values)]
    path.write_text("\n".join(["time,intensity", *rows, ""]), encoding="utf-8")
    return path
