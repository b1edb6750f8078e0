"""What the core is told of a job that Slurm shows: its state, its wishes, and what it has run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from cleanhours.domain.jobs import Job, JobState, RunSegment
from cleanhours.domain.locations import Location
from cleanhours.domain.requests import LARGEST_AMOUNT
from cleanhours.domain.times import instant_of
from cleanhours_plugins.clusters.slurm.jobs import ENDED, Known, Reporting, known_of, state_of
from cleanhours_plugins.clusters.slurm.places import Places
from tests.unit.plugins.clusters.slurm.made import (
    BY_FEATURE,
    BY_PARTITION,
    HOUR,
    NOW,
    ZONES,
    a_plan,
    known,
    paused,
    running,
    seen,
    settings,
    tag,
    waiting,
)

HELD_AGAIN = "job requeued in held state"
"""Slurm's own words."""
LIMIT = timedelta(minutes=30)


def told(known: Known, reporting: Reporting | None = None, now: int = NOW) -> Job:
    job = (reporting or Reporting(settings())).job(known, instant_of(now))
    assert job is not None
    return job


def at(second: int) -> datetime:
    return instant_of(NOW + second)


# -- state -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "job"),
    [
        # nobody planned it yet
        (JobState.PENDING, waiting(None)),
        (JobState.PENDING, waiting(None, start=NOW + HOUR, reason="BeginTime")),
        (JobState.PENDING, waiting(None, reason="Dependency")),
        # planned, and its begin time is the planned one
        (JobState.HELD, waiting(NOW + HOUR)),
        (JobState.HELD, waiting(NOW + HOUR, start=NOW + HOUR + 2)),
        (JobState.HELD, waiting(NOW + HOUR, reason="None")),
        (JobState.HELD, waiting(NOW + 1)),
        (JobState.HELD, waiting(NOW + HOUR, reason="Priority")),
        # the time has come, the scheduler has not
        (JobState.RELEASED, waiting(NOW)),
        (JobState.RELEASED, waiting(NOW - 5)),
        (JobState.RELEASED, waiting(NOW - 5, start=None, reason="None")),
        # a start that Slurm only expects
        (JobState.RELEASED, waiting(NOW - 5, start=NOW + HOUR, reason="Resources")),
        (JobState.RELEASED, waiting(NOW - 5, start=NOW + HOUR, reason="Priority")),
        (JobState.RELEASED, waiting(NOW - 5, start=NOW + HOUR, reason="ReqNodeNotAvail, UnavailableNodes:de1")),
        (JobState.RELEASED, waiting(NOW - 5, start=None, reason="JobArrayTaskLimit")),
        (JobState.RELEASED, waiting(NOW - 5, start=None, reason="PartitionDown")),
        # others must end first
        (JobState.HELD, waiting(NOW + HOUR, reason="Dependency")),
        (JobState.HELD, waiting(NOW + HOUR, start=None, reason="Dependency")),
        (JobState.RELEASED, waiting(NOW - 5, start=None, reason="Dependency")),
        (JobState.UNMANAGED, waiting(NOW + HOUR, start=NOW + 2 * HOUR, reason="Dependency")),
        # its owner's word, or that of whoever runs the site
        (JobState.UNMANAGED, waiting(NOW + HOUR, reason="JobHeldUser")),
        (JobState.UNMANAGED, waiting(NOW + HOUR, reason="JobHeldAdmin")),
        (JobState.UNMANAGED, waiting(None, reason="JobHeldUser")),
        (JobState.UNMANAGED, waiting(NOW - 5, reason="launch failed requeued held")),
        (JobState.UNMANAGED, waiting(NOW + HOUR, reason=HELD_AGAIN)),
        (JobState.UNMANAGED, waiting(NOW + HOUR, state="SPECIAL_EXIT")),
        (JobState.UNMANAGED, waiting(NOW + HOUR, state="RESV_DEL_HOLD")),
        (JobState.UNMANAGED, waiting(NOW + HOUR, start=NOW + 2 * HOUR)),
        (JobState.UNMANAGED, waiting(NOW + HOUR, start=NOW + HOUR + 3)),
        (JobState.UNMANAGED, waiting(NOW - 5, start=NOW + 2 * HOUR)),
        (JobState.UNMANAGED, waiting(NOW + HOUR, start=NOW + 60, reason="None")),
        (JobState.UNMANAGED, waiting(NOW + HOUR, start=NOW + 60, reason="BeginTime,None")),
        # its owner let it go
        (JobState.RELEASED, waiting(NOW + HOUR, start=None, reason="Resources")),
        (JobState.RELEASED, waiting(NOW + HOUR, start=NOW - 60, reason="BeginTime")),
        # Slurm requeued it (a node failed, somebody preempted it), and lets it rest
        (JobState.RELEASED, waiting(NOW - HOUR, start=NOW + 100, submitted=NOW - 21)),
        (JobState.RELEASED, waiting(NOW - HOUR, start=NOW + 500, submitted=NOW - 100)),
        (JobState.UNMANAGED, waiting(NOW - HOUR, start=NOW + 501, submitted=NOW - 100)),
        (JobState.RELEASED, waiting(NOW - 9, {"submitted": NOW - 50}, start=NOW + 9, submitted=NOW - 47)),
        (JobState.UNMANAGED, waiting(NOW - 9, {"submitted": NOW - 50}, start=NOW + 9, submitted=NOW - 48)),
        # it runs
        (JobState.RUNNING, running()),
        (JobState.RUNNING, running(state="CONFIGURING")),
        (JobState.RUNNING, running(state="COMPLETING")),
        (JobState.RUNNING, running({"paused": True})),
        (JobState.UNMANAGED, running(state="SUSPENDED")),
        (JobState.UNMANAGED, running(state="STOPPED")),
        # our requeue
        (JobState.PAUSING, running({"paused": True}, state="COMPLETING")),
        (JobState.PAUSED, paused()),
        (JobState.PAUSED, paused(reason="None")),
        (JobState.PAUSED, paused(reason="Dependency")),
        (JobState.PAUSED, paused(start=NOW - 479, reason=HELD_AGAIN)),
        (JobState.PAUSED, paused(state="REQUEUE_HOLD", start=NOW - 479, reason=HELD_AGAIN)),
        (JobState.RELEASED, paused(NOW - 30)),
        # due sooner than Slurm starts what was requeued
        (JobState.RELEASED, paused(NOW - 10, start=NOW + 100, submitted=NOW - 300)),
        # and our requeue was followed by its owner's word
        (JobState.UNMANAGED, paused(reason="JobHeldUser")),
        (JobState.UNMANAGED, paused(start=NOW + 7 * HOUR)),
        (JobState.UNMANAGED, paused(submitted=NOW - 60, reason=HELD_AGAIN)),
        (JobState.PAUSED, paused(submitted=NOW - 300, reason=HELD_AGAIN)),
        (JobState.UNMANAGED, paused(submitted=NOW - 299, reason=HELD_AGAIN)),
    ],
)  # fmt: skip
def test_its_state_is_read_from_what_slurm_shows_and_what_we_wrote(state: JobState, job: Known) -> None:
    assert state == state_of(job, NOW)


