"""A queue of Kueue on a stage, and what it makes of the Jobs that are submitted to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from tests.integration.kubernetes.actors.server import Object
from tests.integration.kubernetes.actors.stage import Stage, wait_for

REGION: Final = "topology.kubernetes.io/region"
GATED_BY: Final = "kueue.x-k8s.io/admission-gated-by"
QUEUE_NAME: Final = "kueue.x-k8s.io/queue-name"
KUEUE_API: Final = "kueue.x-k8s.io/v1beta2"


@contextmanager
def a_queue(on: Stage) -> Iterator[None]:
    """A LocalQueue `research` on a ClusterQueue with 4 CPUs in each of the flavors de, fr and pl, in this order."""
    own = on.namespace
    flavors = [f"{own}-{region}" for region in ("de", "fr", "pl")]
    for flavor in flavors:
        _create(on, "ResourceFlavor", "resourceflavors", flavor, {"nodeLabels": {REGION: flavor[-2:]}})
    quotas = [{"name": f, "resources": [{"name": "cpu", "nominalQuota": "4"}]} for f in flavors]
    groups = [{"coveredResources": ["cpu"], "flavors": quotas}]
    _create(on, "ClusterQueue", "clusterqueues", own, {"namespaceSelector": {}, "resourceGroups": groups})
    body = {"apiVersion": KUEUE_API, "kind": "LocalQueue", "metadata": {"name": "research"}}
    on.server.create(on.path(KUEUE_API, "localqueues"), {**body, "spec": {"clusterQueue": own}})
    try:
        yield
    finally:
        on.plane.kubectl("delete", "clusterqueue", own, "--wait=false", check=False)
        on.plane.kubectl("delete", "resourceflavor", *flavors, "--wait=false", check=False)


def _create(on: Stage, kind: str, plural: str, name: str, spec: Object) -> None:
    body = {"apiVersion": KUEUE_API, "kind": kind, "metadata": {"name": name}, "spec": spec}
    on.server.create(f"/apis/{KUEUE_API}/{plural}", body)


def queued_job(
    on: Stage, name: str, annotations: Mapping[str, str], *, cpus: int = 1, run_for: str = "60s"
) -> str:
    """Creates a suspended Job of the queue; returns its path."""
    container = {"name": "work", "image": "none", "resources": {"requests": {"cpu": str(cpus)}}}
    template = {
        "metadata": {"annotations": {"test/run-for": run_for}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    meta = {"name": name, "labels": {QUEUE_NAME: "research"}, "annotations": dict(annotations)}
    spec = {"suspend": True, "backoffLimit": 0, "template": template}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}
    on.server.create(on.path("batch/v1", "jobs"), body)
    return on.path("batch/v1", "jobs", name)


def workload(on: Stage, name: str = "train") -> Object:
    def look() -> Object | None:
        for one in on.server.items(on.path(KUEUE_API, "workloads")):
            if any(owner["name"] == name for owner in one["metadata"].get("ownerReferences") or ()):
                return one
        return None

    return wait_for(look)


def until(on: Stage, condition: str, status: str = "True", name: str = "train") -> Object:
    def look() -> Object | None:
        found = workload(on, name)
        told = {c["type"]: c["status"] for c in (found.get("status") or {}).get("conditions") or ()}
        return found if told.get(condition) == status else None

    return wait_for(look)


def flavor_of(on: Stage, name: str = "train") -> str:
    """The region of the flavor that it was admitted in."""
    [given] = until(on, "Admitted", name=name)["status"]["admission"]["podSetAssignments"]
    return str(given["flavors"]["cpu"])[-2:]


def reserved(on: Stage) -> dict[str, int]:
    """CPUs by region, as the ClusterQueue tells."""
    status = on.server.get(f"/apis/{KUEUE_API}/clusterqueues/{on.namespace}").get("status") or {}
    rows = status.get("flavorsReservation") or ()
    return {row["name"][-2:]: int(row["resources"][0].get("total", 0)) for row in rows}


def nodes(on: Stage) -> list[str]:
    """Of its Pods that are not being deleted."""
    pods = on.server.items(on.path("v1", "pods"))
    return [p["spec"].get("nodeName", "") for p in pods if not p["metadata"].get("deletionTimestamp")]
