"""Placing: which locations an object may run at, and the patch that puts it at one of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object, at
from cleanhours_plugins.clusters.kubernetes.records import Path, PodSet, Record
from cleanhours_plugins.clusters.kubernetes.switching import Patch, merged, nested
from cleanhours_plugins.clusters.kubernetes.words import PLACEMENT

Label = tuple[str, str]
"""Key and value of a node label."""

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_MOST_WEIGHT: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The locations of a cluster, in the order of the settings, and the node label that each one is.

    `preferred`: kinds that take node affinity are drawn to a location, not bound to it.
    """

    labels: Mapping[str, Label]
    default: str
    preferred: bool = False
    keys: frozenset[str] = field(init=False)
    """Those of the labels."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", frozenset(key for key, _ in self.labels.values()))


def original_pods(record: Record) -> tuple[PodSet, ...]:
    """Its Pods as their owner placed them, whatever we wrote since."""
    if not record.original:
        return record.pod_sets
    known = record.original
    return tuple(_as_it_was(pods, known.get(_name_of(pods.path))) for pods in record.pod_sets)


def write_original(record: Record) -> dict[str, Any]:
    """What `original_pods` reads back, as JSON values."""
    return {
        _name_of(pods.path): {
            "nodeSelector": dict(pods.selector),
            "nodeAffinity": pods.affinity,
            "tolerations": [dict(one) for one in pods.tolerations],
        }
        for pods in record.pod_sets
    }


def bound_to(record: Record, places: Places, *, offered: bool) -> tuple[str, ...]:
    """The locations that its own placement allows, in the order of the settings.

    A nodeSelector on a location's label gives way where its owner `offered` other locations, required node affinity
    never does; nor does the selector of a Pod, of which nothing can be taken away (KEP-3838).
    """
    replaceable = offered and not record.kind.places_once
    return _bound_to(original_pods(record), places, replaceable=replaceable)


@lru_cache(maxsize=4096)
def _bound_to(pods: tuple[PodSet, ...], places: Places, *, replaceable: bool) -> tuple[str, ...]:
    return tuple(
        name
        for name, label in places.labels.items()
        if all(_admits(one, label, places.keys, replaceable=replaceable) for one in pods)
    )


def home_of(record: Record, places: Places, offered: Sequence[str], possible: Iterable[str] | None) -> str:
    """Where it would run unmodified: where its owner put it, else the first he offers, else the default.

    `possible` are the locations that something else, such as a volume, ties it to; None is any.
    """
    free = bound_to(record, places, offered=False)
    free = tuple(name for name in free if possible is None or name in set(possible)) or free
    if not free:
        return places.default
    wished = () if _pinned(original_pods(record), places.keys) else (*offered, places.default)
    return next((name for name in wished if name in free), free[0])


@lru_cache(maxsize=4096)
def _pinned(pods: tuple[PodSet, ...], keys: frozenset[str]) -> bool:
    return any(_pins(one, keys) for one in pods)


def placed_at(record: Record, places: Places) -> str | None:
    """The location that its template names now, None where it names none."""
    for pods in record.pod_sets:
        for name, (key, value) in places.labels.items():
            if pods.selector.get(key) == value:
                return name
    return _drawn_to(record, places) if record.original else None


def placement(record: Record, places: Places, to: str, among: Sequence[str]) -> dict[Path, Patch]:
    """What changes in its Pod templates, by path, when it goes there; empty where nothing does.

    Starts from its owner's placement, so that nothing of an earlier move stays. `among` are all locations that it may
    use. `written` makes the patch of the object.
    """
    before = {pods.path: pods for pods in original_pods(record)}
    changes = {
        pods.path: _template_patch(pods, _target(record, before[pods.path], places, to, among))
        for pods in record.pod_sets
    }
    return {path: patch for path, patch in changes.items() if patch}


def needs_object(record: Record) -> bool:
    """Whether it is placed from the whole object: its kind says how, or a template lies in a list."""
    return record.kind.place is not None or any(_in_list(pods.path) for pods in record.pod_sets)


def written(
    record: Record, changes: Mapping[Path, Patch], obj: Object | None = None, beside: Object | None = None
) -> Patch | None:
    """The patch of the object that makes these changes; None where its kind says that it cannot be placed yet.

    `obj` is the object itself, as `needs_object` says; lists are replaced whole.
    """
    if not changes:
        return {}
    if not needs_object(record):
        return merged(*(nested(path, patch) for path, patch in changes.items()))
    if obj is None:
        raise ValueError(f"{record.kind} {record.name}: is placed from the whole object")
    if record.kind.place is not None:
        return record.kind.place(obj, beside, changes)
    whole: Any = obj
    for path, patch in changes.items():
        whole = _changed_at(whole, path, patch)
    plain = (nested(path, patch) for path, patch in changes.items() if not _in_list(path))
    lists = {_before_lists(path) for path in changes if _in_list(path)}
    return merged(*plain, *(nested(root, at(whole, root)) for root in sorted(lists)))


def _in_list(path: Path) -> bool:
    return any(isinstance(step, int) for step in path)


def _before_lists(path: Path) -> tuple[str, ...]:
    keys: list[str] = []
    for step in path:
        if isinstance(step, int):
            break
        keys.append(step)
    return tuple(keys)


def _changed_at(value: Any, path: Path, patch: Patch) -> Any:
    if not path:
        return _patched(value, patch)
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return [_changed_at(one, rest, patch) if place == step else one for place, one in enumerate(value)]
    return {**value, step: _changed_at(value.get(step), rest, patch)}


def _patched(old: Any, patch: Any) -> Any:
    """What a merge patch (RFC 7386) makes of a value; neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    whole = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            whole.pop(key, None)
        else:
            whole[key] = _patched(whole.get(key), value)
    return whole