@pytest.mark.parametrize("state", ENDED)
def test_what_has_ended_is_no_job_any_more(state: str) -> None:
    assert state_of(running(state=state), NOW) is None
    assert Reporting(settings()).job(running(state=state), at(0)) is None


def test_a_job_without_our_tag_is_none_of_ours() -> None:
    assert known_of(seen(comment="cleanhours is nice"), ZONES) is None


# -- what a job is ---------------------------------------------------------------------------------------------------


def test_a_job_is_told_with_its_owner_its_account_and_its_number() -> None:
    job = told(waiting())

    assert ("slurm", f"12-{NOW - HOUR}") == job.key
    assert ("train", "team", "games", "de") == (job.name, job.namespace, job.owner, job.home)
    assert {"object-name": "12", "partition": "de"} == job.labels
    assert a_plan(NOW + HOUR) == job.plan
    assert (None, None, ()) == (job.location, job.started_at, job.segments)


def test_a_job_of_a_site_without_accounts_is_its_user_s() -> None:
    assert "games" == told(waiting(account="")).namespace


def test_a_number_that_slurm_gives_again_is_another_job() -> None:
    assert waiting().uid != waiting(tagged={"submitted": NOW - 7200}).uid
    assert paused(submitted=NOW).uid == paused(submitted=NOW - 9).uid


def test_a_plan_that_is_still_to_be_written_is_the_job_s() -> None:
    plan = a_plan(NOW + 2 * HOUR)
    job = Reporting(settings()).job(waiting(), at(0), plan)

    assert job is not None
    assert plan == job.plan


