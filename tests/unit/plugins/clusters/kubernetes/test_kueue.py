"""Kueue: reading Workloads, pausing at them, and quotas as capacity per location."""

from typing import Any

import pytest

from cleanhours.domain.resources import Capacity
from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes import kueue
from tests.unit.plugins.clusters.kubernetes.objects_of_kinds import ENDED, STOPPED, says

ZONE = "topology.kubernetes.io/zone"
GI = 2**30


def workload(*conditions: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "job-train-1a2b",
            "namespace": "team",
            "uid": "w-1",
            "resourceVersion": "9",
            "ownerReferences": [{"kind": "Job", "name": "train", "uid": "u-1", "controller": True}],
            **more.pop("metadata", {}),
        },
        "spec": {"queueName": "research", **more.pop("spec", {})},
        "status": {"conditions": list(conditions), **more},
    }


def flavor(name: str, zone: str | None) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"nodeLabels": {ZONE: zone} if zone else {}}}


def local_queue(cluster_queue: str, **spec: str) -> dict[str, Any]:
    return {"metadata": {"name": "research"}, "spec": {"clusterQueue": cluster_queue, **spec}}


def cluster_queue(
    name: str,
    quotas: dict[str, dict[str, str]],
    reserved: dict[str, dict[str, str]] | None = None,
    **spec: str,
) -> dict[str, Any]:
    flavors = [
        {"name": f, "resources": [{"name": r, "nominalQuota": q} for r, q in resources.items()]}
        for f, resources in quotas.items()
    ]
    taken = [
        {"name": f, "resources": [{"name": r, "total": q} for r, q in resources.items()]}
        for f, resources in (reserved or {}).items()
    ]
    return {
        "metadata": {"name": name},
        "spec": {"resourceGroups": [{"flavors": flavors}], **spec},
        "status": {"flavorsReservation": taken},
    }


def test_the_best_version_that_is_served_is_spoken() -> None:
    both = {("kueue.x-k8s.io/v1beta1", "workloads"), ("kueue.x-k8s.io/v1beta2", "workloads")}
    assert "v1beta2" == kueue.version_of(both)
    assert "v1beta1" == kueue.version_of({("kueue.x-k8s.io/v1beta1", "workloads")})
    assert kueue.version_of({("batch/v1", "jobs")}) is None


def test_collections_are_of_the_cluster_or_of_a_namespace() -> None:
    assert "/apis/kueue.x-k8s.io/v1beta2/clusterqueues" == kueue.collection("v1beta2", kueue.CLUSTER_QUEUES)
    expected = "/apis/kueue.x-k8s.io/v1beta1/namespaces/team/workloads"
    assert expected == kueue.collection("v1beta1", kueue.WORKLOADS, "team")


def test_a_gated_workload_is_active_and_holds_nothing() -> None:
    gated = says("QuotaReserved", STOPPED, "False", reason="AdmissionGated")
    annotations = {"kueue.x-k8s.io/admission-gated-by": "cleanhours.dev/window, example.org/check"}
    found = kueue.read_workload(workload(gated, metadata={"annotations": annotations}))
    assert found is not None
    assert "u-1" == found.job_uid
    assert ("cleanhours.dev/window", "example.org/check") == found.gates
    assert (True, False, False, False) == (found.active, found.quota_reserved, found.admitted, found.finished)


def test_an_admitted_workload_names_its_flavors() -> None:
    assignments = [
        {"name": "main", "flavors": {"cpu": "green", "memory": "green"}},
        {"name": "gpu", "flavors": {"nvidia.com/gpu": "big"}},
    ]
    admitted = (says("QuotaReserved", STOPPED), says("Admitted", STOPPED))
    found = kueue.read_workload(workload(*admitted, admission={"podSetAssignments": assignments}))
    assert found is not None
    assert (True, True, ("big", "green")) == (found.quota_reserved, found.admitted, found.flavors)


def test_a_paused_workload_says_since_when() -> None:
    evicted = says("Evicted", STOPPED, reason="Deactivated")
    found = kueue.read_workload(workload(evicted, spec={"active": False}))
    assert found is not None
    assert (False, parse_instant(STOPPED)) == (found.active, found.evicted_at)


