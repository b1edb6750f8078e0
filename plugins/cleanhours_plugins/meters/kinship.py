"""Kinship of processes, read from /proc: which belong to a job, and how much CPU time they and the machine have used.

Field numbers as in proc_pid_stat(5) and proc_stat(5).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its parent, process group and session, and the CPU seconds of it and of its reaped children."""

    pid: int
    parent: int
    group: int
    session: int
    cpu_s: float


def processes(proc: Path) -> dict[int, Process]:
    """Every process that can be seen; those that end meanwhile are left out."""
    found = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                process = _read((entry / "stat").read_text())
            except (OSError, ValueError, IndexError):
                continue
            found[process.pid] = process
    return found


def members(all_of_them: Mapping[int, Process], roots: frozenset[int]) -> frozenset[int]:
    """The processes of a job: its handles, their group, their session, and all their descendants."""
    found = {
        pid
        for pid, process in all_of_them.items()
        if pid in roots or process.group in roots or process.session in roots
    }
    while True:
        more = {pid for pid, process in all_of_them.items() if process.parent in found} - found
        if not more:
            return frozenset(found)
        found |= more


def cpu_seconds(all_of_them: Mapping[int, Process], of: frozenset[int]) -> float:
    """CPU time that these processes and their reaped children have used so far."""
    return sum(all_of_them[pid].cpu_s for pid in of)


def busy_seconds(proc: Path) -> float:
    """CPU time that the whole machine has used so far: all but idle and waiting for disks."""
    fields = (proc / "stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def _read(stat: str) -> Process:
    """The name in parentheses may itself hold spaces and parentheses."""
    head, _, rest = stat.rpartition(")")
    fields = rest.split()
    cpu = sum(int(fields[number - 3]) for number in (14, 15, 16, 17))
    pid = int(head.split(" ", 1)[0])
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), cpu / TICKS_PER_S)
