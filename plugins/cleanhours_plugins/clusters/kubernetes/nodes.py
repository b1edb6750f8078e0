"""Nodes: what is kept of a node, and whether one could take a Pod. Pure; nodes of one pool share what they have in common."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cleanhours.domain.resources import Demand
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object, condition
from cleanhours_plugins.clusters.kubernetes.records import demand_of

HOSTNAME: Final = "kubernetes.io/hostname"
_CONTROL_PLANE: Final = frozenset({"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"})
_KEEPING_AWAY: Final = frozenset({"NoSchedule", "NoExecute"})
_NONE: Final[Mapping[str, Any]] = {}


class Taint(NamedTuple):
    """A taint that keeps Pods away; those that merely discourage are not kept."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What many nodes have in common; one value for all of them, told apart by identity.

    `labels` are all but the host name. `allocatable` is for Pods, what the system keeps for itself not counted (its
    `slots` say nothing). `usable`: ready, and not cordoned.
    """

    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Demand
    ready: bool
    unschedulable: bool

    @property
    def usable(self) -> bool:
        """Whether new Pods may come at all."""
        return self.ready and not self.unschedulable

    @property
    def counted(self) -> bool:
        """Whether it is room for jobs: the servers of the control plane are none (kubeadm taints them)."""
        return self.usable and not any(taint.key in _CONTROL_PLANE for taint in self.taints)


class NodeRecord(NamedTuple):
    """One node."""

    name: str
    hostname: str
    pool: Pool

    def label(self, key: str) -> str | None:
        """The value of one of its labels, None without."""
        return (self.hostname or None) if key == HOSTNAME else self.pool.labels.get(key)


def read_node(obj: Object) -> NodeRecord:
    """The record of a `v1` Node."""
    meta, spec, status = obj["metadata"], obj.get("spec") or _NONE, obj.get("status") or _NONE
    labels = meta.get("labels") or _NONE
    shared = {
        "labels": {key: value for key, value in labels.items() if key != HOSTNAME},
        "taints": [
            (taint["key"], taint.get("value") or "", taint["effect"])
            for taint in spec.get("taints") or ()
            if taint.get("effect") in _KEEPING_AWAY
        ],
        "allocatable": _amounts(status.get("allocatable") or _NONE),
        "ready": condition(status, "Ready") is not None,
        "unschedulable": bool(spec.get("unschedulable")),
    }
    name = sys.intern(meta["name"])
    return NodeRecord(name, labels.get(HOSTNAME, ""), _pool(json.dumps(shared, sort_keys=True)))


def _amounts(allocatable: Mapping[str, Any]) -> tuple[int, int, int]:
    """The same reading as of what Pods ask for."""
    found = demand_of({"containers": [{"resources": {"requests": allocatable}}]})
    return found.cpu_millicores, found.memory_bytes, found.gpus


@lru_cache(maxsize=8192)
def _pool(parts: str) -> Pool:
    shared = json.loads(parts)
    cpu, memory, gpus = shared["allocatable"]
    return Pool(
        labels={sys.intern(key): sys.intern(value) for key, value in shared["labels"].items()},
        taints=tuple(Taint(*taint) for taint in shared["taints"]),
        allocatable=Demand(cpu, memory, gpus, slots=0),
        ready=shared["ready"],
        unschedulable=shared["unschedulable"],
    )
