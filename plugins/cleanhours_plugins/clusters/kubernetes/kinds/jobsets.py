"""JobSet (`jobset.x-k8s.io`): several replicated Jobs that start and stop together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind, Object, at, condition, message_of
from cleanhours_plugins.clusters.kubernetes.quantities import instant
from cleanhours_plugins.clusters.kubernetes.records import Activity, Outcome, Path

JOBS: Final = ("spec", "replicatedJobs")
POD_TEMPLATE: Final = ("template", "spec", "template")
"""Of a replicated Job."""


def _templates(job_set: Object) -> Iterator[tuple[Path, int]]:
    """All replicated Jobs at once; where some wait for others (`dependsOn`) this is the most that it may need."""
    for index, job in enumerate(at(job_set, JOBS, ())):
        yield (*JOBS, index, *POD_TEMPLATE), pods_of(job)


def pods_of(job: Mapping[str, Any]) -> int:
    """How many Pods a replicated Job runs at once."""
    spec = at(job, ("template", "spec"), {})
    parallelism, completions = spec.get("parallelism"), spec.get("completions")
    each = 1 if parallelism is None else parallelism
    replicas = 1 if job.get("replicas") is None else job["replicas"]
    at_once: int = replicas * (each if completions is None else min(each, completions))
    return at_once


def _activity(job_set: Object) -> Activity:
    return activity_of_jobs(job_set, "replicatedJobsStatus", completed="Completed")


def activity_of_jobs(obj: Object, statuses: str, *, completed: str) -> Activity:
    """The reading of a status that counts child Jobs, and dates suspension and its end by a condition.

    There is no start time. What was suspended began when `Suspended` became False, the rest with its creation, as soon
    as a child Job shows signs of life. `active` counts Jobs with Pods, not Pods. Source: JobSet and TrainJob API.
    """
    status = obj.get("status") or {}
    jobs = status.get(statuses) or ()
    suspended = condition(status, "Suspended")
    return Activity(
        active=sum(job.get("active") or 0 for job in jobs),
        started_at=None if suspended is not None else _started(obj, status, jobs),
        stopped_at=None if suspended is None else instant(suspended.get("lastTransitionTime")),
        outcome=_outcome(status, completed),
    )


def _started(obj: Object, status: Object, jobs: Any) -> datetime | None:
    resumed = condition(status, "Suspended", is_="False")
    if resumed is not None:
        return instant(resumed.get("lastTransitionTime"))
    lives = any(job.get(count) for job in jobs for count in ("active", "ready", "succeeded", "failed"))
    return instant(obj["metadata"]["creationTimestamp"]) if lives else None


def _outcome(status: Object, completed: str) -> Outcome | None:
    ended = condition(status, completed, "Failed")
    when = None if ended is None else instant(ended.get("lastTransitionTime"))
    if ended is None or when is None:
        return None
    if ended["type"] == completed:
        return Outcome(JobState.SUCCEEDED, when, "")
    return Outcome(JobState.FAILED, when, message_of(ended))


JOB_SET: Final = Kind(
    group="jobset.x-k8s.io",
    version="v1alpha2",
    plural="jobsets",
    name="JobSet",
    templates=_templates,
    activity=_activity,
    manages=lambda o: at(o, ("spec", "managedBy")) in (None, "jobset.sigs.k8s.io/jobset-controller"),
    pods=lambda o: {"jobset.sigs.k8s.io/jobset-name": o["metadata"]["name"]},
    keeps_keys=True,
)
"""Its webhook lets labels, annotations, nodeSelector, tolerations and gates of a template change while it is suspended
before or after the write, affinity never. At each resume its controller merges the maps into the child Jobs: a key that
was removed here stays there. It clears the children's `startTime` itself."""
