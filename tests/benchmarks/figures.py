"""Figures: what a benchmark measured, beside what was promised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value with its promise in words; `met` is None where nothing was promised."""

    name: str
    target: str
    value: float
    unit: str
    met: bool | None


def quickest(act: Callable[[], object], *, rounds: int, repeats: int = 1) -> float:
    """Seconds an act takes, the least of `rounds` means over `repeats`: other work on the machine only adds to it."""
    best = float("inf")
    for _ in range(rounds):
        begin = perf_counter()
        for _ in range(repeats):
            act()
        best = min(best, (perf_counter() - begin) / repeats)
    return best