def test_what_a_requeue_left_held_has_no_plan_so_that_the_next_one_lets_it_go() -> None:
    assert told(paused(reason=HELD_AGAIN)).plan is None
    assert told(paused()).plan is not None


def test_a_home_that_is_no_longer_configured_is_the_usual_one() -> None:
    assert "de" == told(waiting(tagged={"home": "atlantis"})).home


# -- its wishes ------------------------------------------------------------------------------------------------------


def request(words: dict[str, str], tagged: dict[str, Any] | None = None, **of_slurm: Any) -> Any:
    found, complaints = Reporting(settings()).request(
        known(seen(**of_slurm), tag(words=words, **(tagged or {})))
    )
    assert () == complaints
    return found


def complaints_of(job: Known) -> list[str]:
    found, complaints = Reporting(settings()).request(job)
    assert not found.flexible
    return [str(complaint) for complaint in complaints]


def test_wishes_count_from_the_first_submission() -> None:
    asked = request({"deadline": "+12h", "max-delay": "6h", "interruptible": "true"}, submitted=NOW)

    assert (at(-HOUR), at(11 * HOUR)) == (asked.submitted, asked.deadline)
    assert (timedelta(hours=6), True) == (asked.max_delay, asked.interruptible)


def test_its_duration_is_its_limit() -> None:
    assert LIMIT == request({"max-delay": "6h"}).duration
    assert timedelta(days=2, seconds=1) == request({}, limit=timedelta(days=2, seconds=1)).duration


def test_its_owner_knows_better_than_its_limit() -> None:
    assert timedelta(minutes=5) == request({"duration": "5m"}).duration


@pytest.mark.parametrize("limit", [None, timedelta(0)])
def test_without_a_limit_nobody_knows_its_duration(limit: timedelta | None) -> None:
    assert request({"max-delay": "6h"}, limit=limit).duration is None


def test_an_array_takes_as_long_as_its_rounds_and_as_much_as_runs_at_once() -> None:
    asked = request({"max-delay": "6h"}, tasks=2, rounds=3, gpus=1)

    assert 3 * LIMIT == asked.duration
    assert (8000, 2**31, 2, 2) == asked.demand.amounts
    assert timedelta(minutes=15) == request({"duration": "5m"}, rounds=3).duration


@pytest.mark.parametrize(
    ("rounds", "complaint"),
    [
        (20_000, "duration: found '416d16h', accepted: 1s to 366d"),
        (4_000_000, "duration: found '366d', accepted: at most 366d for all 4000000 rounds of the array"),
    ],
)
def test_an_array_that_takes_longer_than_anything_may_is_complained_of(rounds: int, complaint: str) -> None:
    words = {"max-delay": "6h"} if rounds < 10**6 else {"max-delay": "6h", "duration": "366d"}

    assert [complaint] == complaints_of(known(seen(rounds=rounds), tag(words=words)))


def test_an_array_that_asks_for_more_than_anything_has_asks_for_the_most_there_is() -> None:
    asked = request({"max-delay": "6h"}, tasks=10_000, memory_bytes=128 * 2**30)

    assert LARGEST_AMOUNT == asked.demand.memory_bytes


def test_its_owner_s_own_begin_time_is_its_earliest_start() -> None:
    begin = {"begin": NOW + HOUR}

    assert at(HOUR) == request({"max-delay": "6h"}, begin).earliest
    assert at(HOUR) == request({"earliest": "+1h"}, begin).earliest
    assert at(2 * HOUR) == request({"earliest": "+3h"}, begin).earliest
    assert request({"max-delay": "6h"}).earliest is None


@pytest.mark.parametrize(
    ("words", "killed", "limit", "deadline"),
    [
        ({"max-delay": "6h"}, 3 * HOUR, LIMIT, 3 * HOUR),
        ({"deadline": "+2h"}, 3 * HOUR, LIMIT, HOUR),
        ({"deadline": "+9h"}, 3 * HOUR, LIMIT, 3 * HOUR),
        # it must begin so early that its whole limit fits, however short its owner says it is
        ({"max-delay": "6h", "duration": "10m"}, 3 * HOUR, LIMIT, 3 * HOUR - 1200),
        ({"max-delay": "6h", "duration": "40m"}, 3 * HOUR, LIMIT, 3 * HOUR + 600),
        # Slurm would have cancelled it: its limit is infinite
        ({"max-delay": "6h", "duration": "10m"}, 3 * HOUR, None, None),
    ],
)
def test_slurm_s_own_deadline_narrows_ours(
    words: dict[str, str], killed: int, limit: timedelta | None, deadline: int | None
) -> None:
    found = request(words, {"killed_at": NOW + killed}, limit=limit).deadline

    assert (None if deadline is None else at(deadline)) == found


