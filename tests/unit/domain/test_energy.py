"""Energy in columns: the same as slices one by one, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.energy import (
    Component,
    EnergyProfile,
    EnergySlice,
    EnergySlices,
    Method,
    Row,
    Source,
)
from cleanhours.domain.errors import CleanhoursError, EnergyError
from cleanhours.domain.times import MICROSECOND, microseconds

T0 = datetime(2026, 3, 1, tzinfo=UTC)
LARGEST = 2**63 - 1

slices = st.lists(
    st.builds(
        EnergySlice,
        st.integers(0, 10**9).map(lambda us: T0 + us * MICROSECOND),
        st.integers(10**9, 2 * 10**9).map(lambda us: T0 + us * MICROSECOND),
        st.sampled_from(Component),
        st.integers(0, 9) | st.integers(0, LARGEST),
        st.sampled_from(Method),
        st.sampled_from(["nvml", "rapl"]),
    ),
    max_size=8,
).map(tuple)


def a_slice(millijoules: int = 5) -> EnergySlice:
    return EnergySlice(T0, T0 + timedelta(hours=1), Component.GPU, millijoules, Method.MEASURED, "nvml")


@given(slices, slices)
def test_columns_are_the_sequence_that_they_were_made_of(
    some: tuple[EnergySlice, ...], more: tuple[EnergySlice, ...]
) -> None:
    columns = EnergySlices.of(some)

    assert columns == some
    assert tuple(columns) == some
    assert len(columns) == len(some)
    assert (columns == more) == (some == more) == (columns == EnergySlices.of(more))
    assert (hash(columns), repr(columns)) == (hash(some), repr(some))
    assert bool(columns) == bool(some)
    assert columns[1:] == some[1:]
    assert [columns[n] for n in range(len(some))] == [*some]
    assert EnergySlices.joined([columns, EnergySlices.of(more)]) == EnergySlices.of(some + more)
    assert EnergySlices.of_rows(columns.rows()) == columns


@given(slices, st.data())
def test_a_part_of_columns_equals_the_columns_of_the_part(
    some: tuple[EnergySlice, ...], data: st.DataObject
) -> None:
    wanted = data.draw(st.lists(st.booleans(), min_size=len(some), max_size=len(some)))

    part = EnergySlices.of(some).where(np.array(wanted, np.bool_))

    kept = [one for one, take in zip(some, wanted, strict=True) if take]
    assert EnergySlices.of(kept) == part


@given(slices)
def test_sums_are_exact_also_beyond_64_bits(some: tuple[EnergySlice, ...]) -> None:
    profile = EnergyProfile(some)

    assert sum(one.millijoules for one in some) == profile.millijoules
    drawn = profile.slices.drawn()
    assert {(one.component, one.method, one.meter) for one in some} == set(drawn)
    for (component, method, meter), found in drawn.items():
        same = [one for one in some if (one.component, one.method, one.meter) == (component, method, meter)]
        assert sum(one.millijoules for one in same) == found


@given(slices, st.sets(st.sampled_from(Component)))
def test_a_profile_of_some_components_holds_their_slices(
    some: tuple[EnergySlice, ...], wanted: set[Component]
) -> None:
    profile = EnergyProfile(some, 0.5, upper_estimate=True)

    kept = profile.only(wanted)

    assert EnergyProfile([one for one in some if one.component in wanted], 0.5, upper_estimate=True) == kept
    assert {one.component for one in some} & wanted == kept.components


def test_slices_that_differ_in_one_thing_are_not_equal() -> None:
    one = a_slice()
    for change in (
        {"start": T0 + MICROSECOND}, {"end": T0}, {"component": Component.CPU}, {"millijoules": 6},
        {"method": Method.SLURM}, {"meter": "rapl"},
    ):  # fmt: skip
        assert EnergySlices.of([one]) != EnergySlices.of([replace(one, **change)])
        assert EnergyProfile([one, one]) != EnergyProfile([one, replace(one, **change)])
    assert EnergySlices.of([one]) != EnergySlices.of([one, one])


def test_one_source_in_columns() -> None:
    start, hour = microseconds(T0), 3_600_000_000
    source = Source(Component.GPU, Method.MEASURED, "nvml")

    columns = EnergySlices.of_source(source, [start, start + hour], [start + hour, start + 2 * hour], [5, 6])

    assert [Row(start, start + hour, source, 5), Row(start + hour, start + 2 * hour, source, 6)] == [
        *columns.rows()
    ]
    assert a_slice() == columns[0]
    assert EnergySlices.of_source(source, [], [], []) == ()


@pytest.mark.parametrize("wrong", [2**63, -1, -(2**63) - 1, 10**30, 5.0, float("nan"), "5", None])
def test_an_amount_that_no_run_can_have_drawn_is_named(wrong: object) -> None:
    whole = [a_slice(1), a_slice(wrong), a_slice(2)]  # type: ignore[arg-type]  # what a plugin may do

    with pytest.raises(EnergyError) as caught:
        EnergyProfile(whole)

    assert f"found {wrong!r} mJ, accepted: a whole number from 0 to 2^63 (2.6 TWh)" in str(caught.value)
    assert isinstance(caught.value, CleanhoursError)


def test_the_largest_of_64_bits_is_an_amount() -> None:
    assert 2 * LARGEST == EnergyProfile([a_slice(LARGEST), a_slice(0), a_slice(LARGEST)]).millijoules
