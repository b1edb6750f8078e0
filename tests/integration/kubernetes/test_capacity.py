"""Capacity by real nodes and Pods, and where Pods could run as the real scheduler has it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.locations import Location, Room
from cleanhours_plugins.clusters.kubernetes.api import Api, connect
from cleanhours_plugins.clusters.kubernetes.nodes import NodeRecord, read_node
from cleanhours_plugins.clusters.kubernetes.pods import OCCUPYING, PodRecord, read_pod
from cleanhours_plugins.clusters.kubernetes.records import pod_set_of
from cleanhours_plugins.clusters.kubernetes.rooms import rooms_of
from cleanhours_plugins.clusters.kubernetes.siting import possible_locations
from cleanhours_plugins.clusters.kubernetes.topology import REGION_LABEL
from tests.integration.kubernetes.conftest import ControlPlane, started_control_plane
from tests.integration.kubernetes.worlds import wait

pytestmark = pytest.mark.integration

LOCATIONS = {name: Location(name, name.upper()) for name in ("de", "fr", "pl", "es")}
GI = 2**30


@pytest.fixture(scope="module")
def lands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster whose nodes we may change: two in each region.

    de-1 has fast disks and many of them, fr-1 is for those that tolerate it, fr-2 is cordoned, pl-1 is small.
    """
    folder = tmp_path_factory.mktemp("lands")
    with started_control_plane(folder, "-n", "2", "-q", "500") as plane:
        plane.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
        plane.kubectl("label", "node", "de-1", "disk=fast", "disks=12")
        plane.kubectl("taint", "node", "fr-1", "reserved=research:NoSchedule")
        plane.kubectl("cordon", "fr-2")
        small = {"status": {"allocatable": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "0"}}}
        plane.kubectl(
            "patch", "node", "pl-1", "--subresource=status", "--type=merge", "-p", json.dumps(small)
        )
        yield plane


def nodes_of(api: Api) -> list[NodeRecord]:
    return [read_node(node) for page in api.pages("/api/v1/nodes") for node in page.items]


def pods_of(api: Api) -> list[PodRecord]:
    pages = api.pages("/api/v1/pods", {"fieldSelector": OCCUPYING})
    found = (read_pod(pod) for page in pages for pod in page.items)
    return [pod for pod in found if pod is not None]


def rooms(plane: ControlPlane, *ours: str) -> dict[str, Room]:
    api = connect(plane.kubeconfig)
    return rooms_of(nodes_of(api), pods_of(api), ours, LOCATIONS, REGION_LABEL, SystemClock().now())


def test_locations_hold_what_their_usable_nodes_offer(lands: ControlPlane) -> None:
    found = {name: room.location.capacity for name, room in rooms(lands).items()}
    assert (64_000, 512 * GI, 16) == found["de"].limits()[:3]
    assert (32_000, 256 * GI, 8) == found["fr"].limits()[:3], "one of two is cordoned"
    assert (36_000, 264 * GI, 8) == found["pl"].limits()[:3], "one of two is small"
    assert (None, None, None) == found["es"].limits()[:3], "no node, no limit"


def test_running_pods_of_others_are_others_and_ours_are_not(lands: ControlPlane) -> None:
    template = {
        "metadata": {"annotations": {"test/run-for": "1h"}},
        "spec": {
            "restartPolicy": "Never",
            "nodeSelector": {REGION_LABEL: "de"},
            "containers": [{"name": "c", "image": "none", "resources": {"requests": {"cpu": "3"}}}],
        },
    }
    meta = {"name": "busy", "namespace": "default"}
    spec = {"parallelism": 2, "completions": 2, "template": template}
    lands.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
    try:
        wait(lambda: len(running(lands)) == 2)
        uid = lands.get("job", "busy")["metadata"]["uid"]
        assert 6_000 == sum(one.demand.cpu_millicores for one in rooms(lands)["de"].others)
        assert () == rooms(lands, uid)["de"].others
        assert () == rooms(lands)["pl"].others
    finally:
        lands.kubectl("delete", "job", "busy")
    wait(lambda: not rooms(lands)["de"].others)


def running(plane: ControlPlane) -> list[Any]:
    found = plane.get("pods", "-l", "job-name=busy")["items"]
    return [pod for pod in found if pod["status"]["phase"] == "Running"]


def required(*terms: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}
            }
        }
    }


def where(key: str, operator: str, *values: str) -> dict[str, Any]:
    rows: dict[str, Any] = {"key": key, "operator": operator}
    return {"matchExpressions": [{**rows, "values": list(values)} if values else rows]}


