"""Pacing: how fast requests may leave for an API server, and how all of them wait when it asks for a pause."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Event, Lock
from typing import Final

from cleanhours.domain.errors import TemporaryError

WRITES_PER_S: Final = 20.0
"""What the servers' own controllers allow themselves; faster brings nothing, for they start Pods no faster."""
WRITES_BURST: Final = 40
LONGEST_PAUSE_S: Final = 60.0
"""However much a server asks for, it is asked again after this."""


class Stopped(TemporaryError):
    """The controller stops: what waited for its turn is not sent."""


class Pace:
    """A token bucket, safe to share between threads: `burst` requests at once, then `per_s` a second.

    A request that finds no token takes one in advance and waits for it, so that turns are in order. A pause stops
    the bucket's own time: who waited then goes on waiting as long as before, and nobody comes back all at once.

    `monotonic` is a clock in seconds; `sleep` waits so many seconds, or until it is told to stop (then it says
    True). Tests hand in their own.
    """

    def __init__(
        self,
        per_s: float = WRITES_PER_S,
        burst: int = WRITES_BURST,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], bool] | None = None,
    ) -> None:
        if not (math.isfinite(per_s) and per_s > 0 and burst >= 1):
            raise ValueError(f"found {per_s!r} a second, burst {burst!r}; accepted: above 0, and at least 1")
        self._per_s = per_s
        self._burst = float(burst)
        self._monotonic = monotonic
        self._stop = Event()
        self._sleep = sleep or self._stop.wait
        self._lock = Lock()
        self._tokens = float(burst)
        self._paused_s = 0.0
        self._paused_until_s = -math.inf
        self._filled_at_s = self._own_time(monotonic())

    def wait(self) -> float:
        """Wait for a turn; return the seconds that took. Raises Stopped."""
        start = now = self._monotonic()
        with self._lock:
            self._fill(now)
            self._tokens -= 1
            due = self._filled_at_s + max(0.0, -self._tokens) / self._per_s
        return self._wait_until(due, start)

    def wait_for_spare(self, turns: float) -> float:
        """Wait until so many turns are left over, without taking one: for what is not urgent. Return the seconds; raises Stopped."""
        start = self._monotonic()
        while True:
            with self._lock:
                self._fill(self._monotonic())
                missing = min(turns, self._burst) - self._tokens
                due = self._filled_at_s + missing / self._per_s
            if missing <= 1e-9:
                return self._wait_until(-math.inf, start)
            self._wait_until(due, start)

    def wait_out(self) -> float:
        """Wait until no pause is on, without taking a turn; return the seconds that took. Raises Stopped."""
        return self._wait_until(-math.inf, self._monotonic())

    def pause(self, seconds: float) -> None:
        """Everybody waits so long from now (60 s at most), and what was saved up for a burst is forgotten."""
        if not seconds > 0:
            return
        with self._lock:
            now = self._monotonic()
            self._fill(now)
            self._tokens = min(self._tokens, 1.0)
            until = now + min(seconds, LONGEST_PAUSE_S)
            if until > self._paused_until_s:
                self._paused_s += until - max(now, self._paused_until_s)
                self._paused_until_s = until

    def stop(self) -> None:
        """Whoever waits, and whoever comes, is refused from now on."""
        self._stop.set()

    def _wait_until(self, due_s: float, start_s: float) -> float:
        """Until the bucket's own time is `due_s`: looked at again after each sleep, for a pause may have come."""
        while True:
            if self._stop.is_set():
                raise Stopped("the controller stops: nothing more is sent")
            now = self._monotonic()
            with self._lock:
                left = max(due_s + self._paused_s, self._paused_until_s) - now
            if left <= 1e-9:
                return now - start_s
            if self._sleep(left):
                self._stop.set()

    def _fill(self, now_s: float) -> None:
        own = self._own_time(now_s)
        self._tokens = min(self._burst, self._tokens + max(0.0, own - self._filled_at_s) * self._per_s)
        self._filled_at_s = max(own, self._filled_at_s)

    def _own_time(self, now_s: float) -> float:
        """Seconds, without those of pauses; stands still during one."""
        return max(now_s, self._paused_until_s) - self._paused_s
