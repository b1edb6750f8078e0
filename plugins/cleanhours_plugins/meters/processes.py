"""Processes: energy modelled from CPU time and memory, where no sensor can be read.

CPU: E = wall time x cores x minimum watts + CPU time x (maximum - minimum watts), with Cloud Carbon Footprint's watts per
core (Apache-2.0, https://www.cloudcarbonfootprint.org/docs/methodology). A core that is held draws its minimum all the
time, and the rest in proportion to its use. Cores are those that the job asked for, else as many as its mean use filled.
Memory: 0.3725 W per 10^9 bytes (Green Algorithms, Lannelongue et al. 2021, doi:10.1002/advs.202100707), of what the job
asked for, else of its peak. A run whose CPU time nobody took is not known here: memory alone is not the job, and would stand
before its declared watts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.jobs import FinishedRun
from cleanhours.ports import Context
from cleanhours_plugins.meters.keys import Table, number
from cleanhours_plugins.meters.proportionality import proportional
from cleanhours_plugins.meters.spreading import length, running, spread

MEMORY_W_PER_GB: Final = 0.3725

WATTS_PER_CORE: Final[Mapping[str, tuple[float, float]]] = {
    "average": (0.74, 3.5),
    "sandy-bridge": (2.17, 8.58),
    "ivy-bridge": (3.04, 8.25),
    "haswell": (1.0, 4.74),
    "broadwell": (0.71, 3.69),
    "skylake": (0.65, 4.26),
    "cascade-lake": (0.64, 3.97),
    "coffee-lake": (1.14, 5.42),
    "epyc-1": (0.82, 2.55),
    "epyc-2": (0.47, 1.69),
    "graviton-2": (0.47, 1.69),
}
"""Minimum and maximum watts per core by processor family (Cloud Carbon Footprint, b7a049c)."""

KEYS: Final = ("processor", "minimum_watts_per_core", "maximum_watts_per_core", "memory_watts_per_gb")


@dataclass(slots=True)
class ProcessMeter:
    """Reads `cpu_seconds` and `max_rss_bytes` of a run's usage. `rate` is clock seconds per real second: 1 but in a play."""

    minimum_w: float
    maximum_w: float
    memory_w_per_gb: float = MEMORY_W_PER_GB
    rate: float = 1.0
    name: str = "processes"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        spans = running(run)
        wall_s = length(spans).total_seconds()
        cpu_s = run.usage.get("cpu_seconds")
        if wall_s <= 0 or cpu_s is None:
            return EnergyProfile(coverage=0.0)
        joules = self._cpu_joules(cpu_s * self.rate, wall_s, run.allocated.cpu_millicores)
        slices = spread(round(joules * 1000), spans, Component.CPU, Method.MODELLED, self.name)
        held = run.allocated.memory_bytes or run.usage.get("max_rss_bytes")
        if held:
            joules = held / 1e9 * self.memory_w_per_gb * wall_s
            slices += spread(round(joules * 1000), spans, Component.MEMORY, Method.MODELLED, self.name)
        return EnergyProfile(tuple(slices))

    def _cpu_joules(self, cpu_s: float, wall_s: float, millicores: int) -> float:
        cores = millicores / 1000 or math.ceil(cpu_s / wall_s)
        return proportional(wall_s * cores, cpu_s, self.minimum_w, self.maximum_w)


def build(settings: Mapping[str, Any], context: Context) -> ProcessMeter:
    """The meter. Its table may name a `processor` family, or the watts themselves. Raises ConfigurationError naming every fault."""
    table = Table("processes", settings, KEYS)
    least, most = table.take(
        "processor", WATTS_PER_CORE["average"], family, f"one of {', '.join(WATTS_PER_CORE)}"
    )
    least = table.take("minimum_watts_per_core", least, number, "watts, 0 or more")
    most = table.take("maximum_watts_per_core", most, number, "watts, 0 or more")
    if most < least:
        table.fault("maximum_watts_per_core", most, f"at least the minimum, {least:g}")
    memory = table.take("memory_watts_per_gb", MEMORY_W_PER_GB, number, "watts, 0 or more")
    table.close()
    return ProcessMeter(least, most, memory, context.clock.rate)


def family(value: Any) -> tuple[float, float]:
    """Watts of a core of a processor family, idle and busy. Raises ValueError."""
    if not isinstance(value, str) or value not in WATTS_PER_CORE:
        raise ValueError(value)
    return WATTS_PER_CORE[value]
