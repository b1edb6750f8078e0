"""What every cluster promises, as a suite: subclass `ClusterContract`, give it a `stage`, and pytest does the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.jobs import Action, Applied, Decision, FinishedRun, Job, JobKey, JobState
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Cancelling, Clock, Cluster, HavingCapacity, OwnerPausing, Submission, Submitting

LONG = timedelta(hours=2)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Actor(Cluster, HavingCapacity, Submitting, Cancelling, OwnerPausing, Protocol):
    """A cluster with every power that this suite asks of."""


class Stage(Protocol):
    """A cluster to be tested, with two slots, and the means to let time pass."""

    @property
    def cluster(self) -> Actor: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def folder(self) -> Path: ...

    def command(self, name: str, work: timedelta, exit_code: int) -> tuple[str, ...]:
        """A command that runs for `work` of the clock's time, pauses not counted, and ends with that code."""

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


class ClusterContract:
    """Tests read as sentences about a cluster; each has the stage to itself."""

    @pytest.fixture
    def stage(self) -> Stage:
        """Two slots, an empty queue."""
        raise NotImplementedError("give the suite a stage")

    # -- the suite's own words --------------------------------------------------------------------------------------

    def submit(
        self, stage: Stage, name: str = "job", work: timedelta = LONG, exit_code: int = 0, **wishes: Any
    ) -> JobKey:
        wishes = {"duration": work, "max_delay": timedelta(hours=12), **wishes}
        request = JobRequest(submitted=stage.clock.now(), **wishes)
        command = stage.command(name, work, exit_code)
        return stage.cluster.submit(
            Submission(name=name, command=command, request=request, folder=stage.folder, namespace="team")
        )

    def tell(
        self, stage: Stage, key: JobKey, action: Action, reason: Reason = Reason.LOWEST_WINDOW
    ) -> Applied:
        job = self.find(stage, key)
        (applied,) = stage.cluster.apply([decision_for(job, action, stage.clock.now(), reason)])
        return applied

    def find(self, stage: Stage, key: JobKey) -> Job:
        (job,) = [job for job in self.unfinished(stage) if job.key == key]
        return job

    def unfinished(self, stage: Stage) -> list[Job]:
        return [*stage.cluster.pending(), *stage.cluster.running()]

    def until(self, stage: Stage, key: JobKey, *states: JobState) -> Job:
        stage.wait(lambda: self.find(stage, key).state in states)
        return self.find(stage, key)

    def over(self, stage: Stage, key: JobKey) -> FinishedRun:
        def runs() -> list[FinishedRun]:
            return [run for run in stage.cluster.finished(LONG_AGO) if run.key[:2] == key]

        stage.wait(lambda: bool(runs()))
        (run,) = runs()
        return run

    # -- promises ---------------------------------------------------------------------------------------------------

    def test_a_submitted_job_waits_and_has_no_run(self, stage: Stage) -> None:
        job = self.find(stage, self.submit(stage, "patient"))
        assert ("patient", "team", JobState.HELD) == (job.name, job.namespace, job.state)
        assert () == job.segments
        assert LONG == job.remaining
        assert job.home in stage.cluster.capacity()
        assert [] == list(stage.cluster.running())

    def test_a_released_job_runs_and_succeeds_once(self, stage: Stage) -> None:
        key = self.submit(stage, work=timedelta(minutes=2))
        before = stage.clock.now()
        assert self.tell(stage, key, Action.RELEASE).done
        run = self.over(stage, key)
        assert (JobState.SUCCEEDED, 0) == (run.state, run.exit_code)
        assert 1 == len(run.segments)
        assert before <= run.segments[0].start < (run.segments[0].end or before) <= run.finished_at
        assert run.segments[0].handles
        assert run.home == run.segments[0].location
        assert {"cpu_seconds", "max_rss_bytes"} <= set(run.usage)
        assert [] == self.unfinished(stage)

    def test_a_run_keeps_the_plan_that_was_acted_on(self, stage: Stage) -> None:
        key = self.submit(stage, work=timedelta(minutes=1))
        applied = self.tell(stage, key, Action.RELEASE)
        run = self.over(stage, key)
        assert run.plan is not None
        assert not run.plan.changed_from(applied.decision.plan)

    def test_a_job_that_fails_says_how(self, stage: Stage) -> None:
        key = self.submit(stage, "broken", work=timedelta(minutes=1), exit_code=3)
        self.tell(stage, key, Action.RELEASE)
        run = self.over(stage, key)
        assert (JobState.FAILED, 3) == (run.state, run.exit_code)
        assert "3" in run.message

    def test_releasing_twice_starts_once(self, stage: Stage) -> None:
        key = self.submit(stage, work=timedelta(minutes=2))
        decision = decision_for(self.find(stage, key), Action.RELEASE, stage.clock.now())
        assert [True, True] == [applied.done for applied in stage.cluster.apply([decision, decision])]
        self.until(stage, key, JobState.RUNNING)
        assert stage.cluster.apply([decision])[0].done
        assert 1 == len(self.over(stage, key).segments)

    def test_holding_writes_the_plan_and_starts_nothing(self, stage: Stage) -> None:
        key = self.submit(stage)
        applied = self.tell(stage, key, Action.HOLD)
        job = self.find(stage, key)
        assert JobState.HELD == job.state
        assert job.plan == applied.decision.plan

    def test_remarking_a_running_job_leaves_it_running(self, stage: Stage) -> None:
        key = self.submit(stage)
        self.tell(stage, key, Action.RELEASE)
        self.until(stage, key, JobState.RUNNING)
        assert self.tell(stage, key, Action.REMARK, Reason.CARBON_TIME).done
        job = self.find(stage, key)
        assert JobState.RUNNING == job.state
        assert job.plan is not None
        assert Reason.CARBON_TIME == job.plan.reason

    def test_a_suspended_job_stops_and_goes_on_where_it_was(self, stage: Stage) -> None:
        key = self.submit(stage, work=timedelta(minutes=4), interruptible=True)
        self.tell(stage, key, Action.RELEASE)
        begun = self.until(stage, key, JobState.RUNNING).segments[0].start
        stage.wait(lambda: stage.clock.now() >= begun + timedelta(minutes=1))
        assert self.tell(stage, key, Action.SUSPEND).done
        paused = self.until(stage, key, JobState.PAUSED)
        assert paused.segments[-1].end is not None
        assert paused in stage.cluster.pending()
        since = stage.clock.now()
        stage.wait(lambda: stage.clock.now() >= since + timedelta(minutes=5))
        assert self.find(stage, key).remaining == paused.remaining
        assert self.tell(stage, key, Action.RESUME).done
        run = self.over(stage, key)
        assert JobState.SUCCEEDED == run.state
        assert 2 == len(run.segments)
        assert run.segments[1].start - (run.segments[0].end or begun) >= timedelta(minutes=5)

    def test_remaining_work_sinks_while_it_runs(self, stage: Stage) -> None:
        key = self.submit(stage)
        self.tell(stage, key, Action.RELEASE)
        begun = self.until(stage, key, JobState.RUNNING).segments[0].start
        stage.wait(lambda: stage.clock.now() >= begun + timedelta(minutes=1))
        remaining = self.find(stage, key).remaining
        assert remaining is not None
        assert remaining <= LONG - timedelta(minutes=1)

    def test_nobody_starts_what_its_owner_holds(self, stage: Stage) -> None:
        key = self.submit(stage)
        assert stage.cluster.owner_pause(key)
        assert not self.tell(stage, key, Action.RELEASE, Reason.DEADLINE_GUARD).done
        assert JobState.UNMANAGED == self.find(stage, key).state
        assert stage.cluster.owner_resume(key)
        assert JobState.HELD == self.find(stage, key).state
        assert not stage.cluster.owner_resume(key)

    def test_an_owner_stops_his_running_job_and_gives_it_back_paused(self, stage: Stage) -> None:
        key = self.submit(stage)
        self.tell(stage, key, Action.RELEASE)
        self.until(stage, key, JobState.RUNNING)
        assert stage.cluster.owner_pause(key)
        self.until(stage, key, JobState.UNMANAGED)
        assert not self.tell(stage, key, Action.RESUME).done
        assert stage.cluster.owner_resume(key)
        assert JobState.PAUSED == self.find(stage, key).state

    @pytest.mark.parametrize("runs", [False, True])
    def test_a_cancelled_job_is_over_for_good(self, stage: Stage, *, runs: bool) -> None:
        key = self.submit(stage)
        job = self.find(stage, key)
        if runs:
            self.tell(stage, key, Action.RELEASE)
            self.until(stage, key, JobState.RUNNING)
        assert stage.cluster.cancel(key)
        run = self.over(stage, key)
        assert JobState.CANCELLED == run.state
        assert runs == bool(run.segments)
        assert not stage.cluster.cancel(key)
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
        job = self.find(stage, self.submit(stage))
        (applied,) = stage.cluster.apply(
            [decision_for(job, Action.RELEASE, stage.clock.now(), at="atlantis")]
        )
        assert "atlantis" in applied.error
        assert JobState.HELD == self.find(stage, job.key).state

    def test_no_more_jobs_run_than_there_are_slots_unless_a_deadline_forces_it(self, stage: Stage) -> None:
        keys = [self.submit(stage, f"job-{number}") for number in range(4)]
        decisions = [
            decision_for(self.find(stage, key), Action.RELEASE, stage.clock.now()) for key in keys[:3]
        ]
        assert ["", "", "no slot free"] == [applied.error for applied in stage.cluster.apply(decisions)]
        assert self.tell(stage, keys[3], Action.RELEASE, Reason.DEADLINE_GUARD).done
        assert {keys[0], keys[1], keys[3]} == {job.key for job in stage.cluster.running()}

    def test_finished_runs_are_told_from_an_instant_on_oldest_first(self, stage: Stage) -> None:
        first = self.submit(stage, "first", work=timedelta(minutes=1))
        self.tell(stage, first, Action.RELEASE)
        early = self.over(stage, first)
        second = self.submit(stage, "second", work=timedelta(minutes=1))
        self.tell(stage, second, Action.RELEASE)
        late = self.over(stage, second)
        assert [early, late] == list(stage.cluster.finished(early.finished_at))
        assert [late] == list(stage.cluster.finished(early.finished_at + timedelta(microseconds=1)))

    def test_an_impossible_submission_is_refused_with_every_fault(self, stage: Stage) -> None:
        request = JobRequest(submitted=stage.clock.now())
        bad = Submission(name="two\nlines", command=(), request=request, folder=stage.folder / "missing")
        with pytest.raises(InvalidRequest) as refused:
            stage.cluster.submit(bad)
        assert {"name", "command", "folder"} == {complaint.field for complaint in refused.value.complaints}
        assert [] == self.unfinished(stage)

    def test_it_can_do_at_least_what_every_cluster_must(self, stage: Stage) -> None:
        assert {Action.HOLD, Action.RELEASE, Action.REMARK} <= stage.cluster.powers
