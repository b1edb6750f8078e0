"""Kueue: what its Workloads say of our jobs, how one is paused, and what its quotas leave per location. Pure.

`spec.suspend` of what Kueue manages belongs to Kueue: it undoes a switch of ours within seconds. Such a job is held by our
name in `kueue.x-k8s.io/admission-gated-by` (KEP-6915), placed together with a toleration that makes Kueue look again, and
paused at its Workload. Source: https://kueue.sigs.k8s.io/docs/reference/kueue.v1beta2/
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cleanhours.domain.resources import Capacity
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object, at, condition
from cleanhours_plugins.clusters.kubernetes.quantities import instant, parse_cpu, parse_quantity
from cleanhours_plugins.clusters.kubernetes.switching import Patch
from cleanhours_plugins.clusters.kubernetes.words import KUEUE_GATES

GROUP: Final = "kueue.x-k8s.io"
VERSIONS: Final = ("v1beta2", "v1beta1")
"""Best first; all that is read here is called the same in both."""
WORKLOADS: Final = "workloads"
CLUSTER_QUEUES: Final = "clusterqueues"
LOCAL_QUEUES: Final = "localqueues"
FLAVORS: Final = "resourceflavors"

_GPU_SUFFIX: Final = ".com/gpu"
_STOPPED: Final = frozenset({"Hold", "HoldAndDrain"})


def version_of(served: Container[tuple[str, str]]) -> str | None:
    """The version to speak with a server that has these (apiVersion, plural); None where there is no Kueue."""
    return next((version for version in VERSIONS if (f"{GROUP}/{version}", WORKLOADS) in served), None)


def collection(version: str, plural: str, namespace: str | None = None) -> str:
    """The API path of all objects of a kind, or of a namespace's."""
    root = f"/apis/{GROUP}/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRecord:
    """What Kueue made of one job; `job_uid` says of which. `flavors` are those that it was given, in the order of names."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    job_uid: str
    active: bool
    """False: it is evicted and not admitted again until this is undone. The switch for a pause."""
    quota_reserved: bool
    admitted: bool
    evicted_at: datetime | None
    """When Kueue stopped it last, None while it is not stopped."""
    finished: bool
    failed_to_start: bool
    """Finished without its job having run: the place that the job asks for is not in the flavor that it was given."""
    gates: tuple[str, ...]
    flavors: tuple[str, ...]


def read_workload(obj: Object) -> WorkloadRecord | None:
    """The record of a Workload; None where it is not of one job (a group of Pods)."""
    meta, status = obj["metadata"], obj.get("status") or {}
    owner = next((one for one in meta.get("ownerReferences") or () if one.get("controller")), None)
    if owner is None:
        return None
    finished, evicted = condition(status, "Finished"), condition(status, "Evicted")
    assignments = at(status, ("admission", "podSetAssignments"), ())
    gates = (meta.get("annotations") or {}).get(KUEUE_GATES, "").split(",")
    return WorkloadRecord(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        resource_version=meta["resourceVersion"],
        job_uid=owner["uid"],
        active=at(obj, ("spec", "active"), True) is True,
        quota_reserved=condition(status, "QuotaReserved") is not None,
        admitted=condition(status, "Admitted") is not None,
        evicted_at=None if evicted is None else instant(evicted.get("lastTransitionTime")),
        finished=finished is not None,
        failed_to_start=finished is not None and finished.get("reason") == "FailedToStart",
        gates=tuple(name for gate in gates if (name := gate.strip())),
        flavors=tuple(
            sorted({flavor for given in assignments for flavor in (given.get("flavors") or {}).values()})
        ),
    )


def pausing(workload: WorkloadRecord) -> Patch:
    """Evicts it and frees its quota; its job is suspended by Kueue and gets its own template back."""
    return _switched(workload, False)


def resuming(workload: WorkloadRecord) -> Patch:
    """Lets Kueue admit it again, wherever its job asks to be by then."""
    return _switched(workload, True)


def _switched(workload: WorkloadRecord, active: bool) -> Patch:
    return {"metadata": {"resourceVersion": workload.resource_version}, "spec": {"active": active}}


def quotas_of(
    cluster_queues: Iterable[Object], local_queues: Iterable[Object], flavors: Iterable[Object], label: str
) -> dict[str, Capacity]:
    """What is left of the quotas, by the value of `label` on the flavors' nodes.

    Counts the queues that `local_queues` (those of our jobs) lead to, once each; one that is stopped leaves nothing.
    What is reserved counts as taken, by our own jobs too, and so does what a queue borrowed: a cohort's unused quota is
    no promise. A resource without quota is not limited. Flavors without the label bind jobs to no location: left out.
    """
    places = {
        flavor["metadata"]["name"]: at(flavor, ("spec", "nodeLabels", label))
        for flavor in flavors
        if at(flavor, ("spec", "nodeLabels", label)) is not None
    }
    in_use = {
        at(queue, ("spec", "clusterQueue"))
        for queue in local_queues
        if at(queue, ("spec", "stopPolicy")) not in _STOPPED
    }
    left: dict[str, dict[str, int]] = {}
    for queue in cluster_queues:
        if queue["metadata"]["name"] not in in_use:
            continue
        for flavor, resource, amount in _left_in(queue):
            if flavor in places:
                of_place = left.setdefault(places[flavor], {})
                of_place[resource] = of_place.get(resource, 0) + amount
    return {place: _capacity(amounts) for place, amounts in left.items()}


def _left_in(queue: Object) -> Iterable[tuple[str, str, int]]:
    """Flavor, resource (`cpu`, `memory`, `gpu`) and what is left of it; below nothing where more was borrowed."""
    stopped = at(queue, ("spec", "stopPolicy")) in _STOPPED
    taken = {
        (used["name"], resource["name"]): resource.get("total", "0")
        for used in at(queue, ("status", "flavorsReservation"), ())
        for resource in used.get("resources") or ()
    }
    for group in at(queue, ("spec", "resourceGroups"), ()):
        for flavor in group.get("flavors") or ():
            for quota in flavor.get("resources") or ():
                name = quota["name"]
                known = "gpu" if name.endswith(_GPU_SUFFIX) else name
                if known not in ("cpu", "memory", "gpu"):
                    continue
                read = parse_cpu if known == "cpu" else parse_quantity
                free = read(quota.get("nominalQuota", "0")) - read(taken.get((flavor["name"], name), "0"))
                yield flavor["name"], known, 0 if stopped else free


def _capacity(amounts: Mapping[str, int]) -> Capacity:
    left: dict[str, Any] = {name: max(0, amount) for name, amount in amounts.items()}
    return Capacity(cpu_millicores=left.get("cpu"), memory_bytes=left.get("memory"), gpus=left.get("gpu"))
