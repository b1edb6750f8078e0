"""Brings up the processes of the cluster: a supervisor for each started job, one watchdog for all."""

from __future__ import annotations

import fcntl
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cleanhours_plugins.clusters.local.timekeeping import SharedClock

_DETACH = '"$@" </dev/null >>"$0" 2>&1 &'
"""A shell brings the process up and leaves at once: it is nobody's child, so that no controller has to bury it."""


def spawn_supervisor(folder: str, uid: str, claim: str, clock: SharedClock) -> None:
    """Starts a supervisor that may act on the job as long as `claim` is in force. Raises OSError."""
    os.makedirs(job_folder(folder, uid), mode=0o700, exist_ok=True)  # noqa: PTH103
    detach(
        f"{job_folder(folder, uid)}/supervisor.log",
        module_command("supervisor", folder, uid, claim, clock.words),
    )


def ensure_watchdog(folder: str, clock: SharedClock) -> bool:
    """Starts the watchdog of a state folder unless one lives; True when it started one. Raises OSError."""
    lock = open_lock(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    detach(f"{folder}/watchdog.log", module_command("watchdog", folder, clock.words))
    return True


def open_lock(folder: str) -> int:
    """The file that a living watchdog holds locked; the kernel lets go of it when the watchdog dies, however it does."""
    return os.open(f"{folder}/watchdog.lock", os.O_RDWR | os.O_CREAT, 0o600)


def job_folder(folder: str, uid: str) -> str:
    """Where a job's output and status lie: `stdout`, `stderr`, `status-<launch>.json`."""
    return f"{folder}/jobs/{uid}"


def module_command(module: str, *arguments: str) -> list[str]:
    """-P: the folder we happen to be in must not shadow what the process imports."""
    return [sys.executable, "-P", "-m", f"cleanhours_plugins.clusters.local.{module}", *arguments]


def detach(log: str, command: list[str]) -> None:
    """Starts a command in a session of its own, with a private log for what should never be said. Raises OSError."""
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    arguments = ["sh", "-c", _DETACH, log, *command]
    try:
        shell = os.posix_spawn("/bin/sh", arguments, os.environ, setsid=True)
    except NotImplementedError:  # a C library without POSIX_SPAWN_SETSID: the shell's group will do
        shell = os.posix_spawn("/bin/sh", arguments, os.environ)
    os.waitpid(shell, 0)
