"""What the core is told of an object: its state, its wishes, where it may run, and what it has run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cleanhours.domain.jobs import JobState, RunSegment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.jobs import Nowhere, state_of
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD
from cleanhours_plugins.clusters.kubernetes.reading import write_runs
from cleanhours_plugins.clusters.kubernetes.records import Outcome, Record
from tests.unit.plugins.clusters.kubernetes.made import (
    CREATED,
    REGION,
    a_job,
    offering,
    record_of,
    reporting,
    suspended_since,
    word,
)

SIX = "2026-03-02T06:00:00Z"
SEVEN = parse_instant("2026-03-02T07:00:00Z")
RUNNING = {"active": 1, "startTime": SIX}
KUEUE = {"labels": {words.KUEUE_QUEUE: "q"}}
FIRST_RUN = RunSegment(
    parse_instant("2026-03-02T01:00:00Z"), parse_instant("2026-03-02T02:00:00Z"), "pl", ("p",)
)


class Around(Nowhere):
    """What a test says of Pods and places."""

    def __init__(self, *pods: str, feasible: frozenset[str] | None = None) -> None:
        self._pods = pods
        self._feasible = feasible

    def pods(self, record: Record) -> tuple[str, ...]:
        return self._pods

    def feasible(self, record: Record) -> frozenset[str] | None:
        return self._feasible

    def narrowed(self, request: JobRequest, record: Record) -> JobRequest:
        return request


@pytest.mark.parametrize(
    ("mark", "suspended", "status", "state"),
    [
        ("held", True, {}, JobState.HELD),
        ("held", True, {"startTime": SIX}, JobState.UNMANAGED),
        ("held", False, {}, JobState.RELEASED),
        ("held", False, RUNNING, JobState.RUNNING),
        ("released", False, {}, JobState.RELEASED),
        ("released", False, RUNNING, JobState.RUNNING),
        ("released", True, {}, JobState.UNMANAGED),
        ("paused", True, RUNNING, JobState.PAUSING),
        ("paused", True, suspended_since(SIX, terminating=1), JobState.PAUSING),
        ("paused", True, {}, JobState.PAUSING),
        ("paused", True, suspended_since(SIX), JobState.PAUSED),
        ("paused", False, RUNNING, JobState.RUNNING),
        ("moving", True, RUNNING, JobState.MOVING),
        ("moving", True, suspended_since(SIX), JobState.PAUSED),
        (None, True, {}, JobState.UNMANAGED),
        (None, False, {}, JobState.RELEASED),
        (None, False, RUNNING, JobState.RUNNING),
    ],
)
def test_the_state_follows_from_our_mark_its_switch_and_its_status(
    mark: str | None, suspended: bool, status: dict[str, Any], state: JobState
) -> None:
    assert state is state_of(record_of(a_job(mark, suspended=suspended, status=status)))


def test_what_kueue_suspends_is_released_once_our_gate_is_off() -> None:
    gated = a_job(annotations={words.KUEUE_GATES: f"other.io/x, {words.GATE}"}, meta=KUEUE)
    assert JobState.HELD is state_of(record_of(gated))
    free = a_job("released", annotations={words.KUEUE_GATES: "other.io/x"}, meta=KUEUE)
    assert JobState.RELEASED is state_of(record_of(free))


def test_a_pod_is_held_by_our_gate() -> None:
    pod = a_job()
    pod["spec"] = {"containers": [], "schedulingGates": [{"name": words.GATE}]}
    assert JobState.HELD is state_of(record_of(pod, POD))
    pod["spec"]["schedulingGates"] = []
    assert JobState.RELEASED is state_of(record_of(pod, POD))


def test_a_finished_object_is_no_job() -> None:
    done = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": SIX}]}
    assert reporting().job(record_of(a_job("released", suspended=False, status=done)), SEVEN) is None


def test_a_held_job_is_told_with_its_wishes() -> None:
    job = reporting().job(record_of(a_job(annotations=offering("fr", "de"))), SEVEN)
    assert job is not None
    assert ("train", "team", "fr", None, ()) == (
        job.name,
        job.namespace,
        job.home,
        job.location,
        job.segments,
    )
    assert (timedelta(hours=2), timedelta(hours=12)) == (job.remaining, job.request.max_delay)
    assert ("fr", "de") == job.request.locations
    assert (CREATED, 1000) == (job.request.submitted, job.request.demand.cpu_millicores)
    assert timedelta(minutes=2) == job.queue_margin


def test_only_an_interruptible_job_that_we_released_is_paused_or_moved() -> None:
    wishes = {**word("interruptible", "true"), **offering("de", "fr")}
    for mark, expected in (("released", True), ("held", False), ("paused", False), (None, False)):
        job = reporting().job(
            record_of(a_job(mark, suspended=False, status=RUNNING, annotations=wishes)), SEVEN
        )
        assert job is not None
        assert (expected, expected) == (job.request.interruptible, job.movable)


def test_a_job_with_one_location_cannot_be_moved() -> None:
    obj = a_job("released", suspended=False, status=RUNNING, annotations=word("interruptible", "true"))
    job = reporting().job(record_of(obj), SEVEN)
    assert job is not None
    assert (True, False) == (job.request.interruptible, job.movable)


def test_a_job_is_offered_only_where_it_can_run() -> None:
    record = record_of(a_job(annotations=offering("pl", "fr")))
    assert ("fr",) == reporting(around=Around(feasible=frozenset({"de", "fr"}))).allowed(record, ("pl", "fr"))


def test_every_fault_of_its_words_is_a_complaint_and_it_is_still_told() -> None:
    obj = a_job(annotations={**word("duration", "long"), **offering("mars"), **word("colour", "red")})
    job = reporting().job(record_of(obj), SEVEN)
    assert job is not None
    assert {"duration", "locations", "colour"} == {complaint.field for complaint in job.complaints}
    assert JobState.HELD is job.state


def test_words_of_its_namespace_are_used_where_its_own_are_missing() -> None:
    usual = {"team": {"power": "300W", "max-delay": "1h", "duration": "9h"}, "*": {"power": "1W"}}
    request = reporting(defaults=usual).wishes(record_of(a_job())).request
    assert (300.0, timedelta(hours=12), timedelta(hours=2)) == (
        request.power_w,
        request.max_delay,
        request.duration,
    )
    elsewhere = record_of(a_job(meta={"namespace": "other"}))
    assert 1.0 == reporting(defaults=usual).wishes(elsewhere).request.power_w


def test_an_own_deadline_takes_the_place_of_the_namespaces_delay() -> None:
    obj = a_job(annotations=word("deadline", "+30h"))
    del obj["metadata"]["annotations"][words.PREFIX + "max-delay"]
    request = reporting(defaults={"team": {"max-delay": "1h"}}).wishes(record_of(obj)).request
    assert (CREATED + timedelta(hours=30), None) == (request.deadline, request.max_delay)


def test_its_own_limit_is_its_duration_where_it_says_none() -> None:
    obj = a_job()
    del obj["metadata"]["annotations"][words.PREFIX + "duration"]
    obj["spec"]["activeDeadlineSeconds"] = 5400
    assert timedelta(minutes=90) == reporting().wishes(record_of(obj)).request.duration


def test_a_running_job_says_since_when_where_and_in_which_pods() -> None:
    obj = a_job("released", suspended=False, status=RUNNING, nodeSelector={REGION: "fr"})
    job = reporting(around=Around("p1", "p2")).job(record_of(obj), SEVEN)
    assert job is not None
    assert (RunSegment(parse_instant(SIX), None, "fr", ("p1", "p2")),) == job.segments
    assert (timedelta(hours=1), "fr") == (job.remaining, job.location)


def test_of_many_pods_the_object_stands_for_all() -> None:
    obj = a_job("released", suspended=False, status=RUNNING)
    job = reporting(around=Around(*map(str, range(17)))).job(record_of(obj), SEVEN)
    assert job is not None
    assert ("u-1",) == job.segments[0].handles


def test_a_pause_ends_the_run_when_its_controller_saw_it() -> None:
    runs = {words.RUNS: write_runs((FIRST_RUN,))}
    stopping = record_of(a_job("paused", status={"active": 1}, annotations=runs))
    paused = record_of(a_job("paused", status=suspended_since("2026-03-02T02:00:09Z"), annotations=runs))
    early = record_of(a_job("paused", status=suspended_since("2026-03-02T01:59:00Z"), annotations=runs))
    for record, second in ((stopping, 0), (paused, 9), (early, 0)):
        job = reporting().job(record, SEVEN)
        assert job is not None
        (run,) = job.segments
        assert FIRST_RUN.end is not None
        assert FIRST_RUN.end + timedelta(seconds=second) == run.end
        assert timedelta(hours=1, seconds=-second) == job.remaining
        assert "pl" == job.location


def test_a_finished_job_has_all_its_runs() -> None:
    done = {
        "startTime": SIX,
        "completionTime": "2026-03-02T06:30:00Z",
        "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": SIX}],
    }
    runs = {words.RUNS: write_runs((FIRST_RUN,))}
    run = reporting().run(record_of(a_job("released", suspended=False, status=done, annotations=runs)))
    assert run is not None
    end = parse_instant("2026-03-02T06:30:00Z")
    assert (FIRST_RUN, RunSegment(parse_instant(SIX), end, "de", ("u-1",))) == run.segments
    assert (JobState.SUCCEEDED, end) == (run.state, run.finished_at)


def test_a_deleted_job_ended_when_it_vanished() -> None:
    gone = Outcome(JobState.CANCELLED, SEVEN, "deleted")
    held = reporting().ended(record_of(a_job()), gone)
    runs = reporting().ended(record_of(a_job("released", suspended=False, status=RUNNING)), gone)
    assert ((), JobState.CANCELLED) == (held.segments, held.state)
    assert [SEVEN] == [part.end for part in runs.segments]


def test_a_child_of_a_cronjob_is_called_as_its_work_and_found_by_its_own_name() -> None:
    owner = {"kind": "CronJob", "name": "nightly", "uid": "c", "controller": True}
    job = reporting().job(record_of(a_job(meta={"ownerReferences": [owner]})), SEVEN)
    assert job is not None
    assert ("nightly", "CronJob/nightly", "train") == (job.name, job.owner, job.labels["object-name"])


def test_in_shadow_it_is_told_as_it_is_with_all_its_wishes() -> None:
    wishes = {**word("interruptible", "true"), **offering("de", "fr")}
    obj = a_job(None, suspended=False, status=RUNNING, annotations=wishes)
    job = reporting().job(record_of(obj, shadow=True), datetime(2026, 3, 2, 7, tzinfo=UTC))
    assert job is not None
    assert (True, JobState.RUNNING, True) == (job.shadow, job.state, job.request.interruptible)
    assert ("de", "fr") == job.request.locations
