"""Energy of a run: who measured what, over which time, and how much of the run it covers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

ENOUGH: Final = 0.8
"""Of a run's time: who saw less of it knows a part of the run and not the run. Others, of the same kind, are taken before."""


class Method(StrEnum):
    """How energy is known, best first."""

    MEASURED = "measured"
    SLURM = "slurm"
    SELF_REPORTED = "self-reported"
    MODELLED = "modelled"
    DECLARED = "declared"


class Component(StrEnum):
    """What drew the energy. `WHOLE` is the job without distinction and excludes the others."""

    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    NETWORK = "network"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class EnergySlice:
    """Whole millijoules of one component drawn evenly over [start, end), before PUE."""

    start: datetime
    end: datetime
    component: Component
    millijoules: int
    method: Method
    meter: str


@dataclass(frozen=True, slots=True)
class EnergyProfile:
    """A run's energy as slices. `coverage` is the share of the running time that was observed, 0 to 1."""

    slices: tuple[EnergySlice, ...] = ()
    coverage: float = 1.0
    upper_estimate: bool = False
    """Whether it rests on a ceiling such as TDP."""

    @property
    def millijoules(self) -> int:
        """All components together. Exact."""
        return sum(part.millijoules for part in self.slices)

    @property
    def components(self) -> frozenset[Component]:
        return frozenset(part.component for part in self.slices)

    def only(self, components: Iterable[Component]) -> Self:
        """The slices of some components."""
        wanted = frozenset(components)
        return type(self)(
            tuple(part for part in self.slices if part.component in wanted),
            self.coverage,
            self.upper_estimate,
        )
