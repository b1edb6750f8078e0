"""Telling: what several jobs' decisions take, told to Slurm side by side; where it answers nobody, the rest is not tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cleanhours.domain.errors import CleanhoursError, TemporaryError
from cleanhours_plugins.clusters.slurm.acting import Command

SIDE_BY_SIDE: Final = 4
"""Most of a command is its own start and the way to Slurm, which changes one job at a time: more would only stand in its queue."""
ENOUGH: Final = 4
"""So many that got no answer are no job's own trouble."""


def tell(ask: Callable[..., object], chains: Sequence[Sequence[Command]]) -> tuple[list[str], bool]:
    """What went wrong with each job's commands, nothing where they were carried out; and whether Slurm answers at all.

    A job's own commands follow each other, up to the first that fails; jobs begin in this order. `ask` takes a program and
    its arguments, in any thread, and raises as `Slurm.ask` does.
    """
    unanswered: list[str] = []

    def carry_out(commands: Sequence[Command]) -> str:
        if len(unanswered) >= ENOUGH:
            return f"not tried, for Slurm answers nobody: {unanswered[0]}"
        try:
            for program, *arguments in commands:
                ask(program, *arguments)
        except TemporaryError as fault:
            unanswered.append(str(fault))
            return str(fault)
        except CleanhoursError as fault:
            return str(fault)
        return ""

    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="telling Slurm") as pool:
        errors = list(pool.map(carry_out, chains))
    return errors, len(unanswered) < ENOUGH
