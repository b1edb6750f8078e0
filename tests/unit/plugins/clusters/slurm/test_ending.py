"""What ended is noticed once, told for a day, and remembered by whoever comes after."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.domain.jobs import JobState, RunSegment
from cleanhours.domain.resources import Demand
from cleanhours.domain.times import instant_of
from cleanhours_plugins.clusters.slurm.ending import Ended, Ends, run_of, segments_until, write_whole
from cleanhours_plugins.clusters.slurm.jobs import Known, Reporting
from tests.unit.plugins.clusters.slurm.made import HOUR, NOW, ZONES, paused, running, settings, waiting

DAY = 24 * HOUR


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    return Ends(tmp_path / "slurm-slurm.json")


def reread(ends: Ends) -> Ends:
    """As the next process finds it."""
    found = Ends(ends.path)
    found.read(ZONES)
    return found


def at(second: int) -> datetime:
    return instant_of(NOW + second)


def ended(state: str = "COMPLETED", reason: str = "None", second: int = -60) -> Known:
    return running(state=state, reason=reason, end=NOW + second)


def only(ends: Ends) -> Ended:
    (found,) = ends.since(at(-DAY))
    return found


@pytest.mark.parametrize(
    ("state", "reason", "is_then", "message"),
    [
        ("COMPLETED", "None", JobState.SUCCEEDED, ""),
        ("FAILED", "NonZeroExitCode", JobState.FAILED, "FAILED (NonZeroExitCode)"),
        ("TIMEOUT", "TimeLimit", JobState.FAILED, "TIMEOUT (TimeLimit)"),
        ("CANCELLED", "None", JobState.CANCELLED, "CANCELLED (None)"),
        ("OUT_OF_MEMORY", "OutOfMemory", JobState.FAILED, "OUT_OF_MEMORY (OutOfMemory)"),
    ],
)
def test_a_job_that_ends_is_noticed_with_its_end_and_with_how(
    ends: Ends, state: str, reason: str, is_then: JobState, message: str
) -> None:
    ends.notice([running()], NOW - 90)
    ends.notice([ended(state, reason)], NOW)

    assert (NOW - 60, is_then, message) == (only(ends).at, only(ends).state, only(ends).message)


def test_a_job_that_began_and_ended_between_two_looks_is_noticed_too(ends: Ends) -> None:
    ends.notice([ended()], NOW)

    assert NOW - 60 == only(ends).at


def test_an_end_is_noticed_once_however_long_slurm_shows_it(ends: Ends) -> None:
    for look in range(3):
        ends.notice([ended()], NOW + 30 * look)
    ends.notice([], NOW + 120)

    assert (NOW - 60, "") == (only(ends).at, only(ends).message)


def test_a_job_that_vanished_ended_when_it_was_last_seen_and_that_is_said(ends: Ends) -> None:
    ends.notice([running()], NOW - 90)
    ends.notice([], NOW)

    assert (NOW - 90, JobState.SUCCEEDED) == (only(ends).at, only(ends).state)
    assert "ended while nobody looked" in only(ends).message


def test_a_job_that_was_requeued_and_vanished_has_ended(ends: Ends) -> None:
    ends.notice([paused()], NOW - 90)
    ends.notice([], NOW)

    assert NOW - 90 == only(ends).at


def test_a_job_that_vanished_while_it_waited_has_no_end(ends: Ends) -> None:
    ends.notice([waiting()], NOW)
    ends.notice([], NOW + 30)

    assert [] == ends.since(at(-DAY))


CANCELLED = waiting(state="CANCELLED", start=NOW - 5, end=NOW - 5)


def test_a_job_that_was_cancelled_while_it_waited_is_noted_and_held_nothing(ends: Ends) -> None:
    for look in range(2):
        ends.notice([CANCELLED], NOW + 30 * look)

    run = run_of(only(ends), Reporting(settings()))
    assert (JobState.CANCELLED, at(-5), (), Demand()) == (
        run.state,
        run.finished_at,
        run.segments,
        run.allocated,
    )


def test_in_a_federation_it_may_go_on_elsewhere_and_is_not(tmp_path: Path) -> None:
    federated = Ends(tmp_path / "slurm-slurm.json", federated=True)
    federated.notice([CANCELLED, running(id="13"), waiting(id="14", state="REVOKED")], NOW)
    federated.notice([running(id="13", state="COMPLETED", end=NOW + 5)], NOW + 30)

    assert "13" == only(federated).known.seen.id


def test_a_requeue_is_no_end(ends: Ends) -> None:
    ends.notice([running()], NOW - 90)
    ends.notice([running({"paused": True}, state="COMPLETING")], NOW - 60)
    ends.notice([paused()], NOW - 30)
    ends.notice([running({"runs": paused().tag.runs}, submitted=NOW - 600)], NOW)

    assert [] == ends.since(at(-DAY))


def test_ends_are_told_from_an_instant_on_oldest_first(ends: Ends) -> None:
    late = replace(ended(second=-10), seen=replace(ended(second=-10).seen, id="13"))
    ends.notice([late, ended(second=-60)], NOW)

    assert [NOW - 60, NOW - 10] == [one.at for one in ends.since(at(-60))]
    assert [NOW - 10] == [one.at for one in ends.since(at(-60) + timedelta(microseconds=1))]


def test_an_end_is_forgotten_after_a_day(ends: Ends) -> None:
    ends.notice([ended()], NOW)
    ends.notice([], NOW + DAY - 61)
    assert 1 == len(ends.ended)

    ends.notice([], NOW + DAY)
    assert 0 == len(ends.ended)


def test_whoever_comes_after_knows_what_ran_and_what_ended(ends: Ends) -> None:
    gone = ended("FAILED", "NonZeroExitCode")
    still = paused(limit=None, own="a | text\n\udcff")
    still = replace(still, seen=replace(still.seen, id="13"))
    ends.notice([gone, still], NOW)
    found = reread(ends)

    assert ends.running == found.running
    assert ends.ended == found.ended
    found.notice([], NOW + 30)
    assert 2 == len(found.ended)


def test_the_memory_is_its_user_s_alone(ends: Ends) -> None:
    ends.notice([running()], NOW)

    assert 0o600 == ends.path.stat().st_mode & 0o777


def test_where_there_was_nobody_before_nothing_is_known(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    ends.read(ZONES)

    assert ({}, {}, []) == (ends.running, ends.ended, caplog.records)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"running": 7, "ended": []}',
        '{"running": [[7, 7]], "ended": []}',
        '{"running": [[{"id": "12"}, 7]], "ended": []}',
        '{"running": [[{"limit": "long"}, 7]], "ended": []}',
        '{"running": [[{"limit": 1e300}, 7]], "ended": []}',
        '{"running": [], "ended": [[{}, 7, "FAILED", ""]]}',
        "\x00\x01",
    ],
)
def test_a_memory_that_cannot_be_read_is_said_and_written_anew(
    ends: Ends, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    ends.path.write_text(text, "utf-8")
    with caplog.at_level(logging.WARNING):
        ends.read(ZONES)
    ends.notice([running()], NOW)

    assert "cannot be read from" in caplog.text
    assert 1 == len(reread(ends).running)


def test_bytes_that_are_no_text_are_no_memory(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    ends.path.write_bytes(b"\xff\xfe{}")
    ends.read(ZONES)

    assert "cannot be read from" in caplog.text


def test_fields_that_a_later_release_knows_cost_that_memory_alone(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    ends.notice([running()], NOW)
    data = json.loads(ends.path.read_text("utf-8"))
    data["running"][0][0]["colour"] = "green"
    ends.path.write_text(json.dumps(data), "utf-8")

    assert {} == reread(ends).running
    assert "colour" in caplog.text


def test_a_full_disk_costs_the_memory_and_nothing_else(tmp_path: Path) -> None:
    ends = Ends(tmp_path / "no such folder" / "file.json")
    ends.notice([ended()], NOW)

    assert NOW - 60 == only(ends).at


def test_a_file_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", "one")
    write_whole(tmp_path / "file", "two", mode=0o644)

    assert ["file"] == [path.name for path in tmp_path.iterdir()]
    assert ("two", 0o644) == ((tmp_path / "file").read_text(), (tmp_path / "file").stat().st_mode & 0o777)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", "one")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "folder", "two")

    assert ["file", "folder"] == sorted(path.name for path in tmp_path.iterdir())


# -- as the core accounts it -----------------------------------------------------------------------------------------


def test_a_run_is_told_with_all_that_its_account_needs() -> None:
    gone = ended("FAILED", "NonZeroExitCode")
    run = run_of(Ended(gone, NOW - 60, JobState.FAILED, "FAILED (NonZeroExitCode)"), Reporting(settings()))

    assert ("slurm", gone.uid, 1) == run.key
    assert ("train", "team", "games", "de", JobState.FAILED) == (
        run.name, run.namespace, run.owner, run.home, run.state,
    )  # fmt: skip
    assert (RunSegment(at(-600), at(-60), "de", ("12",)),) == run.segments
    assert (at(-60), "FAILED (NonZeroExitCode)") == (run.finished_at, run.message)
    assert (4000, 2**30, 0, 1) == run.allocated.amounts
    assert {"object-name": "12", "partition": "de"} == run.labels
    assert gone.tag.plan == run.plan


def test_a_run_has_all_its_segments_the_last_until_its_end() -> None:
    before = paused().tag.runs
    gone = running({"runs": before}, state="COMPLETED", start=NOW - 500, end=NOW - 60, submitted=NOW - 600)
    run = run_of(Ended(gone, NOW - 60, JobState.SUCCEEDED), Reporting(settings()))

    assert [(at(-2400), at(-600)), (at(-500), at(-60))] == [(one.start, one.end) for one in run.segments]


def test_a_job_that_was_cancelled_while_it_paused_keeps_what_it_ran() -> None:
    gone = paused(state="CANCELLED", start=NOW - 60, end=NOW - 60)
    run = run_of(Ended(gone, NOW - 60, JobState.CANCELLED), Reporting(settings()))

    assert [(at(-2400), at(-600))] == [(one.start, one.end) for one in run.segments]


def test_a_home_that_is_no_longer_configured_is_the_usual_one() -> None:
    gone = replace(ended(), tag=replace(ended().tag, home="atlantis"))

    assert "de" == run_of(Ended(gone, NOW, JobState.SUCCEEDED), Reporting(settings())).home


def test_a_segment_does_not_end_before_it_began() -> None:
    (segment,) = segments_until([RunSegment(at(0), None, "de")], at(-5))

    assert at(0) == segment.end