@pytest.mark.parametrize(
    ("tagged", "of_slurm", "interruptible"),
    [
        ({}, {}, True),
        ({"requeues": False}, {}, False),
        ({"killed_at": NOW + 9 * HOUR}, {}, False),
        ({}, {"parts": 1}, False),
        ({"runs": (RunSegment(at(-600), at(-300), "de"),) * 4}, {}, True),
        ({"runs": (RunSegment(at(-600), at(-300), "de"),) * 5}, {}, False),
    ],
)
def test_what_slurm_would_not_requeue_or_not_again_is_not_interrupted(
    tagged: dict[str, Any], of_slurm: dict[str, Any], interruptible: bool
) -> None:
    words = {"max-delay": "6h", "interruptible": "true"}

    assert interruptible is request(words, tagged, **of_slurm).interruptible


def test_in_a_federation_nothing_is_interrupted() -> None:
    federation = replace(settings(), places=Places(BY_PARTITION, "de", federated=True))
    job = waiting(tagged={"words": {"max-delay": "6h", "interruptible": "true"}})

    assert told(job).request.interruptible
    assert not told(job, Reporting(federation)).request.interruptible


def test_each_run_that_we_ended_is_a_pause_less() -> None:
    runs = {"runs": (RunSegment(at(-600), at(-300), "de"),) * 3}

    assert 2 == request({"max-delay": "6h"}, runs).maximum_pauses


def test_words_that_cannot_be_read_are_all_complained_of() -> None:
    job = known(seen(), tag(words={"max-delay": "soon", "locations": "de,mars", "power": "6"}))

    assert ["max-delay", "power", "locations"] == [one.partition(":")[0] for one in complaints_of(job)]
    assert job.fault == ""


def test_a_tag_that_cannot_be_read_is_complained_of_as_it_stands() -> None:
    job = known_of(seen(comment="my text cleanhours:v1;submitted=yesterday"), ZONES)

    assert job is not None
    assert "my text" == job.own
    (complaint,) = complaints_of(job)
    assert complaint.startswith(
        "comment: found 'my text cleanhours:v1;submitted=yesterday', accepted: a tag such as"
    )
    assert at(-HOUR) == told(job).request.submitted


def test_no_tag_of_one_job_is_the_trouble_of_another() -> None:
    worst = {"max-delay": "366d", "duration": "366d", "deadline": "+366d", "earliest": "+366d"}
    job = known(
        seen(rounds=10**9, tasks=10**9, memory_bytes=2**60, cpus=2**31, limit=timedelta(days=364)),
        tag(submitted=2**32 - 1, killed_at=0, begin=2**32 - 1, words=worst),
    )

    assert JobState.PENDING == told(job).state


# -- what it ran -----------------------------------------------------------------------------------------------------


def test_a_running_job_is_where_slurm_started_it_and_its_work_sinks() -> None:
    job = told(running())

    assert (RunSegment(at(-600), None, "de", ("12",)),) == job.segments
    assert ("de", at(-600), timedelta(minutes=20)) == (job.location, job.started_at, job.remaining)


def test_a_running_job_is_where_its_features_say() -> None:
    reporting = Reporting(settings(BY_FEATURE))

    assert "fr" == told(running(partition="any", features="gpu&fr"), reporting).location


@pytest.mark.parametrize(
    "of_slurm",
    [
        {"state": "CANCELLED", "start": NOW - 5, "end": NOW - 5, "reason": "None"},
        {"state": "DEADLINE", "start": NOW - 5, "end": NOW - 5},
        {"state": "FAILED", "start": NOW - 5, "end": NOW - 5, "reason": "BadConstraints"},
        {"state": "CONFIGURING", "start": None, "node_list": "de1"},
        {"state": "RUNNING", "start": NOW + 1, "node_list": "de1"},
    ],
)
def test_a_job_that_never_had_a_node_never_ran(of_slurm: dict[str, Any]) -> None:
    assert () == Reporting(settings()).segments(waiting(**of_slurm), at(0))