def _name_of(path: Path) -> str:
    return "/".join(map(str, path))


def _as_it_was(pods: PodSet, told: Any) -> PodSet:
    """What cannot be read leaves the Pods as they are."""
    if not isinstance(told, Mapping):
        return pods
    return replace(
        pods,
        selector=told.get("nodeSelector") or {},
        affinity=told.get("nodeAffinity"),
        tolerations=tuple(told.get("tolerations") or ()),
    )


def _admits(pods: PodSet, label: Label, keys: frozenset[str], *, replaceable: bool) -> bool:
    key, value = label
    if not replaceable and any(pods.selector.get(one, value) != value for one in keys & {key}):
        return False
    terms = ((pods.affinity or {}).get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    return not terms or any(_term_admits(term, key, value) for term in terms)


def _term_admits(term: Mapping[str, Any], key: str, value: str) -> bool:
    """Expressions about other labels are for the nodes to judge."""
    for one in term.get("matchExpressions") or ():
        if one.get("key") != key:
            continue
        values = one.get("values") or ()
        match one.get("operator"):
            case "In" if value not in values:
                return False
            case "NotIn" if value in values:
                return False
            case "DoesNotExist":
                return False
    return True


def _pins(pods: PodSet, keys: frozenset[str]) -> bool:
    """Whether its owner said anything about a location's label."""
    terms = ((pods.affinity or {}).get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    named = {one.get("key") for term in terms for one in term.get("matchExpressions") or ()}
    return bool(keys & (named | pods.selector.keys()))


def _drawn_to(record: Record, places: Places) -> str | None:
    """The location of our own preference, the heaviest there is."""
    for pods in record.pod_sets:
        for one in (pods.affinity or {}).get(_PREFERRED) or ():
            for expression in (one.get("preference") or {}).get("matchExpressions") or ():
                for name, (key, value) in places.labels.items():
                    wanted = {"key": key, "operator": "In", "values": [value]}
                    if one.get("weight") == _MOST_WEIGHT and expression == wanted:
                        return name
    return None


def _template_patch(pods: PodSet, target: PodSet) -> Patch:
    spec: Patch = {}
    if selector := difference(pods.selector, target.selector):
        spec["nodeSelector"] = selector
    if affinity := difference(pods.affinity or {}, target.affinity or {}):
        spec["affinity"] = {"nodeAffinity": affinity if target.affinity else None}
    if pods.tolerations != target.tolerations:
        spec["tolerations"] = [dict(one) for one in target.tolerations]
    return {"spec": spec} if spec else {}


def _target(record: Record, before: PodSet, places: Places, to: str, among: Sequence[str]) -> PodSet:
    key, value = places.labels[to]
    others = {name: text for name, text in before.selector.items() if name not in places.keys}
    tolerations = before.tolerations
    if record.queue:
        marker = {"key": PLACEMENT, "operator": "Equal", "value": value, "effect": "NoSchedule"}
        tolerations = (*(one for one in tolerations if one.get("key") != PLACEMENT), marker)
    if places.preferred and record.kind.takes_affinity and not record.kind.places_once and len(among) > 1:
        affinity = _drawn(before.affinity or {}, places, (to, *(name for name in among if name != to)))
        return replace(before, selector=others, affinity=affinity, tolerations=tolerations)
    return replace(before, selector={**others, key: value}, tolerations=tolerations)


def _drawn(affinity: Mapping[str, Any], places: Places, order: Sequence[str]) -> dict[str, Any]:
    """Bound to all of `order` together, drawn to the first most. Terms are ORed: each one gets the bound (KEP-2926)."""
    values: dict[str, list[str]] = {}
    for key, value in (places.labels[name] for name in order):
        values.setdefault(key, []).append(value)
    bounds = [
        {"key": key, "operator": "In", "values": sorted(known)} for key, known in sorted(values.items())
    ]
    terms = (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [{}]
    bound = [
        {**term, "matchExpressions": [*(term.get("matchExpressions") or ()), one]}
        for term in terms
        for one in bounds
    ]
    step = max(_MOST_WEIGHT // len(order), 1)
    drawn = [
        {
            "weight": max(_MOST_WEIGHT - step * rank, 1),
            "preference": {
                "matchExpressions": [
                    {"key": places.labels[name][0], "operator": "In", "values": [places.labels[name][1]]}
                ]
            },
        }
        for rank, name in enumerate(order)
    ]
    wishes = [*(affinity.get(_PREFERRED) or ()), *drawn]
    return {**affinity, _REQUIRED: {"nodeSelectorTerms": bound}, _PREFERRED: wishes}


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Patch:
    """The merge patch (RFC 7386) from `old` to `new`; empty where they are equal."""
    patch: Patch = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        known = old.get(key)
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            if inner := difference(known, value):
                patch[key] = inner
        elif key not in old or known != value:
            patch[key] = value
    return patch
