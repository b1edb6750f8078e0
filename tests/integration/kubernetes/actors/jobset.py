"""Plays JobSet's controller (`pkg/controllers/jobset_controller.go` of kubernetes-sigs/jobset, v0.12).

Its webhook's rules stand in CEL in `crds/jobset.yaml`.
"""

from __future__ import annotations

import copy
from typing import Final

from tests.integration.kubernetes.actors.actor import is_true, owned_by, with_condition
from tests.integration.kubernetes.actors.server import Object, Server

NAME: Final = "jobset.sigs.k8s.io/jobset-name"
REPLICATED: Final = "jobset.sigs.k8s.io/replicatedjob-name"
INDEX: Final = "jobset.sigs.k8s.io/job-index"


class JobSetActor:
    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        self._job_sets = f"/apis/jobset.x-k8s.io/v1alpha2/namespaces/{namespace}/jobsets"
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"

    def objects(self) -> list[Object]:
        return self._server.items(self._job_sets)

    def reconcile(self, job_set: Object) -> None:
        name, status = job_set["metadata"]["name"], job_set.get("status") or {}
        jobs = self._server.items(self._jobs, {NAME: name})
        new = {**status, "replicatedJobsStatus": _counted(job_set, jobs)}
        if not is_true(status, "Completed") and not is_true(status, "Failed"):
            new["conditions"] = self._acted(job_set, jobs, list(status.get("conditions") or ()))
        if new != status:
            version = job_set["metadata"]["resourceVersion"]
            self._server.patch(
                f"{self._job_sets}/{name}/status", {"metadata": {"resourceVersion": version}, "status": new}
            )

    def _acted(self, job_set: Object, jobs: list[Object], conditions: list[Object]) -> list[Object]:
        """reconcile(): failure first, then success, then what is missing, then suspension."""
        if any(is_true(job.get("status") or {}, "Failed") for job in jobs):
            return with_condition(conditions, "Failed", "True", "FailedJobs", "jobset failed due to a job")
        wanted = _wanted(job_set)
        if len(jobs) == len(wanted) and all(is_true(job.get("status") or {}, "Complete") for job in jobs):
            return with_condition(
                conditions, "Completed", "True", "AllJobsCompleted", "all jobs completed successfully"
            )
        there = {job["metadata"]["name"] for job in jobs}
        for job in wanted:
            if job["metadata"]["name"] not in there:
                self._server.create(self._jobs, job)
        suspended = bool(job_set["spec"].get("suspend"))
        for job in jobs:
            if suspended and not job["spec"].get("suspend"):
                self._switch(job, {"spec": {"suspend": True}})
            elif not suspended and job["spec"].get("suspend"):
                self._resume(job, job_set)
        return _suspension(conditions, suspended)

    def _resume(self, job: Object, job_set: Object) -> None:
        """resumeJob(): clears startTime, then merges the template's maps and lists into the child's, never removing."""
        if (job.get("status") or {}).get("startTime"):
            path = f"{self._jobs}/{job['metadata']['name']}/status"
            version = job["metadata"]["resourceVersion"]
            cleared = {"metadata": {"resourceVersion": version}, "status": {"startTime": None}}
            job = self._server.patch(path, cleared)
        role = job["metadata"]["labels"][REPLICATED]
        [template] = [
            one["template"]["spec"]["template"]
            for one in job_set["spec"]["replicatedJobs"]
            if one["name"] == role
        ]
        child = job["spec"]["template"]["spec"]
        tolerations = list(child.get("tolerations") or ())
        tolerations += [t for t in template["spec"].get("tolerations") or () if t not in tolerations]
        selector = {**(child.get("nodeSelector") or {}), **(template["spec"].get("nodeSelector") or {})}
        merged = {
            "metadata": {
                key: (template.get("metadata") or {}).get(key) or {} for key in ("labels", "annotations")
            },
            "spec": {"nodeSelector": selector, "tolerations": tolerations},
        }
        self._switch(job, {"spec": {"suspend": False, "template": merged}})

    def _switch(self, job: Object, patch: Object) -> None:
        version = job["metadata"]["resourceVersion"]
        path = f"{self._jobs}/{job['metadata']['name']}"
        self._server.patch(path, {**patch, "metadata": {"resourceVersion": version}})


def _suspension(conditions: list[Object], suspended: bool) -> list[Object]:
    """updateCondition(): a suspension that never was is not recorded as over."""
    if suspended:
        return with_condition(conditions, "Suspended", "True", "SuspendedJobs", "jobset is suspended")
    if any(c["type"] == "Suspended" for c in conditions):
        return with_condition(conditions, "Suspended", "False", "ResumeJobs", "jobset is resumed")
    return conditions


def _wanted(job_set: Object) -> list[Object]:
    """constructJob(): named after set, replicated Job and index; suspended with its set."""
    meta, made = job_set["metadata"], []
    for role in job_set["spec"]["replicatedJobs"]:
        for index in range(role.get("replicas", 1)):
            labels = {NAME: meta["name"], REPLICATED: role["name"], INDEX: str(index)}
            spec = copy.deepcopy(role["template"]["spec"])
            spec["suspend"] = bool(job_set["spec"].get("suspend"))
            template = spec["template"].setdefault("metadata", {})
            template["labels"] = {**(template.get("labels") or {}), **labels}
            made.append(
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "metadata": {
                        "name": f"{meta['name']}-{role['name']}-{index}",
                        "labels": labels,
                        "ownerReferences": owned_by(job_set),
                    },
                    "spec": spec,
                }
            )
    return made


def _counted(job_set: Object, jobs: list[Object]) -> list[Object]:
    """calculateReplicatedJobStatuses(): Jobs, not Pods; every replicated Job by name, from the first look on."""
    rows = []
    for role in job_set["spec"]["replicatedJobs"]:
        row = {"name": role["name"], "ready": 0, "succeeded": 0, "failed": 0, "active": 0, "suspended": 0}
        for job in jobs:
            if job["metadata"]["labels"][REPLICATED] != role["name"]:
                continue
            status = job.get("status") or {}
            if is_true(status, "Complete"):
                row["succeeded"] += 1
            elif is_true(status, "Failed"):
                row["failed"] += 1
            else:
                row["active"] += bool(status.get("active"))
                row["suspended"] += bool(job["spec"].get("suspend"))
        rows.append(row)
    return rows
