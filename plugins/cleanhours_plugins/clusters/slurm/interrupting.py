"""Interrupting: signals and the end of our time as an exception, so that what was begun is ended in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final

PATIENCE: Final = "CLEANHOURS_PATIENCE"
"""The environment variable with the seconds that a submission may take longer than sbatch's own, where 2 are too few."""
USUAL_PATIENCE_S: Final = 2.0
LONGEST_PATIENCE_S: Final = 30.0
_LEAST_S: Final = 0.2
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal, or the end of our time. No Exception, so that nobody on the way swallows it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


class Patience:
    """The seconds for which we may keep a submission waiting, whatever a provider, a disk or Slurm does.

    What is no number of seconds up to 30 is not heard. They are one budget, for all that is waited for.
    """

    def __init__(self, environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent_s = 0.0
        try:
            told = float(environment.get(PATIENCE, USUAL_PATIENCE_S))
        except ValueError:
            told = USUAL_PATIENCE_S
        self.whole_s = told if 0 < told <= LONGEST_PATIENCE_S else USUAL_PATIENCE_S

    @property
    def left_s(self) -> float:
        """Never nothing: what is asked may be there at once."""
        return max(self.whole_s - self._spent_s, _LEAST_S)

    @contextmanager
    def spent(self) -> Iterator[float]:
        """Gives what is left, and counts how long it took."""
        began_s = self._clock()
        try:
            yield self.left_s
        finally:
            self._spent_s += self._clock() - began_s


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise Stopped in the main thread, those apart that are ignored: by nohup, say."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    heard = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
    before: Mapping[int, object] = {one: signal.signal(one, stop) for one in heard}
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
