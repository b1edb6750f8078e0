"""Software Carbon Intensity: operational and embodied carbon per unit of work (ISO/IEC 21031:2024).

    SCI = ((E x I) + M) per R          M = TE x TS = TE x (TiR / EL) x (RR / ToR)

The text is https://sci.greensoftware.foundation; E includes PUE and hardware that was reserved and idle, I is the
location-based intensity (never a market-based one), and M stays a field of its own: it does not change when to run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Final

from cleanhours.domain.errors import Complaint, InvalidRequest

_MICROSECOND: Final = timedelta(microseconds=1)

LIFESPAN: Final = timedelta(days=4 * 365)
"""Of a server where nobody says better: 35,040 h (Cloud Carbon Footprint, Boavizta)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embodied:
    """The hardware's share of M. `total_g` is TE, gCO2e of making it; `reserved` is TiR, `lifespan` EL.

    `resources` of its `total_resources` (RR of ToR, any one unit: CPUs, GPUs, nodes) were reserved. Raises
    InvalidRequest with every complaint.
    """

    total_g: float
    reserved: timedelta
    lifespan: timedelta = LIFESPAN
    resources: float = 1.0
    total_resources: float = 1.0

    def __post_init__(self) -> None:
        nothing, part, whole = timedelta(0), self.resources, self.total_resources
        wrong = []
        if not 0 <= self.total_g < math.inf:
            wrong.append(Complaint("total-g", f"{self.total_g:g}", "grams, 0 or more"))
        if self.reserved < nothing:
            wrong.append(Complaint("reserved", str(self.reserved), "a time, 0 or longer"))
        if self.lifespan <= nothing:
            wrong.append(Complaint("lifespan", str(self.lifespan), "a time above 0"))
        if not (0 <= part <= whole < math.inf and whole > 0):
            accepted = "0 or more, and no more than the total, which is above 0"
            wrong.append(Complaint("resources", f"{part:g} of {whole:g}", accepted))
        if wrong:
            raise InvalidRequest(wrong)

    @property
    def share(self) -> Fraction:
        """TS: the part of the hardware's life and size that was taken. Exact."""
        time = Fraction(self.reserved // _MICROSECOND, self.lifespan // _MICROSECOND)
        return time * Fraction(self.resources) / Fraction(self.total_resources)

    @property
    def grams(self) -> Fraction:
        """M in gCO2e. Exact."""
        return Fraction(self.total_g) * self.share


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What an SCI is made of. `operational_ug` is O = E x I of all units together, `embodied` M of all hardware.

    `operational_ug` is what a run was settled on: its energy with PUE on the intensity of its own hours. `units` is R, how
    many of `unit` that was. Raises InvalidRequest with every complaint.
    """

    operational_ug: int
    units: float = 1.0
    unit: str = "job"
    embodied: tuple[Embodied, ...] = ()

    def __post_init__(self) -> None:
        wrong = []
        if self.operational_ug < 0:
            wrong.append(Complaint("operational", f"{self.operational_ug} µg", "whole micrograms, 0 or more"))
        if not 0 < self.units < math.inf:
            wrong.append(Complaint("units", f"{self.units:g}", "a count above 0"))
        if wrong:
            raise InvalidRequest(wrong)

    @property
    def operational_g(self) -> Fraction:
        """O in gCO2e. Exact."""
        return Fraction(self.operational_ug, 1_000_000)

    @property
    def embodied_g(self) -> Fraction | None:
        """M in gCO2e, exact; None where nothing is known of the hardware: missing is never zero."""
        return sum((part.grams for part in self.embodied), Fraction(0)) if self.embodied else None

    @property
    def grams_per_unit(self) -> Fraction | None:
        """SCI in gCO2e per unit, exact; None where M is not known."""
        embodied = self.embodied_g
        return None if embodied is None else (self.operational_g + embodied) / Fraction(self.units)


def operational_ug(kwh: float, g_per_kwh: float) -> int:
    """O in whole micrograms from E (kWh, PUE included) and I (gCO2e/kWh), rounded once."""
    return round(Fraction(kwh) * Fraction(g_per_kwh) * 1_000_000)
