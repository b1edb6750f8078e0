"""Holding: what admission changes in a new object. Pure: an object in, JSON patch operations (RFC 6902) out.

Doing it twice changes nothing more: other admission plugins may change the object after us, and then we are asked again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from cleanhours.domain.times import parse_duration
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.admission.judging import LONGEST_TEXT
from cleanhours_plugins.clusters.kubernetes.kinds import JOB, KINDS, Kind
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object, at
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD

Operation = dict[str, Any]

DEFAULT_GRACE_S: Final = 30
"""`terminationGracePeriodSeconds` of a Pod that says nothing."""
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_EXPLICIT: Final = '"podReplacementPolicy":"TerminatingOrFailed"'
_ANNOTATIONS: Final = ("metadata", "annotations")


def kind_of(group: str, version: str, name: str) -> Kind | None:
    """The row of the table of kinds, None for what cannot be held."""
    for kind in KINDS:
        if (kind.group, kind.version, kind.name) == (group, version, name):
            return kind
    return None


def ours_to_see(obj: Object) -> bool:
    """Whether nobody else is responsible: what another controller made is that controller's, but for CronJobs."""
    owners = at(obj, ("metadata", "ownerReferences"), ())
    made = any(owner.get("controller") and owner.get("kind") != "CronJob" for owner in owners)
    return not made and annotations_of(obj).get(words.ENABLED) != "false"


def annotations_of(obj: Object) -> Mapping[str, str]:
    """Its annotations; none where it has none."""
    found: Mapping[str, str] = at(obj, _ANNOTATIONS, {})
    return found


def opted_in(kind: Kind, obj: Object, *, enabled: bool) -> bool:
    """By its own annotation, or its namespace's label (`enabled`). A Pod must ask for itself: shells are Pods too."""
    return words.opts_in(annotations_of(obj)) or (enabled and kind is not POD)


def operations(kind: Kind, obj: Object, *, enabled: bool, defaults: Mapping[str, str]) -> list[Operation]:
    """What to change in an object that is `ours_to_see`; `defaults` are the words of its namespace."""
    opted = opted_in(kind, obj, enabled=enabled)
    hold = opted and _holdable(kind, obj)
    changes = [*_strip(obj, hold=hold)]
    if hold:
        changes += _hold(kind, obj)
    if opted and kind is JOB:
        changes += _make_pausable(obj, words.words_of(annotations_of(obj), defaults))
    return changes


def _holdable(kind: Kind, obj: Object) -> bool:
    """Not what the controller would not manage, what has a node, or what its owner suspended: nobody would let it go."""
    if not kind.manages(obj):
        return False
    if kind.suspend is None:
        return not at(obj, ("spec", "nodeName"))
    if _queue(obj):
        return True
    suspended = at(obj, kind.suspend, False) is True
    return not suspended or annotations_of(obj).get(words.STATE) == words.Mark.HELD


def _queue(obj: Object) -> str:
    queue: str = at(obj, ("metadata", "labels", words.KUEUE_QUEUE), "")
    return queue


def _strip(obj: Object, *, hold: bool) -> Iterator[Operation]:
    """What only we write, nobody brings along: a copied manifest, say."""
    for key in sorted(words.WRITTEN_BACK & annotations_of(obj).keys()):
        if not (hold and key == words.STATE):
            yield {"op": "remove", "path": pointer(*_ANNOTATIONS, key)}


def _hold(kind: Kind, obj: Object) -> Iterator[Operation]:
    if not annotations_of(obj):
        yield _add({}, *_ANNOTATIONS)
    yield _add(words.Mark.HELD.value, *_ANNOTATIONS, words.STATE)
    path = kind.suspend
    if _queue(obj):
        gates = annotations_of(obj).get(words.KUEUE_GATES, "")
        if words.GATE not in [name.strip() for name in gates.split(",")]:
            both = f"{gates},{words.GATE}" if gates.strip() else words.GATE
            yield _add(both, *_ANNOTATIONS, words.KUEUE_GATES)
    elif path is None:
        yield from _gate(obj)
    else:
        if at(obj, path[:-1]) is None:
            yield _add({}, *path[:-1])
        yield _add(True, *path)


def _gate(pod: Object) -> Iterator[Operation]:
    gates = at(pod, ("spec", "schedulingGates"), [])
    if not any(gate.get("name") == words.GATE for gate in gates):
        yield _add([*gates, {"name": words.GATE}], "spec", "schedulingGates")


def _make_pausable(job: Object, told: Mapping[str, str]) -> Iterator[Operation]:
    """A Job that we may pause starts no Pod beside one that still stops (KEP-3939), and has time to checkpoint.

    The grace period cannot be changed later. An explicit TerminatingOrFailed shows in what `kubectl apply` keeps only:
    elsewhere the API server writes it itself, as its default, before anybody is asked.
    """
    if told.get("interruptible") != "true":
        return
    chosen = _EXPLICIT in annotations_of(job).get(_LAST_APPLIED, "")
    if at(job, ("spec", "podReplacementPolicy")) != "Failed" and not chosen:
        yield _add("Failed", "spec", "podReplacementPolicy")
    needed_s = _seconds(told.get("checkpoint"))
    grace = ("spec", "template", "spec", "terminationGracePeriodSeconds")
    if needed_s > at(job, grace, DEFAULT_GRACE_S) and at(job, grace[:-1]) is not None:
        yield _add(needed_s, *grace)


def _seconds(text: str | None) -> int:
    """Whole seconds; 0 for a wrong word of a namespace's defaults, which its owner cannot mend here."""
    if text is None or len(text) > LONGEST_TEXT:
        return 0
    try:
        return parse_duration(text) // timedelta(seconds=1)
    except ValueError:
        return 0


def _add(value: Any, *path: str | int) -> Operation:
    return {"op": "add", "path": pointer(*path), "value": value}


def pointer(*keys: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def encoded(changes: list[Operation]) -> bytes:
    """As an AdmissionReview carries it, before base64."""
    return json.dumps(changes, separators=(",", ":")).encode()
