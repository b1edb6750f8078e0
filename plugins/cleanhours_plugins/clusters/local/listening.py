"""How a process of the cluster waits: for a signal, a process that ends, or a time, whichever is first."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys

_PR_SET_CHILD_SUBREAPER = 36


class Ears:
    """Wakes on SIGCHLD and SIGUSR1. Signals that would end us are not for us but for the job, whose end we must see."""

    def __init__(self) -> None:
        self._wake, waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(waker, False)
        self._watched = [self._wake]
        for number in (signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(number, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def watch(self, pid: int) -> bool:
        """Wakes when that process ends too, child or not; False where this system cannot."""
        try:
            self._watched.append(os.pidfd_open(pid))
        except (AttributeError, OSError):
            return False
        return True

    def wait(self, seconds: float) -> None:
        """Until something is heard, or for so long; what was heard before and not waited for counts."""
        select.select(self._watched, [], [], seconds)
        try:
            while os.read(self._wake, 512):
                pass
        except BlockingIOError:
            return


def adopt_orphans() -> None:
    """Daemons of the job become our children (Linux only; elsewhere they are found by their group)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def close_inherited() -> None:
    """Whoever started us may wait for the end of a pipe that we got by accident: we outlive him."""
    os.closerange(3, 4096)
