"""Equations of settlement, against an oracle that integrates second by second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.jobs import FinishedRun, RunSegment
from cleanhours.domain.requests import JobRequest
from cleanhours.planning.replaying import apportion
from tests.unit.planning.test_settling import LOCATIONS, T0, a_run, settled

# --- equations -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**18), st.lists(st.integers(0, 10**12), min_size=1, max_size=8))
def test_apportioning_adds_up_and_errs_by_less_than_one(total: int, weights: list[int]) -> None:
    parts = apportion(total, weights)
    assert total == sum(parts)
    whole = sum(weights)
    if whole:
        assert all(
            abs(part - Fraction(total * weight, whole)) < 1
            for part, weight in zip(parts, weights, strict=True)
        )


SECONDS = 120
VALUES = st.lists(st.integers(0, 900), min_size=SECONDS // 10, max_size=SECONDS // 10)


def second(n: int) -> datetime:
    return T0 + timedelta(seconds=n)


@st.composite
def runs(draw: st.DrawFn) -> FinishedRun:
    borders = sorted(draw(st.sets(st.integers(1, SECONDS - 1), min_size=2, max_size=6)))
    pairs = list(zip(borders[::2], borders[1::2], strict=False))
    places = [draw(st.sampled_from(sorted(LOCATIONS))) for _ in pairs]
    request = JobRequest(
        submitted=T0,
        earliest=second(draw(st.integers(0, borders[0]))),
        checkpoint=timedelta(seconds=draw(st.integers(0, 5))),
        data_bytes=draw(st.sampled_from([0, 10**9])),
    )
    segments = tuple(RunSegment(second(a), second(b), p) for (a, b), p in zip(pairs, places, strict=True))
    return replace(
        a_run((0, 1, "home"), request=request), segments=segments, finished_at=second(pairs[-1][1])
    )


@st.composite
def profiles(draw: st.DrawFn, run: FinishedRun) -> EnergyProfile:
    slices = []
    for segment in run.segments:
        assert segment.end is not None
        for component, method in ((Component.CPU, Method.MODELLED), (Component.GPU, Method.MEASURED)):
            energy = draw(st.integers(0, 10**12))
            slices.append(EnergySlice(segment.start, segment.end, component, energy, method, component.value))
    return EnergyProfile(tuple(slices))


def by_the_second(values: list[int], start: int, end: int) -> Fraction:
    return Fraction(sum(values[s // 10] for s in range(start, end)) * 1_000_000, end - start)


def oracle(
    run: FinishedRun, profile: EnergyProfile, grids: Mapping[str, list[int]]
) -> tuple[Fraction, Fraction]:
    """Emissions and baseline in µg, integrated second by second, without rounding."""
    emissions = baseline = Fraction(0)
    start = int((max(run.request.submitted, run.request.earliest or T0) - T0).total_seconds())
    overhead = int(run.request.checkpoint.total_seconds())
    zero, one = LOCATIONS["home"], Fraction(1)
    moved: set[str] = {"home"}
    done = start
    for index, segment in enumerate(run.segments):
        first, last = ((t - T0) // timedelta(seconds=1) for t in (segment.start, segment.end or T0))
        here = LOCATIONS[segment.location]
        skipped = min(overhead, last - first) if index else 0
        for part in profile.slices:
            if part.start != segment.start:
                continue
            each = Fraction(part.millijoules, last - first)
            for s in range(first, last):
                emissions += each * grids[here.zone][s // 10] * 1_000_000 * Fraction(str(here.pue))
            for s in range(last - first - skipped):
                baseline += each * grids[zero.zone][(done + s) // 10] * 1_000_000
        done += last - first - skipped
        if segment.location not in moved and run.request.data_bytes:
            moved.add(segment.location)
            half = one * 1_800_000
            emissions += half * (grids["GB"][first // 10] + grids[here.zone][first // 10]) * 1_000_000
    return emissions / 3_600_000_000, baseline / 3_600_000_000


def energy_oracle(run: FinishedRun, profile: EnergyProfile) -> Fraction:
    """What was drawn, PUE included, less than at home without our pauses and transfers, in millijoules."""
    overhead, avoided, moved = run.request.checkpoint, Fraction(0), {"home"}
    for index, segment in enumerate(run.segments):
        length = (segment.end or T0) - segment.start
        ours = Fraction(
            min(overhead, length) // timedelta(seconds=1) if index else 0, length // timedelta(seconds=1)
        )
        here = Fraction(str(LOCATIONS[segment.location].pue))
        for part in profile.slices:
            if part.start == segment.start:
                avoided += part.millijoules * (1 - ours) - part.millijoules * here
        if segment.location not in moved and run.request.data_bytes:
            moved.add(segment.location)
            avoided -= 3_600_000
    return avoided


@given(st.data(), runs(), VALUES, VALUES)
def test_settlement_equals_the_oracle_and_its_equations_hold(
    data: st.DataObject, run: FinishedRun, gb: list[int], no: list[int]
) -> None:
    profile = data.draw(profiles(run))
    step = timedelta(seconds=10)
    starts = [second(10 * n) for n in range(len(gb))]
    actuals = {
        zone: IntensitySeries.of(zone, starts, values, step=step, kind=Kind.ACTUAL)
        for zone, values in (("GB", gb), ("NO", no))
    }
    entry = settled(run, profile, actuals, transfer_kwh_per_gb=0.001)
    emissions, baseline = oracle(run, profile, {"GB": gb, "NO": no})
    pieces = 2 * len(profile.slices) + 4
    assert abs((entry.emissions_ug or 0) - emissions) <= Fraction(pieces, 2)
    assert abs((entry.baseline_ug or 0) - baseline) <= Fraction(pieces, 2) + _lost_to_cutting(profile, gb)
    assert abs(sum(entry.energy_avoided_mj.values()) - energy_oracle(run, profile)) <= pieces + len(
        profile.slices
    )
    assert entry.total_avoided_ug == sum(entry.avoided_ug.values())
    assert entry.emissions_ug == sum(share.emissions_ug for share in entry.shares)
    assert entry.baseline_ug == sum(share.baseline_ug for share in entry.shares)
    assert entry.profile.millijoules == sum(share.millijoules for share in entry.shares)


def _lost_to_cutting(profile: EnergyProfile, values: list[int]) -> Fraction:
    """Energy is cut in whole millijoules: at most one a slice falls on the other side of a checkpoint's end."""
    return Fraction(len(profile.slices) * max(values) * 1_000_000, 3_600_000_000)
