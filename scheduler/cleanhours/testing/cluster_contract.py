"""What every cluster promises, as a suite: subclass `ClusterContract`, give it a `stage`, and pytest does the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol

import pytest

from cleanhours.domain.jobs import Action, Applied, Decision, FinishedRun, Job, JobKey, JobState
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Clock, Cluster

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Stage(Protocol):
    """A cluster to be tested, what an owner does to his jobs there, and the means to let time pass.

    Owners use the cluster's own tools, or its powers where it has them; each of these returns when the cluster shows it.
    """

    @property
    def cluster(self) -> Cluster: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def namespace(self) -> str:
        """Whose books the jobs of `submit` go to."""

    def submit(self, name: str, work: timedelta, exit_code: int, request: JobRequest) -> JobKey:
        """A job that is held, runs for `work` of the clock's time when it is let go, and ends with that code."""

    def cancel(self, key: JobKey) -> None:
        """Its owner ends it, whether it waits or runs."""

    def owner_pause(self, key: JobKey) -> None:
        """Its owner stops it, or keeps it stopped, himself."""

    def owner_resume(self, key: JobKey) -> None:
        """Its owner gives it back."""

    def wait(self, condition: Callable[[], bool]) -> None:
        """Lets time pass until it holds; fails when it does not in time."""


def plan_for(job: Job, now: datetime, reason: Reason = Reason.LOWEST_WINDOW, at: str | None = None) -> Plan:
    """A plan that starts the job now at its home, or `at` a place."""
    length = job.request.duration or timedelta(hours=1)
    start, place = now.replace(microsecond=0), at or job.home
    return Plan(
        location=place,
        zone="GB",
        start=start,
        end=start + length,
        segments=(Segment(start, start + length, place, "GB"),),
        latest_start=start + timedelta(hours=9),
        reason=reason,
    )


def decision_for(
    job: Job,
    action: Action,
    now: datetime,
    reason: Reason = Reason.LOWEST_WINDOW,
    at: str | None = None,
) -> Decision:
    """An action with such a plan."""
    return Decision(job.key, action, plan_for(job, now, reason, at), reason)


class Suite:
    """The words that all suites about clusters are written in. Each test has its own jobs, and asks about those alone.

    `minute` scales every length: where real processes or servers that count in whole seconds take part, a second will do.
    """

    minute: ClassVar[timedelta] = timedelta(minutes=1)

    @pytest.fixture
    def stage(self) -> Stage:
        """A cluster with room for two jobs at least, and none that this test did not bring."""
        raise NotImplementedError("give the suite a stage")

    def submit(
        self, stage: Stage, name: str = "job", work: float = 120, exit_code: int = 0, **wishes: Any
    ) -> JobKey:
        """A held job of `work` minutes, which its owner declares as its duration."""
        length = work * self.minute
        wishes = {"duration": length, "max_delay": timedelta(hours=12), **wishes}
        request = JobRequest(submitted=stage.clock.now(), **wishes)
        return stage.submit(name, length, exit_code, request)

    def tell(
        self,
        stage: Stage,
        key: JobKey,
        action: Action,
        reason: Reason = Reason.LOWEST_WINDOW,
        at: str | None = None,
    ) -> Applied:
        """Decides one thing."""
        job = self.find(stage, key)
        (applied,) = stage.cluster.apply([decision_for(job, action, stage.clock.now(), reason, at)])
        return applied

    def start(self, stage: Stage, key: JobKey) -> Job:
        """Lets a job go; returns it as it runs."""
        assert "" == self.tell(stage, key, Action.RELEASE).error
        return self.until(stage, key, JobState.RUNNING)

    def find(self, stage: Stage, key: JobKey) -> Job:
        """An unfinished job. Two questions: one that changes sides between them is in neither answer, so asked again."""
        for _ in range(3):
            for job in [*stage.cluster.pending(), *stage.cluster.running()]:
                if job.key == key:
                    return job
        raise LookupError(f"{key.uid} neither waits nor runs")

    def until(self, stage: Stage, key: JobKey, *states: JobState) -> Job:
        """The job, once it is in one of these states."""
        stage.wait(lambda: self.find(stage, key).state in states)
        return self.find(stage, key)

    def over(self, stage: Stage, key: JobKey) -> FinishedRun:
        """Its run, once it has ended."""
        stage.wait(lambda: bool(self.runs(stage, key)))
        (run,) = self.runs(stage, key)
        return run

    def runs(self, stage: Stage, *keys: JobKey, since: datetime = LONG_AGO) -> list[FinishedRun]:
        """What has finished of these, as the cluster orders it."""
        return [run for run in stage.cluster.finished(since) if JobKey(*run.key[:2]) in keys]

    def rest(self, stage: Stage, since: datetime, minutes: float) -> None:
        """Until so long after an instant."""
        stage.wait(lambda: stage.clock.now() >= since + minutes * self.minute)


