"""Telling: what several jobs' decisions take, told to Slurm side by side; where it answers nobody, the rest is not tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from cleanhours.domain.errors import CleanhoursError, TemporaryError
from cleanhours_plugins.clusters.slurm.acting import Command

SIDE_BY_SIDE: Final = 4
"""Most of a command is its own start and the way to Slurm, which changes one job at a time: more would only stand in its queue."""
ENOUGH: Final = 4
"""So many that got no answer are no job's own trouble."""


@dataclass(frozen=True, slots=True)
class Told:
    """What went wrong with each job's commands, None where they were carried out.

    `away` is why nobody else need be told, where Slurm answers nobody: a TemporaryError is then that of no job.
    """

    faults: Sequence[CleanhoursError | None]
    away: str = ""


def tell(ask: Callable[..., object], chains: Sequence[Sequence[Command]]) -> Told:
    """Tells each job's commands one after the other, up to the first that fails; jobs begin in this order.

    `ask` takes a program and its arguments, in any thread, and raises as `Slurm.ask` does.
    """
    unanswered: list[TemporaryError] = []

    def carry_out(commands: Sequence[Command]) -> CleanhoursError | None:
        if len(unanswered) >= ENOUGH:
            return TemporaryError(_away(unanswered[0]))
        try:
            for program, *arguments in commands:
                ask(program, *arguments)
        except TemporaryError as fault:
            unanswered.append(fault)
            return fault
        except CleanhoursError as fault:
            return fault
        return None

    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="telling Slurm") as pool:
        faults = list(pool.map(carry_out, chains))
    return Told(faults, _away(unanswered[0]) if len(unanswered) >= ENOUGH else "")


def _away(fault: TemporaryError) -> str:
    return f"not tried, for Slurm answers nobody: {fault}"
