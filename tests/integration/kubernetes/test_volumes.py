"""Zonal volumes on the real API: a bound claim ties a Pod to its zone, as the real scheduler has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.locations import Location
from cleanhours_plugins.clusters.kubernetes.api import Api, connect
from cleanhours_plugins.clusters.kubernetes.nodes import read_node
from cleanhours_plugins.clusters.kubernetes.records import pod_set_of
from cleanhours_plugins.clusters.kubernetes.siting import possible_locations
from cleanhours_plugins.clusters.kubernetes.topology import REGION_LABEL, ZONE_LABEL
from cleanhours_plugins.clusters.kubernetes.volumes import Ties, Volumes
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.worlds import wait

pytestmark = pytest.mark.integration

LOCATIONS = {name: Location(name, name.upper()) for name in ("de", "fr", "pl")}


@pytest.fixture
def claims(control_plane: ControlPlane, namespace: str) -> Iterator[str]:
    """A namespace with `data`, bound in zone fr-1, `anywhere`, bound to a volume without zone, and two unbound ones."""
    late = f"late-{namespace}"
    zonal = {"matchExpressions": [{"key": ZONE_LABEL, "operator": "In", "values": ["fr-1"]}]}
    api = "storage.k8s.io/v1"
    control_plane.apply(
        {
            "apiVersion": api,
            "kind": "StorageClass",
            "metadata": {"name": late},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        volume(f"zonal-{namespace}", namespace, "data", {"required": {"nodeSelectorTerms": [zonal]}}),
        volume(f"free-{namespace}", namespace, "anywhere", None),
        claim(namespace, "data", "", f"zonal-{namespace}"),
        claim(namespace, "anywhere", "", f"free-{namespace}"),
        claim(namespace, "late", late),
        claim(namespace, "never", "no-such-class"),
    )
    try:
        for name in ("data", "anywhere"):
            bound = ("wait", "--for=jsonpath={.status.phase}=Bound", f"pvc/{name}", "-n", namespace)
            control_plane.kubectl(*bound, "--timeout=60s", timeout=90)
        yield namespace
    finally:
        volumes = (f"pv/zonal-{namespace}", f"pv/free-{namespace}", f"storageclass/{late}")
        control_plane.kubectl("delete", *volumes, "--wait=false", check=False)


def volume(name: str, namespace: str, claimed_by: str, affinity: dict[str, Any] | None) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/nowhere"},
        "storageClassName": "",
        "claimRef": {"namespace": namespace, "name": claimed_by},
    }
    if affinity is not None:
        spec["nodeAffinity"] = affinity
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def claim(namespace: str, name: str, storage_class: str, volume_name: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": storage_class,
    }
    if volume_name:
        spec["volumeName"] = volume_name
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def ties(api: Api, namespace: str, *names: str) -> Ties:
    return Volumes(api).ties(namespace, names, SystemClock().now())


def test_only_a_bound_claim_of_a_zonal_volume_ties(control_plane: ControlPlane, claims: str) -> None:
    found = ties(connect(control_plane.kubeconfig), claims, "data", "anywhere", "late", "never", "missing")
    assert ["data"] == list(found.selectors)
    assert found.known


def test_a_job_with_such_a_claim_can_run_only_there_and_the_scheduler_agrees(
    control_plane: ControlPlane, claims: str
) -> None:
    api = connect(control_plane.kubeconfig)
    mounted = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    spec = {"containers": [{"name": "c", "image": "none"}], "volumes": mounted}
    nodes = [read_node(node) for page in api.pages("/api/v1/nodes") for node in page.items]
    volumes = ties(api, claims, "data").selectors
    pods = [pod_set_of((), 1, {"spec": spec})]
    assert {"fr"} == possible_locations(pods, nodes, LOCATIONS, REGION_LABEL, volumes)
    for region, there in (("fr", "True"), ("pl", "False")):
        placed = {**spec, "nodeSelector": {REGION_LABEL: region}}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": region}, "spec": placed}
        control_plane.kubectl("create", "-n", claims, "-f", "-", input=json.dumps(body))
        wait(lambda region=region: said(control_plane, claims, region) is not None)  # type: ignore[misc]
        assert there == said(control_plane, claims, region)


def said(plane: ControlPlane, namespace: str, pod: str) -> str | None:
    conditions = plane.get("pod", pod, "-n", namespace)["status"].get("conditions", ())
    return next((one["status"] for one in conditions if one["type"] == "PodScheduled"), None)
