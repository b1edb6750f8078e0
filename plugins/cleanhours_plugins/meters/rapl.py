"""RAPL: the processor's own energy counters, by way of the kernel's powercap folder.

https://docs.kernel.org/power/powercap/powercap.html: `energy_uj` counts microjoules and wraps at `max_energy_range_uj`.
Packages are CPU, `dram` zones memory; `core` and `uncore` are inside a package and `psys` around all: not counted again.
A run's share is its CPU time over that of the whole machine. Reading needs root since 2020 (CVE-2020-8694).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.jobs import FinishedRun, Job, RunKey
from cleanhours.ports import Clock, Context
from cleanhours_plugins.meters.keys import Table, folder
from cleanhours_plugins.meters.kinship import busy_seconds, cpu_seconds, members, processes
from cleanhours_plugins.meters.watching import Observations, handles, run_of, running_since, window

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Zone:
    """One counter."""

    file: Path
    component: Component
    range_uj: int

    def read_uj(self) -> int:
        return int(self.file.read_text())


@dataclass(frozen=True, slots=True)
class Look:
    """What was read at one instant."""

    now: datetime
    counters_uj: Mapping[Path, int]
    busy_s: float
    cpu_s: Mapping[RunKey, float]


def zones(powercap: Path) -> list[Zone]:
    """The counters that together hold each joule once. Raises OSError where they cannot be read."""
    found = []
    for place in sorted(powercap.glob("intel-rapl:*")):
        name = (place / "name").read_text().strip()
        component = (
            Component.CPU if name.startswith("package") else Component.MEMORY if name == "dram" else None
        )
        if component is not None:
            zone = Zone(place / "energy_uj", component, int((place / "max_energy_range_uj").read_text()))
            zone.read_uj()
            found.append(zone)
    return found


def passed_uj(before: int, after: int, range_uj: int) -> int:
    """Microjoules between two readings, over at most one wrap."""
    return after - before if after >= before else after - before + range_uj


@dataclass(slots=True)
class RaplMeter:
    """Looks at the counters each tick; knows what it saw of each run."""

    clock: Clock
    powercap: Path
    proc: Path
    name: str = "rapl"
    _seen: Observations = field(default_factory=lambda: Observations(Method.MEASURED, "rapl"))
    _last: Look | None = None
    _complained: bool = False

    def sample(self, running: Sequence[Job]) -> None:
        try:
            look, sizes = self._look(running)
        except (OSError, ValueError) as fault:
            self._last = None
            if not self._complained:
                self._complained = True
                log.info("no RAPL counters folder=%s error=%s", self.powercap, fault)
            return
        if self._last is not None and look.now > self._last.now:
            self._share(self._last, look, {run_of(job): running_since(job) for job in running}, sizes)
        self._last = look
        self._seen.forget(look.now)

    def energy(self, run: FinishedRun) -> EnergyProfile:
        return self._seen.profile(run)

    def _look(self, running: Sequence[Job]) -> tuple[Look, Mapping[Path, Zone]]:
        found = {zone.file: zone for zone in zones(self.powercap)}
        if not found:
            raise FileNotFoundError("no package counters")
        everyone = processes(self.proc)
        cpu = {key: cpu_seconds(everyone, members(everyone, pids)) for key, pids in handles(running).items()}
        counters = {file: zone.read_uj() for file, zone in found.items()}
        return Look(self.clock.now(), counters, busy_seconds(self.proc), cpu), found

    def _share(
        self, before: Look, after: Look, since: Mapping[RunKey, datetime | None], sizes: Mapping[Path, Zone]
    ) -> None:
        busy = after.busy_s - before.busy_s
        for key, used in after.cpu_s.items():
            share = min(1.0, max(0.0, used - before.cpu_s.get(key, 0.0)) / busy) if busy > 0 else 0.0
            start, _ = window(since.get(key), before.now, after.now)
            drawn: dict[Component, int] = {}
            for file, zone in sizes.items():
                if file in before.counters_uj:
                    passed = passed_uj(before.counters_uj[file], after.counters_uj[file], zone.range_uj)
                    drawn[zone.component] = drawn.get(zone.component, 0) + passed
            for component, microjoules in drawn.items():
                self._seen.add(key, component, start, after.now, round(microjoules * share / 1000))


def build(settings: Mapping[str, Any], context: Context) -> RaplMeter:
    """The meter. Its table may name other folders than /sys/class/powercap and /proc. Raises ConfigurationError."""
    table = Table("rapl", settings, ("powercap", "proc"))
    powercap = table.take("powercap", Path("/sys/class/powercap"), folder, "the path of a folder")
    proc = table.take("proc", Path("/proc"), folder, "the path of a folder")
    table.close()
    return RaplMeter(context.clock, powercap, proc)
