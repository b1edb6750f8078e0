"""Controllers that the adapter meets: what each one does, told without a word of cleanhours.

Each rule is tested on who plays the controller, and on the real one where it is to be had (`actors/stage.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.kubernetes.actors.actor import is_true
from tests.integration.kubernetes.actors.objects import REGION, job, pods_of, replicated, running_job, tried
from tests.integration.kubernetes.actors.server import Object
from tests.integration.kubernetes.actors.stage import (
    JOBSET,
    PLAYED,
    REAL,
    TRAINER,
    Play,
    Stage,
    stage,
    theatre,
    wait_for,
)
from tests.integration.kubernetes.control_plane import ControlPlane

pytestmark = pytest.mark.integration

AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": REGION, "operator": "In", "values": ["fr"]}]}]
        }
    }
}
Theatre = tuple[Play, str, ControlPlane]


@pytest.fixture(scope="module", params=[PLAYED, REAL])
def jobset_theatre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theatre]:
    yield from _theatre(JOBSET, request, tmp_path_factory)


@pytest.fixture(scope="module", params=[PLAYED, REAL])
def trainer_theatre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theatre]:
    yield from _theatre(TRAINER, request, tmp_path_factory)


def _theatre(
    play: Play, request: pytest.FixtureRequest, folders: pytest.TempPathFactory
) -> Iterator[Theatre]:
    mode: str = request.param
    shared = lambda: request.getfixturevalue("control_plane")  # noqa: E731 - only where it is used
    with theatre(play, mode, shared, folders.mktemp(play.name)) as plane:
        yield play, mode, plane


@pytest.fixture
def job_sets(jobset_theatre: Theatre) -> Iterator[Stage]:
    with stage(*jobset_theatre) as found:
        yield found


@pytest.fixture
def train_jobs(trainer_theatre: Theatre) -> Iterator[Stage]:
    with stage(*trainer_theatre) as found:
        yield found


class TestJobSet:
    API = "jobset.x-k8s.io/v1alpha2"

    def create(self, on: Stage, *jobs: Object, suspend: bool = True) -> str:
        spec = {"suspend": suspend, "replicatedJobs": list(jobs) or [replicated("w")]}
        body = {"apiVersion": self.API, "kind": "JobSet", "metadata": {"name": "set"}, "spec": spec}
        on.server.create(on.path(self.API, "jobsets"), body)
        return on.path(self.API, "jobsets", "set")

    def until(self, on: Stage, path: str, condition: str, status: str = "True") -> Object:
        def look() -> Object | None:
            found = on.server.get(path)
            told = {c["type"]: c["status"] for c in (found.get("status") or {}).get("conditions") or ()}
            return found if told.get(condition) == status else None

        return wait_for(look)

    def placed(self, found: Object, region: str, **spec: Any) -> list[Object]:
        jobs = found["spec"]["replicatedJobs"]
        for one in jobs:
            one["template"]["spec"]["template"]["spec"] |= {"nodeSelector": {REGION: region}, **spec}
        return list(jobs)

    def test_a_suspended_set_has_suspended_jobs_and_no_pods(self, job_sets: Stage) -> None:
        path = self.create(job_sets, replicated("a"), replicated("b", replicas=2))
        self.until(job_sets, path, "Suspended")
        assert all(job(job_sets, name)["spec"]["suspend"] for name in ("set-a-0", "set-b-0", "set-b-1"))
        assert [] == pods_of(job_sets)

    def test_its_status_names_every_replicated_job_before_any_runs(self, job_sets: Stage) -> None:
        path = self.create(job_sets, replicated("a"), replicated("b"))
        found = wait_for(lambda: job_sets.server.get(path).get("status", {}).get("replicatedJobsStatus"))
        assert {"a": 0, "b": 0} == {row["name"]: row["active"] for row in found}

    def test_a_place_is_taken_over_in_the_write_that_resumes_it(self, job_sets: Stage) -> None:
        path = self.create(job_sets)
        found = self.until(job_sets, path, "Suspended")
        patch = {"spec": {"suspend": False, "replicatedJobs": self.placed(found, "fr")}}
        job_sets.server.patch(path, patch)
        found = running_job(job_sets, "set-w-0")
        assert {REGION: "fr"} == found["spec"]["template"]["spec"]["nodeSelector"]
        assert ["fr-1"] == [pod["spec"]["nodeName"] for pod in pods_of(job_sets)]
        self.until(job_sets, path, "Suspended", "False")

    def test_affinity_is_refused_on_update_and_a_selector_is_not(self, job_sets: Stage) -> None:
        path = self.create(job_sets)
        found = self.until(job_sets, path, "Suspended")
        bad = {"spec": {"replicatedJobs": self.placed(found, "fr", affinity=AFFINITY)}}
        answer = wait_for(lambda: job_sets.refused(path, bad))
        assert 422 == answer.status
        assert "immutable" in answer.message
        good = {"spec": {"replicatedJobs": self.placed(job_sets.server.get(path), "fr")}}
        assert job_sets.refused(path, good) is None

    def test_the_template_of_a_running_set_is_immutable(self, job_sets: Stage) -> None:
        path = self.create(job_sets, suspend=False)
        running_job(job_sets, "set-w-0")
        bad = {"spec": {"replicatedJobs": self.placed(job_sets.server.get(path), "fr")}}
        assert "immutable" in wait_for(lambda: job_sets.refused(path, bad)).message
        assert job_sets.refused(path, {"spec": {**bad["spec"], "suspend": True}}) is None

    def test_suspending_it_stops_its_pods(self, job_sets: Stage) -> None:
        path = self.create(job_sets, suspend=False)
        running_job(job_sets, "set-w-0")
        job_sets.server.patch(path, {"spec": {"suspend": True}})
        self.until(job_sets, path, "Suspended")
        wait_for(lambda: not pods_of(job_sets))
        wait_for(lambda: job_sets.server.get(path)["status"]["replicatedJobsStatus"][0]["active"] == 0)

    def test_a_selector_that_is_taken_away_stays_with_the_job(self, job_sets: Stage) -> None:
        path = self.create(job_sets)
        found = self.until(job_sets, path, "Suspended")
        job_sets.server.patch(path, {"spec": {"suspend": False, "replicatedJobs": self.placed(found, "fr")}})
        running_job(job_sets, "set-w-0")
        job_sets.server.patch(path, {"spec": {"suspend": True}})
        found = self.until(job_sets, path, "Suspended")
        wait_for(lambda: not pods_of(job_sets))
        jobs = found["spec"]["replicatedJobs"]
        del jobs[0]["template"]["spec"]["template"]["spec"]["nodeSelector"]
        wait_for(lambda: tried(job_sets, path, {"spec": {"suspend": False, "replicatedJobs": jobs}}))
        wait_for(lambda: not job(job_sets, "set-w-0")["spec"]["suspend"])
        assert {REGION: "fr"} == job(job_sets, "set-w-0")["spec"]["template"]["spec"]["nodeSelector"]

    def test_it_moves_by_overwriting_the_selector(self, job_sets: Stage) -> None:
        path = self.create(job_sets)
        found = self.until(job_sets, path, "Suspended")
        job_sets.server.patch(path, {"spec": {"suspend": False, "replicatedJobs": self.placed(found, "fr")}})
        running_job(job_sets, "set-w-0")
        job_sets.server.patch(path, {"spec": {"suspend": True}})
        found = self.until(job_sets, path, "Suspended")
        wait_for(lambda: not pods_of(job_sets))
        job_sets.server.patch(path, {"spec": {"suspend": False, "replicatedJobs": self.placed(found, "pl")}})
        wait_for(lambda: [p["spec"].get("nodeName") for p in pods_of(job_sets)] == ["pl-1"])

    def test_it_is_completed_when_all_its_jobs_are(self, job_sets: Stage) -> None:
        path = self.create(job_sets, replicated("a", "1s"), replicated("b", "1s"), suspend=False)
        self.until(job_sets, path, "Completed")

    def test_it_fails_with_its_first_job(self, job_sets: Stage) -> None:
        lost = replicated("b", "1s")
        lost["template"]["spec"]["template"]["metadata"]["annotations"]["test/exit-code"] = "1"
        path = self.create(job_sets, replicated("a"), lost, suspend=False)
        self.until(job_sets, path, "Failed")


class TestTrainJob:
    API = "trainer.kubeflow.org/v1alpha1"

    def create(self, on: Stage, run_for: str = "60s", *, suspend: bool = True) -> str:
        runtime = {"template": {"spec": {"replicatedJobs": [replicated("node", run_for)]}}}
        body = {
            "apiVersion": self.API,
            "kind": "TrainingRuntime",
            "metadata": {"name": "torch"},
            "spec": runtime,
        }
        on.server.create(on.path(self.API, "trainingruntimes"), body)
        reference = {"name": "torch", "kind": "TrainingRuntime"}
        spec = {"suspend": suspend, "runtimeRef": reference, "trainer": {"numNodes": 2}}
        body = {"apiVersion": self.API, "kind": "TrainJob", "metadata": {"name": "train"}, "spec": spec}
        on.server.create(on.path(self.API, "trainjobs"), body)
        return on.path(self.API, "trainjobs", "train")

    def patches(self, region: str, job_name: str = "node") -> list[Object]:
        pod = {"template": {"spec": {"template": {"spec": {"nodeSelector": {REGION: region}}}}}}
        jobs = [{"name": job_name, **pod}]
        entry = {"template": {"spec": {"replicatedJobs": jobs}}}
        return [{"manager": "example.org/tester", "trainingRuntimeSpec": entry}]

    def known(self, on: Stage, path: str) -> Object:
        """Once its status tells its replicated Jobs."""
        return wait_for(
            lambda: found if (found := on.server.get(path)).get("status", {}).get("jobsStatus") else None
        )

    def test_a_suspended_one_has_a_suspended_job_set_of_its_name(self, train_jobs: Stage) -> None:
        path = self.create(train_jobs)
        found = self.known(train_jobs, path)
        job_set = train_jobs.server.get(train_jobs.path("jobset.x-k8s.io/v1alpha2", "jobsets", "train"))
        assert job_set["spec"]["suspend"]
        assert ["node"] == [one["name"] for one in job_set["spec"]["replicatedJobs"]]
        assert ["node"] == [one["name"] for one in found["status"]["jobsStatus"]]
        assert is_true(found["status"], "Suspended")

    def test_a_patch_of_its_runtime_is_taken_over_in_the_write_that_resumes_it(
        self, train_jobs: Stage
    ) -> None:
        path = self.create(train_jobs)
        self.known(train_jobs, path)
        train_jobs.server.patch(path, {"spec": {"suspend": False, "runtimePatches": self.patches("fr")}})
        wait_for(lambda: [p["spec"].get("nodeName") for p in pods_of(train_jobs)] == ["fr-1", "fr-1"])

    def test_patches_of_a_running_one_are_refused(self, train_jobs: Stage) -> None:
        path = self.create(train_jobs, suspend=False)
        running_job(train_jobs, "train-node-0")
        bad = {"spec": {"runtimePatches": self.patches("fr")}}
        assert "only be modified when" in wait_for(lambda: train_jobs.refused(path, bad)).message

    def test_patches_are_refused_while_its_jobs_are_still_active(self, train_jobs: Stage) -> None:
        path = self.create(train_jobs, suspend=False)
        wait_for(lambda: self.known(train_jobs, path)["status"]["jobsStatus"][0].get("active"))
        bad = {"spec": {"suspend": True, "runtimePatches": self.patches("fr")}}
        assert "still active" in wait_for(lambda: train_jobs.refused(path, bad)).message
        train_jobs.server.patch(path, {"spec": {"suspend": True}})
        wait_for(lambda: train_jobs.refused(path, bad) is None)

    def test_patches_may_name_only_jobs_of_the_runtime(self, train_jobs: Stage) -> None:
        path = self.create(train_jobs)
        self.known(train_jobs, path)
        bad = {"spec": {"runtimePatches": self.patches("fr", "launcher")}}
        assert "doesn't exist" in wait_for(lambda: train_jobs.refused(path, bad)).message

    def test_it_moves_while_it_is_suspended(self, train_jobs: Stage) -> None:
        path = self.create(train_jobs)
        self.known(train_jobs, path)
        train_jobs.server.patch(path, {"spec": {"suspend": False, "runtimePatches": self.patches("fr")}})
        running_job(train_jobs, "train-node-0")
        train_jobs.server.patch(path, {"spec": {"suspend": True}})
        wait_for(lambda: not pods_of(train_jobs))
        patch = {"spec": {"suspend": False, "runtimePatches": self.patches("pl")}}
        wait_for(lambda: tried(train_jobs, path, patch))
        wait_for(lambda: [p["spec"].get("nodeName") for p in pods_of(train_jobs)] == ["pl-1", "pl-1"])

    def test_it_is_complete_when_its_job_set_is(self, train_jobs: Stage) -> None:
        path = self.create(train_jobs, "1s", suspend=False)
        wait_for(lambda: is_true(train_jobs.server.get(path).get("status") or {}, "Complete"))
