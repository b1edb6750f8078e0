"""A Job as an API server tells it, and what we make of it: only what a test names differs from the usual."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cleanhours.domain.jobs import Action, Decision, JobKey
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.jobs import Nowhere, Reporting, Surroundings
from cleanhours_plugins.clusters.kubernetes.kinds import JOB, Kind
from cleanhours_plugins.clusters.kubernetes.placing import Places
from cleanhours_plugins.clusters.kubernetes.reading import read
from cleanhours_plugins.clusters.kubernetes.records import Record

REGION = "topology.kubernetes.io/region"
CREATED = datetime(2026, 3, 2, tzinfo=UTC)
PLACES = Places({"de": (REGION, "de"), "fr": (REGION, "fr"), "pl": (REGION, "pl")}, "de")
LOOSE = Places(PLACES.labels, "de", preferred=True)


def a_job(
    mark: str | None = "held",
    *,
    suspended: bool = True,
    status: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    meta: Mapping[str, Any] | None = None,
    **pod_spec: Any,
) -> dict[str, Any]:
    """A Job `train` of a container of one CPU, which may wait twelve hours."""
    written = {words.PREFIX + "max-delay": "12h", words.PREFIX + "duration": "2h", **(annotations or {})}
    if mark is not None:
        written[words.STATE] = mark
    container = {"name": "main", "resources": {"requests": {"cpu": "1"}}}
    return {
        "metadata": {
            "name": "train",
            "namespace": "team",
            "uid": "u-1",
            "resourceVersion": "7",
            "creationTimestamp": "2026-03-02T00:00:00Z",
            "annotations": written,
            **(meta or {}),
        },
        "spec": {
            "suspend": suspended,
            "parallelism": 1,
            "completions": 1,
            "template": {"spec": {"containers": [container], **pod_spec}},
        },
        "status": dict(status or {}),
    }


def record_of(obj: Mapping[str, Any], kind: Kind = JOB, **options: bool) -> Record:
    """Its record."""
    record = read(kind, obj, **options)
    assert record is not None
    return record


def offering(*locations: str) -> dict[str, str]:
    """The annotation by which an owner offers locations."""
    return {words.PREFIX + "locations": ",".join(locations)}


def word(name: str, value: str) -> dict[str, str]:
    """An annotation of the owner's."""
    return {words.PREFIX + name: value}


def suspended_since(text: str, **counts: Any) -> dict[str, Any]:
    """The status of a Job that its controller saw suspended."""
    return {
        "conditions": [{"type": "Suspended", "status": "True", "lastTransitionTime": text}],
        **counts,
    }


def reporting(
    places: Places = PLACES,
    around: Surroundings | None = None,
    defaults: Mapping[str, Mapping[str, str]] | None = None,
    *,
    shadow: bool = False,
) -> Reporting:
    """How the cluster `k8s` reports."""
    return Reporting(
        name="k8s",
        places=places,
        defaults=defaults or {},
        queue_margin=timedelta(minutes=2),
        shadow=shadow,
        around=around or Nowhere(),
    )


def a_plan(at: str = "de", start: datetime = CREATED, reason: Reason = Reason.LOWEST_WINDOW) -> Plan:
    """A plan of two hours there."""
    end = start + timedelta(hours=2)
    segments = (Segment(start, end, at, at.upper()),)
    return Plan(
        location=at,
        zone=at.upper(),
        start=start,
        end=end,
        segments=segments,
        latest_start=start + timedelta(hours=9),
        reason=reason,
    )


def a_decision(action: Action, at: str = "de", reason: Reason = Reason.LOWEST_WINDOW) -> Decision:
    """An action on `train`."""
    return Decision(JobKey("k8s", "u-1"), action, a_plan(at, reason=reason), reason)


def merged_into(target: Any, patch: Any) -> Any:
    """What a server makes of a value by a merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    whole = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            whole.pop(key, None)
        else:
            whole[key] = merged_into(whole.get(key), value)
    return whole
