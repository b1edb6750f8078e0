"""Power caps: how much longer a job takes under a limit of its accelerators, and how much less they draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final, Self

from cleanhours.domain.errors import Complaint, InvalidRequest

MAXIMUM_SLOWDOWN_PERCENT: Final = 10.0
"""By which a job is slowed down at most, where its curve says nothing else. In Zeus' own traces (NSDI 2023) a cap within it
saves 14 to 16 % of the energy (median over models, on each of four GPUs)."""


MOST_LIMIT_W: Final = 10_000.0
"""Of one accelerator: a limit beyond it was written in milliwatts, as NVML tells it."""

_SLOWEST: Final = 100.0
_MOST_W: Final = 1e9


@dataclass(frozen=True, slots=True, order=True)
class CapPoint:
    """One measurement: at a limit (watts per accelerator), the seconds and joules of the same work, all accelerators of the
    job together.
    """

    limit_w: float
    seconds: float
    joules: float

    @property
    def watts(self) -> float:
        return self.joules / self.seconds


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit that a job runs under. `slowdown` is at least 1: how many times as long it takes as without.

    `accelerators_w` is what its accelerators draw under it, `uncapped_w` what they draw without: means, before PUE. Raises
    ValueError: plans are read back from where their jobs' owners can write.
    """

    limit_w: float
    slowdown: float
    accelerators_w: float
    uncapped_w: float

    def __post_init__(self) -> None:
        watts = (self.limit_w, self.accelerators_w, self.uncapped_w)
        if not (1 <= self.slowdown <= _SLOWEST and all(0 < one <= _MOST_W for one in watts)):
            raise ValueError(f"no cap: {self.to_json()}")

    def stretched(self, length: timedelta) -> timedelta:
        """Running time under it, in whole seconds, rounded up."""
        return timedelta(seconds=math.ceil(round(length.total_seconds() * self.slowdown, 6)))

    def capped_w(self, uncapped_w: float) -> float:
        """What a whole job draws under it that draws so much without; in proportion, where its owner named less than the
        accelerators alone draw.
        """
        rest = uncapped_w - self.uncapped_w
        return self.accelerators_w + rest if rest >= 0 else uncapped_w * self.accelerators_w / self.uncapped_w

    def to_json(self) -> dict[str, float]:
        return {
            "limit_w": self.limit_w,
            "slowdown": self.slowdown,
            "accelerators_w": self.accelerators_w,
            "uncapped_w": self.uncapped_w,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The cap that `to_json` wrote. Raises ValueError, KeyError or TypeError for what it did not."""
        try:
            return cls(
                float(data["limit_w"]),
                float(data["slowdown"]),
                float(data["accelerators_w"]),
                float(data["uncapped_w"]),
            )
        except OverflowError as fault:
            raise ValueError(str(fault)) from None

    def __str__(self) -> str:
        longer = (self.slowdown - 1) * 100
        return f"capped at {self.limit_w:g} W, {longer:.1f} % longer"


def _makes_sense(point: CapPoint) -> bool:
    numbers = (point.limit_w, point.seconds, point.joules)
    if not all(math.isfinite(one) and one > 0 for one in numbers):
        return False
    return 0.001 <= point.limit_w <= MOST_LIMIT_W and 0.001 <= point.watts <= _MOST_W


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """What was measured of a work at several limits, rising; the highest counts as no limit.

    Raises InvalidRequest with every complaint.
    """

    points: tuple[CapPoint, ...]
    maximum_slowdown_percent: float = MAXIMUM_SLOWDOWN_PERCENT

    def __post_init__(self) -> None:
        complaints = [*self._faults()]
        if complaints:
            raise InvalidRequest(complaints)

    def _faults(self) -> Iterator[Complaint]:
        if len(self.points) < 2:
            yield Complaint("points", f"{len(self.points)}", "two or more, the highest being no limit")
        for point in self.points:
            if not _makes_sense(point):
                yield Complaint(
                    "points",
                    str(point),
                    f"a limit of 1 mW to {MOST_LIMIT_W:g} W an accelerator, in watts; seconds and joules above 0, at most 1 GW",
                )
        for below, above in pairwise(self.points):
            if below.limit_w >= above.limit_w:
                yield Complaint(
                    "points", f"{below.limit_w:g}, {above.limit_w:g} W", "each limit once, rising"
                )
        if not (math.isfinite(self.maximum_slowdown_percent) and 0 <= self.maximum_slowdown_percent <= 1000):
            yield Complaint("max-slowdown-percent", str(self.maximum_slowdown_percent), "percent, 0 to 1000")

    @classmethod
    def of(cls, points: Iterable[CapPoint], maximum_slowdown_percent: float | None = None) -> Self:
        """From measurements in any order."""
        most = MAXIMUM_SLOWDOWN_PERCENT if maximum_slowdown_percent is None else maximum_slowdown_percent
        return cls(tuple(sorted(points)), most)

    @property
    def uncapped_w(self) -> float:
        """What the accelerators draw without a limit."""
        return self.points[-1].watts

    def caps(self) -> tuple[Cap, ...]:
        """The caps worth a thought, highest limit first: they save energy, and slow down no more than is allowed.

        Rounded, so that a cap which was written in twelve digits is read back the same.
        """
        top = self.points[-1]
        found = []
        least = top.watts
        for point in reversed(self.points[:-1]):
            slowdown = round(max(point.seconds / top.seconds, 1.0), 6)
            left = slowdown * point.watts  # of the energy, in the time of the work without a cap
            if left < least and slowdown <= 1 + self.maximum_slowdown_percent / 100:
                least = left
                found.append(
                    Cap(round(point.limit_w, 3), slowdown, round(point.watts, 3), round(top.watts, 3))
                )
        return tuple(found)
