"""Integration of counters and gauges against curves whose energy is known, and its laying onto quarters of an hour."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cleanhours_plugins.meters.prometheus.asking import Sample
from cleanhours_plugins.meters.prometheus.counters import (
    Drawn,
    Reading,
    account,
    began_within,
    counted,
    joined,
    merged,
)
from cleanhours_plugins.meters.prometheus.gauges import means, trapezia, within
from cleanhours_plugins.meters.prometheus.profiles import common, laid, length, share_seen, union

SECOND = 1_000_000
steps = st.lists(st.tuples(st.integers(1, 600), st.integers(0, 5_000_000)), min_size=1, max_size=60)
"""Seconds that pass, and millijoules drawn in them."""


def curve(steps: list[tuple[int, int]], start: int = 0) -> list[Reading]:
    """A counter that began at 0 with the first of these steps, read after each."""
    ends = itertools.accumulate(seconds for seconds, _ in steps)
    values = itertools.accumulate(amount for _, amount in steps)
    return [Reading((start + end) * SECOND, value) for end, value in zip(ends, values, strict=True)]


def total(readings: list[Reading], *, born: bool = True, since: int = 0) -> int:
    return account(readings, born=born, since_us=since, watts_per_unit=1e-3).amount


@given(steps, st.data())
def test_whatever_samples_are_lost_the_energy_up_to_the_last_is_exact(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    readings = curve(steps)
    kept = [one for one in readings[:-1] if data.draw(st.booleans())] + [readings[-1]]

    assert sum(amount for _, amount in steps) == total(kept)
    assert readings[-1].amount - kept[0].amount == total(kept, born=False)


@given(steps, steps)
def test_after_a_reset_the_new_value_was_drawn(
    before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    """Exact where the counter is smaller afterwards; where it is not, the reset is not seen and nothing is made up."""
    one = curve(before)
    other = curve(after, start=one[-1].at_us // SECOND)
    drawn = sum(amount for _, amount in before) + sum(amount for _, amount in after)

    if other[0].amount < one[-1].amount:
        assert drawn == total([*one, *other])
    else:
        assert drawn - one[-1].amount == total([*one, *other])


@given(steps, st.integers(0, 59), st.integers(0, 59), st.integers(-30_000_000, 30_000_000))
def test_replicas_of_a_counter_are_not_added(
    steps: list[tuple[int, int]], cut: int, start: int, skew_us: int
) -> None:
    """The second replica sees another part of it by a clock that is a little off."""
    readings = curve(steps)
    one = readings[: cut + 1]
    other = [Reading(r.at_us + skew_us, r.amount) for r in readings[start:]] or readings[-1:]

    assume(other[0].at_us <= one[-1].at_us and one[0].at_us <= other[-1].at_us)  # they saw it at once

    assert total(joined([one, other])) <= readings[-1].amount
    assert total(joined([readings, other])) <= readings[-1].amount
    if abs(skew_us) < SECOND and other[0].at_us < one[-1].at_us:  # between them they saw all of it
        assert readings[-1].amount == total(joined([one, other]))


def test_a_replica_that_is_late_at_the_seam_is_no_reset() -> None:
    one = [Reading(0, 0), Reading(60 * SECOND, 600)]
    late = [Reading(45_200_000, 440), Reading(60_200_000, 590), Reading(75_200_000, 740)]

    assert 740 == total(joined([one, late]))
    assert 600 == total(joined([one, late[:2]]))


def test_one_that_takes_over_from_another_goes_on_or_begins_anew() -> None:
    first = [Reading(15 * SECOND, 100), Reading(30 * SECOND, 300)]

    assert 500 == total(joined([[Reading(45 * SECOND, 400), Reading(60 * SECOND, 500)], first]))
    assert 350 == total(joined([[Reading(45 * SECOND, 20), Reading(60 * SECOND, 50)], first]))


def test_states_of_one_counter_are_the_larger_at_each_time() -> None:
    running = [Reading(1, 5), Reading(2, 9)]

    assert [*running, Reading(3, 9)] == merged([running, [Reading(2, 7), Reading(3, 9)]])


def test_the_first_value_is_the_runs_only_where_the_series_began_with_it() -> None:
    readings = [Reading(15 * SECOND, 100), Reading(30 * SECOND, 300)]

    assert (300, 200) == (total(readings), total(readings, born=False))
    assert began_within(readings, window_start_us=-30 * SECOND, start_us=0)
    assert not began_within(readings, window_start_us=10 * SECOND, start_us=20 * SECOND)
    # by a clock that is behind, yet a scrape before it did not show it
    assert began_within(readings, window_start_us=-10 * SECOND, start_us=20 * SECOND)


def test_a_first_value_is_drawn_at_the_power_that_follows_but_not_before_the_run() -> None:
    late = [Reading(600 * SECOND, 6_000_000), Reading(660 * SECOND, 6_600_000)]

    assert (
        Drawn(0, 600 * SECOND, 6_000_000)
        == account(late, born=True, since_us=0, watts_per_unit=1e-3).drawn[0]
    )
    young = [Reading(600 * SECOND, 600_000), Reading(660 * SECOND, 1_200_000)]
    assert 540 * SECOND == account(young, born=True, since_us=0, watts_per_unit=1e-3).drawn[0].start_us


@pytest.mark.parametrize("nonsense", [1e19, float("nan"), -5.0])
def test_what_cannot_be_is_not_counted(nonsense: float) -> None:
    good = [Sample(15 * SECOND, 1.0), Sample(30 * SECOND, 3.0)]
    readings = counted([*good, Sample(45 * SECOND, nonsense)] if nonsense < 0 else good, 1000)

    assert 2000 == total(readings, born=False)
    told = account([*readings, Reading(60 * SECOND, 10**16)], born=False, since_us=0, watts_per_unit=1e-3)
    assert 2000 == told.amount
    assert ((15 * SECOND, 30 * SECOND),) == told.seen


@given(st.lists(st.tuples(st.integers(1, 290), st.integers(0, 900)), min_size=1, max_size=50))
def test_power_that_changes_evenly_between_samples_is_integrated_exactly(
    knots: list[tuple[int, int]],
) -> None:
    ends = list(itertools.accumulate(seconds for seconds, _ in knots))
    samples = [Sample(end * SECOND, float(w)) for end, (_, w) in zip(ends, knots, strict=True)]
    doubled = sum((a.value + b.value) * (b.at_us - a.at_us) // SECOND for a, b in itertools.pairwise(samples))

    found = trapezia(samples, watts=1.0, longest_gap_us=300 * SECOND)
    assert doubled * 500 == found.amount
    assert (samples[-1].at_us - samples[0].at_us) == length(union(found.seen))


def test_a_long_silence_is_not_bridged() -> None:
    samples = [Sample(at * SECOND, 100.0) for at in (0, 60, 120, 1000, 1060)]
    found = trapezia(samples, watts=1e-3, longest_gap_us=300 * SECOND)

    assert 18_000 == found.amount
    assert 180 * SECOND == length(found.seen)


def test_means_over_steps_are_of_the_time_before_them() -> None:
    found = means([Sample(120 * SECOND, 5.0), Sample(240 * SECOND, 7.0)], watts=1.0, step_s=60)

    assert (
        Drawn(60 * SECOND, 120 * SECOND, 300_000),
        Drawn(180 * SECOND, 240 * SECOND, 420_000),
    ) == found.drawn


spans = st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 7_000)), min_size=1, max_size=4).map(
    lambda pairs: union((start * SECOND, (start + length) * SECOND) for start, length in pairs)
)
amounts = st.lists(
    st.builds(
        lambda start, length, amount: Drawn(start * SECOND, (start + length) * SECOND, amount),
        st.integers(-500, 30_000),
        st.integers(1, 5_000),
        st.integers(0, 10**9),
    ),
    max_size=20,
)


@given(amounts, spans)
def test_laying_onto_quarters_keeps_every_millijoule(drawn: list[Drawn], spans: list[Any]) -> None:
    cells = laid(drawn, spans, keep_all=True)

    assert sum(part.amount for part in drawn) == sum(cells.values())
    for start, end in cells:
        assert end - start <= 900 * SECOND
        assert any(a <= start < end <= b for a, b in spans)
    assert len(cells) == len(union(cells)) or length(cells) == length(union(cells))


@given(amounts, spans)
def test_what_lies_outside_is_left_out_in_proportion(drawn: list[Drawn], spans: list[Any]) -> None:
    expected = sum(
        part.amount * common([(part.start_us, part.end_us)], spans) / (part.end_us - part.start_us)
        for part in drawn
    )

    assert abs(expected - sum(laid(drawn, spans, keep_all=False).values())) <= 40 * len(drawn) + 1e-6
    clipped = within(account([], born=False, since_us=0, watts_per_unit=1.0), spans)
    assert () == clipped.drawn


@given(amounts, spans)
def test_coverage_is_the_share_of_seconds_seen(drawn: list[Drawn], spans: list[Any]) -> None:
    """The oracle counts seconds one by one."""
    seen = [(part.start_us // SECOND, part.end_us // SECOND) for part in drawn]
    running = {second for a, b in spans for second in range(a // SECOND, b // SECOND)}
    known = {second for a, b in seen for second in range(a, b)} & running

    found = share_seen(((a * SECOND, b * SECOND) for a, b in seen), spans)
    assert len(known) / len(running) == pytest.approx(found)
