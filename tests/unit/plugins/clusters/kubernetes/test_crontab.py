"""Schedules come when Kubernetes says. The rows were answered by github.com/robfig/cron v3.0.1, which it calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.times import format_instant, parse_instant
from cleanhours_plugins.clusters.kubernetes.crontab import Crontab, next_after, parse_crontab

ANSWERED = [
    # schedule, time zone, after, the next three (or why not)
    (
        "0 3 * * *",
        "",
        "2026-03-02T03:00:00Z",
        "2026-03-03T03:00:00Z 2026-03-04T03:00:00Z 2026-03-05T03:00:00Z",
    ),
    (
        "*/20 * * * *",
        "",
        "2026-03-02T10:19:59Z",
        "2026-03-02T10:20:00Z 2026-03-02T10:40:00Z 2026-03-02T11:00:00Z",
    ),
    (
        "0 0 * * 1-5",
        "",
        "2026-03-06T00:00:00Z",
        "2026-03-09T00:00:00Z 2026-03-10T00:00:00Z 2026-03-11T00:00:00Z",
    ),
    (
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T02:00:00Z",
        "2026-03-30T00:30:00Z 2026-03-31T00:30:00Z 2026-04-01T00:30:00Z",
    ),
    (
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T02:00:00Z",
        "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z 2026-10-26T01:30:00Z",
    ),
    (
        "0 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:00:00Z",
        "2026-03-29T01:00:00Z 2026-03-29T02:00:00Z 2026-03-29T03:00:00Z",
    ),
    (
        "*/30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T23:00:00Z",
        "2026-10-25T00:00:00Z 2026-10-25T00:30:00Z 2026-10-25T01:00:00Z",
    ),
    (
        "0 9 * * *",
        "America/New_York",
        "2026-11-01T00:00:00Z",
        "2026-11-01T14:00:00Z 2026-11-02T14:00:00Z 2026-11-03T14:00:00Z",
    ),
    (
        "15 10 * * *",
        "Asia/Kolkata",
        "2026-03-02T00:00:00Z",
        "2026-03-02T04:45:00Z 2026-03-03T04:45:00Z 2026-03-04T04:45:00Z",
    ),
    (
        "0 0 1 1 *",
        "Australia/Sydney",
        "2026-03-02T00:00:00Z",
        "2026-12-31T13:00:00Z 2027-12-31T13:00:00Z 2028-12-31T13:00:00Z",
    ),
    (
        "0 0 13 * FRI",
        "",
        "2026-03-02T00:00:00Z",
        "2026-03-06T00:00:00Z 2026-03-13T00:00:00Z 2026-03-20T00:00:00Z",
    ),
    (
        "0 0 */2 * MON",
        "",
        "2026-03-02T00:00:00Z",
        "2026-03-03T00:00:00Z 2026-03-05T00:00:00Z 2026-03-07T00:00:00Z",
    ),
    (
        "0 0 */1 * MON",
        "",
        "2026-03-02T00:00:00Z",
        "2026-03-09T00:00:00Z 2026-03-16T00:00:00Z 2026-03-23T00:00:00Z",
    ),
    (
        "0 0 ? * sun",
        "",
        "2026-03-02T00:00:00Z",
        "2026-03-08T00:00:00Z 2026-03-15T00:00:00Z 2026-03-22T00:00:00Z",
    ),
    (
        "0 0 1,* * MON",
        "",
        "2026-03-02T00:00:00Z",
        "2026-03-09T00:00:00Z 2026-03-16T00:00:00Z 2026-03-23T00:00:00Z",
    ),
    (
        "5/15 8-10 * JAN-mar,dec ?",
        "",
        "2026-03-31T10:50:00Z",
        "2026-12-01T08:05:00Z 2026-12-01T08:20:00Z 2026-12-01T08:35:00Z",
    ),
    (
        "0 0 29 2 *",
        "",
        "2026-03-02T00:00:00Z",
        "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z 2036-02-29T00:00:00Z",
    ),
    ("0 0 30 2 *", "", "2026-03-02T00:00:00Z", "never"),
    (
        "0 22 * * 5/1",
        "",
        "2026-03-02T00:00:00Z",
        "2026-03-06T22:00:00Z 2026-03-07T22:00:00Z 2026-03-13T22:00:00Z",
    ),
    ("@hourly", "", "2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z 2026-03-02T12:00:00Z 2026-03-02T13:00:00Z"),
    (
        "@daily",
        "Europe/Berlin",
        "2026-03-28T10:00:00Z",
        "2026-03-28T23:00:00Z 2026-03-29T22:00:00Z 2026-03-30T22:00:00Z",
    ),
    (
        "@midnight",
        "",
        "2026-03-28T10:00:00Z",
        "2026-03-29T00:00:00Z 2026-03-30T00:00:00Z 2026-03-31T00:00:00Z",
    ),
    ("@weekly", "", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z 2026-03-15T00:00:00Z 2026-03-22T00:00:00Z"),
    (
        "@monthly",
        "",
        "2026-03-02T00:00:00Z",
        "2026-04-01T00:00:00Z 2026-05-01T00:00:00Z 2026-06-01T00:00:00Z",
    ),
    ("@yearly", "", "2026-03-02T00:00:00Z", "2027-01-01T00:00:00Z 2028-01-01T00:00:00Z 2029-01-01T00:00:00Z"),
    (
        "@annually",
        "",
        "2026-03-02T00:00:00Z",
        "2027-01-01T00:00:00Z 2028-01-01T00:00:00Z 2029-01-01T00:00:00Z",
    ),
    (
        "@every 90s",
        "",
        "2026-03-02T00:00:00Z",
        "2026-03-02T00:01:30Z 2026-03-02T00:03:00Z 2026-03-02T00:04:30Z",
    ),
    (
        "@every 1h30m",
        "",
        "2026-03-02T00:00:30Z",
        "2026-03-02T01:30:30Z 2026-03-02T03:00:30Z 2026-03-02T04:30:30Z",
    ),
    (
        "@every 1.5h",
        "",
        "2026-03-02T00:00:00Z",
        "2026-03-02T01:30:00Z 2026-03-02T03:00:00Z 2026-03-02T04:30:00Z",
    ),
    (
        "@every 250ms",
        "",
        "2026-03-02T00:00:00Z",
        "2026-03-02T00:00:01Z 2026-03-02T00:00:02Z 2026-03-02T00:00:03Z",
    ),
    ("0 0 * * 7", "", "2026-03-02T00:00:00Z", "refused"),
    ("0 0 L * *", "", "2026-03-02T00:00:00Z", "refused"),
    ("0 0 * * 5#2", "", "2026-03-02T00:00:00Z", "refused"),
    ("* * * *", "", "2026-03-02T00:00:00Z", "refused"),
    ("0 0 0 * * *", "", "2026-03-02T00:00:00Z", "refused"),
    ("60 * * * *", "", "2026-03-02T00:00:00Z", "refused"),
    ("5-1 * * * *", "", "2026-03-02T00:00:00Z", "refused"),
    ("*/0 * * * *", "", "2026-03-02T00:00:00Z", "refused"),
    ("@reboot", "", "2026-03-02T00:00:00Z", "refused"),
    ("@every soon", "", "2026-03-02T00:00:00Z", "refused"),
    ("0 0 * * *", "Mars/Olympus", "2026-03-02T00:00:00Z", "refused"),
    ("1-2-3 * * * *", "", "2026-03-02T00:00:00Z", "refused"),
    ("1/2/3 * * * *", "", "2026-03-02T00:00:00Z", "refused"),
    ("0 0 * XYZ *", "", "2026-03-02T00:00:00Z", "refused"),
]


@pytest.mark.parametrize(("schedule", "zone", "after", "answers"), ANSWERED)
def test_it_answers_as_the_library_of_kubernetes(schedule: str, zone: str, after: str, answers: str) -> None:
    assert answers == " ".join(answered(schedule, zone, parse_instant(after)))


def answered(schedule: str, zone: str, after: datetime) -> list[str]:
    try:
        parsed = parse_crontab(schedule, zone or None)
    except ValueError:
        return ["refused"]
    found: list[str] = []
    while len(found) < 3:
        following = next_after(parsed, after)
        if following is None:
            return [*found, "never"]
        found.append(format_instant(following))
        after = following
    return found


def test_an_old_zone_in_the_schedule_stands_over_the_field() -> None:
    in_tokyo = parse_crontab("TZ=Asia/Tokyo 0 0 * * *", "Europe/Berlin")
    noon = parse_instant("2026-03-02T12:00:00Z")
    assert parse_instant("2026-03-02T15:00:00Z") == next_after(in_tokyo, noon)


def test_a_fault_names_what_was_found_and_what_is_right() -> None:
    with pytest.raises(ValueError, match="found '61', accepted: 0 to 59"):
        parse_crontab("61 * * * *")


values = st.sets(st.integers(0, 59), min_size=1, max_size=3)


@given(
    values,
    st.sets(st.integers(0, 23), min_size=1, max_size=3),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.integers(0, 400 * 1440),
)
def test_the_next_is_the_first_minute_that_the_clock_shows(
    minutes: set[int], hours: set[int], zone: str, minute: int
) -> None:
    """Tried minute by minute, over every change of the clock of a year."""
    text = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    schedule = parse_crontab(text, zone)
    assert isinstance(schedule, Crontab)
    after = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute, seconds=7)
    walls = (after.replace(second=0) + timedelta(minutes=ahead) for ahead in range(1, 3 * 1440))
    shown = ((one, one.astimezone(ZoneInfo(zone))) for one in walls)
    assert next(one for one, wall in shown if wall.minute in minutes and wall.hour in hours) == next_after(
        schedule, after
    )
