"""Requests: one parser for every front door, all complaints at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.requests import JobRequest, Policy
from cleanhours.domain.resources import Demand
from cleanhours.domain.words import WORDS, parse_bytes, parse_power, parse_words, split_words

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_word_of_the_design_is_read() -> None:
    words = {
        "deadline": "+12h", "max-delay": "6h", "duration": "90m", "interruptible": "true", "checkpoint": "5m",
        "locations": "eu-west, eu-north", "power": "2400W", "data": "200GB", "policy": "carbon-time",
        "earliest": "2026-01-01T02:00:00Z", "power-curve": "llama-3.1_8B",
    }  # fmt: skip

    request = parse_words(words, created=CREATED, demand=Demand(gpus=2))

    expected = JobRequest(
        submitted=CREATED,
        deadline=CREATED + timedelta(hours=12),
        max_delay=timedelta(hours=6),
        duration=timedelta(minutes=90),
        interruptible=True,
        checkpoint=timedelta(minutes=5),
        locations=("eu-west", "eu-north"),
        power_w=2400.0,
        data_bytes=200 * 10**9,
        policy=Policy.CARBON_TIME,
        earliest=CREATED + timedelta(hours=2),
        power_curve="llama-3.1_8B",
        demand=Demand(gpus=2),
    )
    assert expected == request
    assert set(words) == set(WORDS)
    assert request == JobRequest.from_json(request.to_json())


def test_every_fault_is_named_at_once() -> None:
    words = {
        "deadline": "soon", "duration": "6", "max-delay": "+12 h", "interruptable": "true", "checkpoint": "1e9h",
        "power": "-5W", "data": "many", "policy": "fast", "interruptible": "yes", "locations": "a,,b",
    }  # fmt: skip

    with pytest.raises(InvalidRequest) as caught:
        parse_words(words, created=CREATED)

    assert sorted(words) == sorted(complaint.field for complaint in caught.value.complaints)
    assert "did you mean 'interruptible'?" in str(caught.value)
    assert all(repr(text) in str(caught.value) for text in words.values())


def test_an_unknown_location_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match="locations: found 'mars', accepted: one of eu, us"):
        parse_words({"locations": "mars,eu"}, created=CREATED, locations=["us", "eu"])


def test_a_deadline_in_the_past_is_no_fault_of_form() -> None:
    assert (
        CREATED.replace(year=2020)
        == parse_words({"deadline": "2020-01-01T00:00:00Z"}, created=CREATED).deadline
    )


def test_words_are_split_and_a_bare_word_is_true() -> None:
    assert {"deadline": "+12h", "interruptible": "true"} == split_words(" deadline=+12h  interruptible\n")
    with pytest.raises(InvalidRequest, match="each word once"):
        split_words("deadline=+1h deadline=+2h")


@pytest.mark.parametrize(("text", "watts"), [("2400W", 2400.0), ("2.4kW", 2400.0), ("1MW", 1e6)])
def test_power_is_read(text: str, watts: float) -> None:
    assert watts == parse_power(text)


@pytest.mark.parametrize(("text", "size"), [("200GB", 200 * 10**9), ("1.5TiB", 3 * 2**39), ("7B", 7)])
def test_bytes_are_read(text: str, size: int) -> None:
    assert size == parse_bytes(text)


@pytest.mark.parametrize("digits", [400, 5000])
@pytest.mark.parametrize(("word", "unit"), [("power", "W"), ("data", "GB"), ("duration", "h")])
def test_more_digits_than_a_number_takes_are_a_fault_like_any_other(
    word: str, unit: str, digits: int
) -> None:
    with pytest.raises(InvalidRequest, match=rf"{word}: found .* accepted: (watts|bytes|a number)"):
        parse_words({word: "9" * digits + unit}, created=CREATED)


def test_a_request_names_all_its_own_faults() -> None:
    with pytest.raises(InvalidRequest) as caught:
        JobRequest(
            submitted=datetime(2026, 1, 1),
            duration=timedelta(0),
            checkpoint=timedelta(seconds=-1),
            power_w=float("nan"),
            data_bytes=-1,
            maximum_pauses=-1,
            demand=Demand(gpus=-1),
        )

    fields = [complaint.field for complaint in caught.value.complaints]
    assert ["submitted", "duration", "checkpoint", "power", "data", "maximum-pauses", "demand"] == fields


@given(st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=6), st.text(max_size=10), max_size=4))
def test_any_words_make_a_request_or_complaints(words: dict[str, str]) -> None:
    try:
        request = parse_words(words, created=CREATED)
    except InvalidRequest:
        return

    assert request == JobRequest.from_json(request.to_json())
