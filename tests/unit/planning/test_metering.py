"""The best meter for each component, and never two for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.planning.metering import combine

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def part(component: Component, millijoules: int, method: Method, meter: str = "m") -> EnergySlice:
    return EnergySlice(T0, T0 + timedelta(hours=1), component, millijoules, method, meter)


def of(*slices: EnergySlice, coverage: float = 1.0) -> EnergyProfile:
    return EnergyProfile(slices, coverage)


def test_the_better_method_is_taken_for_each_component() -> None:
    measured = of(part(Component.CPU, 5, Method.MEASURED, "rapl"))
    modelled = of(
        part(Component.CPU, 9, Method.MODELLED, "model"), part(Component.MEMORY, 2, Method.MODELLED, "model")
    )
    found = combine([("model", modelled), ("rapl", measured)])
    assert [("rapl", 5), ("model", 2)] == [(one.meter, one.millijoules) for one in found.slices]


def test_a_job_with_gpus_is_not_known_by_its_processor_time() -> None:
    modelled = of(part(Component.CPU, 1, Method.MODELLED))
    declared = of(part(Component.WHOLE, 900, Method.DECLARED))
    measured = of(part(Component.GPU, 800, Method.MEASURED))
    gpu = (Component.GPU,)

    assert 900 == combine([("model", modelled), ("declared", declared)], needed=gpu).millijoules
    assert (
        801
        == combine([("model", modelled), ("declared", declared), ("nvml", measured)], needed=gpu).millijoules
    )
    alone = combine([("model", modelled)], needed=gpu)
    assert (1, 0.0) == (alone.millijoules, alone.coverage)


def test_a_part_of_a_run_is_not_the_run_however_well_it_was_measured() -> None:
    sliver = of(part(Component.CPU, 5, Method.MEASURED, "rapl"), coverage=0.2)
    modelled = of(part(Component.CPU, 90, Method.MODELLED))
    declared = of(part(Component.WHOLE, 100, Method.DECLARED))

    assert 90 == combine([("rapl", sliver), ("model", modelled)]).millijoules
    assert 100 == combine([("rapl", sliver), ("declared", declared)]).millijoules
    assert 5 == combine([("rapl", sliver)]).millijoules


def test_of_equal_methods_the_one_that_covers_more() -> None:
    half = of(part(Component.GPU, 1, Method.MEASURED, "half"), coverage=0.5)
    whole = of(part(Component.GPU, 2, Method.MEASURED, "whole"))
    assert 2 == combine([("half", half), ("whole", whole)]).millijoules


def test_of_equals_the_one_that_is_no_upper_estimate() -> None:
    ceiling = EnergyProfile((part(Component.CPU, 9, Method.MODELLED, "tdp"),), upper_estimate=True)
    used = of(part(Component.CPU, 5, Method.MODELLED, "used"))
    assert 5 == combine([("tdp", ceiling), ("used", used)]).millijoules
    assert 9 == combine([("used", of(*used.slices, coverage=0.5)), ("tdp", ceiling)]).millijoules
    assert (
        used.millijoules == combine([("used", of(*used.slices, coverage=0.9)), ("tdp", ceiling)]).millijoules
    )


def test_of_equals_the_earlier() -> None:
    one, other = (of(part(Component.GPU, n, Method.MEASURED)) for n in (1, 2))
    assert 1 == combine([("a", one), ("b", other)]).millijoules


def test_declared_watts_of_the_whole_job_count_only_where_nothing_better_is_known() -> None:
    declared = of(part(Component.WHOLE, 100, Method.DECLARED))
    modelled = of(part(Component.CPU, 9, Method.MODELLED))
    assert 9 == combine([("declared", declared), ("model", modelled)]).millijoules
    assert 100 == combine([("declared", declared), ("nothing", EnergyProfile())]).millijoules


def test_a_better_whole_stands_alone() -> None:
    node = of(part(Component.WHOLE, 100, Method.SLURM))
    modelled = of(part(Component.CPU, 9, Method.MODELLED), part(Component.MEMORY, 9, Method.MODELLED))
    assert 100 == combine([("model", modelled), ("node", node)]).millijoules


def test_nothing_known_is_an_empty_profile() -> None:
    assert () == combine([]).slices
    assert () == combine([("nothing", EnergyProfile())]).slices


def test_coverage_is_that_of_the_poorest_part() -> None:
    gpu, cpu = (
        of(part(Component.GPU, 1, Method.MEASURED), coverage=0.4),
        of(part(Component.CPU, 1, Method.MODELLED)),
    )
    assert 0.4 == combine([("a", gpu), ("b", cpu)]).coverage


SLICES = st.builds(
    part, st.sampled_from(Component), st.integers(0, 9), st.sampled_from(Method), st.sampled_from("abc")
)


@given(st.lists(st.tuples(st.just("m"), st.builds(of, SLICES, SLICES, coverage=st.floats(0, 1))), max_size=4))
def test_no_component_is_counted_twice(profiles: list[tuple[str, EnergyProfile]]) -> None:
    found = combine(profiles)
    assert Component.WHOLE not in found.components or {Component.WHOLE} == found.components
    for component in found.components:
        assert any(
            found.only((component,)).slices == profile.only((component,)).slices for _, profile in profiles
        )
    assert bool(found.slices) == any(profile.slices for _, profile in profiles)
