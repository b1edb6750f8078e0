"""Jobs that are only watched: planned as if they waited, touched by nobody, and told what that would have saved."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from cleanhours.control.reconciling import Reconciler
from cleanhours.domain.jobs import Job, JobKey, JobState, RunSegment
from cleanhours.domain.plans import Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Cluster
from cleanhours.testing.clocks import MONDAY
from tests.flow.test_cycle import HOUR, MINUTE, Stage

LABELS = {"cluster": "fake", "namespace": "ml"}


def watched(stage: Stage, uid: str = "1", *, shadow: bool = True) -> Job:
    """A job that runs since its submission, as jobs do that nobody held."""
    now = stage.clock.now()
    request = JobRequest(submitted=now, duration=2 * HOUR, max_delay=20 * HOUR)
    job = Job(
        key=JobKey("fake", uid), name="train", namespace="ml", state=JobState.RUNNING, request=request, home="here",
        location="here", started_at=now, segments=(RunSegment(now, None, "here"),), shadow=shadow,
    )  # fmt: skip
    stage.cluster.add(job)
    return job


def counted(stage: Stage, name: str) -> float:
    return stage.telemetry.total(name, **LABELS)


def test_a_watched_job_is_planned_as_if_it_waited_and_not_touched() -> None:
    stage = Stage()
    job = watched(stage)
    stage.live(MONDAY + HOUR)
    assert [] == stage.cluster.acted
    snapshot = stage.reconciler.snapshot
    assert snapshot is not None
    (shown,) = snapshot.jobs
    assert shown.plan is not None
    assert (JobState.RUNNING, MONDAY + 12 * HOUR) == (shown.state, shown.plan.start)
    assert 1 == len(stage.ledger.plans(job.key))


def test_what_it_would_save_is_counted_once_whoever_counts() -> None:
    stage = Stage()
    watched(stage)
    stage.live(MONDAY + HOUR)
    stage.reconciler = Reconciler(stage.world)
    stage.live(MONDAY + 1.5 * HOUR)
    assert (190.0, 590.0) == (
        counted(stage, "shadow_emissions_grams_total"),
        counted(stage, "shadow_baseline_grams_total"),
    )


def test_a_job_that_is_first_seen_late_is_not_imagined() -> None:
    stage = Stage()
    watched(stage)
    stage.clock.advance(11 * MINUTE)
    stage.reconciler.tick()
    assert 0 == counted(stage, "shadow_baseline_grams_total")


def test_a_watched_job_takes_no_plan_from_one_that_is_managed() -> None:
    stage = Stage(slots=1)
    key = stage.submit()
    watched(stage)
    stage.reconciler.tick()
    assert MONDAY + 12 * HOUR == stage.job(key).plan.start  # type: ignore[union-attr]


@pytest.mark.parametrize("accepts", [True, False])
def test_in_shadow_only_a_queue_of_ours_is_touched(accepts: bool) -> None:
    stage = Stage(shadow=True)
    if not accepts:
        stage.reconciler.world = replace(stage.world, clusters=(cast(Cluster, WithoutQueue(stage.cluster)),))
    watched(stage, shadow=False)
    stage.submit()
    stage.live(MONDAY + 10 * MINUTE)
    assert [Reason.SHADOW] * accepts == [decision.reason for decision in stage.cluster.acted]
    assert 590.0 * (2 - accepts) == stage.telemetry.total("shadow_baseline_grams_total")


class WithoutQueue:
    """The same cluster, as one whose jobs start without us."""

    def __init__(self, cluster: object) -> None:
        self._cluster = cluster
        self.name = "fake"

    def __getattr__(self, name: str) -> object:
        if name == "submit":
            raise AttributeError(name)
        return getattr(self._cluster, name)
