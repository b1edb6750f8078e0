"""Answers: what sbatch says of a submission, in whatever way, and what it still says afterwards."""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from cleanhours_plugins.clusters.slurm.arguments import Said
from cleanhours_plugins.clusters.slurm.interrupting import USUAL_PATIENCE_S
from cleanhours_plugins.clusters.slurm.recording import read
from cleanhours_plugins.clusters.slurm.repairing import held_jobs
from cleanhours_plugins.clusters.slurm.speaking import pass_on

_ANSWER: Final = re.compile(r"(\d+)(?:;([A-Za-z0-9._-]+))?", re.ASCII)
_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """What sbatch answered."""

    job: str
    cluster: str
    line: str
    told: bool = False

    def printed(self, said: Said) -> str:
        """What sbatch would have printed without our `--parsable`; with `--quiet` it prints nothing, parsable or not.

        Nothing where something else told its user already.
        """
        if said.quiet or self.told:
            return ""
        if said.parsable:
            return self.line
        where = f" on cluster {self.cluster}" if self.cluster else ""
        return f"Submitted batch job {self.job}{where}\n"


def answer(process: subprocess.Popen[bytes]) -> Submitted | None:
    """The line of sbatch that tells the job, which with `--wait` goes on; None where none does.

    What a site's own filters print before it is passed on.
    """
    for raw in iter(_output(process).readline, b""):
        line = raw.decode(errors="surrogateescape")
        match = _ANSWER.fullmatch(line.strip())
        if match is not None:
            return Submitted(match[1], match[2] or "", line)
        pass_on(line)
    return None


def unsaid(path: Path) -> Submitted | None:
    """The job of its session, of which its user heard already in whatever words. None where Slurm has none, or is silent."""
    from cleanhours.domain.errors import CleanhoursError

    with suppress(CleanhoursError, OSError, ValueError):
        for job, cluster in held_jobs(read(path)):
            return Submitted(job, cluster, "", told=True)
    return None


def quiet_answer(process: subprocess.Popen[bytes], path: Path) -> Submitted | None:
    """With `--quiet` sbatch says nothing, and with `--wait` not even an end: Slurm knows what came of its session."""
    from cleanhours.domain.errors import CleanhoursError

    ended, pause_s = False, _LOOK_S
    while not ended:
        ended = process.poll() is not None
        with suppress(CleanhoursError, OSError, ValueError):
            for job, cluster in held_jobs(read(path)):
                return Submitted(job, cluster, "")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_LOOK_S)
    return None


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return process.stdout or BytesIO()


def wait(process: subprocess.Popen[bytes]) -> int:
    """Passes on what sbatch still prints, and its exit status."""
    for more in _output(process):
        pass_on(more.decode(errors="surrogateescape"))
    code = process.wait()
    return code if code >= 0 else 128 - code


def stop(process: subprocess.Popen[bytes], number: int) -> None:
    """Passes a signal on: sbatch leads a session of its own, and the terminal's does not reach it."""
    with suppress(ProcessLookupError):
        process.send_signal(number)
    with suppress(subprocess.TimeoutExpired):
        process.wait(USUAL_PATIENCE_S)
