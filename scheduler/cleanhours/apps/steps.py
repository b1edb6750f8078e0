"""Noticing that somebody stepped the machine's clock, which would leave timers asleep for as long as it was stepped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

LOOK_EVERY_S: Final = 5.0
TOLERATED_S: Final = 2.0


class StepWatch:
    """Calls `stepped(seconds)` when wall time and monotonic time drift apart by more than two seconds between two looks.

    `wall` and `steady` are parameters so that a test steps the clock in microseconds; `look` is one look.
    """

    def __init__(
        self,
        stepped: Callable[[float], None],
        wall: Callable[[], float] = time.time,  # noqa: TID251 - this is the one who watches the machine's clock
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stepped, self._wall, self._steady = stepped, wall, steady
        self._distance = wall() - steady()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Compares once."""
        distance = self._wall() - self._steady()
        step, self._distance = distance - self._distance, distance
        if abs(step) > TOLERATED_S:
            self._stepped(step)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="clock steps", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            self.look()
