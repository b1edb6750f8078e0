"""The table of kinds that can be held. A kind that is not served is not watched."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from cleanhours_plugins.clusters.kubernetes.kinds.jobs import JOB
from cleanhours_plugins.clusters.kubernetes.kinds.jobsets import JOB_SET
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
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD
from cleanhours_plugins.clusters.kubernetes.kinds.rayjobs import RAY_JOB
from cleanhours_plugins.clusters.kubernetes.kinds.trainjobs import TRAIN_JOB

KINDS: Final[tuple[Kind, ...]] = (
    JOB,
    JOB_SET,
    TRAIN_JOB,
    PYTORCH_JOB,
    TF_JOB,
    XGBOOST_JOB,
    PADDLE_JOB,
    JAX_JOB,
    MPI_JOB,
    MPI_JOB_V1,
    RAY_JOB,
    POD,
)
"""Of two versions of one resource the better comes first."""


def served_kinds(served: Container[tuple[str, str]]) -> tuple[Kind, ...]:
    """The kinds that a server has, by (apiVersion, plural), in the table's order; of one resource one version only."""
    chosen: dict[str, Kind] = {}
    for kind in KINDS:
        if (kind.api_version, kind.plural) in served:
            chosen.setdefault(str(kind), kind)
    return tuple(chosen.values())


__all__ = ["JOB", "KINDS", "Kind", "served_kinds"]
