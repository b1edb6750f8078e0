"""Clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cleanhours.adapters.clock import FastClock, SystemClock

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_system_clock_is_in_utc_and_moves() -> None:
    clock = SystemClock()
    first = clock.now()
    assert UTC is first.tzinfo
    assert first <= clock.now()
    assert 0.0 == clock.real_seconds_until(first)
    assert 3500 < clock.real_seconds_until(first + timedelta(hours=1)) <= 3600
    assert (1.0, None) == (clock.rate, clock.origin)


def test_a_fast_clock_runs_fast_from_its_origin() -> None:
    clock = FastClock.starting(T0, 1_000_000)
    first = clock.now()
    assert T0 <= first
    assert 3500 < clock.real_seconds_until(first + timedelta(seconds=3_600_000_000)) <= 3600


def test_two_clocks_of_the_same_three_values_agree() -> None:
    clock = FastClock.starting(T0, 100)
    twin = FastClock(clock.origin, clock.real_origin, clock.rate)
    before, seen, after = clock.now(), twin.now(), clock.now()
    assert before <= seen <= after


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_clock_that_stands_or_runs_backwards_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        FastClock(T0, 0.0, rate)
