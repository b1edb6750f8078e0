"""Plays KubeRay's RayJob controller (`ray-operator/controllers/ray/rayjob_controller.go` of ray-project/kuberay, v1.7).

The Ray cluster is its Pods; the head's end stands for the end of the Ray job.
"""

from __future__ import annotations

import copy
import secrets
from typing import Final

from tests.integration.kubernetes.actors.actor import now, owned_by
from tests.integration.kubernetes.actors.server import Object, Server

CLUSTER: Final = "ray.io/cluster"


class KubeRayActor:
    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        self._ray_jobs = f"/apis/ray.io/v1/namespaces/{namespace}/rayjobs"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    def objects(self) -> list[Object]:
        return self._server.items(self._ray_jobs)

    def reconcile(self, ray_job: Object) -> None:
        status = dict(ray_job.get("status") or {})
        cluster = status.get("rayClusterName") or ""
        pods = self._server.items(self._pods, {CLUSTER: cluster}) if cluster else []
        new = self._next(ray_job, status, pods)
        if new != status:
            version = ray_job["metadata"]["resourceVersion"]
            removed = dict.fromkeys(status.keys() - new.keys())
            body = {"metadata": {"resourceVersion": version}, "status": {**removed, **new}}
            self._server.patch(f"{self._ray_jobs}/{ray_job['metadata']['name']}/status", body)

    def _next(self, ray_job: Object, status: Object, pods: list[Object]) -> Object:
        """The state machine of Reconcile()."""
        state, suspend = status.get("jobDeploymentStatus", ""), bool(ray_job["spec"].get("suspend"))
        if _is_invalid(ray_job["spec"]):
            return {**status, "jobDeploymentStatus": "ValidationFailed", "reason": "ValidationFailed"}
        if state in ("Initializing", "Running") and suspend:
            # updateStatusToSuspendingIfNeeded(): from these two states only
            return {**status, "jobDeploymentStatus": "Suspending"}
        match state:
            case "":
                return _begun(ray_job, status)
            case "Initializing":
                return self._initialized(ray_job, status, pods)
            case "Running":
                return _finished(status, pods)
            case "Suspending":
                return self._suspended(status, pods)
            case "Suspended" if not suspend:
                return {**status, "jobDeploymentStatus": ""}
            case "Complete" | "Failed" if ray_job["spec"].get("shutdownAfterJobFinishes"):
                self._delete(pods)
        return status

    def _suspended(self, status: Object, pods: list[Object]) -> Object:
        """It goes through whatever `suspend` says by now, and waits until all is deleted."""
        self._delete(pods)
        return status if pods else {**status, "jobDeploymentStatus": "Suspended", **_CLEARED}

    def _initialized(self, ray_job: Object, status: Object, pods: list[Object]) -> Object:
        """A new Ray cluster from the spec as it is now; it runs when all its Pods do."""
        wanted = _pods_of(ray_job, status["rayClusterName"])
        there = {pod["metadata"]["name"] for pod in pods}
        for pod in wanted:
            if pod["metadata"]["name"] not in there:
                self._server.create(self._pods, pod)
        phases = [pod.get("status", {}).get("phase") for pod in pods]
        if len(pods) < len(wanted) or "Pending" in phases:
            return status
        return {**status, "jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}

    def _delete(self, pods: list[Object]) -> None:
        for pod in pods:
            if not pod["metadata"].get("deletionTimestamp"):
                self._server.delete(f"{self._pods}/{pod['metadata']['name']}")


_CLEARED: Final = {"rayClusterName": "", "jobStatus": ""}
"""Of a suspended job nothing is left in the status but when it started last."""


def _is_invalid(spec: Object) -> bool:
    """ValidateRayJobSpec(): a job whose cluster outlives it, or is another's, cannot be suspended."""
    return bool(spec.get("suspend")) and (
        not spec.get("shutdownAfterJobFinishes") or bool(spec.get("clusterSelector"))
    )


def _begun(ray_job: Object, status: Object) -> Object:
    """initRayJobStatusIfNeed(): of a suspended job too, before it is seen that it is."""
    name = f"{ray_job['metadata']['name']}-{secrets.token_hex(3)}"
    return {**status, "jobDeploymentStatus": "Initializing", "rayClusterName": name, "startTime": now()}


def _finished(status: Object, pods: list[Object]) -> Object:
    """updateRayJobStatus(): the end is dated when the deployment status becomes terminal."""
    heads = [pod for pod in pods if pod["metadata"]["labels"].get("ray.io/node-type") == "head"]
    phase = heads[0]["status"].get("phase") if heads else "Failed"
    if phase == "Succeeded":
        done = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    elif phase == "Failed":
        done = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed"}
    else:
        return status
    return {**status, **done, "endTime": now()}


def _pods_of(ray_job: Object, cluster: str) -> list[Object]:
    spec = ray_job["spec"]["rayClusterSpec"]
    groups = [("head", 1, spec["headGroupSpec"]["template"])] + [
        (group["groupName"], group.get("replicas", 0) * group.get("numOfHosts", 1), group["template"])
        for group in spec.get("workerGroupSpecs") or ()
    ]
    made = []
    for group, count, template in groups:
        for index in range(count):
            meta = copy.deepcopy(template.get("metadata") or {})
            labels = {CLUSTER: cluster, "ray.io/node-type": "head" if group == "head" else "worker"}
            meta["labels"] = {**(meta.get("labels") or {}), **labels}
            meta |= {"name": f"{cluster}-{group}-{index}", "ownerReferences": owned_by(ray_job)}
            made.append(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": meta,
                    "spec": {"restartPolicy": "Never", **template["spec"]},
                }
            )
    return made
