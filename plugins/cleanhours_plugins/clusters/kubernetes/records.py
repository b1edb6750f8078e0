"""Records: what is kept of an object. Ten thousand of them must fit beside the libraries, so equal parts are shared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from cleanhours.domain.jobs import JobState, RunSegment
from cleanhours.domain.plans import Plan
from cleanhours.domain.resources import Demand
from cleanhours_plugins.clusters.kubernetes.quantities import parse_cpu, parse_quantity
from cleanhours_plugins.clusters.kubernetes.words import GATE

if TYPE_CHECKING:
    from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind
    from cleanhours_plugins.clusters.kubernetes.words import Mark

Path = tuple[str | int, ...]
"""Keys and indexes from an object's root to a part of it."""


class Outcome(NamedTuple):
    """How an object ended."""

    state: JobState
    at: datetime
    message: str


class Activity(NamedTuple):
    """What an object's status says. `stopped_at` is when its controller saw the suspension, None while it did not."""

    active: int = 0
    terminating: int = 0
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    outcome: Outcome | None = None

    @property
    def quiet(self) -> bool:
        """Whether no Pod of it runs or is still stopping."""
        return self.active == 0 and self.terminating == 0


@dataclass(frozen=True, slots=True, eq=False)
class PodSet:
    """Pods of one template. `one` is what one of them asks for; the rest is what decides where they may run. Equal templates
    share one value, so that what follows from it is worked out once.

    `selector`, `affinity` (the nodeAffinity) and `tolerations` are the template's own JSON values, read-only.
    """

    path: Path
    count: int
    one: Demand
    selector: Mapping[str, str]
    affinity: Mapping[str, Any] | None
    tolerations: tuple[Mapping[str, Any], ...]
    claims: tuple[str, ...]
    """PersistentVolumeClaims by name: a zonal volume ties the Pods to its zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One object of one kind. `words` are the owner's, without prefix; `limit` his own activeDeadlineSeconds.

    `mark` is what we did to it last, None when admission never held it. `suspended` is its spec, `activity` its status.
    `queue` is the Kueue queue it was submitted to, empty without; `gates` the names that keep a Pod from being scheduled, or
    Kueue from admitting it: ours may be among them.
    """

    kind: Kind
    uid: str
    namespace: str
    name: str
    resource_version: str
    created: datetime
    mark: Mark | None
    suspended: bool
    gates: tuple[str, ...]
    queue: str
    activity: Activity
    words: tuple[tuple[str, str], ...]
    plan: Plan | None
    runs: tuple[RunSegment, ...]
    original: Mapping[str, Any] | None
    pod_sets: tuple[PodSet, ...]
    limit: timedelta | None
    owner: tuple[str, str, str] | None
    """Kind, name and UID of the controller that made it, such as a CronJob."""
    labels: tuple[tuple[str, str], ...]
    shadow: bool = False
    fault: str = ""
    """Why the object cannot be read; then only what lets it go is here, so that it is not held for ever."""

    @property
    def gated(self) -> bool:
        """Whether our gate is still on it."""
        return GATE in self.gates

    @property
    def demand(self) -> Demand:
        """Of all its Pods together."""
        return Demand(
            cpu_millicores=sum(pods.one.cpu_millicores * pods.count for pods in self.pod_sets),
            memory_bytes=sum(pods.one.memory_bytes * pods.count for pods in self.pod_sets),
            gpus=sum(pods.one.gpus * pods.count for pods in self.pod_sets),
        )

    @property
    def path(self) -> str:
        """Of the object in the API."""
        return f"{self.kind.collection(self.namespace)}/{self.name}"


def pod_set_of(path: Path, count: int, template: Mapping[str, Any]) -> PodSet:
    """What is kept of a Pod template (`{metadata, spec}`). Jobs of one batch share one value."""
    spec = template.get("spec") or {}
    affinity = (spec.get("affinity") or {}).get("nodeAffinity")
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in spec.get("volumes") or ()
        if volume.get("persistentVolumeClaim")
    ]
    parts = (
        asked_of(spec),
        spec.get("nodeSelector") or {},
        affinity,
        spec.get("tolerations") or (),
        claims,
    )
    return _shared(path, count, json.dumps(parts, sort_keys=True))


@lru_cache(maxsize=4096)
def _shared(path: Path, count: int, parts: str) -> PodSet:
    asked, selector, affinity, tolerations, claims = json.loads(parts)
    return PodSet(path, count, demand_of(asked), selector, affinity, tuple(tolerations), tuple(claims))


def asked_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What of a Pod's spec decides `demand_of`: the same for all Pods of a template, whatever else their containers are."""
    kept: dict[str, Any] = {
        part: [{"resources": one.get("resources"), "restartPolicy": one.get("restartPolicy")} for one in spec[part]]
        for part in ("containers", "initContainers")
        if spec.get(part)
    }  # fmt: skip
    return {**kept, "overhead": spec.get("overhead")}


_GPU_SUFFIX = ".com/gpu"


def demand_of(spec: Mapping[str, Any]) -> Demand:
    """What one Pod occupies: the sum of its containers, or a bigger init container, and its overhead (KEP-753).

    A container's request stands; where it names only a limit, Kubernetes requests that. What it does not say is nothing.
    """
    together = _sum(spec.get("containers") or ())
    first = [0, 0, 0]
    sidecars = [0, 0, 0]
    for container in spec.get("initContainers") or ():
        one = _asked(container)
        if container.get("restartPolicy") == "Always":
            sidecars = [a + b for a, b in zip(sidecars, one, strict=True)]
            one = sidecars
        else:
            one = [a + b for a, b in zip(sidecars, one, strict=True)]
        first = [max(a, b) for a, b in zip(first, one, strict=True)]
    overhead = _amounts(spec.get("overhead") or {})
    cpu, memory, gpus = (
        max(a + b, c) + d for a, b, c, d in zip(together, sidecars, first, overhead, strict=True)
    )
    return Demand(cpu_millicores=cpu, memory_bytes=memory, gpus=gpus)


def _sum(containers: Any) -> list[int]:
    rows = [_asked(container) for container in containers]
    return [sum(column) for column in zip(*rows, strict=True)] if rows else [0, 0, 0]


def _asked(container: Mapping[str, Any]) -> list[int]:
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _amounts(resources: Mapping[str, Any]) -> list[int]:
    gpus = sum(int(parse_quantity(n)) for name, n in resources.items() if name.endswith(_GPU_SUFFIX))
    return [parse_cpu(resources.get("cpu", "0")), int(parse_quantity(resources.get("memory", "0"))), gpus]
