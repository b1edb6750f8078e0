"""The latest safe start: the promise never to cost a deadline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.deadlines import Margins, latest_safe_start
from cleanhours.domain.requests import JobRequest

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LENGTHS = st.integers(1, 400_000).map(lambda seconds: timedelta(seconds=seconds))


def test_a_deadline_keeps_safety_restart_and_queue_back() -> None:
    request = JobRequest(submitted=CREATED, duration=10 * HOUR, deadline=CREATED + 24 * HOUR)

    latest = latest_safe_start(request, 10 * HOUR, Margins(), restart=timedelta(minutes=5))

    assert CREATED + 24 * HOUR - 11 * HOUR - timedelta(minutes=6) == latest


def test_a_day_long_job_may_wait_two_hours() -> None:
    request = JobRequest(submitted=CREATED, duration=24 * HOUR, max_delay=2 * HOUR)

    assert CREATED + 2 * HOUR - timedelta(minutes=1) == latest_safe_start(request, 24 * HOUR, Margins())


def test_time_lost_counts_against_the_delay_and_work_done_does_not() -> None:
    request = JobRequest(submitted=CREATED, duration=10 * HOUR, max_delay=3 * HOUR)

    assert CREATED + 7 * HOUR == latest_safe_start(request, 6 * HOUR, Margins(1.1, timedelta(0)))


def test_with_both_the_earlier_counts() -> None:
    both = JobRequest(submitted=CREATED, duration=HOUR, deadline=CREATED + 9 * HOUR, max_delay=2 * HOUR)

    assert CREATED + 2 * HOUR == latest_safe_start(both, HOUR, Margins(1.0, timedelta(0)))


def test_the_delay_counts_from_the_owners_own_earliest_start() -> None:
    request = JobRequest(submitted=CREATED, duration=HOUR, max_delay=HOUR, earliest=CREATED + 5 * HOUR)

    assert CREATED + 6 * HOUR == latest_safe_start(request, HOUR, Margins(1.0, timedelta(0)))


def test_who_gives_no_time_has_no_slack() -> None:
    assert CREATED == latest_safe_start(JobRequest(submitted=CREATED, duration=HOUR), HOUR, Margins())


@given(LENGTHS, LENGTHS, st.floats(1.0, 3.0), LENGTHS)
def test_latest_start_leaves_room_for_the_work(
    duration: timedelta, slack: timedelta, safety: float, queue: timedelta
) -> None:
    request = JobRequest(submitted=CREATED, duration=duration, deadline=CREATED + slack)

    latest = latest_safe_start(request, duration, Margins(safety, queue))

    assert latest + duration + queue <= CREATED + slack