class ClusterContract(Suite):
    """Tests read as sentences about a cluster."""

    def test_a_submitted_job_waits_and_has_no_run(self, stage: Stage) -> None:
        key = self.submit(stage, "patient")
        job = self.find(stage, key)
        assert ("patient", stage.namespace, JobState.HELD) == (job.name, job.namespace, job.state)
        assert () == job.segments
        assert 120 * self.minute == job.remaining
        assert key in {one.key for one in stage.cluster.pending()}
        assert key not in {one.key for one in stage.cluster.running()}

    def test_a_released_job_runs_and_succeeds_once(self, stage: Stage) -> None:
        before = stage.clock.now().replace(microsecond=0)
        key = self.submit(stage, work=2)
        assert self.tell(stage, key, Action.RELEASE).done
        run = self.over(stage, key)
        assert JobState.SUCCEEDED == run.state
        assert 1 == len(run.segments)
        assert before <= run.segments[0].start < (run.segments[0].end or before) <= run.finished_at
        assert run.segments[0].handles
        assert run.home == run.segments[0].location
        assert key not in {one.key for one in [*stage.cluster.pending(), *stage.cluster.running()]}

    def test_a_running_job_occupies_its_home_and_its_work_sinks(self, stage: Stage) -> None:
        key = self.submit(stage)
        begun = self.start(stage, key).segments[0].start
        self.rest(stage, begun, 1)
        job = self.find(stage, key)
        assert job.home == job.location
        assert key in {one.key for one in stage.cluster.running()}
        assert job.remaining is not None
        assert job.remaining <= 119 * self.minute

    def test_a_run_keeps_the_plan_that_was_acted_on(self, stage: Stage) -> None:
        key = self.submit(stage, work=1)
        applied = self.tell(stage, key, Action.RELEASE)
        run = self.over(stage, key)
        assert run.plan is not None
        assert not run.plan.changed_from(applied.decision.plan)

    def test_a_job_that_fails_says_how(self, stage: Stage) -> None:
        key = self.submit(stage, "broken", work=1, exit_code=3)
        self.tell(stage, key, Action.RELEASE)
        run = self.over(stage, key)
        assert JobState.FAILED == run.state
        assert run.message

    def test_releasing_twice_starts_once(self, stage: Stage) -> None:
        key = self.submit(stage, work=3)
        decision = decision_for(self.find(stage, key), Action.RELEASE, stage.clock.now())
        assert ["", ""] == [applied.error for applied in stage.cluster.apply([decision, decision])]
        self.until(stage, key, JobState.RUNNING)
        assert "" == stage.cluster.apply([decision])[0].error
        assert 1 == len(self.over(stage, key).segments)

    def test_holding_writes_the_plan_and_starts_nothing(self, stage: Stage) -> None:
        key = self.submit(stage)
        plan = self.tell(stage, key, Action.HOLD).decision.plan
        job = self.find(stage, key)
        assert JobState.HELD == job.state
        assert job.plan is not None
        assert (plan.to_json(), plan.sentence) == (job.plan.to_json(), job.plan.sentence)

    def test_remarking_a_running_job_leaves_it_running(self, stage: Stage) -> None:
        key = self.submit(stage)
        self.start(stage, key)
        assert self.tell(stage, key, Action.REMARK, Reason.CARBON_TIME).done
        job = self.find(stage, key)
        assert (JobState.RUNNING, 1) == (job.state, len(job.segments))
        assert job.plan is not None
        assert Reason.CARBON_TIME == job.plan.reason

    def test_nobody_starts_what_its_owner_holds(self, stage: Stage) -> None:
        key = self.submit(stage)
        stage.owner_pause(key)
        assert "owner" in self.tell(stage, key, Action.RELEASE, Reason.DEADLINE_GUARD).error
        assert JobState.UNMANAGED == self.find(stage, key).state
        assert key in {one.key for one in stage.cluster.pending()}
        stage.owner_resume(key)
        assert JobState.HELD == self.find(stage, key).state

    def test_nobody_resumes_what_its_owner_stopped(self, stage: Stage) -> None:
        key = self.submit(stage)
        self.start(stage, key)
        stage.owner_pause(key)
        self.until(stage, key, JobState.UNMANAGED)
        assert "owner" in self.tell(stage, key, Action.RESUME, Reason.DEADLINE_GUARD).error
        stage.owner_resume(key)
        self.until(stage, key, JobState.PAUSED, JobState.RELEASED, JobState.RUNNING)

    @pytest.mark.parametrize("runs", [False, True], ids=["held", "running"])
    def test_a_cancelled_job_is_over_for_good(self, stage: Stage, *, runs: bool) -> None:
        key = self.submit(stage)
        job = self.start(stage, key) if runs else self.find(stage, key)
        stage.cancel(key)
        run = self.over(stage, key)
        assert JobState.CANCELLED == run.state
        assert runs == bool(run.segments)
        assert all(part.end is not None for part in run.segments)
        (late,) = stage.cluster.apply([decision_for(job, Action.RELEASE, stage.clock.now())])
        assert not late.done

    def test_the_trouble_of_one_job_is_not_anothers(self, stage: Stage) -> None:
        good = self.find(stage, self.submit(stage))
        ghost = Job(
            key=JobKey(stage.cluster.name, "nobody"),
            name="ghost",
            namespace="",
            state=JobState.HELD,
            request=good.request,
            home=good.home,
        )
        now = stage.clock.now()
        decisions = [decision_for(job, Action.RELEASE, now) for job in (ghost, good)]
        assert [False, True] == [applied.done for applied in stage.cluster.apply(decisions)]

    def test_a_place_that_is_not_there_is_refused(self, stage: Stage) -> None:
        key = self.submit(stage)
        assert "atlantis" in self.tell(stage, key, Action.RELEASE, at="atlantis").error
        assert JobState.HELD == self.find(stage, key).state

    def test_finished_runs_are_told_from_an_instant_on_oldest_first(self, stage: Stage) -> None:
        keys = [self.submit(stage, name, work=1) for name in ("first", "second")]
        for key in reversed(keys):
            self.tell(stage, key, Action.RELEASE)
            self.over(stage, key)
        early, late = self.runs(stage, *keys)
        assert ("second", "first") == (early.name, late.name)
        assert 2 == len(self.runs(stage, *keys, since=early.finished_at))
        later = early.finished_at + timedelta(microseconds=1)
        assert [late.key] == [run.key for run in self.runs(stage, *keys, since=later)]

    def test_it_can_do_at_least_what_every_cluster_must(self, stage: Stage) -> None:
        assert {Action.HOLD, Action.RELEASE, Action.REMARK} <= stage.cluster.powers
