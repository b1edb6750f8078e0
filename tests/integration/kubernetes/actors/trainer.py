"""Plays Kubeflow Trainer's controller (`pkg/controller/trainjob_controller.go` and `pkg/runtime` of kubeflow/trainer, v2.3).

Its webhook's rules stand in CEL in `crds/trainjob.yaml`. The Job set that it makes needs JobSet, or who plays it.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.integration.kubernetes.actors.actor import is_true, owned_by, with_condition
from tests.integration.kubernetes.actors.server import Object, Server


class TrainerActor:
    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        trainer = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{namespace}"
        self._train_jobs = f"{trainer}/trainjobs"
        self._runtimes = f"{trainer}/trainingruntimes"
        self._job_sets = f"/apis/jobset.x-k8s.io/v1alpha2/namespaces/{namespace}/jobsets"

    def objects(self) -> list[Object]:
        return self._server.items(self._train_jobs)

    def reconcile(self, train_job: Object) -> None:
        name, status = train_job["metadata"]["name"], train_job.get("status") or {}
        job_set = self._server.find(f"{self._job_sets}/{name}")
        suspended = bool(train_job["spec"].get("suspend"))
        if not is_true(status, "Complete") and not is_true(status, "Failed"):
            job_set = self._built(train_job, job_set, suspended)
        new = {**status, **_told(status, job_set, suspended)}
        if new != status:
            version = train_job["metadata"]["resourceVersion"]
            body = {"metadata": {"resourceVersion": version}, "status": new}
            self._server.patch(f"{self._train_jobs}/{name}/status", body)

    def _built(self, train_job: Object, job_set: Object | None, suspended: bool) -> Object:
        """Build(): a Job set of the same name from the start, suspended with it; one that runs is not touched."""
        name = train_job["metadata"]["name"]
        runtime = self._server.get(f"{self._runtimes}/{train_job['spec']['runtimeRef']['name']}")
        wanted = _job_set_spec(train_job, runtime)
        if job_set is None:
            made = {
                "apiVersion": "jobset.x-k8s.io/v1alpha2",
                "kind": "JobSet",
                "metadata": {"name": name, "ownerReferences": owned_by(train_job)},
                "spec": {**wanted, "suspend": suspended},
            }
            return self._server.create(self._job_sets, made)
        if not suspended and not job_set["spec"].get("suspend"):
            return job_set
        spec = {**job_set["spec"], **wanted, "suspend": suspended}
        if spec == job_set["spec"]:
            return job_set
        meta = {"resourceVersion": job_set["metadata"]["resourceVersion"]}
        return self._server.patch(f"{self._job_sets}/{name}", {"metadata": meta, "spec": spec})


def _job_set_spec(train_job: Object, runtime: Object) -> Object:
    """The runtime's, with the trainer's numbers, and each manager's patch in turn (mergeRuntimePatches: maps merge,
    tolerations are one atomic list)."""
    spec: Object = copy.deepcopy(runtime["spec"]["template"]["spec"])
    trainer = train_job["spec"].get("trainer") or {}
    for job in spec["replicatedJobs"]:
        job.setdefault("replicas", 1)
        pod_spec = job["template"]["spec"]["template"]["spec"]
        if job["name"] == "node":
            if trainer.get("numNodes") is not None:
                job["template"]["spec"] |= dict.fromkeys(("parallelism", "completions"), trainer["numNodes"])
            if trainer.get("resourcesPerNode"):
                pod_spec["containers"][0]["resources"] = trainer["resourcesPerNode"]
        for patch in _pod_patches(train_job, job["name"]):
            if "nodeSelector" in patch:
                pod_spec["nodeSelector"] = {**(pod_spec.get("nodeSelector") or {}), **patch["nodeSelector"]}
            for key in ("tolerations", "affinity"):
                if key in patch:
                    pod_spec[key] = patch[key]
    return spec


def _pod_patches(train_job: Object, name: str) -> list[Any]:
    return [
        job["template"]["spec"]["template"]["spec"]
        for patch in train_job["spec"].get("runtimePatches") or ()
        for job in patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
        if job["name"] == name
    ]


def _told(status: Object, job_set: Object | None, suspended: bool) -> Object:
    """setSuspendedCondition() and the Job set's own words: counts by replicated Job, Completed as Complete."""
    conditions = list(status.get("conditions") or ())
    if suspended:
        conditions = with_condition(conditions, "Suspended", "True", "Suspended", "TrainJob is suspended")
    elif is_true(status, "Suspended"):
        conditions = with_condition(conditions, "Suspended", "False", "Resumed", "TrainJob is resumed")
    told = (job_set or {}).get("status") or {}
    for theirs, ours in (("Completed", "Complete"), ("Failed", "Failed")):
        if is_true(told, theirs):
            conditions = with_condition(conditions, ours, "True", theirs)
    new: Object = {"conditions": conditions} if conditions else {}
    if told.get("replicatedJobsStatus"):
        new["jobsStatus"] = told["replicatedJobsStatus"]
    return new
