"""Posting: plans that are written on objects beside the work, so that ten thousand of them hold no release back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from cleanhours.domain.jobs import Decision
from cleanhours.domain.plans import Plan

_MOST: Final = 50_000
_STOP_PATIENCE_S: Final = 2.0


class Posting:
    """Decisions that only write a plan, carried out one by one on a thread that lives while there are any.

    Of two for one job the later stands. `wait` waits before each, until nothing urgent wants its turn. `plans` shows what
    is still to be written, so that nobody decides it again; one that cannot be written is no longer shown, and so decided
    again. `carry_out` says what went wrong.
    """

    def __init__(
        self, carry_out: Callable[[Decision], str], wait: Callable[[], object] = lambda: None
    ) -> None:
        self._carry_out = carry_out
        self._wait = wait
        self._waiting: dict[str, Decision] = {}
        self._current: Decision | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def plans(self) -> Mapping[str, Plan]:
        """What is still to be written, by uid; as of now."""
        with self._lock:
            found = {uid: one.plan for uid, one in self._waiting.items()}
            if self._current is not None:
                found.setdefault(self._current.key.uid, self._current.plan)
            return found

    def post(self, decision: Decision) -> bool:
        """Takes it; False where too many wait."""
        with self._lock:
            if self._stopped or len(self._waiting) >= _MOST:
                return False
            self._waiting[decision.key.uid] = decision
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="posting plans", daemon=True)
                self._thread.start()
        return True

    def forget(self, uid: str) -> None:
        """Drops what waits for a job, as something else is done to it."""
        with self._lock:
            self._waiting.pop(uid, None)

    def stop(self) -> None:
        """Ends after the one under way; what waits is decided again by whoever comes next."""
        with self._lock:
            self._stopped = True
            self._waiting.clear()
            thread = self._thread
        if thread is not None:
            thread.join(_STOP_PATIENCE_S)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._current = None
                if not self._waiting:
                    self._thread = None
                    return
            self._wait()
            with self._lock:
                if not self._waiting:
                    continue
                uid = next(iter(self._waiting))
                self._current = decision = self._waiting.pop(uid)
            self._carry_out(decision)
