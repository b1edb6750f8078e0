"""What a carbon intensity is: which signal, scope and basis, and how it is known.

Apart from the series themselves, because plans name these words too, and are read where nobody waits for numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Signal(StrEnum):
    """Which question the number answers. Never mixed in one series, sum or comparison."""

    AVERAGE = "average"
    MARGINAL = "marginal"


class Scope(StrEnum):
    """Which emissions are counted: the stack alone, or fuel and plant too."""

    LIFECYCLE = "lifecycle"
    DIRECT = "direct"


class Basis(StrEnum):
    """Whose electricity: made in the zone, or used there after imports and exports."""

    CONSUMPTION = "consumption"
    PRODUCTION = "production"


class Kind(StrEnum):
    """How a value is known, from best to least."""

    ACTUAL = "actual"
    ESTIMATED = "estimated"
    FORECAST = "forecast"
    TYPICAL = "typical"


@dataclass(frozen=True, slots=True)
class Measure:
    """What makes two intensities comparable."""

    signal: Signal = Signal.AVERAGE
    scope: Scope = Scope.LIFECYCLE
    basis: Basis = Basis.CONSUMPTION
