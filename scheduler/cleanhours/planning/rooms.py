"""Rooms: where there is room for one job. The planners ask; capacity, or nobody, answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from cleanhours.domain.intervals import Integers
from cleanhours.planning.slots import Run

Gaps = Mapping[str, Integers | None]
"""Per location the stretches with room for the job, shape (k, 2), epoch seconds; a missing location, or None, has room."""


class Rooms(Protocol):
    """The room that one job's demand has at each location, by name."""

    def gaps(self, name: str) -> Integers | None:
        """The stretches [start, end) with room, shape (k, 2), in order and apart; None where nothing is limited."""

    def fits(self, name: str, runs: Sequence[Run]) -> bool:
        """Whether every run has room."""


class GapsGiven:
    """Room as it was handed in."""

    def __init__(self, gaps: Gaps) -> None:
        self._gaps = gaps

    def gaps(self, name: str) -> Integers | None:
        return self._gaps.get(name)

    def fits(self, name: str, runs: Sequence[Run]) -> bool:
        gaps = self._gaps.get(name)
        if gaps is None:
            return True
        if not len(gaps):
            return False
        for start, end in runs:
            index = int(gaps[:, 0].searchsorted(start, side="right")) - 1
            if index < 0 or gaps[index, 1] < end:
                return False
        return True


EVERYWHERE: Final = GapsGiven({})
"""Room without limits."""


def first_fit(gaps: Integers | None, length: int, earliest: int, latest: int) -> int | None:
    """The earliest start in [earliest, latest] at which `length` seconds have room."""
    if earliest > latest:
        return None
    if gaps is None:
        return earliest
    starts = np.maximum(gaps[:, 0], earliest)
    possible = (starts + length <= gaps[:, 1]) & (starts <= latest)
    index = int(possible.argmax()) if possible.size else 0
    return int(starts[index]) if possible.size and possible[index] else None
