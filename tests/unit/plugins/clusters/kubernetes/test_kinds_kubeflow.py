"""Kubeflow's jobs by roles: PyTorchJob stands for the family, MPIJob for its two operators."""

from typing import Any

import pytest

from cleanhours.domain.jobs import JobState
from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind
from cleanhours_plugins.clusters.kubernetes.kinds.kubeflow import (
    JAX_JOB,
    MPI_JOB,
    MPI_JOB_V1,
    PADDLE_JOB,
    PYTORCH_JOB,
    TF_JOB,
    XGBOOST_JOB,
)
from cleanhours_plugins.clusters.kubernetes.reading import read
from cleanhours_plugins.clusters.kubernetes.switching import letting_go, stopping
from tests.unit.plugins.clusters.kubernetes.objects_of_kinds import (
    ENDED,
    RESUMED,
    STOPPED,
    an_object,
    pod_template,
    says,
)

ROLES = {"Master": {"template": pod_template()}, "Worker": {"replicas": 3, "template": pod_template(gpus=4)}}


def pytorch_job(status: dict[str, Any] | None = None, **policy: Any) -> dict[str, Any]:
    return an_object({"runPolicy": policy, "pytorchReplicaSpecs": ROLES}, status)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (PYTORCH_JOB, "pytorch"),
        (TF_JOB, "tf"),
        (XGBOOST_JOB, "xgb"),
        (PADDLE_JOB, "paddle"),
        (JAX_JOB, "jax"),
        (MPI_JOB, "mpi"),
        (MPI_JOB_V1, "mpi"),
    ],
    ids=str,
)
def test_a_role_has_one_pod_unless_it_says_more(kind: Kind, field: str) -> None:
    record = read(kind, an_object({"runPolicy": {"suspend": True}, f"{field}ReplicaSpecs": ROLES}))
    assert record is not None
    assert record.suspended
    assert [("Master", 1), ("Worker", 3)] == [(pods.path[2], pods.count) for pods in record.pod_sets]
    assert (4_000, 12) == (record.demand.cpu_millicores, record.demand.gpus)


def test_a_run_policy_holds_the_switch() -> None:
    record = read(PYTORCH_JOB, pytorch_job(suspend=True, activeDeadlineSeconds=60))
    assert record is not None
    assert {"spec": {"runPolicy": {"suspend": False}}} == letting_go(record)
    assert {"spec": {"runPolicy": {"suspend": True}}} == stopping(record)
    assert record.limit is not None
    assert 60 == record.limit.total_seconds()


def test_it_runs_while_any_role_is_active() -> None:
    status = {"startTime": RESUMED, "replicaStatuses": {"Master": {}, "Worker": {"active": 2}, "PS": None}}
    found = PYTORCH_JOB.activity(pytorch_job(status))
    assert (2, parse_instant(RESUMED), None) == (found.active, found.started_at, found.stopped_at)


def test_a_suspended_one_has_no_start_though_an_old_one_is_left() -> None:
    status = {
        "startTime": RESUMED,
        "conditions": [says("Running", STOPPED, "False"), says("Suspended", STOPPED)],
    }
    found = PYTORCH_JOB.activity(pytorch_job(status, suspend=True))
    assert (None, parse_instant(STOPPED)) == (found.started_at, found.stopped_at)


def test_a_resumed_one_is_not_stopped() -> None:
    status = {"startTime": ENDED, "conditions": [says("Suspended", ENDED, "False"), says("Running", ENDED)]}
    assert PYTORCH_JOB.activity(pytorch_job(status)).stopped_at is None


def test_it_ends_succeeded_or_failed() -> None:
    done = {"completionTime": ENDED, "conditions": [says("Succeeded", STOPPED)]}
    lost = {"conditions": [says("Failed", ENDED, reason="PyTorchJobFailed", message="a replica failed")]}
    assert (JobState.SUCCEEDED, parse_instant(ENDED), "") == PYTORCH_JOB.activity(pytorch_job(done)).outcome
    outcome = PYTORCH_JOB.activity(pytorch_job(lost)).outcome
    assert (JobState.FAILED, parse_instant(ENDED), "PyTorchJobFailed: a replica failed") == outcome


@pytest.mark.parametrize(
    ("kind", "operator"), [(PYTORCH_JOB, "training-operator"), (MPI_JOB, "mpi-operator")], ids=str
)
def test_only_its_own_operator_may_be_named(kind: Kind, operator: str) -> None:
    assert kind.manages(an_object({"runPolicy": {"managedBy": f"kubeflow.org/{operator}"}}))
    assert kind.manages(an_object({"runPolicy": {}}))
    assert not kind.manages(an_object({"runPolicy": {"managedBy": "kueue.x-k8s.io/multikueue"}}))
