"""Calling Slurm's commands: an environment without surprises, a time limit, and errors that say what happens next."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from cleanhours.domain.errors import CleanhoursError, ConfigurationError, TemporaryError

PATIENCE_S: Final = 20.0
"""Slurm's own commands give up after 9 s without an answer."""
_STRANGE: Final = ("SACCT_", "SBATCH_", "SCONTROL_", "SINFO_", "SQUEUE_")
"""What a user may have set for himself, and what would change what we read."""
_STRANGE_TOO: Final = frozenset({"SLURM_CLUSTERS", "SLURM_TIME_FORMAT", "SLURM_BITSTR_LEN", "SLURM_DEBUG"})
_SOON: Final = timedelta(seconds=30)
_AWAY: Final = (
    "Unable to contact slurm controller", "Connection refused", "Socket timed out", "Zero Bytes were transmitted",
    "Transport endpoint", "Connection timed out", "slurm_load_jobs error", "Unable to establish", "database",
    "try again", "temporarily",
)  # fmt: skip


class Refused(CleanhoursError):
    """Slurm would not do it; the message is Slurm's."""


def quiet_environment(environment: Mapping[str, str], slurm_conf: Path | None = None) -> dict[str, str]:
    """An environment in which Slurm's commands print what they are asked to: times as epoch seconds, lists whole."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_STRANGE) and name not in _STRANGE_TOO
    }
    if slurm_conf is not None:
        kept["SLURM_CONF"] = str(slurm_conf)
    return {**kept, "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0", "LC_ALL": "C.UTF-8"}


@dataclass(slots=True)
class Slurm:
    """Slurm's commands, of one cluster, for any thread. `environment` is what they inherit, `calls` counts them by name."""

    slurm_conf: Path | None = None
    cluster: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    calls: dict[str, int] = field(default_factory=dict)
    _environment: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def ask(self, program: str, *arguments: str, patience_s: float = PATIENCE_S) -> str:
        """What the command prints.

        Raises TemporaryError where Slurm does not answer, Refused where it says no, ConfigurationError where it is not
        installed here.
        """
        return self.begin(program, *arguments).answer(patience_s)

    def begin(self, program: str, *arguments: str) -> Asking:
        """The command, started; several run side by side. Raises ConfigurationError, TemporaryError."""
        with self._lock:
            self.calls[program] = self.calls.get(program, 0) + 1
            if not self._environment:
                self._environment = quiet_environment(self.environment, self.slurm_conf)
        of_cluster = () if self.cluster is None else ("-M", self.cluster)
        try:
            process = subprocess.Popen(
                [program, *of_cluster, *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=self._environment, encoding="utf-8", errors="surrogateescape",
            )  # fmt: skip
        except FileNotFoundError:
            raise ConfigurationError(
                f"{program} is not in PATH: is this a login node of a Slurm cluster?"
            ) from None
        except OSError as fault:
            raise TemporaryError(f"{program}: {fault.strerror}", delay=_SOON) from None
        return Asking(program, process)


@dataclass(slots=True)
class Asking:
    """A command that runs."""

    program: str
    process: subprocess.Popen[str]

    def answer(self, patience_s: float = PATIENCE_S) -> str:
        """What it prints. Raises as `Slurm.ask`; whatever ends the waiting ends the command too."""
        try:
            printed, complained = self.process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            raise TemporaryError(
                f"{self.program} gave no answer within {patience_s:.0f} s", delay=_SOON
            ) from None
        finally:
            self.end()
        if self.process.returncode != 0:
            said = " ".join(complained.split()) or f"exit {self.process.returncode}"
            if any(word in said for word in _AWAY):
                raise TemporaryError(f"{self.program}: {said}", delay=_SOON)
            raise Refused(f"{self.program}: {said}")
        return printed

    def end(self) -> None:
        """Ends it, if it still runs, and forgets what it would say. Idempotent."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
