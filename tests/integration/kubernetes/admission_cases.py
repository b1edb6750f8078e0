"""Admission, case by case: one table for the pure review, for CEL in the API server, and for the webhook behind it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from tests.integration.kubernetes.admission_objects import (
    CONTAINER,
    DELAY,
    GATES,
    GRACE,
    HELD,
    HELD_BY_RUN_POLICY,
    KUEUE,
    LATER,
    NOTES,
    PAUSABLE,
    PREFIX,
    QUEUE,
    QUEUED,
    REPLACEMENT,
    STATE,
    SUSPEND,
    TEMPLATE,
    UNTOUCHED,
    WINDOW,
    Case,
    Object,
    Path,
    job,
    kind,
    owned,
    replicas,
    with_grace,
    with_meta,
)
from tests.integration.kubernetes.admission_words import FAULTS, WORDS

JOBS: Final = [
    Case("a Job that does not ask is left alone", job(), UNTOUCHED),
    Case("a Job with words but no wish to wait is not held", job({"duration": "6h", "power": "2kW"}), UNTOUCHED),
    Case("its words are judged all the same", job({"duration": "six"}), denied=("duration: found 'six'",)),
    Case("a deadline holds", job(LATER), HELD),
    Case("a max-delay holds", job(DELAY), HELD),
    Case("other annotations stay", job({**LATER, "example.org/note": "x"}), HELD),
    Case("what its owner suspended stays his", job(LATER, suspend=True), UNTOUCHED),
    Case("a manifest that says suspend: false is held", job(LATER, suspend=False), HELD),
    Case("a copy of a held Job is held", job({**LATER, "state": "held", "plan": "{}", "runs": "[]"}, suspend=True),
         {(*NOTES, PREFIX + "plan"): None, (*NOTES, PREFIX + "runs"): None}),
    Case("a state that we did not write is overwritten", job({**LATER, "state": "released"}), {STATE: "held", SUSPEND: True}),
    Case("a state on what its owner suspended is removed", job({**LATER, "state": "paused"}, suspend=True), {STATE: None}),
    Case("a state on what does not ask is removed", job({"state": "held", "original-placement": "{}"}, suspend=True),
         {STATE: None, (*NOTES, PREFIX + "original-placement"): None}),
    Case("an object may keep out", job({**LATER, "enabled": "false"}), UNTOUCHED),
    Case("who keeps out is not judged", job({"deadline": "soon", "enabled": "false"}), UNTOUCHED),
    Case("a Job of somebody else's controller", job(LATER, managedBy="example.org/mirror"), UNTOUCHED),
    Case("a Job of the Job controller by name", job(LATER, managedBy="kubernetes.io/job-controller"), HELD),
    Case("generateName", {**job(LATER), "metadata": {"generateName": "train-", "annotations": {PREFIX + "deadline": "+12h"}}}, HELD),
    Case("labels do not matter", with_meta(job(LATER), labels={"app": "x"}), HELD),
]  # fmt: skip

PAUSES: Final = [
    Case("who may be paused replaces no Pod too early", job({**LATER, "interruptible": "true"}), PAUSABLE),
    Case("who asks for nothing is not made pausable", job({"interruptible": "true", "checkpoint": "5m"}), UNTOUCHED),
    Case("what its owner suspended is made pausable: its grace cannot be changed later",
         job({**LATER, "interruptible": "true", "checkpoint": "5m"}, suspend=True), {REPLACEMENT: "Failed", GRACE: 300}),
    Case("an explicit Failed", job({**LATER, "interruptible": "true"}, podReplacementPolicy="Failed"), HELD),
    Case("a podFailurePolicy forces it",
         job({**LATER, "interruptible": "true"}, podFailurePolicy={"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]},
             podReplacementPolicy="Failed"), HELD),
    Case("an explicit TerminatingOrFailed of kubectl apply",
         job({**LATER, "interruptible": "true",
              "kubectl.kubernetes.io/last-applied-configuration": '{"spec":{"podReplacementPolicy":"TerminatingOrFailed"}}'},
             podReplacementPolicy="TerminatingOrFailed"), HELD),
    Case("a checkpoint needs grace", job({**LATER, "interruptible": "true", "checkpoint": "5m"}), {**PAUSABLE, GRACE: 300}),
    Case("a checkpoint in ISO 8601", job({**LATER, "interruptible": "true", "checkpoint": "PT1H30M"}), {**PAUSABLE, GRACE: 5400}),
    Case("a checkpoint with a fraction, exactly", job({**LATER, "interruptible": "true", "checkpoint": "1.1h"}), {**PAUSABLE, GRACE: 3960}),
    Case("a checkpoint is rounded up", job({**LATER, "interruptible": "true", "checkpoint": "1m0.000000001s"}), {**PAUSABLE, GRACE: 61}),
    Case("grace enough", with_grace(600, job({**LATER, "interruptible": "true", "checkpoint": "5m"})), PAUSABLE),
    Case("grace too short", with_grace(299, job({**LATER, "interruptible": "true", "checkpoint": "5m"})), {**PAUSABLE, GRACE: 300}),
    Case("a short checkpoint fits the usual grace", job({**LATER, "interruptible": "true", "checkpoint": "30s"}), PAUSABLE),
    Case("who is never paused keeps his grace", job({**LATER, "checkpoint": "5m"}), HELD),
    Case("Kueue's Jobs are paused too", with_meta(job({**LATER, "interruptible": "true", "checkpoint": "1m"}), labels=QUEUE),
         {**QUEUED, REPLACEMENT: "Failed", GRACE: 60}),
]  # fmt: skip

NAMESPACES: Final = [
    Case("a namespace opts its Jobs in", job(), HELD, label="true"),
    Case("and its words are judged", job({"power": "x"}), denied=("power: found 'x'",), label="true"),
    Case("who keeps out of an opted-in namespace", job({"enabled": "false"}), UNTOUCHED, label="true"),
    Case("what its owner suspended there", job(suspend=True), UNTOUCHED, label="true"),
    Case("a namespace that is only looked at", job(LATER), UNTOUCHED, label="shadow"),
    Case("nor is anything judged there", job({"deadline": "soon"}), UNTOUCHED, label="shadow"),
    Case("a namespace that keeps out", job(LATER), UNTOUCHED, label="false"),
    Case("another value of the label says nothing", job(), UNTOUCHED, label="maybe"),
    Case("another value of the label, and the Job asks", job(LATER), HELD, label="maybe"),
    Case("defaults make pausable", job(), {**PAUSABLE, GRACE: 120}, label="true", team=True),
    Case("its own word goes before a default", job({"interruptible": "false"}), HELD, label="true", team=True),
    Case("one word of its own, one default", job({"checkpoint": "10m"}), {**PAUSABLE, GRACE: 600}, label="true", team=True),
    Case("defaults are for who asks himself too", job(LATER), {**PAUSABLE, GRACE: 120}, team=True),
    Case("defaults alone opt nobody in", job(), UNTOUCHED, team=True),
]  # fmt: skip

KUEUE_CASES: Final = [
    Case("Kueue holds what Kueue manages", with_meta(job(LATER), labels=QUEUE), QUEUED),
    Case("Kueue's suspend is not its owner's", with_meta(job(LATER, suspend=True), labels=QUEUE), QUEUED),
    Case("other gates of Kueue stay", with_meta(job({**LATER, KUEUE[-1]: "example.org/budget"}), labels=QUEUE),
         {STATE: "held", KUEUE: "example.org/budget," + WINDOW}),
    Case("our gate once", with_meta(job({**LATER, KUEUE[-1]: f"a.b/c, {WINDOW}"}), labels=QUEUE), {STATE: "held"}),
    Case("an empty list of gates", with_meta(job({**LATER, KUEUE[-1]: " "}), labels=QUEUE), QUEUED),
    Case("an empty queue is none", with_meta(job(LATER), labels={"kueue.x-k8s.io/queue-name": ""}), HELD),
    Case("Kueue in a namespace that opted in", with_meta(job(), labels=QUEUE), QUEUED, label="true"),
    Case("a JobSet of Kueue", with_meta(kind("jobset.x-k8s.io/v1alpha2", "JobSet", LATER, {"replicatedJobs": []}), labels=QUEUE), QUEUED),
]  # fmt: skip

OWNERS: Final = [
    Case("a CronJob's Job is held", owned(job(LATER), "batch/v1", "CronJob"), HELD),
    Case("a CronJob's Job with wrong words is let in, and held: the controller says so",
         owned(job({"deadline": "soon"}), "batch/v1", "CronJob"), HELD),
    Case("a JobSet's Job is the JobSet's", owned(job(LATER), "jobset.x-k8s.io/v1alpha2", "JobSet"), UNTOUCHED),
    Case("nor judged", owned(job({"deadline": "soon"}), "jobset.x-k8s.io/v1alpha2", "JobSet"), UNTOUCHED),
    Case("nor in a namespace that opted in", owned(job(), "jobset.x-k8s.io/v1alpha2", "JobSet"), UNTOUCHED, label="true"),
    Case("a TrainJob's JobSet is the TrainJob's",
         owned(kind("jobset.x-k8s.io/v1alpha2", "JobSet", LATER, {"replicatedJobs": []}), "trainer.kubeflow.org/v1alpha1", "TrainJob"),
         UNTOUCHED),
    Case("an owner that is no controller does not matter", owned(job(LATER), "v1", "ConfigMap", controller=False), HELD),
]  # fmt: skip


def cron_job(words: Mapping[str, str], own: Mapping[str, str] | None = None) -> Object:
    notes = {PREFIX + word: text for word, text in words.items()}
    template = {"metadata": {"annotations": notes}, "spec": {"template": copy.deepcopy(TEMPLATE)}}
    return kind("batch/v1", "CronJob", own or {}, {"schedule": "0 3 * * *", "jobTemplate": template})


def ray(words: Mapping[str, str], **spec: Any) -> Object:
    return kind("ray.io/v1", "RayJob", words, {"entrypoint": "python train.py", **spec})


OTHERS: Final = "kueue.x-k8s.io/multikueue"
SHUTS_DOWN: Final = {
    "shutdownAfterJobFinishes": True,
    "rayClusterSpec": {"headGroupSpec": {"template": TEMPLATE}},
}

KINDS: Final = [
    Case("a CronJob is not held", cron_job(LATER), UNTOUCHED),
    Case("a CronJob is told of its Jobs' faults", cron_job({"deadline": "soon", "power": "x"}),
         denied=("deadline: found 'soon'", "power: found 'x'")),
    Case("a CronJob without words", cron_job({}), UNTOUCHED, label="true"),
    Case("a CronJob whose Jobs keep out", cron_job({"deadline": "soon", "enabled": "false"}), UNTOUCHED),
    Case("a JobSet", kind("jobset.x-k8s.io/v1alpha2", "JobSet", LATER, {"replicatedJobs": []}), HELD),
    Case("a JobSet in a namespace", kind("jobset.x-k8s.io/v1alpha2", "JobSet", {}, {"replicatedJobs": []}), HELD, label="true"),
    Case("a JobSet that its owner suspended", kind("jobset.x-k8s.io/v1alpha2", "JobSet", LATER, {"replicatedJobs": [], "suspend": True}),
         UNTOUCHED),
    Case("a JobSet with wrong words", kind("jobset.x-k8s.io/v1alpha2", "JobSet", {"deadline": "x"}, {"replicatedJobs": []}),
         denied=("deadline: found 'x'",)),
    Case("a TrainJob", kind("trainer.kubeflow.org/v1alpha1", "TrainJob", LATER, {"runtimeRef": {"name": "torch"}}), HELD),
    Case("a PyTorchJob", kind("kubeflow.org/v1", "PyTorchJob", LATER, {"pytorchReplicaSpecs": replicas("pytorch", "Master")}), HELD_BY_RUN_POLICY),
    Case("a PyTorchJob with a runPolicy",
         kind("kubeflow.org/v1", "PyTorchJob", LATER, {"runPolicy": {"cleanPodPolicy": "None"}, "pytorchReplicaSpecs": replicas("pytorch", "Master")}),
         HELD_BY_RUN_POLICY),
    Case("a PyTorchJob that its owner suspended",
         kind("kubeflow.org/v1", "PyTorchJob", LATER, {"runPolicy": {"suspend": True}, "pytorchReplicaSpecs": replicas("pytorch", "Master")}),
         UNTOUCHED),
    Case("a TFJob", kind("kubeflow.org/v1", "TFJob", LATER, {"tfReplicaSpecs": replicas("tensorflow", "Worker")}), HELD_BY_RUN_POLICY),
    Case("an XGBoostJob", kind("kubeflow.org/v1", "XGBoostJob", LATER, {"xgbReplicaSpecs": replicas("xgboost", "Master")}), HELD_BY_RUN_POLICY),
    Case("a PaddleJob", kind("kubeflow.org/v1", "PaddleJob", LATER, {"paddleReplicaSpecs": replicas("paddle", "Worker")}), HELD_BY_RUN_POLICY),
    Case("a JAXJob", kind("kubeflow.org/v1", "JAXJob", LATER, {"jaxReplicaSpecs": replicas("jax", "Worker")}), HELD_BY_RUN_POLICY),
    Case("an MPIJob", kind("kubeflow.org/v1", "MPIJob", LATER, {"mpiReplicaSpecs": replicas("mpi", "Launcher", "Worker")}), HELD_BY_RUN_POLICY),
    *(
        Case(f"a {name} of another manager", kind(version, name, LATER, spec), UNTOUCHED)
        for version, name, spec in (
            ("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": [], "managedBy": OTHERS}),
            ("trainer.kubeflow.org/v1alpha1", "TrainJob", {"runtimeRef": {"name": "torch"}, "managedBy": OTHERS}),
            ("ray.io/v1", "RayJob", {**SHUTS_DOWN, "managedBy": OTHERS}),
            ("kubeflow.org/v1", "JAXJob", {"runPolicy": {"managedBy": OTHERS}, "jaxReplicaSpecs": replicas("jax", "Worker")}),
        )
    ),
    *(
        Case(f"a {name} of its own manager", kind(version, name, LATER, spec), after)
        for version, name, spec, after in (
            ("jobset.x-k8s.io/v1alpha2", "JobSet", {"replicatedJobs": [], "managedBy": "jobset.sigs.k8s.io/jobset-controller"}, HELD),
            ("trainer.kubeflow.org/v1alpha1", "TrainJob", {"managedBy": "trainer.kubeflow.org/trainjob-controller"}, HELD),
            ("ray.io/v1", "RayJob", {**SHUTS_DOWN, "managedBy": "ray.io/kuberay-operator"}, HELD),
            ("kubeflow.org/v1", "JAXJob", {"runPolicy": {"managedBy": "kubeflow.org/training-operator"}}, HELD_BY_RUN_POLICY),
        )
    ),
    Case("a RayJob", ray(LATER, **SHUTS_DOWN), HELD),
    Case("a RayJob without a cluster", ray(LATER, shutdownAfterJobFinishes=True), UNTOUCHED),
    Case("a RayJob that keeps its cluster", ray(LATER), denied=("spec.shutdownAfterJobFinishes: found false, accepted: true",)),
    Case("a RayJob on others' cluster", ray(LATER, **SHUTS_DOWN, clusterSelector={"ray.io/cluster": "shared"}),
         denied=("spec.clusterSelector: found a RayCluster that others share",)),
    Case("faults of words and kind together", ray({"deadline": "x"}),
         denied=("deadline: found 'x'", "spec.shutdownAfterJobFinishes: found false")),
    Case("a RayJob that cannot wait runs, where its namespace alone asks", ray({}), UNTOUCHED, label="true"),
    Case("a RayJob that can wait, where its namespace asks", ray({}, **SHUTS_DOWN), HELD, label="true"),
]  # fmt: skip

POD: Final = {"containers": [CONTAINER], "automountServiceAccountToken": False}
GATED: Final[Mapping[Path, Any]] = {STATE: "held", GATES: [{"name": WINDOW}]}

PODS: Final = [
    Case("a bare Pod that asks is gated", kind("v1", "Pod", LATER, POD), GATED),
    Case("a bare Pod keeps its other gates", kind("v1", "Pod", LATER, {**POD, "schedulingGates": [{"name": "a.b/c"}]}),
         {STATE: "held", GATES: [{"name": "a.b/c"}, {"name": WINDOW}]}),
    Case("a bare Pod that does not ask", kind("v1", "Pod", {}, POD), UNTOUCHED),
    Case("a bare Pod asks for itself, in an opted-in namespace too", kind("v1", "Pod", {}, POD), UNTOUCHED, label="true"),
    Case("a bare Pod that asks in an opted-in namespace", kind("v1", "Pod", LATER, POD), GATED, label="true"),
    Case("a Pod with a node", kind("v1", "Pod", LATER, {**POD, "nodeName": "de-1"}), UNTOUCHED),
    Case("a Pod of a Job", owned(kind("v1", "Pod", LATER, POD), "batch/v1", "Job"), UNTOUCHED),
    Case("a Pod with wrong words", kind("v1", "Pod", {"max-delay": "x"}, POD), denied=("max-delay: found 'x'",)),
    Case("a Pod of Kueue is Kueue's", with_meta(kind("v1", "Pod", LATER, POD), labels=QUEUE), UNTOUCHED),
]  # fmt: skip

CASES: Final[tuple[Case, ...]] = (
    *WORDS, *FAULTS, *JOBS, *PAUSES, *NAMESPACES, *KUEUE_CASES, *OWNERS, *KINDS, *PODS,
)  # fmt: skip
