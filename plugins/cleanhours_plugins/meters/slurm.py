"""Slurm: the energy that Slurm counted for a job, else a model of what it held and the site's table of watts.

The cluster `slurm` says in `FinishedRun.usage` what each run of a job held and drew, under these names with the number of
the run behind a dot; a segment's second handle says which run it is of, else its own place among the segments:

    slurm_cpus.0, slurm_gpus.0, slurm_gpus.0.a100, slurm_memory_bytes.0, slurm_nodes.0
    slurm_cpu_seconds.0                    of processor time; absent where that is not known
    slurm_joules.0                         absent where nothing was measured
    slurm_shared.0, slurm_estimated.0      1.0 where the joules were split by CPUs, or are an estimate

A run without `slurm_cpus` is no business of this meter. Energy that was split or estimated wears it in the meter's name:
`slurm/shared`, `slurm/estimated`, `slurm/shared/estimated`; its method is `slurm` all the same, for the ledger keeps both.
Joules beyond what a run's nodes can draw are a fault of what counted them (RAPL's plugin has been seen to inflate them): as
good as none, and said once.

What Slurm counts depends on the site's AcctGatherEnergyType, so `counts` says what that is: `whole` nodes (ipmi, xcc,
pm_counters), only `cpu` with the memory (rapl), or only `gpu`. What it does not count is left to the model.

The model: energy = watts x what was held x running time, as Green Algorithms reckons requested resources (Lannelongue et
al. 2021, doi:10.1002/advs.202100707). What is held is not always busy, so it is an upper estimate. Where the table gives a
CPU two numbers, idle and busy, its watts are between them (`proportionality`), at CPU seconds / (CPUs x running seconds) of
the way: that is no upper estimate, unless Slurm does not know the CPU seconds, which then counts as all the time. It knows
only their sum, so a run draws the same all along. Memory draws what it draws, used or not.

The model says nothing where the table has no watts: then other meters count, declared watts last.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from cleanhours.domain.energy import ENOUGH, Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.jobs import FinishedRun, RunKey
from cleanhours.domain.times import MICROSECOND
from cleanhours.ports import Context
from cleanhours_plugins.meters.site_watts import (
    ANY_TYPE,
    KEYS,
    Table,
    cpu_power,
    exact,
    gpu_power,
    power,
    read_table,
)
from cleanhours_plugins.meters.spreading import length, spread

log = logging.getLogger(__name__)

MOST_W_PER_NODE: Final = 1e5
"""On the mean: a node of eight of the largest GPUs draws a seventh of it."""
_SAMPLED: Final = timedelta(seconds=60)
"""A node's power is read this seldom: a run that was shorter may be given what was drawn since the reading before it."""

