"""Trying: whether Slurm finds a node for a job, and when. One that no node could ever run it would take, held, and never start."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cleanhours_plugins.clusters.slurm.interrupting import Patience

_NO_PLACE: Final = b"Requested node configuration is not available"
"""Slurm's words for a job that no node could ever run, and for one whose nodes are drained, down or not heard of since slurmctld
began (ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE): sbatch refuses the one and takes the other, but both where they are held.
"""


_STARTS: Final = b" to start at "


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial said: that there is no node, or when the job would start, in epoch seconds. Nothing is known of either at first."""

    nowhere: bool = False
    starts: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """`sbatch --test-only`, under way. It reads the script that sbatch reads after it: it must end first."""

    process: subprocess.Popen[bytes] | None

    @classmethod
    def begin(cls, real: str, arguments: Sequence[str], stdin: int | None) -> Trial:
        """`stdin` is where the script stands, if it came from standard input."""
        try:
            process = subprocess.Popen(
                [real, "--test-only", *arguments],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "SLURM_TIME_FORMAT": "%s"},
                close_fds=False,  # some of sbatch's own options name a descriptor
            )
        except (OSError, subprocess.SubprocessError):
            return cls(None)
        return cls(process)

    def answer(self, patience: Patience) -> Tried:
        """What Slurm says of it now. What it does not say in time is not known."""
        if self.process is None:
            return Tried()
        with self.process as process, patience.spent() as left_s:
            try:
                _, said = process.communicate(timeout=left_s)
            except subprocess.TimeoutExpired:
                process.kill()
                return Tried()
        if process.returncode != 0:
            return Tried(nowhere=_NO_PLACE in said)
        instant, _, _ = said.partition(_STARTS)[2].partition(b" ")
        return Tried(starts=int(instant) if instant.isdigit() else None)
