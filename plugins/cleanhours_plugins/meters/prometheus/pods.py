"""Pods of a run: their UIDs from its handles, and where those do not do, their names as kube-state-metrics tells them. Pure.

A run's handles are its Pods' UIDs, or the one UID of its object where they are more than sixteen or were not seen. Metrics
that name Pods by namespace and name are found by `kube_pod_info`, whose label `uid` is the Pod's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from cleanhours.domain.jobs import FinishedRun
from cleanhours_plugins.meters.prometheus.asking import Question, Series, Window, one_of, quoted, value_of

_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOT_OURS: Final = "ReplicaSet|StatefulSet|DaemonSet|Node|<none>"
_OBJECT_NAME: Final = "object-name"
"""The label of a run whose object goes by another name than the run: a CronJob's child."""


MOST_NAMED: Final = 100
"""UIDs in one question: they take 4 kB of the address, and proxies allow 8. Only a Job that paused often has more."""


class Pod(NamedTuple):
    """What metrics call it. `uid` may be empty where only names are told."""

    uid: str
    namespace: str
    name: str


def uids_of(run: FinishedRun) -> list[str]:
    """The UIDs among its handles, in order; empty for a run of another kind of cluster."""
    handles = (handle for segment in run.segments for handle in segment.handles)
    return [handle for handle in dict.fromkeys(handles) if _UID.fullmatch(handle)]


def is_whole(run: FinishedRun) -> bool:
    """Whether a segment names only the run's object: its Pods are another question."""
    return any(run.key.uid in segment.handles for segment in run.segments)


def object_name(run: FinishedRun) -> str:
    """What the run's object is called in its namespace."""
    return run.labels.get(_OBJECT_NAME, run.name)


def question(run: FinishedRun, uids: Sequence[str], window: Window) -> Question:
    """Pods by their UIDs, and those of the run's object where it stands for them.

    Pods of a Job, or of what else names them its own, are found by its name within the window; those of a JobSet's Jobs (a
    TrainJob's too, which makes a JobSet of its name) by those Jobs' owner. A RayCluster's are not: nothing tells whose it is.
    """
    span = f"[{window.seconds}s]"
    parts = [f"max_over_time(kube_pod_info{{uid=~{quoted(one_of(uids[:MOST_NAMED]))}}}{span})"]
    if is_whole(run):
        for label in ("namespace", "exported_namespace"):
            parts += _owned(object_name(run), f"{label}={quoted(run.namespace)}", label, span)
    return value_of(" or ".join(parts), window)


def _owned(name: str, inside: str, label: str, span: str) -> Iterator[str]:
    """Pods whose owner has the name, and those whose owner is a Job of such an owner.

    A JobSet's Jobs are called NAME-ROLE-INDEX: that keeps the question small, their owner (`kube_job_owner`) keeps it true.
    Source: kube-state-metrics, pod and job metrics; JobSet API.
    """
    controls = f'owner_is_controller="true",{inside}'
    owner = f"owner_name={quoted(name)}"
    yield f"max_over_time(kube_pod_owner{{{owner},owner_kind!~{quoted(_NOT_OURS)},{controls}}}{span})"
    called = quoted(f"{one_of([name])}-.+-[0-9]+")
    pods = f'max_over_time(kube_pod_owner{{owner_kind="Job",owner_name=~{called},{controls}}}{span})'
    jobs = f'max_over_time(kube_job_owner{{{owner},owner_kind!="CronJob",{controls}}}{span})'
    named = f'label_replace({jobs}, "owner_name", "$1", "job_name", "(.+)")'
    yield f"({pods} and on ({label}, owner_name) {named})"


def read(series: Iterable[Series]) -> list[Pod]:
    """Each Pod once. Where a scrape has labels of the same name as its target, the metric's own are `exported_…`."""
    pods = (
        Pod(
            one.labels.get("uid", ""),
            one.labels.get("exported_namespace") or one.labels.get("namespace", ""),
            one.labels.get("exported_pod") or one.labels.get("pod", ""),
        )
        for one in series
    )
    return list(dict.fromkeys(pod for pod in pods if pod.name))


def uids_known(run: FinishedRun, pods: Sequence[Pod]) -> list[str]:
    """All Pods of the run by UID: its handles and those found; its object's own UID only where nothing is known of it."""
    found = [pod.uid for pod in pods if pod.uid]
    known = list(dict.fromkeys([*uids_of(run), *found]))
    others = [uid for uid in known if uid != run.key.uid]
    return others if others and run.key.uid not in found else known
