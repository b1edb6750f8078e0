"""What a cap avoided is counted where a meter shows that it was kept, against the same work without it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.accounts import Cause
from cleanhours.domain.caps import Cap
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.requests import JobRequest
from cleanhours.planning.settling import promise_kept
from cleanhours.planning.uncapping import cap_kept, uncapped_running, without_cap
from cleanhours.testing.ledger_contract import a_plan
from tests.unit.planning.test_settling import HOUR, T0, a_run, at, hourly, settled

CAP = Cap(limit_w=250, slowdown=1.25, accelerators_w=600, uncapped_w=1000)


def capped(*segments: tuple[float, float, str], **more: Any) -> FinishedRun:
    return a_run(*segments, plan=a_plan(cap=CAP), **more)


def drew(
    run: FinishedRun, gpu_w: float, rest_w: float = 0, method: Method = Method.MEASURED
) -> EnergyProfile:
    """As a steady draw over each segment."""
    slices = []
    for part in run.segments:
        assert part.end is not None
        for component, watts in ((Component.GPU, gpu_w), (Component.CPU, rest_w)):
            energy = round(watts * 1000 * (part.end - part.start).total_seconds())
            slices.append(EnergySlice(part.start, part.end, component, energy, method, "m"))
    return EnergyProfile(tuple(slices))


def test_by_hand_one_cap_at_one_place() -> None:
    # 1.25 h at 600 W of GPUs and 100 W of the rest; without the cap 1 h at 1,000 W and 100 W
    run = capped((0, 1.25, "home"))
    entry = settled(run, drew(run, 600, 100), {"GB": hourly("GB", 100, 400, 400)})
    # 0.7 kW x 1 h x 100 + 0.7 kW x 0.25 h x 400 against 1.1 kW x 1 h x 100
    assert (70 + 70) * 1_000_000 == entry.emissions_ug
    assert 110 * 1_000_000 == entry.baseline_ug
    assert {Cause.CAPPED: -30_000_000} == {cause: n for cause, n in entry.avoided_ug.items() if n}
    # 1.1 kWh against 0.875 kWh
    assert {Cause.CAPPED: 810_000_000} == {cause: n for cause, n in entry.energy_avoided_mj.items() if n}


def test_delay_is_counted_without_the_cap_and_the_cap_at_the_time_that_was() -> None:
    run = capped((2, 3.25, "home"))
    entry = settled(run, drew(run, 600), {"GB": hourly("GB", 300, 300, 100, 100, 100)})
    assert 75 * 1_000_000 == entry.emissions_ug
    assert 300 * 1_000_000 == entry.baseline_ug
    found = {cause: n for cause, n in entry.avoided_ug.items() if n}
    assert {Cause.DELAYED: 200_000_000, Cause.CAPPED: 25_000_000} == found


def test_at_another_place_its_overhead_is_on_both_sides_of_the_cap() -> None:
    run = capped((0, 1.25, "north"))
    flat = {"GB": hourly("GB", 100, 100, 100), "NO": hourly("NO", 50, 50, 50)}
    entry = settled(run, drew(run, 600), flat)
    found = {cause: n for cause, n in entry.avoided_ug.items() if n}
    assert {Cause.RELOCATED: 40_000_000, Cause.CAPPED: 15_000_000} == found
    energy = {cause: n for cause, n in entry.energy_avoided_mj.items() if n}
    assert {Cause.RELOCATED: -720_000_000, Cause.CAPPED: round(0.25 * 1.2 * 3.6e9)} == energy


@pytest.mark.parametrize(
    ("gpu_w", "method", "coverage", "kept"),
    [
        (600, Method.MEASURED, 1.0, True),
        (799, Method.SLURM, 0.8, True),
        (801, Method.MEASURED, 1.0, False),
        (1000, Method.SELF_REPORTED, 1.0, False),
        (600, Method.MODELLED, 1.0, None),
        (600, Method.DECLARED, 1.0, None),
        (600, Method.MEASURED, 0.79, None),
    ],
)
def test_a_cap_that_no_meter_confirms_avoided_nothing(
    gpu_w: float, method: Method, coverage: float, kept: bool | None
) -> None:
    run = capped((2, 3.25, "home"))
    profile = replace(drew(run, gpu_w, method=method), coverage=coverage)
    assert kept is cap_kept(run, profile)
    entry = settled(run, profile, {"GB": hourly("GB", 300, 300, 100, 100, 100)})
    assert bool(kept) == (entry.avoided_ug[Cause.CAPPED] != 0)
    assert (1 if kept else 5 / 4) * HOUR == uncapped_running(run, profile)


def test_a_run_without_a_cap_has_none_to_keep() -> None:
    run = a_run((0, 1, "home"), plan=a_plan())
    assert cap_kept(run, drew(run, 600)) is None
    assert HOUR == uncapped_running(run, drew(run, 600))


def test_two_accelerators_that_are_told_apart_draw_together() -> None:
    run = capped((0, 1, "home"))
    each = drew(run, 450).slices
    assert cap_kept(run, EnergyProfile((*each, *each))) is False
    assert cap_kept(run, EnergyProfile(each)) is True


def test_what_a_cap_made_it_slower_counts_as_delay() -> None:
    request = JobRequest(submitted=T0, max_delay=timedelta(minutes=14))
    assert promise_kept(capped((0, 1.25, "home"), request=request)) is False
    assert promise_kept(capped((0, 1.25, "home"), request=replace(request, max_delay=HOUR / 4))) is True
    assert promise_kept(a_run((0, 1.25, "home"), request=request)) is True


@given(
    st.floats(1, 3),
    st.floats(0.1, 1),
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
    st.integers(0, 600),
)
def test_without_its_cap_a_run_does_the_same_from_the_same_starts(
    slowdown: float, share: float, minutes: list[int], checkpoint_s: int
) -> None:
    cap = Cap(200, slowdown, 1000 * share, 1000)
    start, segments = 0.0, []
    for length in minutes:
        segments.append((start, start + length / 60, "home"))
        start += 1
    run = a_run(*segments, request=JobRequest(submitted=T0, checkpoint=timedelta(seconds=checkpoint_s)))
    profile = drew(run, 700, 100)
    free, freely = without_cap(run, profile, cap)
    for part, before in zip(free.segments, run.segments, strict=True):
        assert part.start == before.start
        assert before.end is not None
        assert part.end is not None
        assert part.start <= part.end <= before.end
    for component, factor in ((Component.GPU, 1000 / cap.accelerators_w), (Component.CPU, 1.0)):
        found = freely.only([component]).millijoules
        expected = profile.only([component]).millijoules * factor / slowdown
        assert found == pytest.approx(expected, rel=1e-9, abs=len(minutes))
    assert at(0) == free.segments[0].start
