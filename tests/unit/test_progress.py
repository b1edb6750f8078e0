"""How far a job has come."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.jobs import RunSegment
from cleanhours.domain.progress import ran, remaining_work
from cleanhours.domain.requests import JobRequest
from cleanhours.testing.clocks import MONDAY

MINUTE = timedelta(minutes=1)


def at(minute: float) -> RunSegment:
    return RunSegment(MONDAY + minute * MINUTE, None, "here")


def stretch(start: float, end: float) -> RunSegment:
    return RunSegment(MONDAY + start * MINUTE, MONDAY + end * MINUTE, "here")


def asked(duration: timedelta | None, checkpoint: timedelta = timedelta(0)) -> JobRequest:
    return JobRequest(submitted=MONDAY, duration=duration, checkpoint=checkpoint)


def test_what_never_ran_is_all_to_do() -> None:
    assert 60 * MINUTE == remaining_work(asked(60 * MINUTE), (), MONDAY)


def test_nobody_knows_the_rest_of_an_unknown_duration() -> None:
    assert remaining_work(asked(None), (stretch(0, 5),), MONDAY) is None


def test_running_time_serves_the_work() -> None:
    parts = (stretch(0, 10), at(30))
    now = MONDAY + 35 * MINUTE
    assert 15 * MINUTE == ran(parts, now)
    assert 45 * MINUTE == remaining_work(asked(60 * MINUTE), parts, now)


def test_getting_back_to_a_checkpoint_does_not_serve_it() -> None:
    request = asked(60 * MINUTE, checkpoint=4 * MINUTE)
    assert 50 * MINUTE == remaining_work(request, (stretch(0, 10),), MONDAY + 30 * MINUTE)
    assert 54 * MINUTE == remaining_work(request, (stretch(0, 10), at(30)), MONDAY + 30 * MINUTE)
    assert 44 * MINUTE == remaining_work(request, (stretch(0, 10), at(30)), MONDAY + 40 * MINUTE)
    assert 50 * MINUTE == remaining_work(request, (stretch(0, 10), stretch(30, 31)), MONDAY + 40 * MINUTE)


def test_a_job_that_overran_has_nothing_left_to_do_and_never_less() -> None:
    assert timedelta(0) == remaining_work(asked(5 * MINUTE), (at(0),), MONDAY + 60 * MINUTE)


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), max_size=6), st.integers(0, 5))
def test_without_cost_work_and_rest_are_the_duration(pieces: list[tuple[int, int]], tail: int) -> None:
    parts, minute = [], 0
    for gap, length in pieces:
        parts.append(stretch(minute + gap, minute + gap + length))
        minute += gap + length
    now = MONDAY + (minute + tail) * MINUTE
    rest = remaining_work(asked(2000 * MINUTE), parts, now)
    assert rest is not None
    assert 2000 * MINUTE == rest + ran(parts, now)
