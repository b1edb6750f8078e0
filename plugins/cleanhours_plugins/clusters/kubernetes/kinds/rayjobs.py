"""RayJob (`ray.io`): a Ray cluster that is made for one job, and taken down while it is suspended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind, Object, at
from cleanhours_plugins.clusters.kubernetes.quantities import instant
from cleanhours_plugins.clusters.kubernetes.records import Activity, Outcome, Path

CLUSTER: Final = ("spec", "rayClusterSpec")
AT_REST: Final = frozenset({"", "Suspended", "ValidationFailed", "Complete", "Failed"})
"""Deployment states without a Ray cluster of its own, or without one that matters any more."""


def _templates(ray_job: Object) -> Iterator[tuple[Path, int]]:
    """The head, the groups of workers, and the submitter where its template is given (KubeRay's own default runs anywhere).

    A group that scales by itself counts with what it starts with; a replica may consist of several hosts.
    """
    yield (*CLUSTER, "headGroupSpec", "template"), 1
    for index, group in enumerate(at(ray_job, (*CLUSTER, "workerGroupSpecs"), ())):
        replicas = group.get("replicas")
        if replicas is None:
            replicas = group.get("minReplicas") or 0
        yield (*CLUSTER, "workerGroupSpecs", index, "template"), replicas * (group.get("numOfHosts") or 1)
    if at(ray_job, ("spec", "submitterPodTemplate")):
        yield ("spec", "submitterPodTemplate"), 1


def _activity(ray_job: Object) -> Activity:
    """By `jobDeploymentStatus`; `Suspended` follows `Suspending` once the Ray cluster is deleted. It bears no time.

    A job that is suspended at creation passes through `Initializing` and gets a start time all the same.
    """
    status = ray_job.get("status") or {}
    deployment = status.get("jobDeploymentStatus") or ""
    rests = deployment in AT_REST
    held = at(ray_job, ("spec", "suspend")) is True and deployment not in ("Complete", "Failed")
    at_no_time = held or deployment in ("", "Suspended", "ValidationFailed")
    return Activity(
        active=0 if rests or deployment == "Suspending" else 1,
        terminating=1 if deployment == "Suspending" else 0,
        started_at=None if at_no_time else instant(status.get("startTime")),
        stopped_at=_last_status_write(ray_job) if deployment == "Suspended" else None,
        outcome=_outcome(status, deployment),
    )


def _last_status_write(ray_job: Object) -> datetime | None:
    """A suspended RayJob's status is written last when it becomes so; the API server notes when. Else its creation."""
    meta = ray_job["metadata"]
    times = [
        entry["time"]
        for entry in meta.get("managedFields") or ()
        if entry.get("subresource") == "status" and entry.get("time")
    ]
    return instant(max(times, default=meta["creationTimestamp"]))


def _outcome(status: Mapping[str, object], deployment: str) -> Outcome | None:
    """`Complete` says that the Ray job ended, its `jobStatus` how. Retries are over when it says `Failed`."""
    when = instant(status.get("endTime") or at(status, ("rayJobInfo", "endTime")))
    if deployment not in ("Complete", "Failed") or when is None:
        return None
    if deployment == "Complete" and status.get("jobStatus") == "SUCCEEDED":
        return Outcome(JobState.SUCCEEDED, when, "")
    parts = (status.get("reason"), status.get("message"))
    return Outcome(JobState.FAILED, when, ": ".join(str(part) for part in parts if part))


def _manages(ray_job: Object) -> bool:
    """A job on somebody's cluster is not ours to stop, nor one whose cluster outlives it (KubeRay and Kueue refuse both)."""
    spec = ray_job["spec"]
    return (
        not spec.get("clusterSelector")
        and bool(spec.get("rayClusterSpec"))
        and spec.get("shutdownAfterJobFinishes") is True
        and spec.get("managedBy") in (None, "ray.io/kuberay-operator")
    )


def _pods(ray_job: Object) -> Mapping[str, str]:
    """Of the Ray cluster of this run, whose name is in the status and gone when suspended."""
    cluster = at(ray_job, ("status", "rayClusterName"), "")
    return {"ray.io/cluster": cluster} if cluster else {}


RAY_JOB: Final = Kind(
    group="ray.io",
    version="v1",
    plural="rayjobs",
    name="RayJob",
    templates=_templates,
    activity=_activity,
    manages=_manages,
    limit=("spec", "activeDeadlineSeconds"),
    pods=_pods,
    takes_affinity=True,
)
"""Suspending deletes the Ray cluster, resuming makes a new one from the spec as it is then: the job starts over, from its
own checkpoints. Only a job that is `Initializing` or `Running` is suspended; once it is over nothing happens."""
