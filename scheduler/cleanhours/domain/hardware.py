"""The making of machines: what a server emitted before it ran anything, and by what a run's share of it is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cleanhours.domain.resources import Demand


@dataclass(frozen=True, slots=True)
class Hardware:
    """One server: kgCO2e of making it (TE), how long it serves (EL), and what it is shared by: its GPUs, else its CPUs."""

    server_kg_co2e: float
    lifetime: timedelta
    gpus: int | None = None
    cpus: float | None = None

    @property
    def unit(self) -> str:
        return "millicores" if self.gpus is None else "GPUs"

    @property
    def total(self) -> int:
        """ToR in `unit`."""
        return self.gpus if self.gpus is not None else round((self.cpus or 0) * 1000)

    def reserved(self, held: Demand) -> int | None:
        """RR in `unit`; None where the run is not known to have held any: missing is never zero."""
        amount = held.cpu_millicores if self.gpus is None else held.gpus
        return amount or None
