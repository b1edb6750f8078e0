"""Processes told apart for certain: pid, kernel start time and boot together; and everything a process brought up."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


@cache
def boot() -> str:
    """This boot of this machine: pids and start times begin anew with the next."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return "unknown"


def identity(pid: int) -> str:
    """`pid:start:boot` of a living process, to be kept and asked for later; empty when it is gone."""
    start = _start(pid)
    return f"{pid}:{start}:{boot()}" if start else ""


def pid_of(known: str) -> int:
    """The pid in an identity."""
    return int(known.partition(":")[0])


def this_boot(known: str) -> bool:
    """Whether that process was started since the machine was."""
    return known.rpartition(":")[2] == boot()


def alive(known: str | None) -> bool:
    """Whether that very process still lives (a zombie does not)."""
    return bool(known) and identity(pid_of(str(known))) == known


def send(known: str | None, number: int) -> bool:
    """Signals that very process; False when it is gone. By pidfd where there is one, so that no reuse can slip in."""
    if not known:
        return False
    try:
        handle = os.pidfd_open(pid_of(known))
    except OSError:
        return False
    except AttributeError:  # not Linux
        return alive(known) and kill(pid_of(known), number)
    try:
        if not alive(known):
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def kill(pid: int, number: int) -> bool:
    """Signals a pid; False when it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def family(leader: int, above: int | None = None, *, unburied: bool = False) -> list[int]:
    """Living pids (with `unburied`, zombies too) in `leader`'s group or session, and descendants of it and of `above`, wherever they moved.

    `above` itself is not of the family. Where there is no /proc, only the group can be found: [-leader] then.
    """
    table = _table()
    if table is None:
        return [-leader] if kill(-leader, 0) else []
    found = {pid for pid, (_, group, session, _) in table.items() if leader in (pid, group, session)}
    roots = found | ({above} if above else set())
    grew = True
    while grew:
        more = {pid for pid, row in table.items() if row[0] in roots and pid not in roots}
        roots |= more
        grew = bool(more)
    over = "X" if unburied else "ZX"
    return sorted(pid for pid in roots - {above} if pid in table and table[pid][3] not in over)


def send_all(pids: Iterable[int], number: int) -> None:
    """Signals each that is still there and ours."""
    for pid in pids:
        try:
            kill(pid, number)
        except PermissionError:
            continue  # a set-uid program of the job: not ours to stop


def _table() -> dict[int, tuple[int, int, int, str]] | None:
    """pid: (parent, group, session, state) of every process; None where the kernel has no /proc."""
    if not os.path.exists("/proc/self/stat"):  # noqa: PTH110
        return None
    rows = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit() and (stat := _stat(int(name))):
            rows[int(name)] = (int(stat[1]), int(stat[2]), int(stat[3]), stat[0])
    return rows


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third (state) on; the second may hold anything, so it is cut off."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def _start(pid: int) -> str:
    """Field 22 of proc(5) stat, in ticks since boot; elsewhere what ps knows. Empty for the dead."""
    if stat := _stat(pid):
        return "" if stat[0] in "ZX" else stat[19]
    if os.path.exists("/proc/self/stat"):  # noqa: PTH110
        return ""
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip().replace(":", ".").replace(" ", "_")
