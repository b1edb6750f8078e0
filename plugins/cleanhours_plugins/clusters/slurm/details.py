"""Details: what the short letters of `squeue` do not tell of a job, asked when it is first seen. Pure.

`%b` tells the GPUs of each node only where they were asked for by node: `--gpus`, `--gpus-per-task` and `--gpus-per-socket` are
fields of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cleanhours_plugins.clusters.slurm.asking import read_gpus

_FIELD: Final = "\x1f"
_COLUMNS: Final = (
    "JobArrayID:64", "Deadline:24", "Requeue:8", "NumNodes:24", "NumTasks:24", "Sockets:24", "tres-alloc:512",
    "tres-per-job:256", "tres-per-node:256", "tres-per-socket:256", "tres-per-task:256",
)  # fmt: skip
_ID: Final = re.compile(r"(\d+)(?:\+(\d+))?", re.ASCII)
_COUNTED: Final = re.compile(r"(?:^|,)gres/gpu=(\d+)", re.ASCII)
MOST_JOBS: Final = 500
"""Ids in one such question: they must fit into a command line."""


@dataclass(frozen=True, slots=True)
class Details:
    """When Slurm kills a job that has not ended (epoch seconds), whether it may be requeued, and all its GPUs; of an array,
    those of one task.
    """

    killed_at: int | None = None
    requeues: bool = True
    gpus: int = 0


def details_question(jobs: Sequence[str], *, user: str | None = None) -> list[str]:
    """The arguments of `squeue`, for jobs by their number; for all of a user, or of everybody, where they are too many."""
    form = f"{_FIELD},".join(_COLUMNS) + _FIELD
    asked = ["--noheader", "--all", "--states=all", f"--Format={form}"]
    if len(jobs) <= MOST_JOBS:
        return [*asked, f"--jobs={','.join(jobs)}"]
    return asked if user is None else [*asked, f"--user={user}"]


def read_details(answer: str) -> dict[str, Details]:
    """By the number of the job, of the array, or of the leader of a heterogeneous job, which has the GPUs of all its parts."""
    found: dict[str, Details] = {}
    parts: dict[str, dict[str, int]] = {}
    for line in answer.splitlines():
        values = [value.strip() for value in line.split(_FIELD)]
        match = _ID.match(values[0])
        if match is None or len(values) <= len(_COLUMNS):
            continue
        number, part = match[1], match[2] or "0"
        mine = parts.setdefault(number, {})
        mine[part] = max(mine.get(part, 0), _gpus(values[3 : len(_COLUMNS)]))
        if part == "0" or number not in found:
            found[number] = Details(int(values[1]) if values[1].isdigit() else None, values[2] != "0")
    return {
        number: Details(one.killed_at, one.requeues, sum(parts[number].values()))
        for number, one in found.items()
    }


def _gpus(values: Sequence[str]) -> int:
    """As Slurm counted them, where the site has it do so (AccountingStorageTRES); else as they were asked for."""
    nodes, tasks, sockets, counted, by_job, by_node, by_socket, by_task = values
    match = _COUNTED.search(counted)
    if match is not None:
        return int(match[1])
    everywhere = _count(nodes)
    return max(
        read_gpus(by_job),
        read_gpus(by_node) * everywhere,
        read_gpus(by_socket) * _count(sockets) * everywhere,
        read_gpus(by_task) * _count(tasks),
    )


def _count(text: str) -> int:
    """`3`, `1-3`; 1 for what is not said: `*`, `N/A`."""
    first = text.partition("-")[0]
    return max(int(first), 1) if first.isdigit() else 1
