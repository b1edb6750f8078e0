"""JobSet: what its status says, and what it asks for."""

from typing import Any

import pytest

from cleanhours.domain.jobs import JobState
from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes.kinds.jobsets import JOB_SET
from cleanhours_plugins.clusters.kubernetes.reading import read
from cleanhours_plugins.clusters.kubernetes.records import Activity
from tests.unit.plugins.clusters.kubernetes.objects_of_kinds import (
    CREATED,
    ENDED,
    RESUMED,
    STOPPED,
    an_object,
    pod_template,
    says,
)


def replicated(name: str, replicas: int = 1, gpus: int = 0, **job: Any) -> dict[str, Any]:
    return {
        "name": name,
        "replicas": replicas,
        "template": {"spec": {**job, "template": pod_template(gpus=gpus)}},
    }


JOBS = [replicated("driver"), replicated("workers", 2, gpus=8, parallelism=4, completions=4)]


def activity(status: dict[str, Any], *, suspend: bool = False) -> Activity:
    return JOB_SET.activity(an_object({"suspend": suspend, "replicatedJobs": JOBS}, status))


def test_its_demand_is_that_of_all_pods_of_all_replicas() -> None:
    record = read(JOB_SET, an_object({"replicatedJobs": JOBS}))
    assert record is not None
    assert (9_000, 64) == (record.demand.cpu_millicores, record.demand.gpus)


def test_no_more_pods_run_at_once_than_are_still_needed() -> None:
    record = read(JOB_SET, an_object({"replicatedJobs": [replicated("w", 2, parallelism=8, completions=3)]}))
    assert record is not None
    assert 6 == record.pod_sets[0].count


def test_what_never_ran_has_not_started_though_it_is_seen_as_suspended() -> None:
    found = activity({"conditions": [says("Suspended", CREATED)]}, suspend=True)
    assert found.quiet
    assert found.started_at is None
    assert parse_instant(CREATED) == found.stopped_at


def test_it_starts_when_it_is_resumed() -> None:
    found = activity(
        {
            "conditions": [says("Suspended", RESUMED, "False")],
            "replicatedJobsStatus": [{"name": "driver", "active": 1}, {"name": "workers", "active": 2}],
        }
    )
    assert (parse_instant(RESUMED), None, 3) == (found.started_at, found.stopped_at, found.active)


@pytest.mark.parametrize("sign", ["active", "ready", "succeeded", "failed"])
def test_one_that_was_never_suspended_started_with_its_creation(sign: str) -> None:
    found = activity({"replicatedJobsStatus": [{"name": "driver", sign: 1}]})
    assert parse_instant(CREATED) == found.started_at


def test_one_without_a_sign_of_life_has_not_started() -> None:
    assert activity({"replicatedJobsStatus": [{"name": "driver", "active": 0}]}).started_at is None


def test_it_is_quiet_once_no_job_of_it_is_active() -> None:
    stopping = {
        "conditions": [says("Suspended", STOPPED)],
        "replicatedJobsStatus": [{"name": "a", "active": 1}],
    }
    assert not activity(stopping, suspend=True).quiet
    stopping["replicatedJobsStatus"] = [{"name": "a", "active": 0}]
    assert activity(stopping, suspend=True).quiet


def test_it_ends_completed_or_failed_with_the_reason() -> None:
    done = activity({"conditions": [says("Suspended", RESUMED, "False"), says("Completed", ENDED)]}).outcome
    lost = activity(
        {"conditions": [says("Failed", ENDED, reason="FailedJobs", message="w-0 failed")]}
    ).outcome
    assert (JobState.SUCCEEDED, parse_instant(ENDED), "") == done
    assert (JobState.FAILED, parse_instant(ENDED), "FailedJobs: w-0 failed") == lost


def test_one_that_another_manager_runs_is_not_ours() -> None:
    spec = {"replicatedJobs": JOBS, "managedBy": "kueue.x-k8s.io/multikueue"}
    assert read(JOB_SET, an_object(spec)) is None
    spec["managedBy"] = "jobset.sigs.k8s.io/jobset-controller"
    assert read(JOB_SET, an_object(spec)) is not None
