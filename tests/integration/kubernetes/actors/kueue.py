"""Plays Kueue for `batch/v1` Jobs (`pkg/controller/jobframework/reconciler.go` and the scheduler of kubernetes-sigs/kueue, 0.19).

What its webhook refuses stands in CEL in `crds/kueue.yaml`. One ClusterQueue of one resource group without borrowing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Final

from tests.integration.kubernetes.actors.actor import is_true, owned_by, with_condition
from tests.integration.kubernetes.actors.server import Object, Server

QUEUE: Final = "kueue.x-k8s.io/queue-name"
GATES: Final = "kueue.x-k8s.io/admission-gated-by"
API: Final = "/apis/kueue.x-k8s.io/v1beta2"


class KueueActor:
    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._workloads = f"{API}/namespaces/{namespace}/workloads"
        self._local_queues = f"{API}/namespaces/{namespace}/localqueues"

    def objects(self) -> list[Object]:
        return self._server.items(self._jobs)

    def reconcile(self, job: Object) -> None:
        if not (job["metadata"].get("labels") or {}).get(QUEUE):
            return
        workload = self._workload_of(job)
        if workload is None:
            self._begin(job)
        elif is_true(job.get("status") or {}, "Complete") or is_true(job.get("status") or {}, "Failed"):
            self._finish(workload, "Succeeded")
        elif not is_true(workload.get("status") or {}, "Finished"):
            self._keep(job, workload)

    def _begin(self, job: Object) -> None:
        """constructWorkload(): of a Job without one, which is suspended if it is not yet."""
        if not job["spec"].get("suspend"):
            self._switch(job, {"spec": {"suspend": True}})
            return
        meta = job["metadata"]
        made = {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "kind": "Workload",
            "metadata": {
                "name": f"job-{meta['name']}-{meta['uid'][:5]}",
                "ownerReferences": owned_by({"apiVersion": "batch/v1", "kind": "Job", **job}),
                "annotations": {GATES: meta.get("annotations", {}).get(GATES, "")},
            },
            "spec": {"active": True, "queueName": meta["labels"][QUEUE], "podSets": _pod_sets(job)},
        }
        self._server.create(self._workloads, made)

    def _keep(self, job: Object, workload: Object) -> None:
        status = workload.get("status") or {}
        active = workload["spec"].get("active", True)
        if not active and not is_true(status, "Evicted"):
            # the Workload's own controller, before its Job is touched
            self._tell(workload, "Evicted", "True", "Deactivated", "The workload is deactivated")
        elif is_true(status, "Evicted") and is_true(status, "QuotaReserved"):
            self._evict(job, workload)
        elif is_true(status, "Admitted"):
            if job["spec"].get("suspend"):
                # an admitted Workload's Job is started, whoever suspended it: a switch of others is undone
                self._run(job, workload)
        elif not job["spec"].get("suspend"):
            # and one that is not admitted is stopped, whoever started it
            self._switch(job, {"spec": {"suspend": True}})
        elif active:
            self._offer(job, workload)

    def _offer(self, job: Object, workload: Object) -> None:
        if _differs(job, workload):
            # ensureOneWorkload() finds no match and updates it to match its Job
            self._write(workload, {"spec": {"podSets": _pod_sets(job)}})
        elif (gates := job["metadata"].get("annotations", {}).get(GATES, "")) != _gates(workload):
            # the Job's gates are copied to its Workload as they are
            self._write(workload, {"metadata": {"annotations": {GATES: gates}}})
        else:
            self._admit(workload)

    def _admit(self, workload: Object) -> None:
        """Quota in the first flavor, as listed, whose node labels do not contradict the Workload's own template."""
        if _gates(workload):
            # KEP-6915: no quota is held, others pass by
            self._tell(
                workload,
                "QuotaReserved",
                "False",
                "AdmissionGated",
                f"Admission is gated by: {_gates(workload)}",
            )
            return
        queue_name, flavor = self._flavor_for(workload)
        if flavor is None:
            self._tell(workload, "QuotaReserved", "False", "Pending", "couldn't assign flavors")
            return
        usage = {"cpu": str(_cpu_of(workload))}
        [pod_set] = workload["spec"]["podSets"]
        assignment = {
            "name": pod_set["name"],
            "count": pod_set["count"],
            "flavors": {"cpu": flavor},
            "resourceUsage": usage,
        }
        conditions = list((workload.get("status") or {}).get("conditions") or ())
        if any(c["type"] == "Evicted" for c in conditions):
            conditions = with_condition(conditions, "Evicted", "False", "QuotaReserved")
        for type_ in ("QuotaReserved", "Admitted"):
            conditions = with_condition(conditions, type_, "True", type_)
        admission = {"clusterQueue": queue_name, "podSetAssignments": [assignment]}
        self._write(workload, {"status": {"conditions": conditions, "admission": admission}}, "/status")
        self._account(queue_name)

    def _flavor_for(self, workload: Object) -> tuple[str, str | None]:
        local = self._server.get(f"{self._local_queues}/{workload['spec']['queueName']}")
        queue = self._server.get(f"{API}/clusterqueues/{local['spec']['clusterQueue']}")
        name: str = queue["metadata"]["name"]
        if queue["spec"].get("stopPolicy", "None") != "None":
            return name, None
        template = workload["spec"]["podSets"][0]["template"]["spec"]
        selector = template.get("nodeSelector") or {}
        taken = self._taken(name)
        for quota in queue["spec"]["resourceGroups"][0]["flavors"]:
            labels = self._labels_of(quota["name"])
            room = int(quota["resources"][0]["nominalQuota"]) - taken.get(quota["name"], 0)
            fits = all(selector.get(key, value) == value for key, value in labels.items())
            if fits and _cpu_of(workload) <= room:
                return name, quota["name"]
        return name, None

    def _run(self, job: Object, workload: Object) -> None:
        """RunWithPodSetsInfo(): the flavor's node labels are merged into the Job; a conflict ends the Workload for good."""
        flavor = workload["status"]["admission"]["podSetAssignments"][0]["flavors"]["cpu"]
        selector = job["spec"]["template"]["spec"].get("nodeSelector") or {}
        labels = self._labels_of(flavor)
        conflict = [key for key, value in labels.items() if selector.get(key, value) != value]
        if conflict:
            # podset.Merge(): "conflict for nodeSelector"
            self._finish(workload, "FailedToStart", f"conflict for nodeSelector: {conflict[0]}")
            return
        patch = {"spec": {"suspend": False, "template": {"spec": {"nodeSelector": {**selector, **labels}}}}}
        self._switch(self._restartable(job), patch)

    def _evict(self, job: Object, workload: Object) -> None:
        """stopJob(): the Job is stopped and given back its own template, whatever others wrote into it meanwhile.

        Its quota is freed, and it may be admitted again, once no Pod of it is active.
        """
        if not job["spec"].get("suspend"):
            self._switch(job, {"spec": {"suspend": True}})
            return
        own = workload["spec"]["podSets"][0]["template"]["spec"]
        now = job["spec"]["template"]["spec"]
        selector, old = own.get("nodeSelector") or {}, now.get("nodeSelector") or {}
        if selector != old:
            restored = {**dict.fromkeys(old.keys() - selector.keys()), **selector}
            place = {"nodeSelector": restored, "tolerations": own.get("tolerations") or []}
            self._switch(self._restartable(job), {"spec": {"template": {"spec": place}}})
            return
        if (job.get("status") or {}).get("active"):
            return
        self._restartable(job)
        status = workload.get("status") or {}
        conditions = list(status.get("conditions") or ())
        for type_ in ("QuotaReserved", "Admitted"):
            conditions = with_condition(conditions, type_, "False", "Pending", "The workload is deactivated")
        self._write(workload, {"status": {"conditions": conditions, "admission": None}}, "/status")
        self._account(status.get("admission", {}).get("clusterQueue", ""))

    def _restartable(self, job: Object) -> Object:
        """Stop(): a start time is cleared, so that the template may change on every server."""
        if not (job.get("status") or {}).get("startTime"):
            return job
        body = {
            "metadata": {"resourceVersion": job["metadata"]["resourceVersion"]},
            "status": {"startTime": None},
        }
        return self._server.patch(f"{self._jobs}/{job['metadata']['name']}/status", body)

    def _finish(self, workload: Object, reason: str, message: str = "") -> None:
        if not is_true(workload.get("status") or {}, "Finished"):
            self._tell(workload, "Finished", "True", reason, message)
            admission = (workload.get("status") or {}).get("admission") or {}
            self._account(admission.get("clusterQueue", ""))

    def _tell(self, workload: Object, type_: str, status: str, reason: str, message: str = "") -> None:
        known = list((workload.get("status") or {}).get("conditions") or ())
        conditions = with_condition(known, type_, status, reason, message)
        if conditions != known:
            self._write(workload, {"status": {"conditions": conditions}}, "/status")

    def _account(self, queue: str) -> None:
        """`status.flavorsReservation` of the ClusterQueue."""
        if not queue:
            return
        rows = [
            {"name": flavor, "resources": [{"name": "cpu", "total": str(cpus)}]}
            for flavor, cpus in self._taken(queue).items()
        ]
        self._server.patch(f"{API}/clusterqueues/{queue}/status", {"status": {"flavorsReservation": rows}})

    def _taken(self, queue: str) -> dict[str, int]:
        taken: dict[str, int] = {}
        for workload in self._server.items(f"{API}/workloads"):
            status = workload.get("status") or {}
            admission = status.get("admission") or {}
            if admission.get("clusterQueue") == queue and not is_true(status, "Finished"):
                flavor = admission["podSetAssignments"][0]["flavors"]["cpu"]
                taken[flavor] = taken.get(flavor, 0) + _cpu_of(workload)
        return taken

    def _labels_of(self, flavor: str) -> dict[str, str]:
        found = self._server.get(f"{API}/resourceflavors/{flavor}")
        labels: dict[str, str] = found["spec"].get("nodeLabels") or {}
        return labels

    def _workload_of(self, job: Object) -> Object | None:
        uid = job["metadata"]["uid"]
        return next(self._owned(uid), None)

    def _owned(self, uid: str) -> Iterator[Object]:
        for workload in self._server.items(self._workloads):
            if any(owner["uid"] == uid for owner in workload["metadata"].get("ownerReferences") or ()):
                yield workload

    def _switch(self, job: Object, patch: Object) -> None:
        meta = {"resourceVersion": job["metadata"]["resourceVersion"]}
        self._server.patch(f"{self._jobs}/{job['metadata']['name']}", {**patch, "metadata": meta})

    def _write(self, workload: Object, patch: Object, subresource: str = "") -> None:
        meta = {**patch.get("metadata", {}), "resourceVersion": workload["metadata"]["resourceVersion"]}
        path = f"{self._workloads}/{workload['metadata']['name']}{subresource}"
        self._server.patch(path, {**patch, "metadata": meta})


def _pod_sets(job: Object) -> list[Object]:
    template = copy.deepcopy(job["spec"]["template"])
    return [{"name": "main", "count": job["spec"].get("parallelism", 1), "template": template}]


def _gates(workload: Object) -> str:
    return str((workload["metadata"].get("annotations") or {}).get(GATES, ""))


def _differs(job: Object, workload: Object) -> bool:
    """ComparePodSets() of `pkg/util/equality`: count, containers, initContainers and tolerations. Not nodeSelector."""
    [ours], [theirs] = _pod_sets(job), workload["spec"]["podSets"]
    one, other = ours["template"]["spec"], theirs["template"]["spec"]
    keys = ("tolerations", "initContainers", "containers")
    return ours["count"] != theirs["count"] or any((one.get(k) or []) != (other.get(k) or []) for k in keys)


def _cpu_of(workload: Object) -> int:
    [pod_set] = workload["spec"]["podSets"]
    containers = pod_set["template"]["spec"]["containers"]
    each = sum(int(one["resources"]["requests"]["cpu"]) for one in containers)
    return each * int(pod_set["count"])