def test_a_paused_job_keeps_its_run_and_what_is_left_of_its_work() -> None:
    job = told(paused(limit=timedelta(hours=2)))

    assert (RunSegment(at(-2400), at(-600), "de", ("12",)),) == job.segments
    assert ("de", timedelta(minutes=90)) == (job.location, job.remaining)


def test_a_requeued_run_ended_when_it_had_stopped() -> None:
    (run,) = told(paused(submitted=NOW - 570)).segments

    assert at(-570) == run.end


@pytest.mark.parametrize("submitted", [NOW - 630, NOW - HOUR, NOW - 60])
def test_a_run_does_not_end_before_our_word_nor_with_somebody_else_s_requeue(submitted: int) -> None:
    (run,) = told(paused(submitted=submitted)).segments

    assert at(-600) == run.end


def test_while_it_stops_slurm_s_start_is_none() -> None:
    run = RunSegment(at(-2400), at(-3), "de")
    stopping = running({"runs": (run,), "paused": True}, state="COMPLETING", start=NOW, submitted=NOW - HOUR)

    assert [at(-3)] == [one.end for one in told(stopping).segments]


def test_a_resumed_job_runs_on_with_its_work_behind_it() -> None:
    run = RunSegment(at(-4000), at(-2200), "fr")
    words = {"max-delay": "12h", "checkpoint": "5m"}
    job = told(running({"runs": (run,), "words": words}, submitted=NOW - 2190, limit=timedelta(hours=2)))

    assert [("fr", at(-2190)), ("de", None)] == [(one.location, one.end) for one in job.segments]
    # half an hour and ten seconds, then ten minutes of which five went on getting back
    assert timedelta(hours=2) - timedelta(minutes=30, seconds=10) - timedelta(minutes=5) == job.remaining
    assert "de" == job.location


def test_a_run_that_we_wrote_down_and_could_not_stop_goes_on() -> None:
    run = RunSegment(at(-600), at(-30), "de")
    job = told(running({"runs": (run,), "paused": True}))

    assert (RunSegment(at(-600), None, "de", ("12",)),) == job.segments


# -- how long a start may take ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("partition", "margin"),
    [
        ("de", timedelta(minutes=2)),
        ("fr", timedelta(hours=1)),
        ("pl", timedelta(minutes=2)),
        ("fr,lu", timedelta(minutes=30)),
        ("fr,de", timedelta(minutes=2)),
    ],
)
def test_a_start_may_take_as_long_as_the_queue_of_the_partition_that_is_free_first(
    partition: str, margin: timedelta
) -> None:
    queues = {"fr": timedelta(hours=1), "lu": timedelta(minutes=30), "de": timedelta(seconds=1)}
    reporting = Reporting(settings(), timedelta(seconds=151), queues)

    assert margin == told(waiting(partition=partition), reporting).queue_margin


def test_a_job_that_may_be_requeued_may_have_to_wait_for_that_too() -> None:
    job = waiting(tagged={"words": {"max-delay": "12h", "interruptible": "true"}})

    assert (
        timedelta(seconds=120 + 151) == told(job, Reporting(settings(), timedelta(seconds=151))).queue_margin
    )


@pytest.mark.parametrize(
    ("words", "movable"),
    [
        ({"interruptible": "true", "locations": "de,fr"}, True),
        ({"interruptible": "true", "locations": "fr"}, True),
        ({"interruptible": "true", "locations": "de"}, False),
        ({"interruptible": "true"}, False),
        ({"locations": "de,fr"}, False),
    ],
)
def test_a_job_is_movable_that_may_pause_and_has_two_places(words: dict[str, str], movable: bool) -> None:
    assert movable is told(running({"words": {"max-delay": "12h", **words}})).movable


def test_while_no_node_of_a_place_takes_jobs_none_that_waits_is_sent_there() -> None:
    offers = {"words": {"max-delay": "12h", "locations": "de,fr,pl"}}
    away = Reporting(settings(), away=frozenset({"fr"}))

    assert ("de", "pl") == told(waiting(tagged=offers), away).request.locations
    assert ("de", "fr", "pl") == told(running(offers), away).request.locations
    assert ("de", "fr", "pl") == told(waiting(tagged=offers)).request.locations


def test_a_job_is_planned_at_the_home_of_a_site_without_partitions_as_places() -> None:
    site = replace(settings(), places=Places({"local": Location("local", "DE")}, "local"))
    job = told(running({"home": "local"}), Reporting(site))

    assert ("local", "local") == (job.home, job.location)
