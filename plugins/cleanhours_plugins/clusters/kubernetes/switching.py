"""Switching: the part of a patch that lets an object go or stops it, without a word about places. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.records import Path, Record

Patch = dict[str, Any]
"""A JSON merge patch (RFC 7386): lists are replaced whole, null removes."""


def letting_go(record: Record) -> Patch:
    """Starts it: the switch, or our name taken off its gates (Kueue undoes a switch of ours within seconds)."""
    rest = [name for name in record.gates if name != words.GATE]
    if record.kind.suspend is None:
        return {"spec": {"schedulingGates": [{"name": name} for name in rest]}}
    if record.queue:
        return {"metadata": {"annotations": {words.KUEUE_GATES: ",".join(rest) or None}}}
    return nested(record.kind.suspend, False)


def stopping(record: Record) -> Patch:
    """Stops it. Raises ValueError for a kind without a switch; what Kueue manages is stopped at its Workload."""
    if record.kind.suspend is None or record.queue:
        raise ValueError(f"{record.kind} {record.name} has no switch of its own")
    return nested(record.kind.suspend, True)


def marking(record: Record, annotations: Mapping[str, str | None]) -> Patch:
    """Writes annotations, on condition that nobody wrote since."""
    return {"metadata": {"resourceVersion": record.resource_version, "annotations": dict(annotations)}}


def nested(path: Path, value: Any) -> Patch:
    """`value` at a path of keys."""
    for key in reversed(path):
        value = {key: value}
    patch: Patch = value
    return patch


def merged(*patches: Mapping[str, Any]) -> Patch:
    """One patch that does what several do; of two values at one place the later one stands."""
    whole: Patch = {}
    for patch in patches:
        for key, value in patch.items():
            known = whole.get(key)
            inner = isinstance(known, Mapping) and isinstance(value, Mapping)
            whole[key] = merged(cast(Patch, known), value) if inner else value
    return whole
