"""Kubeflow's jobs by roles: PyTorchJob, TFJob, XGBoostJob, PaddleJob, JAXJob, and MPIJob of either operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind, Object, at, condition, message_of
from cleanhours_plugins.clusters.kubernetes.quantities import instant
from cleanhours_plugins.clusters.kubernetes.records import Activity, Outcome, Path


def _roles(field: str) -> Callable[[Object], Iterator[tuple[Path, int]]]:
    """The templates below a map of roles (Master, Worker, Launcher …): one Pod each unless it says more."""

    def templates(job: Object) -> Iterator[tuple[Path, int]]:
        for role, spec in sorted(at(job, ("spec", field), {}).items()):
            if spec is not None:
                replicas = spec.get("replicas")
                yield ("spec", field, role, "template"), 1 if replicas is None else replicas

    return templates


def _activity(job: Object) -> Activity:
    """`active` falls to 0 as soon as the operator has asked for the Pods' deletion: they may still stop."""
    status = job.get("status") or {}
    suspended = condition(status, "Suspended")
    return Activity(
        active=sum(
            (role or {}).get("active") or 0 for role in (status.get("replicaStatuses") or {}).values()
        ),
        started_at=None if suspended is not None else instant(status.get("startTime")),
        stopped_at=None if suspended is None else instant(suspended.get("lastTransitionTime")),
        outcome=_outcome(status),
    )


def _outcome(status: Object) -> Outcome | None:
    ended = condition(status, "Succeeded", "Failed")
    if ended is None:
        return None
    when = instant(status.get("completionTime") or ended.get("lastTransitionTime"))
    if when is None:
        return None
    if ended["type"] == "Succeeded":
        return Outcome(JobState.SUCCEEDED, when, "")
    return Outcome(JobState.FAILED, when, message_of(ended))


def _row(
    name: str, field: str, *, operator: str = "", manager: str = "training-operator", version: str = "v1"
) -> Kind:
    """`manager` is the operator that an object may name as its own; `operator` what its Pods are labelled with."""
    return Kind(
        group="kubeflow.org",
        version=version,
        plural=f"{name.lower()}s",
        name=name,
        suspend=("spec", "runPolicy", "suspend"),
        templates=_roles(field),
        activity=_activity,
        manages=lambda o: at(o, ("spec", "runPolicy", "managedBy")) in (None, f"kubeflow.org/{manager}"),
        limit=("spec", "runPolicy", "activeDeadlineSeconds"),
        pods=lambda o: {
            "training.kubeflow.org/job-name": o["metadata"]["name"],
            "training.kubeflow.org/operator-name": operator or f"{name.lower()}-controller",
        },
    )


PYTORCH_JOB: Final = _row("PyTorchJob", "pytorchReplicaSpecs")
TF_JOB: Final = _row("TFJob", "tfReplicaSpecs")
XGBOOST_JOB: Final = _row("XGBoostJob", "xgbReplicaSpecs")
PADDLE_JOB: Final = _row("PaddleJob", "paddleReplicaSpecs")
JAX_JOB: Final = _row("JAXJob", "jaxReplicaSpecs")
MPI_JOB: Final = _row(
    "MPIJob", "mpiReplicaSpecs", version="v2beta1", manager="mpi-operator", operator="mpi-operator"
)
"""Of the MPI operator. Its launcher follows a new place since 0.8.0; before, it stays where it was first put."""
MPI_JOB_V1: Final = _row("MPIJob", "mpiReplicaSpecs")
"""Of the training operator. A cluster has one of the two: they are versions of one resource."""
