"""Commands of Slurm's that stand still, so that whoever waits for them can be killed at that very step."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.integration.slurm.site import USER, Site, as_user, wait_until

FOR_EVER_S = 600
"""Longer than any test waits."""
SCRIPT = """\
#!/bin/sh
case " $* " in *" {word}"*) echo $$ >> {folder}/pids; {then} ;; esac
exec /usr/bin/{program} "$@"
"""


@dataclass(frozen=True)
class Stall:
    """A folder with one of Slurm's commands in it; first in PATH, it is the one that is run."""

    folder: Path
    program: str
    path: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PATH": f"{self.folder}:{self.path}"}

    @property
    def command(self) -> str:
        return str(self.folder / self.program)

    def reached(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self._pids())

    def until_reached(self) -> None:
        wait_until(self.reached, f"{self.program} is run")

    def end(self) -> None:
        """It never answers any more."""
        for pid in self._pids():
            kill(pid)

    def _pids(self) -> list[int]:
        """Of all that stand still: it may be asked several things at once."""
        file = self.folder / "pids"
        return [int(pid) for pid in file.read_text("utf-8").split()] if file.exists() else []


def stalled(site: Site, program: str, name: str, word: str = "", *, seconds: float = FOR_EVER_S) -> Stall:
    """One that stands still for so long when `word` is among what it is told; otherwise it is as always."""
    folder = site.home / f"stalled-{name}"
    folder.mkdir()
    file = folder / program
    then = f"exec sleep {seconds}" if seconds == FOR_EVER_S else f"sleep {seconds}"
    file.write_text(SCRIPT.format(word=word, folder=folder, program=program, then=then), "utf-8")
    file.chmod(0o755)
    if as_user():
        shutil.chown(folder, USER)
    return Stall(folder, program, site.variables["PATH"])


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def who_has_open(file: Path) -> list[int]:
    """The processes that do."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                links = [descriptor.readlink() for descriptor in (process / "fd").iterdir()]
                if file in links:
                    found.append(int(process.name))
    return found
