"""Bare Pods, held by a scheduling gate: they are released once, at a place chosen then, and never paused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind, Object, at, condition
from cleanhours_plugins.clusters.kubernetes.quantities import instant
from cleanhours_plugins.clusters.kubernetes.records import Activity, Outcome, Path
from cleanhours_plugins.clusters.kubernetes.words import KUEUE_QUEUE


def _templates(_: Object) -> Iterator[tuple[Path, int]]:
    """A Pod is its own template."""
    yield (), 1


def _activity(pod: Object) -> Activity:
    """It runs from the moment that its node took it on (`startTime`), a little after the scheduler named the node."""
    status = pod.get("status") or {}
    phase = status.get("phase")
    alive = phase not in ("Succeeded", "Failed") and bool(status.get("startTime"))
    stopping = alive and bool(pod["metadata"].get("deletionTimestamp"))
    return Activity(
        active=1 if alive and not stopping else 0,
        terminating=1 if stopping else 0,
        started_at=instant(status.get("startTime")),
        outcome=_outcome(status),
    )


def _outcome(status: Object) -> Outcome | None:
    """It ended with its last container; one that never ran (an eviction) with its last condition."""
    if status.get("phase") not in ("Succeeded", "Failed"):
        return None
    when = _ended(status)
    if when is None:
        return None
    if status["phase"] == "Succeeded":
        return Outcome(JobState.SUCCEEDED, when, "")
    parts = (status.get("reason"), status.get("message"))
    return Outcome(JobState.FAILED, when, ": ".join(part for part in parts if part))


def _ended(status: Object) -> datetime | None:
    finished = [
        at(container, ("state", "terminated", "finishedAt"))
        for container in status.get("containerStatuses") or ()
    ]
    instants = [found for found in map(instant, finished) if found is not None]
    if instants:
        return max(instants)
    not_ready = condition(status, "Ready", "PodScheduled", is_="False") or condition(
        status, "DisruptionTarget"
    )
    return instant((not_ready or {}).get("lastTransitionTime") or status.get("startTime"))


POD: Final = Kind(
    group="",
    version="v1",
    plural="pods",
    name="Pod",
    suspend=None,
    templates=_templates,
    activity=_activity,
    manages=lambda pod: not (pod["metadata"].get("labels") or {}).get(KUEUE_QUEUE),
    limit=("spec", "activeDeadlineSeconds"),
    pods=lambda _: {},
    takes_affinity=True,
    counts_stopping=True,
    places_once=True,
)
"""A gate can be added at creation only, and removed later. While a gate is there nodeSelector keys may be added and node
affinity narrowed, nothing changed; without one nothing (KEP-3521, KEP-3838). Kueue gates the Pods of its queues itself,
in groups: those are left to it."""
