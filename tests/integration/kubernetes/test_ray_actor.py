"""KubeRay as the adapter meets it: what it does with RayJobs that others suspend, place and resume. No word of cleanhours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.kubernetes.actors.objects import REGION, pod_template, pods_of
from tests.integration.kubernetes.actors.server import Object
from tests.integration.kubernetes.actors.stage import (
    KUBERAY,
    PLAYED,
    REAL,
    Play,
    Stage,
    stage,
    theatre,
    wait_for,
)
from tests.integration.kubernetes.control_plane import ControlPlane

pytestmark = pytest.mark.integration

API = "ray.io/v1"


@pytest.fixture(scope="module", params=[PLAYED, REAL])
def ray_theatre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Play, str, ControlPlane]]:
    shared = lambda: request.getfixturevalue("control_plane")  # noqa: E731 - only where it is used
    with theatre(KUBERAY, request.param, shared, tmp_path_factory.mktemp("kuberay")) as plane:
        yield KUBERAY, request.param, plane


@pytest.fixture
def ray_jobs(ray_theatre: tuple[Play, str, ControlPlane]) -> Iterator[Stage]:
    with stage(*ray_theatre) as found:
        yield found


def create(on: Stage, run_for: str = "60s", **spec: Any) -> str:
    workers = {"groupName": "w", "replicas": 2, "template": pod_template()}
    cluster = {"headGroupSpec": {"template": pod_template(run_for)}, "workerGroupSpecs": [workers]}
    whole = {"suspend": True, "shutdownAfterJobFinishes": True, "rayClusterSpec": cluster, **spec}
    body = {"apiVersion": API, "kind": "RayJob", "metadata": {"name": "ray"}, "spec": whole}
    on.server.create(on.path(API, "rayjobs"), body)
    return on.path(API, "rayjobs", "ray")


def until(on: Stage, path: str, state: str) -> Object:
    return wait_for(
        lambda: (
            found
            if (found := on.server.get(path)).get("status", {}).get("jobDeploymentStatus") == state
            else None
        )
    )


def test_one_that_is_created_suspended_gets_no_pods_though_a_start_time(ray_jobs: Stage) -> None:
    found = until(ray_jobs, create(ray_jobs), "Suspended")
    assert found["status"]["startTime"]
    assert [] == pods_of(ray_jobs)


def test_resumed_it_gets_a_cluster_from_its_spec_as_it_is_then(ray_jobs: Stage) -> None:
    path = create(ray_jobs)
    cluster = until(ray_jobs, path, "Suspended")["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        group["template"]["spec"]["nodeSelector"] = {REGION: "fr"}
    ray_jobs.server.patch(path, {"spec": {"suspend": False, "rayClusterSpec": cluster}})
    found = until(ray_jobs, path, "Running")
    name = found["status"]["rayClusterName"]
    pods = pods_of(ray_jobs, **{"ray.io/cluster": name})
    assert ["fr-1"] * 3 == [pod["spec"]["nodeName"] for pod in pods]


def test_suspending_it_deletes_its_cluster_first(ray_jobs: Stage) -> None:
    path = create(ray_jobs, suspend=False)
    first = until(ray_jobs, path, "Running")["status"]["rayClusterName"]
    ray_jobs.server.patch(path, {"spec": {"suspend": True}})
    found = until(ray_jobs, path, "Suspended")
    assert [] == pods_of(ray_jobs)
    assert not found["status"].get("rayClusterName")
    ray_jobs.server.patch(path, {"spec": {"suspend": False}})
    assert first != until(ray_jobs, path, "Running")["status"]["rayClusterName"]


def test_one_whose_cluster_outlives_it_cannot_be_suspended(ray_jobs: Stage) -> None:
    until(ray_jobs, create(ray_jobs, shutdownAfterJobFinishes=False), "ValidationFailed")


def test_its_end_is_dated_and_a_suspension_after_it_changes_nothing(ray_jobs: Stage) -> None:
    path = create(ray_jobs, "1s", suspend=False)
    found = until(ray_jobs, path, "Complete")
    assert ("SUCCEEDED", True) == (found["status"]["jobStatus"], bool(found["status"]["endTime"]))
    ray_jobs.server.patch(path, {"spec": {"suspend": True}})
    wait_for(lambda: not pods_of(ray_jobs))
    assert "Complete" == ray_jobs.server.get(path)["status"]["jobDeploymentStatus"]
