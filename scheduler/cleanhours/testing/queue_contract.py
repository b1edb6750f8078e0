"""What a cluster of processes promises besides: it accepts submissions, its owners' words, and knows what a run used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.jobs import Action, JobKey, JobState
from cleanhours.domain.plans import Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Cancelling, Clock, Cluster, HavingCapacity, OwnerPausing, Submission, Submitting
from cleanhours.testing.cluster_contract import Suite, decision_for


class Actor(Cluster, HavingCapacity, Submitting, Cancelling, OwnerPausing, Protocol):
    """A cluster with every power that this suite asks of."""


class QueueStage(ABC):
    """A `Stage` whose owners use the cluster's own powers. It has two slots; `folder` is where its processes work."""

    cluster: Actor
    clock: Clock
    folder: Path
    namespace = "team"

    @abstractmethod
    def command(self, name: str, work: timedelta, exit_code: int) -> tuple[str, ...]:
        """A command that runs for `work` of the clock's time, pauses not counted, and ends with that code."""

    @abstractmethod
    def wait(self, condition: Callable[[], bool]) -> None:
        """Lets time pass until it holds; fails when it does not in time."""

    def submit(self, name: str, work: timedelta, exit_code: int, request: JobRequest) -> JobKey:
        command = self.command(name, work, exit_code)
        return self.cluster.submit(
            Submission(
                name=name, command=command, request=request, folder=self.folder, namespace=self.namespace
            )
        )

    def cancel(self, key: JobKey) -> None:
        assert self.cluster.cancel(key)

    def owner_pause(self, key: JobKey) -> None:
        assert self.cluster.owner_pause(key)

    def owner_resume(self, key: JobKey) -> None:
        assert self.cluster.owner_resume(key)


class QueueContract(Suite):
    """The powers of a queue of processes: submitting, cancelling, an owner's pause, slots, and what was used."""

    @pytest.fixture
    def stage(self) -> QueueStage:
        """Two slots, an empty queue."""
        raise NotImplementedError("give the suite a stage")

    def test_a_run_tells_what_it_used_and_how_it_ended(self, stage: QueueStage) -> None:
        key = self.submit(stage, work=2)
        self.tell(stage, key, Action.RELEASE)
        run = self.over(stage, key)
        assert 0 == run.exit_code
        assert {"cpu_seconds", "max_rss_bytes"} <= set(run.usage)

    def test_a_failure_keeps_its_exit_code(self, stage: QueueStage) -> None:
        key = self.submit(stage, work=1, exit_code=3)
        self.tell(stage, key, Action.RELEASE)
        run = self.over(stage, key)
        assert 3 == run.exit_code
        assert "3" in run.message

    def test_an_impossible_submission_is_refused_with_every_fault(self, stage: QueueStage) -> None:
        request = JobRequest(submitted=stage.clock.now())
        bad = Submission(name="two\nlines", command=(), request=request, folder=stage.folder / "missing")
        with pytest.raises(InvalidRequest) as refused:
            stage.cluster.submit(bad)
        assert {"name", "command", "folder"} == {complaint.field for complaint in refused.value.complaints}
        assert [] == [*stage.cluster.pending(), *stage.cluster.running()]

    def test_no_more_jobs_run_than_there_are_slots_unless_a_deadline_forces_it(
        self, stage: QueueStage
    ) -> None:
        keys = [self.submit(stage, f"job-{number}") for number in range(4)]
        decisions = [
            decision_for(self.find(stage, key), Action.RELEASE, stage.clock.now()) for key in keys[:3]
        ]
        assert ["", "", "no slot free"] == [applied.error for applied in stage.cluster.apply(decisions)]
        assert self.tell(stage, keys[3], Action.RELEASE, Reason.DEADLINE_GUARD).done
        assert {keys[0], keys[1], keys[3]} == {job.key for job in stage.cluster.running()}

    def test_an_owner_is_told_when_there_was_nothing_to_do(self, stage: QueueStage) -> None:
        key = self.submit(stage)
        assert not stage.cluster.owner_resume(key)
        assert stage.cluster.owner_pause(key)
        assert not stage.cluster.owner_pause(key)
        assert stage.cluster.owner_resume(key)
        assert not stage.cluster.owner_resume(key)
        assert stage.cluster.cancel(key)
        assert not stage.cluster.cancel(key)

    def test_a_running_job_that_its_owner_gives_back_is_paused(self, stage: QueueStage) -> None:
        key = self.submit(stage)
        self.start(stage, key)
        stage.owner_pause(key)
        self.until(stage, key, JobState.UNMANAGED)
        stage.owner_resume(key)
        assert JobState.PAUSED == self.find(stage, key).state
