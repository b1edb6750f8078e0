"""TrainJob (`trainer.kubeflow.org`): a training whose Pods are described by a runtime that it refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cleanhours_plugins.clusters.kubernetes.kinds.jobsets import (
    JOB_SET,
    JOBS,
    POD_TEMPLATE,
    activity_of_jobs,
)
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Changes, Kind, Object, Patch, at
from cleanhours_plugins.clusters.kubernetes.records import Activity, Path
from cleanhours_plugins.clusters.kubernetes.words import PREFIX

MANAGER: Final = PREFIX + "controller"
"""Ours among the managers of `spec.runtimePatches`: each owns one entry of that list."""
TRAINER: Final = ("spec", "trainer")
REPLICATED: Final = ("trainingRuntimeSpec", "template", "spec", "replicatedJobs")


def _templates(train_job: Object) -> Iterator[tuple[Path, int]]:
    """One for the nodes that train. What only the runtime says (initializers, its own sizes) is not in the object."""
    nodes = at(train_job, (*TRAINER, "numNodes"))
    yield TRAINER, 1 if nodes is None else nodes


def _template(train_job: Object, path: Path) -> Mapping[str, Any]:
    """Stands for the runtime's: what a node asks for, and where patches of the runtime put it already."""
    resources = at(train_job, (*path, "resourcesPerNode"), {})
    selector: dict[str, str] = {}
    tolerations: list[Any] = []
    for patch in at(train_job, ("spec", "runtimePatches"), ()):
        for job in at(patch, REPLICATED, ()):
            spec = at(job, (*POD_TEMPLATE, "spec"), {})
            selector |= spec.get("nodeSelector") or {}
            tolerations += [t for t in spec.get("tolerations") or () if t not in tolerations]
    return {
        "spec": {
            "containers": [{"resources": resources}],
            "nodeSelector": selector,
            "tolerations": tolerations,
        }
    }


def _activity(train_job: Object) -> Activity:
    return activity_of_jobs(train_job, "jobsStatus", completed="Complete")


def _child(train_job: Object) -> str:
    """Its Job set has its name, and exists while it is suspended too."""
    meta = train_job["metadata"]
    return f"{JOB_SET.collection(meta['namespace'])}/{meta['name']}"


def _place(train_job: Object, job_set: Object | None, changes: Changes) -> Patch | None:
    """Our entry of `runtimePatches`, for every replicated Job by name; the other managers' entries stay as they are.

    A selector key that the runtime or another manager sets is theirs and stays. Tolerations replace the runtime's
    (they are one atomic list), so they are written with those that the Job set has.
    """
    patches = at(train_job, ("spec", "runtimePatches"), [])
    ours: Object = next((patch for patch in patches if patch.get("manager") == MANAGER), {})
    before = {job["name"]: at(job, (*POD_TEMPLATE, "spec"), {}) for job in at(ours, REPLICATED, ())}
    change = changes.get(TRAINER, {}).get("spec", {})
    replicated = _replicated(train_job, job_set)
    if not replicated:
        return None
    jobs = [
        {"name": name, **_nested(POD_TEMPLATE, {"spec": spec})}
        for name, template in replicated.items()
        if (spec := _entry(template, before.get(name, {}), change))
    ]
    entry = {"manager": MANAGER, **_nested(REPLICATED, jobs)}
    others = [patch for patch in patches if patch.get("manager") != MANAGER]
    return {"spec": {"runtimePatches": [*others, entry] if jobs else others}}


def _replicated(train_job: Object, job_set: Object | None) -> dict[str, Mapping[str, Any]]:
    """The Pod specs of the replicated Jobs by name: from the Job set, else the names alone, from the status."""
    if job_set is not None:
        return {job["name"]: at(job, (*POD_TEMPLATE, "spec"), {}) for job in at(job_set, JOBS, ())}
    return {job["name"]: {} for job in at(train_job, ("status", "jobsStatus"), ())}


def _entry(template: Mapping[str, Any], before: Mapping[str, Any], change: Patch) -> Patch:
    own = before.get("nodeSelector") or {}
    theirs = {key for key in template.get("nodeSelector") or {} if key not in own}
    selector = {
        key: value
        for key, value in {**own, **(change.get("nodeSelector") or {})}.items()
        if value is not None and key not in theirs
    }
    entry: Patch = {"nodeSelector": selector} if selector else {}
    wanted = change.get("tolerations", before.get("tolerations"))
    if wanted:
        keys = {toleration.get("key") for toleration in wanted}
        known = [t for t in template.get("tolerations") or () if t.get("key") not in keys]
        entry["tolerations"] = [*known, *wanted]
    return entry


def _nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    whole: dict[str, Any] = value
    return whole


TRAIN_JOB: Final = Kind(
    group="trainer.kubeflow.org",
    version="v1alpha1",
    plural="trainjobs",
    name="TrainJob",
    templates=_templates,
    template=_template,
    activity=_activity,
    manages=lambda o: at(o, ("spec", "managedBy")) in (None, "", "trainer.kubeflow.org/trainjob-controller"),
    limit=("spec", "activeDeadlineSeconds"),
    place=_place,
    beside=_child,
    pods=lambda o: {"jobset.sigs.k8s.io/jobset-name": o["metadata"]["name"]},
    keeps_keys=True,
)
"""`runtimePatches` may change when it is suspended before or after the write, and none of its Job set's Jobs is active;
an entry may name only replicated Jobs that the runtime has. Affinity would be accepted here and refused by the Job set."""
