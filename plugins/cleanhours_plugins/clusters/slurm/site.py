"""What a Slurm site is like: its nodes, how long a requeued job must wait, and how long starts queue. Asked seldom."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.locations import Room
from cleanhours.domain.resources import Booking, Capacity
from cleanhours.domain.times import instant_of
from cleanhours_plugins.clusters.slurm.asking import Seen, read_gpus
from cleanhours_plugins.clusters.slurm.calling import Slurm
from cleanhours_plugins.clusters.slurm.demands import demand_of
from cleanhours_plugins.clusters.slurm.fitting import GONE
from cleanhours_plugins.clusters.slurm.jobs import Known
from cleanhours_plugins.clusters.slurm.places import Places

SELDOM_S: Final = 600.0
USUAL_DELAY_S: Final = 121
"""cred_expire (120 s) and a second: so long Slurm starts no requeued job (seen on 22.05; slurmctld's job_mgr.c)."""
USUAL_KILL_WAIT_S: Final = 30
HOLDS_NODES: Final = frozenset({"RUNNING", "CONFIGURING", "COMPLETING"})
_FIELD: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Node:
    """One node, with what it has in all. `up`: it takes jobs."""

    name: str
    partitions: frozenset[str]
    features: frozenset[str]
    cpus: int
    memory_bytes: int
    gpus: int
    up: bool = True


@dataclass(slots=True)
class Site:
    """Asks `sinfo` and `scontrol show config` every ten minutes at most. Until they answer, Slurm's own defaults hold."""

    slurm: Slurm
    nodes: tuple[Node, ...] = ()
    usual_partition: str = ""
    requeue_delay_s: int = USUAL_DELAY_S
    kill_wait_s: int = USUAL_KILL_WAIT_S
    queues: Mapping[str, timedelta] = field(default_factory=dict)
    _asked_at_s: float = float("-inf")

    @property
    def requeue_time(self) -> timedelta:
        """From the word to requeue until Slurm may start the job again, at most."""
        return timedelta(seconds=self.requeue_delay_s + self.kill_wait_s)

    @property
    def node_cpus(self) -> dict[str, int]:
        """Of each node by name."""
        return {node.name: node.cpus for node in self.nodes}

    @property
    def has_gpus(self) -> bool:
        return any(node.gpus for node in self.nodes)

    def refresh(self, now: int) -> None:
        """Asks again what may have changed, now and then. Keeps what it knew where nobody answers."""
        if time.monotonic() - self._asked_at_s < SELDOM_S:
            return
        self._asked_at_s = time.monotonic()
        with suppress(CleanhoursError):
            answer = self.slurm.ask("sinfo", *nodes_question())
            self.nodes, self.usual_partition = read_nodes(answer)
            self.requeue_delay_s, self.kill_wait_s = read_delays(self.slurm.ask("scontrol", "show", "config"))
            self.queues = read_queues(self.slurm.ask("squeue", *queues_question()), now)

    def rooms(
        self, places: Places, queue: Iterable[Seen], ours: Mapping[str, Known], now: datetime
    ) -> dict[str, Room]:
        """What each location has, and what jobs that are not ours take of it, until Slurm would end them."""
        mine = {known.seen.id for known in ours.values()}
        taken: dict[str, list[Booking]] = {}
        for seen in queue:
            if seen.id in mine or seen.state not in HOLDS_NODES or seen.start is None:
                continue
            ends = instant_of(seen.end) if seen.end is not None else now + timedelta(days=366)
            if ends > now:
                booking = Booking(min(instant_of(seen.start), now), ends, demand_of(seen))
                taken.setdefault(places.at(seen.partition, seen.features), []).append(booking)
        has = self.capacities(places)
        return {
            name: Room(replace(location, capacity=has[name]), tuple(taken.get(name, ())))
            for name, location in places.locations.items()
        }

    def capacities(self, places: Places) -> dict[str, Capacity]:
        """What each location has in all."""
        return {
            name: self._capacity(location.match, location.capacity)
            for name, location in places.locations.items()
        }

    def away(self, places: Places) -> frozenset[str]:
        """Locations where no node takes jobs now. In a federation nothing is known of those that are other clusters."""
        if places.federated:
            return frozenset()
        of_them = {
            name: [node.up for node in self.nodes if _is_of(node, location.match)]
            for name, location in places.locations.items()
        }
        return frozenset(name for name, up in of_them.items() if up and not any(up))

    def _capacity(self, match: Mapping[str, str], said: Capacity) -> Capacity:
        """Of the nodes that are this place; what the settings say goes before."""
        nodes = [node for node in self.nodes if node.up and _is_of(node, match)]
        if not nodes:
            return said
        return Capacity(
            cpu_millicores=_either(said.cpu_millicores, sum(node.cpus for node in nodes) * 1000),
            memory_bytes=said.memory_bytes,
            gpus=_either(said.gpus, sum(node.gpus for node in nodes)),
            slots=said.slots,
        )


def _either(said: int | None, found: int) -> int:
    return found if said is None else min(said, found)


def _is_of(node: Node, match: Mapping[str, str]) -> bool:
    return ("partition" not in match or match["partition"] in node.partitions) and (
        "feature" not in match or match["feature"] in node.features
    )


def nodes_question() -> list[str]:
    """The arguments of `sinfo`: a line for each node in each partition."""
    return [
        "--noheader",
        "--all",
        "--Node",
        "--noconvert",
        "--format=" + _FIELD.join(("%N", "%P", "%f", "%c", "%m", "%G", "%T")),
    ]


def read_nodes(answer: str) -> tuple[tuple[Node, ...], str]:
    """All nodes, and the partition of jobs that name none."""
    nodes: dict[str, Node] = {}
    usual = ""
    for line in answer.splitlines():
        values = line.split(_FIELD)
        if len(values) != 7 or not (values[3].isdigit() and values[4].isdigit()):
            continue
        name, partition, features, cpus, memory, gres, state = values
        if partition.endswith("*"):
            partition = usual = partition[:-1]
        known = nodes.get(name)
        before: Collection[str] = () if known is None else known.partitions
        nodes[name] = Node(
            name,
            frozenset({*before, partition}),
            frozenset(features.split(",")),
            int(cpus),
            int(memory) * 2**20,
            read_gpus(gres),
            not state.lower().startswith(GONE),
        )
    return tuple(nodes.values()), usual


def read_delays(config: str) -> tuple[int, int]:
    """Seconds in which a requeued job does not start, and between SIGTERM and SIGKILL."""
    delay = re.search(r"requeue_delay=(\d+)", config)
    expire = re.search(r"cred_expire=(\d+)", config)
    wait = re.search(r"KillWait\s*=\s*(\d+)", config)
    if delay is not None:
        seconds = int(delay[1])
    else:
        seconds = int(expire[1]) + 1 if expire is not None else USUAL_DELAY_S
    return seconds, int(wait[1]) if wait is not None else USUAL_KILL_WAIT_S


def queues_question() -> list[str]:
    """The arguments of `squeue`: what waits for room, and when Slurm expects to start it."""
    return ["--noheader", "--all", "--start", "--format=" + _FIELD.join(("%P", "%r", "%S"))]


def read_queues(answer: str, now: int) -> dict[str, timedelta]:
    """By partition, how long from now half of what waits for room is expected to have started.

    The last may wait for a year, behind a job without a limit, and would leave nobody any slack.
    """
    waits: dict[str, list[int]] = {}
    for line in answer.splitlines():
        values = line.split(_FIELD)
        if len(values) == 3 and values[1] in {"Resources", "Priority"} and values[2].isdigit():
            for partition in values[0].split(","):
                waits.setdefault(partition, []).append(int(values[2]) - now)
    expected = {partition: sorted(found)[len(found) // 2] for partition, found in waits.items()}
    return {partition: timedelta(seconds=wait) for partition, wait in expected.items() if wait > 0}