def asking(**requests: str) -> dict[str, Any]:
    amounts = {name.replace("gpu", "nvidia.com/gpu"): amount for name, amount in requests.items()}
    return {
        "containers": [{"name": "c", "image": "none", "resources": {"requests": amounts, "limits": amounts}}]
    }


RESERVED = {"key": "reserved", "operator": "Equal", "value": "research", "effect": "NoSchedule"}
CASES: dict[str, dict[str, Any]] = {
    "anything": {},
    "fast": {"nodeSelector": {"disk": "fast"}},
    "nowhere": {"nodeSelector": {"disk": "holographic"}},
    "in": required(where("disk", "In", "fast", "faster")),
    "not-in": required(where("disk", "NotIn", "fast")),
    "exists": required(where("disk", "Exists")),
    "does-not-exist": required(where("disks", "DoesNotExist")),
    "more": required(where("disks", "Gt", "11")),
    "not-more": required(where("disks", "Gt", "12")),
    "fewer": required(where("disks", "Lt", "13")),
    "either": required(where("disk", "Exists"), where(REGION_LABEL, "In", "pl")),
    "both": required(
        {"matchExpressions": [where("disk", "Exists")["matchExpressions"][0], {"key": "disks", "operator": "Lt", "values": ["3"]}]}
    ),
    "by-name": required({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["pl-2"]}]}),
    "not-by-name": required({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["pl-2"]}]}),
    "tolerant": {"tolerations": [RESERVED]},
    "tolerant-of-the-key": {"tolerations": [{"key": "reserved", "operator": "Exists"}]},
    "tolerant-of-all": {"tolerations": [{"operator": "Exists"}]},
    "tolerant-of-others": {"tolerations": [{**RESERVED, "value": "teaching"}]},
    "tolerant-of-another-effect": {"tolerations": [{**RESERVED, "effect": "NoExecute"}]},
    "small": asking(cpu="1", memory="1Gi"),
    "large": asking(cpu="20", memory="16Gi"),
    "too-large": asking(cpu="33", memory="1Gi"),
    "gpus": asking(cpu="1", memory="1Gi", gpu="8"),
    "too-many-gpus": asking(cpu="1", memory="1Gi", gpu="9"),
    "large-and-small-only": {**asking(cpu="20", memory="16Gi"), **required({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["pl-1"]}]})},
}  # fmt: skip
REGIONS = ("de", "fr", "pl")


def test_pods_could_run_where_the_real_scheduler_puts_them(lands: ControlPlane) -> None:
    lands.kubectl("create", "namespace", "cases")
    lands.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "cases", "--timeout=30s")
    nodes = nodes_of(connect(lands.kubeconfig))
    ours, theirs = {}, {}
    for name, spec in CASES.items():
        whole = {"containers": [{"name": "c", "image": "none"}], **spec}
        ours[name] = possible_locations(
            [pod_set_of((), 1, {"spec": whole})], nodes, LOCATIONS, REGION_LABEL
        ) & set(REGIONS)
        theirs[name] = scheduled(lands, name, whole)
    assert theirs == ours


def scheduled(plane: ControlPlane, name: str, spec: Mapping[str, Any]) -> set[str]:
    """The regions in which a Pod found a node, each asked for by the nodeSelector that a placement writes."""
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{name}-{region}", "namespace": "cases"},
            "spec": {**spec, "nodeSelector": {**spec.get("nodeSelector", {}), REGION_LABEL: region}},
        }
        for region in REGIONS
    ]
    plane.apply(*pods)
    found: set[str] = set()
    give_up = time.monotonic() + 60
    waiting = set(REGIONS)
    while waiting:
        assert time.monotonic() < give_up, f"the scheduler says nothing of {name} in {waiting}"
        for pod in plane.get("pods", "-n", "cases")["items"]:
            case, _, region = pod["metadata"]["name"].rpartition("-")
            said = [one for one in pod["status"].get("conditions", ()) if one["type"] == "PodScheduled"]
            if case == name and said:
                waiting.discard(region)
                found |= {region} if said[0]["status"] == "True" else set()
    plane.kubectl("delete", "pods", "-n", "cases", "--all", "--force", "--grace-period=0")
    return found


def test_a_cluster_can_be_read_page_by_page(lands: ControlPlane) -> None:
    api = connect(lands.kubeconfig)
    whole = [node.name for node in nodes_of(api)]
    paged = [read_node(node).name for page in api.pages("/api/v1/nodes", limit=2) for node in page.items]
    assert sorted(whole) == sorted(paged)
