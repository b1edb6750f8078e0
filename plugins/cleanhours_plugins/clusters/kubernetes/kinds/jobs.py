"""`batch/v1` Job: the kind that everything else is measured by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind, Object, condition, message_of
from cleanhours_plugins.clusters.kubernetes.quantities import instant
from cleanhours_plugins.clusters.kubernetes.records import Activity, Outcome, Path


def _templates(job: Object) -> Iterator[tuple[Path, int]]:
    """As many Pods at once as `parallelism` allows and `completions` still need (a work queue names none)."""
    spec = job["spec"]
    parallelism, completions = spec.get("parallelism"), spec.get("completions")
    at_once = 1 if parallelism is None else parallelism
    yield ("spec", "template"), at_once if completions is None else min(at_once, completions)


def _activity(job: Object) -> Activity:
    """`Suspended` becomes True while Pods still stop: whether it is quiet is said by the counts (KEP-2232, KEP-3939)."""
    status = job.get("status") or {}
    suspended = condition(status, "Suspended")
    return Activity(
        active=status.get("active") or 0,
        terminating=status.get("terminating") or 0,
        started_at=instant(status.get("startTime")),
        stopped_at=None if suspended is None else instant(suspended.get("lastTransitionTime")),
        outcome=_outcome(status),
    )


def _outcome(status: Object) -> Outcome | None:
    """`completionTime` comes with success only; a failure ended when its condition says so."""
    ended = condition(status, "Complete", "Failed")
    if ended is None:
        return None
    succeeded = ended["type"] == "Complete"
    at = instant((status.get("completionTime") if succeeded else None) or ended.get("lastTransitionTime"))
    if at is None:
        return None
    return Outcome(
        JobState.SUCCEEDED if succeeded else JobState.FAILED, at, "" if succeeded else message_of(ended)
    )


def _manages(job: Object) -> bool:
    """A Job that names another manager is nobody's here, but for ours (KEP-4368)."""
    return job["spec"].get("managedBy") in (None, "kubernetes.io/job-controller")


JOB: Final = Kind(
    group="batch",
    version="v1",
    plural="jobs",
    name="Job",
    templates=_templates,
    activity=_activity,
    manages=_manages,
    pods=lambda job: {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]},
    limit=("spec", "activeDeadlineSeconds"),
    takes_affinity=True,
    clears_start_time=True,
    counts_stopping=True,
)