def test_one_that_runs_again_is_not_evicted() -> None:
    found = kueue.read_workload(workload(says("Evicted", STOPPED, "False")))
    assert found is not None
    assert found.evicted_at is None


@pytest.mark.parametrize(("reason", "failed"), [("FailedToStart", True), ("Succeeded", False)])
def test_a_workload_that_failed_to_start_is_told_from_one_that_is_done(reason: str, failed: bool) -> None:
    found = kueue.read_workload(workload(says("Finished", ENDED, reason=reason)))
    assert found is not None
    assert (True, failed) == (found.finished, found.failed_to_start)


def test_a_group_of_pods_is_not_one_job() -> None:
    assert kueue.read_workload(workload(metadata={"ownerReferences": [{"kind": "Pod", "uid": "p"}]})) is None


def test_a_pause_is_a_switch_of_the_workload_on_condition_that_nobody_wrote_since() -> None:
    found = kueue.read_workload(workload())
    assert found is not None
    expected = {"metadata": {"resourceVersion": "9"}, "spec": {"active": False}}
    assert expected == kueue.pausing(found)
    assert {**expected, "spec": {"active": True}} == kueue.resuming(found)


def test_what_is_reserved_is_not_left() -> None:
    queue = cluster_queue(
        "cq",
        {"north": {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "8"}, "south": {"cpu": "4"}},
        {"north": {"cpu": "2500m", "memory": "16Gi", "nvidia.com/gpu": "3"}},
    )
    left = kueue.quotas_of([queue], [local_queue("cq")], [flavor("north", "n"), flavor("south", "s")], ZONE)
    assert {
        "n": Capacity(cpu_millicores=13_500, memory_bytes=48 * GI, gpus=5),
        "s": Capacity(cpu_millicores=4_000),
    } == left


def test_queues_that_our_jobs_use_add_up_and_others_do_not_count() -> None:
    queues = [cluster_queue(name, {"north": {"cpu": "4"}}) for name in ("a", "b", "others")]
    mine = [local_queue("a"), local_queue("a"), local_queue("b")]
    left = kueue.quotas_of(queues, mine, [flavor("north", "n")], ZONE)
    assert {"n": Capacity(cpu_millicores=8_000)} == left


def test_what_one_queue_borrowed_the_others_cannot_lend_again() -> None:
    queues = [
        cluster_queue("a", {"north": {"cpu": "4"}}, {"north": {"cpu": "7"}}),
        cluster_queue("b", {"north": {"cpu": "4"}}),
    ]
    mine = [local_queue("a"), local_queue("b")]
    assert {"n": Capacity(cpu_millicores=1_000)} == kueue.quotas_of(
        queues, mine, [flavor("north", "n")], ZONE
    )
    assert {"n": Capacity(cpu_millicores=0)} == kueue.quotas_of(
        queues[:1], mine, [flavor("north", "n")], ZONE
    )


@pytest.mark.parametrize("policy", ["Hold", "HoldAndDrain"])
def test_a_stopped_queue_leaves_nothing(policy: str) -> None:
    stopped = cluster_queue("cq", {"north": {"cpu": "4"}}, stopPolicy=policy)
    assert {"n": Capacity(cpu_millicores=0)} == kueue.quotas_of(
        [stopped], [local_queue("cq")], [flavor("north", "n")], ZONE
    )
    running = cluster_queue("cq", {"north": {"cpu": "4"}}, stopPolicy="None")
    assert {} == kueue.quotas_of(
        [running], [local_queue("cq", stopPolicy=policy)], [flavor("north", "n")], ZONE
    )


def test_a_flavor_without_the_label_binds_nothing_to_a_location() -> None:
    queue = cluster_queue("cq", {"anywhere": {"cpu": "4"}})
    assert {} == kueue.quotas_of([queue], [local_queue("cq")], [flavor("anywhere", None)], ZONE)


def test_a_quota_of_pods_is_no_capacity() -> None:
    queue = cluster_queue("cq", {"north": {"pods": "10", "cpu": "1"}})
    left = kueue.quotas_of([queue], [local_queue("cq")], [flavor("north", "n")], ZONE)
    assert {"n": Capacity(cpu_millicores=1_000)} == left
