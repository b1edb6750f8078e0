"""The fake cluster beyond the suite that it shares with real ones: several locations, lasting, trouble."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.jobs import Action, Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Submission
from cleanhours.testing.clocks import MONDAY, FakeClock
from cleanhours.testing.cluster_contract import decision_for
from cleanhours.testing.clusters import FakeCluster

HOUR = timedelta(hours=1)


def waiting(cluster: FakeCluster, name: str = "job", **wishes: object) -> Job:
    request = JobRequest(submitted=MONDAY, duration=HOUR, **wishes)  # type: ignore[arg-type]
    cluster.submit(Submission(name=name, command=("true",), request=request, folder=Path("/")))
    return cluster.pending()[-1]


def two_places() -> dict[str, Room]:
    return {name: Room(Location(name, "GB")) for name in ("here", "there")}


def test_a_running_job_moves_and_keeps_what_it_did() -> None:
    clock = FakeClock()
    cluster = FakeCluster(clock, rooms=two_places())
    job = waiting(cluster)
    cluster.apply([decision_for(job, Action.RELEASE, clock.now())])
    clock.advance(HOUR / 4)
    cluster.apply([decision_for(job, Action.RELOCATE, clock.now(), at="there")])
    assert ("here", JobState.PAUSED) == (cluster.pending()[0].location, cluster.pending()[0].state)
    cluster.apply([decision_for(job, Action.RESUME, clock.now(), at="there")])
    assert "there" == cluster.running()[0].location
    clock.advance(HOUR)
    (run,) = cluster.finished(MONDAY)
    assert ["here", "there"] == [part.location for part in run.segments]
    assert MONDAY + HOUR == run.finished_at


def test_a_pause_costs_its_checkpoint() -> None:
    clock = FakeClock()
    cluster = FakeCluster(clock)
    job = waiting(cluster, checkpoint=timedelta(minutes=5))
    for action in (Action.RELEASE, Action.SUSPEND, Action.RESUME):
        cluster.apply([decision_for(job, action, clock.now())])
        clock.advance(HOUR / 2)
    clock.advance(HOUR)
    (run,) = cluster.finished(MONDAY)
    assert MONDAY + 1.5 * HOUR + timedelta(minutes=5) == run.finished_at


def test_a_job_may_last_longer_than_its_owner_thought() -> None:
    clock = FakeClock()
    cluster = FakeCluster(clock)
    cluster.lasting["slow"] = 2 * HOUR
    cluster.apply([decision_for(waiting(cluster, "slow"), Action.RELEASE, clock.now())])
    clock.advance(HOUR)
    assert timedelta(0) == cluster.running()[0].remaining
    clock.advance(HOUR)
    assert MONDAY + 2 * HOUR == cluster.finished(MONDAY)[0].finished_at


def test_what_was_done_before_is_not_acted_on_again() -> None:
    clock = FakeClock()
    cluster = FakeCluster(clock)
    decision = decision_for(waiting(cluster), Action.RELEASE, clock.now())
    cluster.apply([decision])
    assert cluster.apply([decision])[0].done
    assert [decision] == cluster.acted


def test_trouble_and_refusals_can_be_had() -> None:
    clock = FakeClock()
    cluster = FakeCluster(clock)
    job = waiting(cluster)
    cluster.refusals[job.key] = "no"
    assert "no" == cluster.apply([decision_for(job, Action.RELEASE, clock.now())])[0].error
    cluster.trouble = TemporaryError("away")
    with pytest.raises(TemporaryError):
        cluster.pending()


def test_a_job_of_any_kind_can_be_put_there() -> None:
    cluster = FakeCluster(FakeClock())
    request = JobRequest(submitted=MONDAY)
    key = JobKey("fake", "theirs")
    cluster.add(Job(key=key, name="x", namespace="n", state=JobState.PENDING, request=request, home="here"))
    assert [key] == [job.key for job in cluster.pending()]
    assert cluster.pending()[0].remaining is None


def test_a_fake_clock_moves_only_when_it_is_told_to() -> None:
    clock = FakeClock()
    assert MONDAY == clock.now() == clock.now()
    assert MONDAY + HOUR == clock.advance(HOUR)
    assert 3600.0 == clock.real_seconds_until(MONDAY + 2 * HOUR)
    assert 0.0 == clock.real_seconds_until(MONDAY)
    clock.set(MONDAY)
    assert MONDAY == clock.now()
    with pytest.raises(ValueError, match="advances"):
        clock.advance(-HOUR)
    with pytest.raises(ValueError, match="zone"):
        FakeClock(MONDAY.replace(tzinfo=None))
