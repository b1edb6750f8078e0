"""TrainJob: what it asks for, and how it is placed by our entry among the patches of its runtime."""

from typing import Any

from cleanhours_plugins.clusters.kubernetes.kinds.trainjobs import MANAGER, TRAIN_JOB
from cleanhours_plugins.clusters.kubernetes.reading import read
from tests.unit.plugins.clusters.kubernetes.objects_of_kinds import an_object, says

REGION = "topology.kubernetes.io/region"
TRAINER = ("spec", "trainer")
IN_FR = {TRAINER: {"spec": {"nodeSelector": {REGION: "fr"}}}}
RESOURCES = {"limits": {"nvidia.com/gpu": "8", "cpu": "16"}}


def train_job(*patches: dict[str, Any], **status: Any) -> dict[str, Any]:
    spec = {"trainer": {"numNodes": 4, "resourcesPerNode": RESOURCES}, "runtimePatches": list(patches)}
    return an_object(spec, status)


def patch_by(manager: str, **pod_specs: dict[str, Any]) -> dict[str, Any]:
    jobs = [{"name": n, "template": {"spec": {"template": {"spec": s}}}} for n, s in pod_specs.items()]
    return {"manager": manager, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}}}


def job_set(**pod_specs: dict[str, Any]) -> dict[str, Any]:
    jobs = [{"name": n, "template": {"spec": {"template": {"spec": s}}}} for n, s in pod_specs.items()]
    return {"spec": {"replicatedJobs": jobs}}


def placed(obj: dict[str, Any], beside: dict[str, Any] | None, changes: Any) -> Any:
    assert TRAIN_JOB.place is not None
    patch = TRAIN_JOB.place(obj, beside, changes)
    return None if patch is None else patch["spec"]["runtimePatches"]


def test_its_demand_is_that_of_its_nodes() -> None:
    record = read(TRAIN_JOB, train_job())
    assert record is not None
    assert (64_000, 32) == (record.demand.cpu_millicores, record.demand.gpus)


def test_its_job_set_bears_its_name() -> None:
    assert TRAIN_JOB.beside is not None
    expected = "/apis/jobset.x-k8s.io/v1alpha2/namespaces/team/jobsets/train"
    assert expected == TRAIN_JOB.beside(train_job())


def test_every_replicated_job_of_the_job_set_is_placed() -> None:
    selector = {"nodeSelector": {REGION: "fr"}}
    expected = [patch_by(MANAGER, initializer=selector, node=selector)]
    assert expected == placed(train_job(), job_set(initializer={}, node={}), IN_FR)


def test_the_names_stand_in_its_status_too() -> None:
    obj = train_job(jobsStatus=[{"name": "node", "active": 0}])
    assert [patch_by(MANAGER, node={"nodeSelector": {REGION: "fr"}})] == placed(obj, None, IN_FR)


def test_while_no_job_set_is_there_it_cannot_be_placed() -> None:
    assert placed(train_job(), None, IN_FR) is None


def test_other_managers_entries_stay_and_ours_is_replaced() -> None:
    theirs = patch_by("example.org/team", node={"tolerations": [{"key": "gpu"}]})
    ours = patch_by(MANAGER, node={"nodeSelector": {REGION: "de"}})
    expected = [theirs, patch_by(MANAGER, node={"nodeSelector": {REGION: "fr"}})]
    there = job_set(node={"nodeSelector": {REGION: "de"}})
    assert expected == placed(train_job(ours, theirs), there, IN_FR)


def test_a_place_that_the_runtime_itself_names_is_not_overwritten() -> None:
    there = job_set(node={"nodeSelector": {REGION: "pl"}}, initializer={})
    expected = [patch_by(MANAGER, initializer={"nodeSelector": {REGION: "fr"}})]
    assert expected == placed(train_job(), there, IN_FR)


def test_what_we_read_of_its_place_is_what_we_wrote() -> None:
    obj = train_job()
    obj["spec"]["runtimePatches"] = placed(obj, job_set(node={}), IN_FR)
    record = read(TRAIN_JOB, obj)
    assert record is not None
    assert {REGION: "fr"} == record.pod_sets[0].selector


def test_tolerations_are_written_with_those_of_the_runtime() -> None:
    marker = {"key": "cleanhours.dev/placement", "value": "fr"}
    old = {"key": "cleanhours.dev/placement", "value": "de"}
    there = job_set(node={"tolerations": [{"key": "gpu"}, old]})
    [entry] = placed(train_job(), there, {TRAINER: {"spec": {"tolerations": [marker]}}})
    assert patch_by(MANAGER, node={"tolerations": [{"key": "gpu"}, marker]}) == entry


def test_tolerations_of_ours_survive_a_change_of_place_alone() -> None:
    marker = {"key": "cleanhours.dev/placement", "value": "de"}
    ours = patch_by(MANAGER, node={"nodeSelector": {REGION: "de"}, "tolerations": [marker]})
    there = job_set(node={"nodeSelector": {REGION: "de"}, "tolerations": [marker]})
    [entry] = placed(train_job(ours), there, IN_FR)
    assert patch_by(MANAGER, node={"nodeSelector": {REGION: "fr"}, "tolerations": [marker]}) == entry


def test_it_is_over_when_its_condition_says_complete() -> None:
    ended = TRAIN_JOB.activity(train_job(conditions=[says("Complete", "2026-03-01T06:00:00Z")])).outcome
    assert ended is not None
    assert "succeeded" == ended.state