_COUNTS: Final[Mapping[str, tuple[Component, ...]]] = {
    "whole": (Component.WHOLE,),
    "cpu": (Component.CPU, Component.MEMORY),
    "gpu": (Component.GPU,),
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A segment of a job's running: when, where, and of which run of the job."""

    start: datetime
    end: datetime
    location: str
    run: int

    @property
    def seconds(self) -> Fraction:
        return Fraction((self.end - self.start) // MICROSECOND, 1_000_000)


@dataclass(slots=True)
class SlurmMeter:
    """Reads a run's usage; asks nobody. `places` are the tables of locations, which stand over `table`."""

    table: Table = field(default_factory=Table)
    places: Mapping[str, Table] = field(default_factory=dict)
    counts: str = "whole"
    name: str = "slurm"
    _said: set[tuple[RunKey, int]] = field(default_factory=set)

    def energy(self, run: FinishedRun) -> EnergyProfile:
        stretches = list(_stretches(run))
        if not stretches or not any(f"slurm_cpus.{part.run}" in run.usage for part in stretches):
            return EnergyProfile(coverage=0.0)
        counted, share = self._counted(run, stretches)
        model = {component: slices for component, slices in self._modelled(run, stretches) if slices}
        # what Slurm saw too little of gives way to the model, where there is one for all of it
        if not counted or (share < ENOUGH and self._needed(run, stretches) <= set(model)):
            counted, share = [], 1.0 if model else 0.0
        taken = {part.component for part in counted}
        rest = () if Component.WHOLE in taken else [c for c in model if c not in taken]
        modelled = [part for component in rest for part in model[component]]
        ceiling = Component.GPU in rest or (Component.CPU in rest and self._assumes_busy(run, stretches))
        return EnergyProfile((*counted, *modelled), share, upper_estimate=ceiling)

    def _counted(self, run: FinishedRun, stretches: Sequence[Stretch]) -> tuple[list[EnergySlice], float]:
        """What Slurm counted, each run's energy over its own stretches, and the share of the running time it is of."""
        slices: list[EnergySlice] = []
        seen = timedelta(0)
        for number in dict.fromkeys(part.run for part in stretches):
            spans = [(part.start, part.end) for part in stretches if part.run == number]
            joules = self._joules(run, number, length(spans))
            if joules is None:
                continue
            seen += length(spans)
            first, *others = _COUNTS[self.counts]
            name = self._marked(run, number)
            slices += spread(round(joules * 1000), spans, first, Method.SLURM, name)
            for other in others:
                # its energy is in the first one's figure: said here, so that nobody adds it from a model
                slices += spread(0, spans, other, Method.SLURM, name)
        whole = length([(part.start, part.end) for part in stretches])
        return slices, seen / whole

    def _joules(self, run: FinishedRun, number: int, lasted: timedelta) -> float | None:
        """What Slurm counted of one run of the job; None where that is nothing, or more than its nodes can have drawn."""
        joules = run.usage.get(f"slurm_joules.{number}")
        nodes = max(1.0, run.usage.get(f"slurm_nodes.{number}", 1.0))
        most = MOST_W_PER_NODE * nodes * max(lasted, _SAMPLED).total_seconds()
        if joules is None or 0 <= joules <= most:
            return joules
        if (run.key, number) not in self._said:  # a run is asked for again while another meter is waited for
            self._said.add((run.key, number))
            log.warning(
                "energy not believed meter=%s run=%s joules=%g most=%g: more than %g W of each of %g nodes",
                self.name,
                run.name,
                joules,
                most,
                MOST_W_PER_NODE,
                nodes,
            )
        return None

    def _marked(self, run: FinishedRun, number: int) -> str:
        marks = (mark for mark in ("shared", "estimated") if run.usage.get(f"slurm_{mark}.{number}"))
        return "/".join((self.name, *marks))

    def _needed(self, run: FinishedRun, stretches: Sequence[Stretch]) -> set[Component]:
        """What a model must know to take the place of what Slurm counted only for a part of the time."""
        if self.counts != "whole":
            return {_COUNTS[self.counts][0]}
        gpus = any(run.usage.get(f"slurm_gpus.{part.run}") for part in stretches)
        return {Component.CPU, Component.GPU} if gpus else {Component.CPU}

    def _modelled(
        self, run: FinishedRun, stretches: Sequence[Stretch]
    ) -> Iterator[tuple[Component, list[EnergySlice]]]:
        """Each component that the table knows all along: half of the GPUs would pass for all of them."""
        used = _used(run, stretches)
        drawn = [self._watts(run, part, used.get(part.run)) for part in stretches]
        memory_too = all(watts[Component.CPU] is not None for watts in drawn)
        for component in (Component.CPU, Component.MEMORY, Component.GPU):
            if component is Component.MEMORY and not memory_too:
                continue  # memory alone is not the job, and would keep declared watts out
            known = [watts[component] for watts in drawn]
            slices = [
                self._slice(part, component, watts)
                for part, watts in zip(stretches, known, strict=True)
                if watts
            ]
            yield component, slices if None not in known else []

    def _watts(
        self, run: FinishedRun, part: Stretch, used: Fraction | None
    ) -> dict[Component, Fraction | None]:
        """What was held on a stretch draws by the table of its location; None where that is not known."""
        table = self._table(part)
        cpus = run.usage.get(f"slurm_cpus.{part.run}")
        gigabytes = run.usage.get(f"slurm_memory_bytes.{part.run}", 0.0) / 1e9
        return {
            Component.CPU: None if cpus is None else cpu_power(cpus, used, table.cpu),
            Component.MEMORY: power(gigabytes, table.memory_w_per_gb),
            Component.GPU: gpu_power(_gpu_counts(run.usage, part.run), table.gpu_w),
        }

    def _assumes_busy(self, run: FinishedRun, stretches: Sequence[Stretch]) -> bool:
        used = _used(run, stretches)
        tables = [(part, self._table(part).cpu) for part in stretches]
        return any(cpu is not None and cpu.is_ceiling(used.get(part.run)) for part, cpu in tables)

    def _table(self, part: Stretch) -> Table:
        return self.places.get(part.location, Table()).over(self.table)

    def _slice(self, part: Stretch, component: Component, watts: Fraction) -> EnergySlice:
        millijoules = round(watts * 1000 * part.seconds)
        return EnergySlice(part.start, part.end, component, millijoules, Method.MODELLED, self.name)


def _stretches(run: FinishedRun) -> Iterator[Stretch]:
    for index, segment in enumerate(run.segments):
        end = segment.end or run.finished_at
        told = segment.handles[1] if len(segment.handles) > 1 else ""
        if segment.start < end:
            number = int(told) if told.isascii() and told.isdigit() else index
            yield Stretch(segment.start, end, segment.location, number)


def _used(run: FinishedRun, stretches: Sequence[Stretch]) -> dict[int, Fraction]:
    """The share of their CPUs' time that runs worked, by number; a run is missing where that is not known."""
    seconds: dict[int, Fraction] = {}
    for part in stretches:
        seconds[part.run] = seconds.get(part.run, Fraction(0)) + part.seconds
    found: dict[int, Fraction] = {}
    for number, whole in seconds.items():
        cpus = run.usage.get(f"slurm_cpus.{number}")
        worked = run.usage.get(f"slurm_cpu_seconds.{number}")
        if cpus and worked:  # 0 is how Slurm says that it did not look
            found[number] = exact(worked) / (exact(cpus) * whole)
    return found


def _gpu_counts(usage: Mapping[str, float], number: int) -> dict[str, float]:
    start = f"slurm_gpus.{number}."
    typed = {name[len(start) :]: count for name, count in usage.items() if name.startswith(start)}
    return {**typed, ANY_TYPE: max(0.0, usage.get(f"slurm_gpus.{number}", 0.0) - sum(typed.values()))}


def build(settings: Mapping[str, Any], context: Context) -> SlurmMeter:
    """The meter; an empty table leaves Slurm's own energy. Raises ConfigurationError naming every fault.

    `counts`, `cpu_watts` (a number, or `idle` and `busy`), `gpu_watts` (a number, the name of a device, or a table of these by
    type with `"*"` for all others), `memory_watts_per_gb`, and `[meters.slurm.locations.NAME]` with what is other there.
    """
    faults: list[str] = []
    places = settings.get("locations", {})
    usual = {name: value for name, value in settings.items() if name not in ("counts", "locations")}
    table = read_table("slurm", usual, (*KEYS, "counts", "locations"), faults)
    counts = settings.get("counts", "whole")
    if not isinstance(counts, str) or counts not in _COUNTS:
        faults.append(f"meters.slurm.counts: found {counts!r}, accepted: one of {', '.join(_COUNTS)}")
    if not isinstance(places, Mapping) or not all(isinstance(one, Mapping) for one in places.values()):
        faults.append("meters.slurm.locations: accepted: tables, [meters.slurm.locations.NAME]")
        places = {}
    for name in places:
        if name not in context.locations:
            known = ", ".join(context.locations) or "none"
            faults.append(f"meters.slurm.locations.{name}: no such location; configured: {known}")
    own = {name: read_table(f"slurm.locations.{name}", one, KEYS, faults) for name, one in places.items()}
    if faults:
        raise ConfigurationError("; ".join(faults))
    return SlurmMeter(table, own, counts)
