"""What somebody else stopped is not lost: its object forgets when it ran, we do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cleanhours.domain.jobs import JobState, RunSegment
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.records import Activity
from cleanhours_plugins.clusters.kubernetes.stretches import stopped_elsewhere, with_stretches
from tests.unit.plugins.clusters.kubernetes.made import a_job, record_of
from tests.unit.plugins.clusters.kubernetes.test_roster import JOBS, RUNNING, SIX, a_roster, named

SEVEN = SIX + timedelta(hours=1)
EIGHT = SIX + timedelta(hours=2)
RECORD = record_of(a_job("released"))
OPEN = RunSegment(SIX, None, "de", ("pod",))
STOPPED = {
    "conditions": [{"type": "Suspended", "status": "True", "lastTransitionTime": "2026-03-02T07:00:00Z"}]
}


def test_it_ended_when_its_controller_saw_that() -> None:
    record = replace(RECORD, activity=Activity(stopped_at=SEVEN))
    assert (replace(OPEN, end=SEVEN),) == stopped_elsewhere((OPEN,), record, (), seen_at=EIGHT)


def test_where_nobody_saw_the_end_it_is_when_it_last_was_seen_to_run() -> None:
    record = replace(RECORD, activity=Activity(active=1, started_at=EIGHT))
    later = (RunSegment(EIGHT, None, "de"),)
    assert (replace(OPEN, end=SEVEN),) == stopped_elsewhere((OPEN,), record, later, seen_at=SEVEN)


def test_nothing_is_accounted_twice_where_a_start_was_only_put_right() -> None:
    record = replace(RECORD, activity=Activity(active=1, started_at=SEVEN))
    later = (RunSegment(SEVEN, None, "de"),)
    assert (replace(OPEN, end=SEVEN),) == stopped_elsewhere((OPEN,), record, later, seen_at=EIGHT)


def test_what_is_known_still_is_not_missed() -> None:
    record = replace(RECORD, activity=Activity(stopped_at=SEVEN))
    assert () == stopped_elsewhere((OPEN,), record, (replace(OPEN, end=SEVEN),), seen_at=EIGHT)


def test_written_runs_stand_and_come_in_order() -> None:
    written = RunSegment(SEVEN, EIGHT, "fr")
    record = replace(RECORD, runs=(written,))
    ours, other = replace(OPEN, end=SEVEN), replace(written, location="pl")
    assert (ours, written) == with_stretches(record, (other, ours))


def stop_it(server: Any, roster: Any, **annotations: str) -> None:
    """Its owner suspends the Job; a server from 1.36 on clears its start."""
    job = named("train", "released", status=STOPPED, annotations=annotations)
    server.put(f"{JOBS}/train", job)
    roster._mirror.look()


def test_a_run_that_its_owner_stopped_is_to_be_written_until_it_is(tmp_path: Path) -> None:
    running = named("train", "released", suspended=False, status=RUNNING)
    with a_roster(tmp_path, running) as (server, roster, _yard):
        roster.jobs(SIX)
        assert [] == roster.unwritten()
        stop_it(server, roster)
        [job] = roster.jobs(EIGHT)
        assert JobState.UNMANAGED is job.state
        for _ in range(2):
            [(record, runs)] = roster.unwritten()
            assert "train" == record.name
            assert [(SIX, SEVEN, "de")] == [(run.start, run.end, run.location) for run in runs]
        text = '[{"attempt":1,"start":"2026-03-02T06:00:00Z","end":"2026-03-02T07:00:00Z","location":"de","pods":[]}]'
        stop_it(server, roster, **{words.RUNS: text})
        roster.jobs(EIGHT)
        assert [] == roster.unwritten()
        assert [] == roster.unwritten()


def test_it_runs_on_until_its_controller_saw_that_it_is_suspended(tmp_path: Path) -> None:
    with a_roster(tmp_path, named("train", "released", suspended=False, status=RUNNING)) as (
        server,
        roster,
        _,
    ):
        roster.jobs(SIX)
        server.put(f"{JOBS}/train", named("train", "released", status=RUNNING))
        roster._mirror.look()
        [job] = roster.jobs(EIGHT)
        assert JobState.UNMANAGED is job.state
        assert [(SIX, None)] == [(run.start, run.end) for run in job.segments]
        assert [] == roster.unwritten()
        stop_it(server, roster)
        roster.jobs(EIGHT)
        [(_, runs)] = roster.unwritten()
        assert [(SIX, SEVEN)] == [(run.start, run.end) for run in runs]


def test_what_we_stop_ourselves_is_written_with_the_stop(tmp_path: Path) -> None:
    running = named("train", "released", suspended=False, status=RUNNING)
    text = '[{"attempt":1,"start":"2026-03-02T06:00:00Z","end":"2026-03-02T07:00:00Z","location":"de","pods":[]}]'
    with a_roster(tmp_path, running) as (server, roster, _yard):
        roster.jobs(SIX)
        server.put(f"{JOBS}/train", named("train", "paused", status=STOPPED, annotations={words.RUNS: text}))
        roster._mirror.look()
        [job] = roster.jobs(EIGHT)
        assert JobState.PAUSED is job.state
        assert [] == roster.unwritten()


def test_a_deleted_one_is_forgotten(tmp_path: Path) -> None:
    with a_roster(tmp_path, named("train", "released", suspended=False, status=RUNNING)) as (
        server,
        roster,
        _,
    ):
        roster.jobs(SIX)
        stop_it(server, roster)
        roster.jobs(EIGHT)
        server.objects.clear()
        roster._mirror.look()
        roster.jobs(EIGHT)
        assert [] == roster.unwritten()
