"""The port of a Slurm cluster: what controller and command line ask of its jobs, and tell them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from cleanhours.domain.jobs import AT_REST, Action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cleanhours.domain.jobs import Applied, Decision, FinishedRun, Job, JobKey
    from cleanhours.domain.locations import Room
    from cleanhours.ports import Context
    from cleanhours_plugins.clusters.slurm.desk import Desk
    from cleanhours_plugins.clusters.slurm.settings import SlurmSettings


class SlurmCluster:
    """Jobs of a Slurm. Nothing that waits depends on us: it waits for its start time.

    Safe from several threads. Raises TemporaryError while Slurm does not answer, ConfigurationError where it is not here.
    """

    powers = frozenset(Action) - {Action.SCALE}

    def __init__(self, settings: SlurmSettings, context: Context) -> None:
        self.name = settings.name
        self.settings = settings
        self._context = context

    @cached_property
    def _desk(self) -> Desk:
        """Built when it is first asked: the sbatch wrapper wants the settings only, and waits for each import."""
        from cleanhours_plugins.clusters.slurm.desk import Desk

        return Desk(self.settings, self._context)

    @property
    def calls(self) -> Mapping[str, int]:
        """How often each of Slurm's commands was run."""
        return self._desk.calls

    def pending(self) -> Sequence[Job]:
        return [job for job in self._desk.jobs() if job.state in AT_REST]

    def running(self) -> Sequence[Job]:
        return [job for job in self._desk.jobs() if job.state not in AT_REST]

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        return self._desk.finished(since)

    def capacity(self) -> Mapping[str, Room]:
        return self._desk.capacity()

    def advice(self, key: JobKey, verb: str) -> str:
        """Slurm's own command by which its owner does it; see `ports.Advising`."""
        return self._desk.advice(key, verb)

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Applied]:
        return self._desk.apply(decisions)
