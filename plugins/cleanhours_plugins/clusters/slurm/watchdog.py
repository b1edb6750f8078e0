"""The watchdog: a process that outlives a submission and lets go what it may have left held.

One per folder of records, whoever submits first after the last one ended leaves it. Forked, so that it costs a submission a
millisecond; it sleeps until a record is a minute old, and ends when there is none.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from cleanhours_plugins.clusters.slurm import recording
from cleanhours_plugins.clusters.slurm.recording import LEFT_ALONE_S
from cleanhours_plugins.clusters.slurm.repairing import repair

_AGAIN_S: Final = 30.0
"""Between two attempts while Slurm does not answer."""
_LONGEST_S: Final = 7 * 86_400
_MARGIN_S: Final = 1.0


def leave_watchdog(folder: Path, now: Callable[[], int]) -> None:
    """Starts one unless there is one. Raises OSError where nothing can be written: then nothing may be held."""
    lock = _lock(folder)
    if lock is None:
        return
    middle = os.fork()
    if middle == 0:
        _become_watchdog(folder, now, lock)
    os.close(lock)
    os.waitpid(middle, 0)


def start_watchdog(folder: Path) -> None:
    """The same, of a process with threads, whose memory must not be forked: a program of its own. Raises OSError."""
    lock = _lock(folder)
    if lock is None:
        return
    os.close(lock)
    command = [sys.executable, "-m", "cleanhours_plugins.clusters.slurm.watchdog", str(folder)]
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(
        command, stdin=nothing, stdout=nothing, stderr=nothing, cwd="/", start_new_session=True
    )
    process.wait()


def _lock(folder: Path) -> int | None:
    """The descriptor that holds it; None where another watchdog does. Raises OSError where nothing can be written."""
    lock = os.open(folder / "watchdog.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _become_watchdog(folder: Path, now: Callable[[], int], lock: int) -> None:
    """The process between is waited for at once; its child belongs to nobody. Never returns."""
    try:
        os.setsid()
        if os.fork() == 0:
            _let_loose(lock)
            _watch(folder, now, lock)
    finally:
        os._exit(0)


def _let_loose(lock: int) -> None:
    """Keeps no terminal, no pipe of whoever waits for the submission, and no folder."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for descriptor in (int(name) for name in os.listdir("/proc/self/fd")):  # noqa: PTH208 - numbers, not paths
        if descriptor > 2 and descriptor != lock:
            with suppress(OSError):
                os.close(descriptor)
    os.chdir("/")
    for one in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)


def _watch(folder: Path, now: Callable[[], int], lock: int) -> None:
    ends = time.monotonic() + _LONGEST_S
    while time.monotonic() < ends:
        left = recording.left_behind(folder, now(), younger=True)
        if not left:
            if not _still_needed(folder, now, lock):
                return
            continue
        if recording.left_behind(folder, now()):
            if not repair_all(folder, now):
                time.sleep(_AGAIN_S)
        else:
            wait = min(record.submitted for _, record in left) + LEFT_ALONE_S - now()
            time.sleep(min(max(wait, 0), LEFT_ALONE_S) + _MARGIN_S)


def _still_needed(folder: Path, now: Callable[[], int], lock: int) -> bool:
    """Whether a submission came that saw this one about to end; another watchdog may have it."""
    fcntl.flock(lock, fcntl.LOCK_UN)
    if not recording.left_behind(folder, now(), younger=True):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def repair_all(folder: Path, now: Callable[[], int]) -> bool:
    """Lets go whatever dead submissions left held; False where Slurm did not answer: it is not asked again for each of them."""
    from cleanhours.domain.errors import CleanhoursError, TemporaryError

    done = True
    silent: set[tuple[str, str]] = set()
    for path, record in recording.left_behind(folder, now()):
        cluster = (record.slurm_conf, record.cluster)
        if cluster in silent:
            continue
        try:
            repair(path, record, now())
        except TemporaryError:
            silent.add(cluster)
            done = False
        except (CleanhoursError, OSError):
            done = False
    return done


if __name__ == "__main__":
    leave_watchdog(Path(sys.argv[1]), lambda: int(time.time()))  # noqa: TID251 - a process of its own
