"""Reading: an object of the API into a slim record. Pure; what cannot be read is left out, never guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from sys import intern
from typing import Any, Final

from cleanhours.domain.jobs import RunSegment
from cleanhours.domain.plans import Plan
from cleanhours.domain.times import format_instant, parse_instant
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind, Object, at
from cleanhours_plugins.clusters.kubernetes.quantities import instant
from cleanhours_plugins.clusters.kubernetes.records import Activity, Record, pod_set_of

UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What reading an object of another shape than ours may raise."""
_OF_THE_JOB_CONTROLLER: Final = frozenset({"controller-uid", "job-name"})
"""It writes them with a prefix and, as ever, without."""
MOST_LABELS: Final = 8
"""Of an object's own labels that are kept for reports; more would be a memory leak by the back door."""


def read(kind: Kind, obj: Object, *, opted_in: bool = False, shadow: bool = False) -> Record | None:
    """The record of an object, or None when it is not ours to look at.

    Of interest is what opted in, what admission marked, and, where its namespace `opted_in` or is watched in `shadow`,
    what does not keep out. What another controller made is that controller's, but for CronJobs.
    """
    meta = obj["metadata"]
    annotations = meta.get("annotations") or {}
    mark = _mark(annotations.get(words.STATE))
    by_namespace = (opted_in or shadow) and annotations.get(words.ENABLED) != "false"
    if mark is None and not (by_namespace or words.opts_in(annotations)):
        return None
    owner = _owner(meta)
    if (owner is not None and owner[0] != "CronJob") or not kind.manages(obj):
        return None
    labels = meta.get("labels") or {}
    suspended = False if kind.suspend is None else at(obj, kind.suspend, False) is True
    limit = at(obj, kind.limit) if kind.limit else None
    return Record(
        kind=kind,
        uid=meta["uid"],
        namespace=intern(meta.get("namespace", "")),
        name=meta["name"],
        resource_version=meta["resourceVersion"],
        created=parse_instant(meta["creationTimestamp"]),
        mark=mark,
        suspended=suspended,
        gates=_gates(kind, obj, annotations),
        queue=labels.get(words.KUEUE_QUEUE, ""),
        activity=kind.activity(obj),
        words=_pairs(words.words_of(annotations)),
        plan=_plan(annotations.get(words.PLAN)),
        runs=_runs(annotations.get(words.RUNS)),
        original=_json(annotations.get(words.ORIGINAL)),
        pod_sets=tuple(
            pod_set_of(path, count, kind.template(obj, path)) for path, count in kind.templates(obj)
        ),
        limit=None if limit is None else timedelta(seconds=limit),
        owner=owner,
        labels=_pairs(_own_labels(labels))[:MOST_LABELS],
        shadow=shadow,
    )  # fmt: skip


def read_marked(kind: Kind, obj: Object, fault: str, *, shadow: bool = False) -> Record | None:
    """What is kept of an object that `read` failed on, where it bears our mark: enough to let it go. Raises as `read`."""
    meta = obj["metadata"]
    mark = _mark((meta.get("annotations") or {}).get(words.STATE))
    if mark is None:
        return None
    try:
        activity = kind.activity(obj)
    except UNREADABLE:
        activity = Activity()
    return Record(
        kind=kind,
        uid=meta["uid"],
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        resource_version=meta["resourceVersion"],
        created=parse_instant(meta["creationTimestamp"]),
        mark=mark,
        suspended=False if kind.suspend is None else at(obj, kind.suspend, False) is True,
        gates=_gates(kind, obj, meta.get("annotations") or {}),
        queue=(meta.get("labels") or {}).get(words.KUEUE_QUEUE, ""),
        activity=activity,
        words=(),
        plan=None,
        runs=(),
        original=None,
        pod_sets=(),
        limit=None,
        owner=None,
        labels=(),
        shadow=shadow,
        fault=fault,
    )


def write_runs(runs: tuple[RunSegment, ...]) -> str:
    """The annotation that `read` reads back."""
    rows = [
        {
            "attempt": number,
            "start": format_instant(run.start),
            "end": None if run.end is None else format_instant(run.end),
            "location": run.location,
            "pods": list(run.handles),
        }
        for number, run in enumerate(runs, 1)
    ]
    return json.dumps(rows, separators=(",", ":"))


def _mark(text: str | None) -> words.Mark | None:
    try:
        return None if text is None else words.Mark(text)
    except ValueError:
        return None


def _owner(meta: Mapping[str, Any]) -> tuple[str, str, str] | None:
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller"):
            return owner["kind"], owner["name"], owner["uid"]
    return None


def _gates(kind: Kind, obj: Object, annotations: Mapping[str, str]) -> tuple[str, ...]:
    """A Pod's own gates, or Kueue's list of names."""
    if kind.suspend is None:
        return tuple(gate["name"] for gate in at(obj, ("spec", "schedulingGates"), ()))
    names = (name.strip() for name in annotations.get(words.KUEUE_GATES, "").split(","))
    return tuple(name for name in names if name)


def _plan(text: str | None) -> Plan | None:
    """A plan that cannot be read (by another version, or touched by hand) is as good as none: a new one is made."""
    if text is None:
        return None
    try:
        return Plan.from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _runs(text: str | None) -> tuple[RunSegment, ...]:
    """Rows that cannot be read are left out: less is accounted then, nothing is made up."""
    rows = _json(text)
    found = []
    for row in rows if isinstance(rows, list) else ():
        try:
            pods = tuple(str(pod) for pod in row.get("pods") or ())
            found.append(
                RunSegment(parse_instant(row["start"]), instant(row.get("end")), str(row["location"]), pods)
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return tuple(found)


def _json(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def _own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The user's labels: what Kubernetes and its tools write themselves says nothing to a report."""
    return {
        key: value
        for key, value in labels.items()
        if "kubernetes.io/" not in key and "x-k8s.io/" not in key and key not in _OF_THE_JOB_CONTROLLER
    }


def _pairs(words: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """In order. Jobs of one batch share what they say alike, word for word or as a whole."""
    return _shared(tuple(_pair(word, text) for word, text in sorted(words.items())))


@lru_cache(maxsize=4096)
def _shared(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return pairs


@lru_cache(maxsize=4096)
def _pair(word: str, text: str) -> tuple[str, str]:
    return word, text
