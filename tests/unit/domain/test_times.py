"""Durations and instants: words in, words out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.times import (
    epoch,
    epoch_after,
    format_duration,
    format_instant,
    instant_of,
    parse_duration,
    parse_instant,
    seconds_of,
)

LENGTHS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=366)).map(
    lambda length: length - timedelta(microseconds=length.microseconds)
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400), ("6h", 21_600), ("2d", 172_800), ("1h30m", 5400), ("1.5h", 5400), ("45s", 45), ("0s", 0),
        ("PT6H", 21_600), ("P1DT2H", 93_600), ("PT1H30M", 5400), ("P1W", 604_800), ("PT0.5S", 1), ("366d", 31_622_400),
    ],
)  # fmt: skip
def test_durations_are_read(text: str, seconds: int) -> None:
    assert timedelta(seconds=seconds) == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "6", "+6h", "-1h", "12 h", " 12h", "12h ", "soon", "1e9h", "1h1h", "1m2h", "1H", "h", "1h30", "P", "PT",
     "P1H", "367d", "999999999999999999999d", "１h", "1,5h", "nan", "infh", "1h\n"],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90m, 6h, 2d, 1h30m, or ISO 8601"):
        parse_duration(text)


@given(LENGTHS)
def test_a_duration_survives_its_own_words(length: timedelta) -> None:
    assert length == parse_duration(format_duration(length))


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        length = parse_duration(text)
    except ValueError:
        return

    assert timedelta(0) <= length <= timedelta(days=366)


@pytest.mark.parametrize(
    "text", ["2026-03-29T01:30:00Z", "2026-03-29T02:30:00+01:00", "2026-03-29 01:30:00z", "2026-03-29T01:30Z"]
)
def test_instants_are_read_in_utc(text: str) -> None:
    assert datetime(2026, 3, 29, 1, 30, tzinfo=UTC) == parse_instant(text)


@pytest.mark.parametrize(
    "text", ["", "2026-03-29", "2026-03-29T01:30:00", "2026-02-30T01:30:00Z", "20260329T013000Z", "tomorrow",
             "2026-03-29T25:00:00Z", "2026-03-29T01:30:00+99:00", "0001-01-01T00:00:00+23:59"],
)  # fmt: skip
def test_an_instant_without_zone_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339 with a zone"):
        parse_instant(text)


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_an_instant_lies_between_its_rounded_seconds(instant: datetime) -> None:
    assert instant_of(epoch(instant)) <= instant <= instant_of(epoch_after(instant))
    assert epoch_after(instant) - epoch(instant) == (1 if instant.microsecond else 0)


def test_a_naive_instant_is_never_guessed() -> None:
    for function in (epoch, epoch_after):
        with pytest.raises(ValueError, match="no zone"):
            function(datetime(2026, 1, 1))


def test_other_zones_are_shown_in_utc() -> None:
    instant = datetime(2026, 7, 1, 2, tzinfo=timezone(timedelta(hours=2)))

    assert "2026-07-01T00:00:00Z" == format_instant(instant)


def test_part_of_a_second_of_work_is_a_second() -> None:
    assert 2 == seconds_of(timedelta(seconds=1, microseconds=1))
