"""Interrupting: signals and the end of our time as an exception, so that what was begun is ended in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final

PATIENCE: Final = "CLEANHOURS_PATIENCE"
"""The environment variable with the seconds that a submission may take longer than sbatch's own, where 2 are too few."""
USUAL_PATIENCE_S: Final = 2.0
LONGEST_PATIENCE_S: Final = 30.0
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal, or the end of our time. No Exception, so that nobody on the way swallows it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


def patience_s(environment: Mapping[str, str]) -> float:
    """Whatever a provider, a disk or Slurm does. What is no number of seconds up to 30 is not heard."""
    try:
        told = float(environment.get(PATIENCE, USUAL_PATIENCE_S))
    except ValueError:
        return USUAL_PATIENCE_S
    return told if 0 < told <= LONGEST_PATIENCE_S else USUAL_PATIENCE_S


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise Stopped in the main thread."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    before: Mapping[int, object] = {one: signal.signal(one, stop) for one in SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)  # type: ignore[arg-type]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises Stopped, with SIGALRM's number, when it is over."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keeps these signals back until it is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
