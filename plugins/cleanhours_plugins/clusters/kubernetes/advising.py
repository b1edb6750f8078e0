"""Advising: the kubectl command by which an owner does himself what we do not do for him. Pure."""

from __future__ import annotations

import json
import shlex
from typing import Any

from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.jobs import holds, state_of
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.switching import nested
from cleanhours_plugins.clusters.kubernetes.words import Mark

_WORKLOAD = "kueue.x-k8s.io/job-uid"
"""Label of Kueue's Workload: the UID of what it stands for."""


def advise(record: Record, verb: str) -> str:
    """The command that does `verb` (cancel, pause, resume) to the object, for a shell; empty where nothing does.

    What never ran is kept by taking our mark away, and given back by the mark; what ran, by its switch. What Kueue
    manages is stopped at its Workload: a switch of ours or his is undone there within seconds.
    """
    if verb == "cancel":
        return _kubectl("delete", record)
    if verb == "pause" and state_of(record) is JobState.HELD:
        return _kubectl("annotate", record, f"{words.STATE}-")
    if verb == "resume" and record.mark is None and holds(record) and record.activity.started_at is None:
        return _kubectl("annotate", record, f"{words.STATE}={Mark.HELD}")
    if record.queue:
        found = f"$(kubectl get workloads -n {record.namespace} -l {_WORKLOAD}={record.uid} -o name)"
        return f"kubectl patch -n {record.namespace} {found} {_merge({'spec': {'active': verb == 'resume'}})}"
    if record.kind.suspend is None:
        return ""
    return f"{_kubectl('patch', record)} {_merge(nested(record.kind.suspend, verb == 'pause'))}"


def _kubectl(what: str, record: Record, *more: str) -> str:
    kind = record.kind
    resource = kind.name.lower() if kind.group in ("", "batch") else str(kind)
    return shlex.join(["kubectl", what, resource, "-n", record.namespace, record.name, *more])


def _merge(patch: dict[str, Any]) -> str:
    return f"--type=merge -p {shlex.quote(json.dumps(patch, separators=(',', ':')))}"


__all__ = ["advise"]
