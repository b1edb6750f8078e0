"""Energy of runs as Slurm counted it: ConsumedEnergyRaw by its rule, and the words in which a meter is told. Pure.

Slurm counts the energy of *nodes* over the life of a step (seen, with pm_counters at an exact 200 W a node):

    job                                   job row  .batch    .extern  steps       truth
    one node, no srun, 6 s                empty    1000-1200 -        -           1200 J
    two nodes, 14 s, two sruns            3200     2800      -        2400 + 800  5600 J
    the same, 10 s, PrologFlags=Contain   4000     2000      4000     2400        4000 J
    two jobs sharing a node, 6 s each     empty    1200 each -        -           1200 J together

So `.extern` is taken, which lives as long as the run, on all its nodes. Else the larger of the job row, which knows the steps
only, and of `.batch`, which knows one node only, times the nodes: an estimate. Parent and steps overlap and are never added.
On nodes that others could use, the part of its CPUs counts.

`FinishedRun.usage` says it to the meter `slurm` under these names, with the number of the run among those that really ran
behind a dot (`slurm_joules.0`), which is also the second handle of the run's segments:

    slurm_cpus, slurm_gpus, slurm_gpus.0.a100   what the run held, and of which type
    slurm_memory_bytes, slurm_nodes
    slurm_cpu_seconds                           absent where it is not known (`processor_time`)
    slurm_joules                                absent where nothing was measured
    slurm_shared, slurm_estimated               1.0 where the joules were split by CPUs, or are an estimate
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cleanhours_plugins.clusters.slurm.histories import Accounted, Resources, Run
from cleanhours_plugins.clusters.slurm.processor_time import cpu_seconds_of

CPUS: Final = "slurm_cpus"
GPUS: Final = "slurm_gpus"
MEMORY_BYTES: Final = "slurm_memory_bytes"
NODES: Final = "slurm_nodes"
CPU_SECONDS: Final = "slurm_cpu_seconds"
JOULES: Final = "slurm_joules"
SHARED: Final = "slurm_shared"
ESTIMATED: Final = "slurm_estimated"

_ONE_NODE_STEPS: Final = ("batch", "interactive")
"""Steps that live as long as their job, on its first node."""
_LIST: Final = re.compile(r"(?:[^,\[\]]+|\[[^\[\]]*\])+", re.ASCII)
_RANGE: Final = re.compile(r"\[([^\[\]]*)\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Energy:
    """What a run drew. `joules` None: not measured. `estimated`: no step saw all of it. `shared`: split by CPUs."""

    joules: float | None = None
    estimated: bool = False
    shared: bool = False

    @property
    def measured(self) -> bool:
        return self.joules is not None


def energy_of(run: Run, node_cpus: Mapping[str, int]) -> Energy:
    """The energy of a run, its parts together; `node_cpus` is each node's number of CPUs (`sinfo -N -o '%N %c'`).

    Not measured where one part is not, or where it ran on a node that nobody knows any more: half a run's energy, or
    that of a whole node for a part of it, would pass for all of it.
    """
    parts = [_energy_of_part(part, node_cpus) for part in run.parts if part.started is not None]
    joules = [part.joules for part in parts if part.joules is not None]
    if not parts or len(joules) < len(parts):
        return Energy()
    return Energy(sum(joules), any(part.estimated for part in parts), any(part.shared for part in parts))


def _energy_of_part(one: Accounted, node_cpus: Mapping[str, int]) -> Energy:
    joules, estimated = joules_of_nodes(one)
    names = list(hostnames(one.node_list))
    there = sum(node_cpus.get(name, 0) for name in names)
    if joules is None or not there or any(name not in node_cpus for name in names):
        return Energy()
    if one.allocated.cpus >= there:
        return Energy(float(joules), estimated)
    return Energy(joules * one.allocated.cpus / there, estimated, shared=True)


def joules_of_nodes(one: Accounted) -> tuple[int | None, bool]:
    """What an allocation's nodes drew while it ran, and whether that is an estimate. None is not measured."""
    drew = {step.name: step.joules for step in one.steps}
    extern = drew.get("extern")
    if extern is not None:
        # while a job is suspended its CPUs are others' to use
        return extern, bool(one.suspended)
    on_one_node = next((drew[name] for name in _ONE_NODE_STEPS if drew.get(name) is not None), None)
    on_all_nodes = None if on_one_node is None else on_one_node * max(one.allocated.nodes, 1)
    known = [joules for joules in (one.joules, on_all_nodes) if joules is not None]
    return (max(known), True) if known else (None, False)


def usage_of(runs: Sequence[Run], node_cpus: Mapping[str, int]) -> dict[str, float]:
    """`FinishedRun.usage` of a job's runs that really ran (`History.stretches`), in the order of its segments."""
    usage: dict[str, float] = {}
    for number, run in enumerate(runs):
        usage |= usage_held(number, [part.allocated for part in run.parts])
        worked_s = cpu_seconds_of(run)
        if worked_s is not None:
            usage[f"{CPU_SECONDS}.{number}"] = worked_s
        energy = energy_of(run, node_cpus)
        if energy.joules is not None:
            marks = {SHARED: energy.shared, ESTIMATED: energy.estimated}
            usage[f"{JOULES}.{number}"] = energy.joules
            usage |= {f"{name}.{number}": 1.0 for name, marked in marks.items() if marked}
    return usage


def usage_held(number: int, held: Sequence[Resources]) -> dict[str, float]:
    """What run `number` held, its parts together. All there is to say where Slurm keeps no accounts."""
    sums = {
        CPUS: sum(part.cpus for part in held),
        MEMORY_BYTES: sum(part.memory_bytes for part in held),
        NODES: sum(part.nodes for part in held),
        GPUS: sum(part.gpus for part in held),
    }
    usage = {f"{name}.{number}": float(count) for name, count in sums.items() if count}
    for kind, count in (typed for part in held for typed in part.gpu_types):
        name = f"{GPUS}.{number}.{kind}"
        usage[name] = usage.get(name, 0.0) + count
    return usage


def hostnames(node_list: str) -> Iterator[str]:
    """The nodes of `de[1-3,07],fr1`, in order; `r[1-2]n[1-2]` is four of them."""
    for word in _LIST.findall(node_list):
        yield from _expanded(word)


def _expanded(word: str) -> Iterator[str]:
    match = _RANGE.search(word)
    if match is None:
        yield word
        return
    for part in match[1].split(","):
        first, dash, last = part.partition("-")
        ends = (first, last) if dash else (first, first)
        if not all(end.isascii() and end.isdigit() for end in ends):
            yield from _expanded(word[: match.start()] + part + word[match.end() :])
            continue
        for index in range(int(ends[0]), int(ends[1]) + 1):
            yield from _expanded(f"{word[: match.start()]}{index:0{len(first)}d}{word[match.end() :]}")
