"""What the core is told of objects: nothing that is broken breaks a question, and owners hear what went past us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.jobs import JobState
from cleanhours.domain.locations import Location
from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.announcing import What
from cleanhours_plugins.clusters.kubernetes.kinds import JOB
from cleanhours_plugins.clusters.kubernetes.mirror import Mirror
from cleanhours_plugins.clusters.kubernetes.namespaces import Namespaces
from cleanhours_plugins.clusters.kubernetes.roster import Roster
from cleanhours_plugins.clusters.kubernetes.topology import REGION_LABEL
from cleanhours_plugins.clusters.kubernetes.yard import Yard
from tests.unit.plugins.clusters.kubernetes.made import a_job, reporting, word
from tests.unit.plugins.clusters.kubernetes.servers import Server

SIX = parse_instant("2026-03-02T06:00:00Z")
RUNNING = {"active": 1, "startTime": "2026-03-02T06:00:00Z"}
OVER = {
    **RUNNING,
    "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-03-02T07:00:00Z"}],
}
JOBS = "/apis/batch/v1/namespaces/team/jobs"
PODS = "/api/v1/namespaces/team/pods"


@contextmanager
def a_roster(folder: Path, *jobs: dict[str, Any]) -> Iterator[tuple[Server, Roster, Yard]]:
    with Server() as server:
        for job in jobs:
            server.put(f"{JOBS}/{job['metadata']['name']}", job)
        api = server.api(folder)
        mirror = Mirror(api, (JOB,), ("team",), Namespaces(api), now=lambda: SIX)
        yard = Yard(
            api, {name: Location(name, name.upper()) for name in ("de", "fr", "pl")}, REGION_LABEL, ("team",)
        )
        mirror.look()
        yield server, Roster(mirror, yard, reporting(around=yard)), yard


def named(name: str, mark: str | None = "held", **options: Any) -> dict[str, Any]:
    return a_job(mark, meta={"name": name, "uid": name}, **options)


def a_pod(server: Server, number: int, owner: str = "train", node: str = "de-1") -> None:
    meta = {
        "name": f"pod-{number}",
        "uid": f"pod-{number}",
        "creationTimestamp": "2026-03-02T06:00:00Z",
        "ownerReferences": [{"kind": "Job", "name": owner, "uid": owner, "controller": True}],
    }
    spec = {"nodeName": node, "restartPolicy": "Never", "containers": []}
    server.put(f"{PODS}/pod-{number}", {"metadata": meta, "spec": spec, "status": {"phase": "Running"}})


def test_a_record_that_makes_no_sense_runs_with_the_complaint_and_the_others_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # an original placement that is no placement: found only when it is put to use
    odd = {words.ORIGINAL: '{"spec/template": {"nodeSelector": 7}}'}
    with a_roster(tmp_path, named("odd", annotations=odd), named("fine")) as (_, roster, _yard):
        jobs = {job.name: job for job in roster.jobs(SIX)}
        assert (JobState.HELD, ()) == (jobs["fine"].state, jobs["fine"].complaints)
        assert (JobState.HELD, "the object") == (jobs["odd"].state, jobs["odd"].complaints[0].field)
        assert 1 == sum("no sense in jobs" in message for message in caplog.messages)


def test_one_that_cannot_be_read_is_a_job_that_runs_now(tmp_path: Path) -> None:
    broken = named("odd", containers=[{"resources": {"requests": {"cpu": "a lot"}}}])
    with a_roster(tmp_path, broken) as (_, roster, _yard):
        [job] = roster.jobs(SIX)
        assert (JobState.HELD, None, False) == (job.state, job.request.deadline, job.request.flexible)
        assert "a lot" in job.complaints[0].found


def test_nothing_is_made_up_of_an_ended_one_that_cannot_be_read(tmp_path: Path) -> None:
    broken = named(
        "odd",
        "released",
        suspended=False,
        status=OVER,
        containers=[{"resources": {"requests": {"cpu": "?"}}}],
    )
    whole = named("fine", "released", suspended=False, status=OVER)
    with a_roster(tmp_path, broken, whole) as (_, roster, _yard):
        assert ["fine"] == [run.name for run in roster.finished(SIX)]


def test_that_nobody_held_it_is_told_of_a_job_that_runs_already(tmp_path: Path) -> None:
    runs = {"suspended": False, "status": RUNNING}
    jobs = (
        named("slipped", None, **runs),
        named("ours", "released", **runs),
        named("kept", None),
        named("held"),
    )
    with a_roster(tmp_path, *jobs) as (_, roster, _yard):
        roster.jobs(SIX + timedelta(minutes=1))
        assert [("slipped", What.NOT_HELD)] == [(record.name, what) for record, what, _ in roster.unsaid()]
        roster.jobs(SIX + timedelta(minutes=1))
        assert [] == roster.unsaid()


def test_what_ran_for_an_hour_before_anybody_looked_is_old_news(tmp_path: Path) -> None:
    with a_roster(tmp_path, named("old", None, suspended=False, status=RUNNING)) as (_, roster, _yard):
        roster.jobs(SIX + timedelta(hours=2))
        assert [] == roster.unsaid()


def test_wrong_words_of_a_job_that_runs_are_told_with_every_fault(tmp_path: Path) -> None:
    wrong = {**word("duration", "-3h"), **word("max-delay", "soon")}
    job = named("odd", None, suspended=False, status=RUNNING, annotations=wrong)
    with a_roster(tmp_path, job) as (_, roster, _yard):
        roster.jobs(SIX)
        told = {what: note for _, what, note in roster.unsaid()}
        assert "-3h" in told[What.INVALID_REQUEST]
        assert "soon" in told[What.INVALID_REQUEST]


# -- Pods -------------------------------------------------------------------------------------------------------------


def test_the_pods_of_a_run_are_known_when_they_and_their_job_are_gone(tmp_path: Path) -> None:
    with a_roster(tmp_path, named("train", "released", suspended=False, status=RUNNING)) as (
        server,
        roster,
        yard,
    ):
        a_pod(server, 1)
        a_pod(server, 2)
        yard.look()
        [job] = roster.jobs(SIX)
        assert ("pod-1", "pod-2") == job.segments[0].handles
        server.objects = {
            f"{JOBS}/train": server.put(
                f"{JOBS}/train", named("train", "released", suspended=False, status=OVER)
            )
        }
        yard.look()
        roster._mirror.look()
        server.asked.clear()
        [run] = roster.finished(SIX)
        assert ("pod-1", "pod-2") == run.segments[0].handles
        assert [] == server.asked


def test_pods_that_were_never_seen_are_looked_for_once_at_the_end(tmp_path: Path) -> None:
    with a_roster(tmp_path, named("train", "released", suspended=False, status=OVER)) as (
        server,
        roster,
        _yard,
    ):
        a_pod(server, 1)
        for _ in range(2):
            [run] = roster.finished(SIX)
            assert ("pod-1",) == run.segments[0].handles
        assert 1 == sum(one.path == PODS for one in server.asked)


def test_pods_that_are_gone_too_are_not_looked_for_again(tmp_path: Path) -> None:
    job = named("train", "released", suspended=False, status=OVER)
    with a_roster(tmp_path, job) as (server, roster, _yard):
        for _ in range(2):
            assert ("train",) == roster.finished(SIX)[0].segments[0].handles
        assert 1 == sum(one.path == PODS for one in server.asked)


def test_of_many_pods_the_job_itself_stands_for_all(tmp_path: Path) -> None:
    with a_roster(tmp_path, named("train", "released", suspended=False, status=RUNNING)) as (
        server,
        roster,
        yard,
    ):
        for number in range(16):
            a_pod(server, number)
        yard.look()
        assert 16 == len(roster.jobs(SIX)[0].segments[0].handles)
        a_pod(server, 16)
        yard.look()
        assert ("train",) == roster.jobs(SIX)[0].segments[0].handles


def test_the_pods_of_an_earlier_run_are_not_those_of_the_next(tmp_path: Path) -> None:
    runs = '[{"attempt":1,"start":"2026-03-02T04:00:00Z","end":"2026-03-02T05:00:00Z","location":"de","pods":["pod-1"]}]'
    job = named("train", "released", suspended=False, status=RUNNING, annotations={words.RUNS: runs})
    with a_roster(tmp_path, job) as (server, roster, yard):
        a_pod(server, 1)
        a_pod(server, 2)
        yard.look()
        assert [("pod-1",), ("pod-2",)] == [part.handles for part in roster.jobs(SIX)[0].segments]


def test_an_unchanged_job_is_the_same_value_and_questions_of_a_moment_share_one(tmp_path: Path) -> None:
    with a_roster(tmp_path, named("train")) as (_, roster, _yard):
        [first], [second] = roster.jobs(SIX), roster.jobs(SIX)
        assert first is second
        assert [None] == [at for _, at in roster.unfinished()]
        assert roster.knows("train")
        assert not roster.knows("other")


def test_what_we_wrote_is_told_in_the_same_moment(tmp_path: Path) -> None:
    with a_roster(tmp_path, named("train"), named("other")) as (_, roster, _yard):
        assert {JobState.HELD} == {job.state for job in roster.jobs(SIX)}
        released = named("train", "released", suspended=False)
        released["metadata"]["resourceVersion"] = "999999"  # later than any of the server's
        before = roster._mirror.get("train")
        assert before is not None
        roster._mirror.wrote(before, released)
        states = {job.name: job.state for job in roster.jobs(SIX)}
        assert {"train": JobState.RELEASED, "other": JobState.HELD} == states


def test_a_running_jobs_work_sinks(tmp_path: Path) -> None:
    with a_roster(tmp_path, named("train", "released", suspended=False, status=RUNNING)) as (
        _,
        roster,
        _yard,
    ):
        [job] = roster.jobs(SIX)
        [later] = roster.jobs(SIX + timedelta(minutes=30))
        assert job.remaining is not None
        assert job.remaining - timedelta(minutes=30) == later.remaining
        assert replace(job, remaining=later.remaining) == later
