"""The table of kinds: which rows there are, and what all of them promise."""

import pytest

from cleanhours_plugins.clusters.kubernetes.kinds import KINDS, Kind, served_kinds
from cleanhours_plugins.clusters.kubernetes.reading import read
from tests.unit.plugins.clusters.kubernetes.objects_of_kinds import an_object, pod_template

FAMILY = "PyTorchJob", "TFJob", "XGBoostJob", "PaddleJob", "JAXJob", "MPIJob"


def test_every_kind_has_a_row() -> None:
    known = {(kind.api_version, kind.name) for kind in KINDS}
    assert {
        ("batch/v1", "Job"),
        ("jobset.x-k8s.io/v1alpha2", "JobSet"),
        ("trainer.kubeflow.org/v1alpha1", "TrainJob"),
        ("kubeflow.org/v2beta1", "MPIJob"),
        ("ray.io/v1", "RayJob"),
        ("v1", "Pod"),
        *(("kubeflow.org/v1", name) for name in FAMILY),
    } == known


def test_a_kind_that_is_not_served_is_left_out() -> None:
    served = {("batch/v1", "jobs"), ("kubeflow.org/v1", "tfjobs")}
    assert ["jobs.batch", "tfjobs.kubeflow.org"] == [str(kind) for kind in served_kinds(served)]


def test_of_two_versions_of_one_resource_the_better_is_used() -> None:
    served = {("kubeflow.org/v1", "mpijobs"), ("kubeflow.org/v2beta1", "mpijobs")}
    assert ["kubeflow.org/v2beta1"] == [kind.api_version for kind in served_kinds(served)]
    assert ["kubeflow.org/v1"] == [
        kind.api_version for kind in served_kinds({("kubeflow.org/v1", "mpijobs")})
    ]


@pytest.mark.parametrize("kind", [k for k in KINDS if k.place is None], ids=str)
def test_the_paths_of_templates_lead_to_them(kind: Kind) -> None:
    roles = {"Worker": {"replicas": 2, "template": pod_template()}}
    groups = [{"replicas": 1, "template": pod_template()}]
    spec = {
        "template": pod_template(),
        "replicatedJobs": [{"name": "a", "replicas": 1, "template": {"spec": {"template": pod_template()}}}],
        "rayClusterSpec": {
            "headGroupSpec": {"template": pod_template()},
            "workerGroupSpecs": groups,
        },
        "shutdownAfterJobFinishes": True,
        **pod_template()["spec"],
        **{f"{field}ReplicaSpecs": roles for field in ("pytorch", "tf", "xgb", "paddle", "jax", "mpi")},
    }
    record = read(kind, an_object(spec))
    assert record is not None
    assert record.pod_sets
    assert {1000} == {pods.one.cpu_millicores for pods in record.pod_sets}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_another_controller_made_is_left_to_it(kind: Kind) -> None:
    owner = {"kind": "Sweep", "name": "s", "uid": "u-0", "controller": True}
    spec = {"template": pod_template(), "rayClusterSpec": {}, "shutdownAfterJobFinishes": True}
    assert read(kind, an_object(spec, ownerReferences=[owner])) is None
