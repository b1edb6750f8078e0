"""What a cluster promises that can stop running jobs: to go on where they were, or elsewhere. Suites, as `ClusterContract`."""

from __future__ import annotations

from typing import Protocol

import pytest

from cleanhours.domain.jobs import Action, JobState
from cleanhours.testing.cluster_contract import Stage, Suite, decision_for

WORK = 6.0
"""Minutes: enough to be stopped in the midst of it."""


class PausingContract(Suite):
    """The powers SUSPEND and RESUME."""

    def test_it_says_that_it_can_pause(self, stage: Stage) -> None:
        assert {Action.SUSPEND, Action.RESUME} <= stage.cluster.powers

    def test_a_suspended_job_stops_and_goes_on_where_it_was(self, stage: Stage) -> None:
        key = self.submit(stage, work=WORK, interruptible=True)
        begun = self.start(stage, key).segments[0].start
        self.rest(stage, begun, 1)
        assert "" == self.tell(stage, key, Action.SUSPEND).error
        paused = self.until(stage, key, JobState.PAUSED)
        assert paused.segments[-1].end is not None
        assert key in {one.key for one in stage.cluster.pending()}
        since = stage.clock.now()
        self.rest(stage, since, 3)
        assert paused.remaining == self.find(stage, key).remaining
        assert "" == self.tell(stage, key, Action.RESUME).error
        run = self.over(stage, key)
        assert JobState.SUCCEEDED == run.state
        assert 2 == len(run.segments)
        assert run.segments[1].start - (run.segments[0].end or begun) >= 2 * self.minute
        assert run.segments[0].location == run.segments[1].location

    def test_work_before_a_pause_is_not_left_to_do(self, stage: Stage) -> None:
        key = self.submit(stage, work=WORK, interruptible=True)
        begun = self.start(stage, key).segments[0].start
        self.rest(stage, begun, 2)
        self.tell(stage, key, Action.SUSPEND)
        remaining = self.until(stage, key, JobState.PAUSED).remaining
        assert remaining is not None
        assert remaining <= (WORK - 1) * self.minute

    def test_suspending_twice_stops_once(self, stage: Stage) -> None:
        key = self.submit(stage, interruptible=True)
        job = self.start(stage, key)
        decision = decision_for(job, Action.SUSPEND, stage.clock.now())
        assert ["", ""] == [applied.error for applied in stage.cluster.apply([decision, decision])]
        self.until(stage, key, JobState.PAUSED)
        assert "" == stage.cluster.apply([decision])[0].error
        assert (JobState.PAUSED, 1) == (self.find(stage, key).state, len(self.find(stage, key).segments))

    def test_resuming_twice_starts_once(self, stage: Stage) -> None:
        key = self.submit(stage, interruptible=True)
        self.start(stage, key)
        self.tell(stage, key, Action.SUSPEND)
        paused = self.until(stage, key, JobState.PAUSED)
        decision = decision_for(paused, Action.RESUME, stage.clock.now())
        assert ["", ""] == [applied.error for applied in stage.cluster.apply([decision, decision])]
        assert 2 == len(self.until(stage, key, JobState.RUNNING).segments)

    def test_a_job_that_waits_is_not_suspended(self, stage: Stage) -> None:
        key = self.submit(stage, interruptible=True)
        self.tell(stage, key, Action.SUSPEND)
        assert JobState.HELD == self.find(stage, key).state

    def test_a_paused_job_can_be_cancelled(self, stage: Stage) -> None:
        key = self.submit(stage, interruptible=True)
        self.start(stage, key)
        self.tell(stage, key, Action.SUSPEND)
        self.until(stage, key, JobState.PAUSED)
        stage.cancel(key)
        run = self.over(stage, key)
        assert (JobState.CANCELLED, 1) == (run.state, len(run.segments))


class StageOfTwoPlaces(Stage, Protocol):
    """A stage whose jobs may also run `elsewhere`."""

    @property
    def here(self) -> str: ...

    @property
    def elsewhere(self) -> str: ...


class RelocatingContract(Suite):
    """The power RELOCATE: a running job is stopped, to go on elsewhere. It is paused where it was, and resumed there."""

    @pytest.fixture
    def stage(self) -> StageOfTwoPlaces:
        """A cluster of two places at least."""
        raise NotImplementedError("give the suite a stage")

    def test_it_says_that_it_can_relocate(self, stage: StageOfTwoPlaces) -> None:
        assert {Action.RELOCATE, Action.RESUME} <= stage.cluster.powers

    def test_a_job_starts_where_its_plan_says(self, stage: StageOfTwoPlaces) -> None:
        key = self.submit(stage, locations=(stage.here, stage.elsewhere))
        assert stage.here == self.find(stage, key).home
        assert "" == self.tell(stage, key, Action.RELEASE, at=stage.elsewhere).error
        job = self.until(stage, key, JobState.RUNNING)
        assert (stage.here, stage.elsewhere) == (job.home, job.location)

    def test_a_started_job_goes_on_elsewhere_with_its_work_behind_it(self, stage: StageOfTwoPlaces) -> None:
        key = self.submit(stage, work=WORK, interruptible=True, locations=(stage.here, stage.elsewhere))
        job = self.start(stage, key)
        assert job.movable
        self.rest(stage, job.segments[0].start, 1)
        assert "" == self.tell(stage, key, Action.RELOCATE, at=stage.elsewhere).error
        paused = self.until(stage, key, JobState.PAUSED)
        assert stage.here == paused.location
        assert paused.remaining is not None
        assert paused.remaining < WORK * self.minute
        assert "" == self.tell(stage, key, Action.RESUME, at=stage.elsewhere).error
        assert stage.elsewhere == self.until(stage, key, JobState.RUNNING).location
        run = self.over(stage, key)
        assert (JobState.SUCCEEDED, stage.here) == (run.state, run.home)
        assert [stage.here, stage.elsewhere] == [part.location for part in run.segments]

    def test_relocating_twice_stops_once(self, stage: StageOfTwoPlaces) -> None:
        key = self.submit(stage, interruptible=True, locations=(stage.here, stage.elsewhere))
        job = self.start(stage, key)
        decision = decision_for(job, Action.RELOCATE, stage.clock.now(), at=stage.elsewhere)
        assert ["", ""] == [applied.error for applied in stage.cluster.apply([decision, decision])]
        assert 1 == len(self.until(stage, key, JobState.PAUSED).segments)

    def test_a_move_to_a_place_that_is_not_there_leaves_the_job_running(
        self, stage: StageOfTwoPlaces
    ) -> None:
        key = self.submit(stage, interruptible=True, locations=(stage.here, stage.elsewhere))
        self.start(stage, key)
        assert "atlantis" in self.tell(stage, key, Action.RELOCATE, at="atlantis").error
        assert JobState.RUNNING == self.find(stage, key).state

    def test_a_job_that_may_not_be_interrupted_is_not_movable(self, stage: StageOfTwoPlaces) -> None:
        key = self.submit(stage, interruptible=False, locations=(stage.here, stage.elsewhere))
        assert not self.find(stage, key).movable
        assert not self.start(stage, key).movable
