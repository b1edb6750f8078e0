"""Cases of admission: what one is, and the objects that it is about."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Object = dict[str, Any]
Path = tuple[str, ...]

PREFIX: Final = "cleanhours.dev/"
NOTES: Final[Path] = ("metadata", "annotations")
STATE: Final[Path] = (*NOTES, PREFIX + "state")
SUSPEND: Final[Path] = ("spec", "suspend")
RUN_POLICY: Final[Path] = ("spec", "runPolicy", "suspend")
KUEUE: Final[Path] = (*NOTES, "kueue.x-k8s.io/admission-gated-by")
GATES: Final[Path] = ("spec", "schedulingGates")
REPLACEMENT: Final[Path] = ("spec", "podReplacementPolicy")
GRACE: Final[Path] = ("spec", "template", "spec", "terminationGracePeriodSeconds")
WINDOW: Final = PREFIX + "window"

HELD: Final[Mapping[Path, Any]] = {STATE: "held", SUSPEND: True}
HELD_BY_RUN_POLICY: Final[Mapping[Path, Any]] = {STATE: "held", RUN_POLICY: True}
PAUSABLE: Final[Mapping[Path, Any]] = {**HELD, REPLACEMENT: "Failed"}
QUEUED: Final[Mapping[Path, Any]] = {STATE: "held", KUEUE: WINDOW}
UNTOUCHED: Final[Mapping[Path, Any]] = {}

DEFAULTS: Final = {"*": {}, "team": {"max-delay": "12h", "interruptible": "true", "checkpoint": "2m"}}
"""Words of jobs that do not say them; `team` is the namespace that a case with `team=True` is created in."""
LOCATIONS: Final = ("germany", "poland", "local:gpu/a.b_c-1")

CONTAINER: Final = {"name": "main", "image": "busybox"}
POD_SPEC: Final = {"containers": [CONTAINER], "restartPolicy": "Never"}
TEMPLATE: Final = {"spec": POD_SPEC}


@dataclass(frozen=True)
class Case:
    """An object, the namespace it comes to, and what must become of it.

    `denied` are the beginnings of all faults that the message names (empty: let in); `after` is everything that differs
    from the same object created where nobody looks (None: removed).
    """

    name: str
    obj: Object
    after: Mapping[Path, Any] = field(default_factory=dict)
    denied: tuple[str, ...] = ()
    label: str | None = None
    """`cleanhours.dev/enabled` of the namespace."""
    team: bool = False

    @property
    def group(self) -> str:
        group, slash, _ = str(self.obj["apiVersion"]).partition("/")
        return group if slash else ""

    @property
    def kind(self) -> str:
        return str(self.obj["kind"])

    @property
    def plural(self) -> str:
        return self.kind.lower() + "s"


def job(words: Mapping[str, str] | None = None, /, **spec: Any) -> Object:
    """A Job with annotations of ours; other annotations are given whole, with their slash."""
    notes = {word if "/" in word else PREFIX + word: text for word, text in (words or {}).items()}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "train", "annotations": notes} if notes else {"name": "train"},
        "spec": {"template": copy.deepcopy(TEMPLATE), **spec},
    }


def kind(api_version: str, name: str, words: Mapping[str, str], spec: Object) -> Object:
    notes = {PREFIX + word: text for word, text in words.items()}
    meta = {"name": "train", "annotations": notes} if notes else {"name": "train"}
    return {"apiVersion": api_version, "kind": name, "metadata": meta, "spec": spec}


def with_meta(obj: Object, **meta: Any) -> Object:
    return {**obj, "metadata": {**obj["metadata"], **meta}}


def owned(obj: Object, api_version: str, name: str, *, controller: bool = True) -> Object:
    owner = {"apiVersion": api_version, "kind": name, "name": "x", "uid": "u-1", "controller": controller}
    return with_meta(obj, ownerReferences=[owner])


def with_grace(seconds: int, obj: Object) -> Object:
    changed = copy.deepcopy(obj)
    changed["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = seconds
    return changed


def replicas(name: str, *roles: str) -> Object:
    one = {"replicas": 1, "template": {"spec": {"containers": [{"name": name, "image": "busybox"}]}}}
    return {role: copy.deepcopy(one) for role in roles}


LATER: Final = {"deadline": "+12h"}
QUEUE: Final = {"kueue.x-k8s.io/queue-name": "team"}
DELAY: Final = {"max-delay": "6h"}


def differences(before: Any, after: Any, at: Path = ()) -> dict[Path, Any]:
    """Every leaf that differs, with its new value; None where it is gone. Lists are leaves."""
    if isinstance(before, dict) or isinstance(after, dict):
        old, new = (one if isinstance(one, dict) else {} for one in (before, after))
        found: dict[Path, Any] = {}
        for key in sorted(old.keys() | new.keys()):
            found |= differences(old.get(key), new.get(key), (*at, key))
        return found
    return {} if before == after else {at: after}


def patched(obj: Object, operations: list[Object]) -> Object:
    """What JSON patch operations (RFC 6902: add to objects, remove from them) make of an object."""
    changed = copy.deepcopy(obj)
    for operation in operations:
        *way, last = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
        target = changed
        for step in way:
            target = target[step]
        if operation["op"] == "add":
            target[last] = copy.deepcopy(operation["value"])
        else:
            assert "remove" == operation["op"]
            del target[last]
    return changed
