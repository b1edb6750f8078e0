"""Pods: what is kept of a Pod that occupies a node. Pure; fifty thousand must be cheap, so equal parts are shared."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cleanhours.domain.resources import Demand
from cleanhours.domain.times import epoch, parse_instant
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object
from cleanhours_plugins.clusters.kubernetes.records import asked_of, demand_of

OCCUPYING: Final = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
"""The field selector of Pods that hold a part of a node: what else there is need not be sent to us."""

_LEADING: Final = (
    "jobset.sigs.k8s.io/jobset-name",
    "training.kubeflow.org/job-name",
    "ray.io/originated-from-cr-name",
)
"""Labels by which Pods of workloads with children of their own name the workload."""


class PodRecord(NamedTuple):
    """A Pod on a node, running or about to.

    `owner` is the UID of its controller, `work` the workload's `namespace/name` where that is not its controller itself;
    both empty without. `lasting`: it is restarted when it ends, so it never ends by itself. `limit_s` is its own
    activeDeadlineSeconds. `started_s` is when its node took it, in whole seconds since 1970: with fifty thousand of them at
    a time, numbers are looked up twice as fast as instants.
    """

    uid: str
    node: str
    owner: str
    work: str
    demand: Demand
    phase: str
    terminating: bool
    lasting: bool
    started_s: int
    limit_s: int | None

    def belongs_to(self, handles: frozenset[str] | set[str]) -> bool:
        """Whether it is a Pod of one of the workloads: their UIDs, or `namespace/name` of those with children."""
        return self.owner in handles or self.uid in handles or (self.work != "" and self.work in handles)


def read_pod(obj: Object) -> PodRecord | None:
    """The record of a `v1` Pod; None for one that occupies nothing: not scheduled, or finished."""
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    phase = status.get("phase") or "Pending"
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return None
    labels = meta.get("labels") or {}
    leading = next((labels[label] for label in _LEADING if label in labels), "")
    return PodRecord(
        uid=meta["uid"],
        node=sys.intern(spec["nodeName"]),
        owner=sys.intern(_controller(meta)),
        work=sys.intern(f"{meta.get('namespace', '')}/{leading}") if leading else "",
        demand=_demand(json.dumps(asked_of(spec), sort_keys=True)),
        phase=sys.intern(phase),
        terminating=bool(meta.get("deletionTimestamp")),
        lasting=(spec.get("restartPolicy") or "Always") == "Always",
        started_s=_seconds(status.get("startTime") or meta["creationTimestamp"]),
        limit_s=spec.get("activeDeadlineSeconds"),
    )


def _controller(meta: Mapping[str, Any]) -> str:
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


@lru_cache(maxsize=8192)
def _demand(asked: str) -> Demand:
    return demand_of(json.loads(asked))


@lru_cache(maxsize=8192)
def _seconds(text: str) -> int:
    return epoch(parse_instant(text))
