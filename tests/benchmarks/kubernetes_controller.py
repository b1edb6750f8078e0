"""The real controller command, with a stopwatch around each tick: python -m tests.benchmarks.kubernetes_controller STATE."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from cleanhours.apps.commands.controlling import controller as command
from cleanhours.apps.controller import Beats, Controller
from cleanhours.apps.wiring import Wiring
from cleanhours.control.reconciling import Outcome, Reconciler

TICKS = "ticks"


class Timed:
    """A reconciler whose ticks are written down: wall seconds, and the decisions that were carried out."""

    def __init__(self, reconciler: Reconciler, ticks: Path) -> None:
        self._reconciler = reconciler
        self._ticks = ticks

    def tick(self) -> Outcome:
        begun = time.perf_counter()
        outcome = self._reconciler.tick()
        took_s = time.perf_counter() - begun
        with self._ticks.open("a") as out:
            out.write(f"{took_s:.6f} {len(outcome.applied)}\n")
        return outcome

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reconciler, name)


class TimedWiring(Wiring):
    """The usual world, but for the stopwatch; it is written beside the state folder."""

    def controller(self, *, shadow: bool = False, beats: Beats | None = None) -> Controller:
        found = super().controller(shadow=shadow, beats=beats)
        found.reconciler = Timed(found.reconciler, self.state_folder.parent / TICKS)  # type: ignore[assignment]
        return found


if __name__ == "__main__":
    # a tool of developers only, which the Kubernetes client loads where it finds it
    sys.modules["kubernetes_validate"] = None  # type: ignore[assignment]
    command.main([], obj=TimedWiring.lazily(None, sys.argv[1]), standalone_mode=False)
