"""Demands: what a job occupies, and an array for which there is not room all at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cleanhours.domain.requests import LARGEST_AMOUNT
from cleanhours.domain.resources import Capacity, Demand
from cleanhours_plugins.clusters.slurm.asking import Seen


def demand_of(seen: Seen) -> Demand:
    """Of all tasks that may run at once."""
    return Demand(
        cpu_millicores=min(seen.cpus * 1000 * seen.tasks, LARGEST_AMOUNT),
        memory_bytes=min(seen.memory_bytes * seen.tasks, LARGEST_AMOUNT),
        gpus=min(seen.gpus * seen.tasks, LARGEST_AMOUNT),
        slots=min(seen.tasks, LARGEST_AMOUNT),
    )


def fitted(seen: Seen, rooms: Iterable[Capacity]) -> Seen:
    """An array that no room can hold, as it will run: half of the largest room at a time, in as many rounds as that takes.

    As a whole it would never fit, and wait until it must run. Slurm starts its tasks one by one wherever there is room, and
    others run there too: how many at once nobody knows beforehand.
    """
    if seen.tasks == 1:
        return seen
    one = demand_of(replace(seen, tasks=1))
    most = max((_most(one, room) for room in rooms), default=LARGEST_AMOUNT)
    if not 0 < most < seen.tasks:
        return seen
    at_once = max(most // 2, 1)
    return replace(seen, tasks=at_once, rounds=-(-seen.tasks * seen.rounds // at_once))


def _most(one: Demand, room: Capacity) -> int:
    """So many of this there is room for."""
    limits = zip(one.amounts, room.limits(), strict=True)
    return min(
        (limit // amount for amount, limit in limits if amount and limit is not None), default=LARGEST_AMOUNT
    )
