"""RayJob: which are ours, what they ask for, and what their deployment status says."""

from typing import Any

import pytest

from cleanhours.domain.jobs import JobState
from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes.kinds.rayjobs import RAY_JOB
from cleanhours_plugins.clusters.kubernetes.reading import read
from tests.unit.plugins.clusters.kubernetes.objects_of_kinds import (
    ENDED,
    RESUMED,
    STOPPED,
    an_object,
    pod_template,
)

SPEC = {
    "shutdownAfterJobFinishes": True,
    "rayClusterSpec": {
        "headGroupSpec": {"template": pod_template("2")},
        "workerGroupSpecs": [
            {"groupName": "small", "replicas": 3, "template": pod_template("1")},
            {"groupName": "big", "minReplicas": 2, "numOfHosts": 4, "template": pod_template("8", gpus=8)},
        ],
    },
}


def ray_job(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return an_object({**SPEC, **(spec or {})}, status)


def test_its_demand_is_head_and_workers_on_all_hosts() -> None:
    record = read(RAY_JOB, ray_job())
    assert record is not None
    assert (69_000, 64) == (record.demand.cpu_millicores, record.demand.gpus)


def test_a_submitter_with_a_template_counts_too() -> None:
    record = read(RAY_JOB, ray_job({"submitterPodTemplate": pod_template("1")}))
    assert record is not None
    assert (("spec", "submitterPodTemplate"), 1) == (record.pod_sets[-1].path, record.pod_sets[-1].count)


@pytest.mark.parametrize(
    "spec",
    [
        {"shutdownAfterJobFinishes": False},
        {"clusterSelector": {"ray.io/cluster": "shared"}},
        {"managedBy": "kueue.x-k8s.io/multikueue"},
        {"rayClusterSpec": None},
    ],
    ids=["its cluster outlives it", "on another's cluster", "another manager", "no cluster"],
)
def test_what_cannot_be_suspended_is_not_ours(spec: dict[str, Any]) -> None:
    assert read(RAY_JOB, ray_job(spec)) is None


@pytest.mark.parametrize(
    ("deployment", "active", "terminating"),
    [("", 0, 0), ("Initializing", 1, 0), ("Waiting", 1, 0), ("Running", 1, 0), ("Retrying", 1, 0),
     ("Suspending", 0, 1), ("Suspended", 0, 0), ("ValidationFailed", 0, 0)],
)  # fmt: skip
def test_its_deployment_status_says_whether_it_runs(deployment: str, active: int, terminating: int) -> None:
    found = RAY_JOB.activity(ray_job(jobDeploymentStatus=deployment, startTime=RESUMED))
    assert (active, terminating) == (found.active, found.terminating)


def test_a_suspended_one_stopped_when_its_status_was_written_last() -> None:
    obj = ray_job(jobDeploymentStatus="Suspended", startTime=RESUMED)
    obj["metadata"]["managedFields"] = [
        {"manager": "kubectl", "time": ENDED},
        {"manager": "kuberay", "subresource": "status", "time": STOPPED},
    ]
    found = RAY_JOB.activity(obj)
    assert (None, parse_instant(STOPPED)) == (found.started_at, found.stopped_at)


def test_one_that_runs_has_started_and_not_stopped() -> None:
    found = RAY_JOB.activity(ray_job(jobDeploymentStatus="Running", startTime=RESUMED))
    assert (parse_instant(RESUMED), None) == (found.started_at, found.stopped_at)


@pytest.mark.parametrize("deployment", ["Initializing", "Suspending", "Suspended"])
def test_one_that_is_created_suspended_passes_through_states_and_never_started(deployment: str) -> None:
    found = RAY_JOB.activity(ray_job({"suspend": True}, jobDeploymentStatus=deployment, startTime=RESUMED))
    assert found.started_at is None


def test_complete_is_success_only_if_the_ray_job_succeeded() -> None:
    done = ray_job(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", endTime=ENDED)
    stopped = ray_job(jobDeploymentStatus="Complete", jobStatus="STOPPED", endTime=ENDED, message="stopped")
    lost = ray_job(jobDeploymentStatus="Failed", reason="AppFailed", message="exit 1", endTime=ENDED)
    assert (JobState.SUCCEEDED, parse_instant(ENDED), "") == RAY_JOB.activity(done).outcome
    assert (JobState.FAILED, parse_instant(ENDED), "stopped") == RAY_JOB.activity(stopped).outcome
    assert (JobState.FAILED, parse_instant(ENDED), "AppFailed: exit 1") == RAY_JOB.activity(lost).outcome


def test_its_pods_are_known_by_the_cluster_of_this_run() -> None:
    assert {"ray.io/cluster": "train-x1"} == RAY_JOB.pods(ray_job(rayClusterName="train-x1"))
    assert {} == RAY_JOB.pods(ray_job())
