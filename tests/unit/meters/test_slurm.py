"""The meter of Slurm, by hand: what Slurm counted, and where it counted nothing a model that anybody can work out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.jobs import FinishedRun, RunKey, RunSegment
from cleanhours.domain.locations import Location
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Demand
from cleanhours.planning.metering import combine
from cleanhours.ports import Context
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.meters import HOUR, START, a_finished_run
from cleanhours_plugins.meters import declared, processes, slurm

DECLARED = JobRequest(submitted=START, power_w=2400)
WATT_HOUR_MJ = 3_600_000
DEVICE = "watts, 0 or more, or a device of the table"


@dataclass
class World:
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    locations: Mapping[str, Location] = field(
        default_factory=lambda: {name: Location(name, name.upper()) for name in ("home", "fr")}
    )


CONTEXT = cast("Context", World())


def known(run: FinishedRun, **settings: Any) -> EnergyProfile:
    return slurm.build(settings, CONTEXT).energy(run)


def best(run: FinishedRun, **settings: Any) -> EnergyProfile:
    """What is settled on: of this meter and its neighbours."""
    meters = (
        declared.build({}, CONTEXT),
        processes.build({}, CONTEXT),
        slurm.build(settings, CONTEXT),
    )
    return combine(
        [(meter.name, meter.energy(run)) for meter in meters],
        needed=(Component.GPU,) if run.allocated.gpus else (),
    )


def held(run: int = 0, /, **what: float) -> dict[str, float]:
    return {f"slurm_{name}.{run}": amount for name, amount in what.items()}


def by_component(profile: EnergyProfile) -> dict[Component, int]:
    return {one: profile.only((one,)).millijoules for one in profile.components}


def one_hour(**more: Any) -> FinishedRun:
    segment = RunSegment(START, START + HOUR, "home", ("12", "0"))
    return a_finished_run(segments=(segment,), finished_at=START + HOUR, **more)


# --- what Slurm counted ---------------------------------------------------------------------------------------------


def test_the_energy_that_slurm_counted_is_all_of_the_jobs() -> None:
    profile = known(one_hour(usage=held(cpus=4, joules=5600)))

    assert {Component.WHOLE: 5_600_000} == by_component(profile)
    assert 1.0 == profile.coverage
    assert not profile.upper_estimate
    assert {(Method.SLURM, "slurm")} == {(part.method, part.meter) for part in profile.slices}


def test_a_requeued_job_drew_the_sum_of_its_runs_each_while_it_ran() -> None:
    """Two half hours with a pause between them, the first at twice the power."""
    run = a_finished_run(usage=held(0, cpus=4, joules=3600) | held(1, cpus=4, joules=1800))
    profile = known(run)

    assert [3_600_000, 1_800_000] == [part.millijoules for part in profile.slices]
    assert [START, START + HOUR] == [part.start for part in profile.slices]
    assert 1.0 == profile.coverage


def test_segments_of_one_run_share_its_energy_by_their_length() -> None:
    """Slurm suspended it: the same run of the same job goes on, so their handles are the same."""
    parts = (
        RunSegment(START, START + HOUR, "home", ("12", "0")),
        RunSegment(START + 2 * HOUR, START + 4 * HOUR, "home", ("12", "0")),
        RunSegment(START + 5 * HOUR, START + 6 * HOUR, "fr", ("12", "1")),
    )
    usage = held(0, cpus=1, joules=900) | held(1, cpus=1, joules=50)
    profile = known(a_finished_run(segments=parts, finished_at=START + 6 * HOUR, usage=usage))

    assert [300_000, 600_000, 50_000] == [part.millijoules for part in profile.slices]


def test_coverage_is_the_share_of_the_running_time_that_was_measured() -> None:
    run = a_finished_run(usage=held(0, cpus=4, joules=3600) | held(1, cpus=4))
    profile = known(run)

    assert 0.5 == profile.coverage
    assert 3_600_000 == profile.millijoules


def test_more_energy_than_its_nodes_can_draw_is_none_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """An hour of two nodes at 100 kW is 720 MJ. The model: 4 CPUs x 5 W x 1 h."""
    most = 720e6
    meter = slurm.build({"cpu_watts": 5}, CONTEXT)
    assert {Component.WHOLE: 720_000_000_000} == by_component(
        meter.energy(one_hour(usage=held(cpus=4, nodes=2, joules=most)))
    )

    for joules in (most + 1, 1e17, math.inf, math.nan, -1):
        run = one_hour(usage=held(cpus=4, nodes=2, joules=joules), key=RunKey("slurm", str(joules), 1))
        for _ in range(2):
            assert {Component.CPU: 20 * WATT_HOUR_MJ} == by_component(meter.energy(run))
    assert 5 == caplog.text.count("energy not believed")
    assert "joules=1e+17 most=7.2e+08: more than 100000 W of each of 2 nodes" in caplog.text
    assert EnergyProfile(coverage=0.0) == known(one_hour(usage=held(cpus=4, joules=1e17)))


def test_a_run_shorter_than_a_reading_may_be_given_a_minutes_energy() -> None:
    segment = RunSegment(START, START + HOUR / 3600, "home", ("12", "0"))
    short = {"segments": (segment,), "finished_at": START + HOUR / 3600}

    assert known(a_finished_run(**short, usage=held(cpus=4, nodes=1, joules=6e6))).slices
    assert not known(a_finished_run(**short, usage=held(cpus=4, nodes=1, joules=6.1e6))).slices


@pytest.mark.parametrize(
    ("marks", "name"),
    [
        ({}, "slurm"),
        ({"shared": 1.0}, "slurm/shared"),
        ({"estimated": 1.0}, "slurm/estimated"),
        ({"estimated": 1.0, "shared": 1.0}, "slurm/shared/estimated"),
    ],
)
def test_energy_that_was_split_or_estimated_says_so_in_the_meters_name(
    marks: Mapping[str, float], name: str
) -> None:
    profile = known(one_hour(usage=held(0, cpus=1, joules=300, **marks)))

    assert {(Method.SLURM, name)} == {(part.method, part.meter) for part in profile.slices}


def test_a_run_of_another_cluster_is_no_business_of_this_meter() -> None:
    run = one_hour(usage={"cpu_seconds": 5400.0}, allocated=Demand(cpu_millicores=4000))

    assert EnergyProfile(coverage=0.0) == known(run, cpu_watts=5)


def test_a_site_whose_plugin_counts_the_processor_only_has_its_gpus_modelled() -> None:
    """RAPL: 500 J of processor and memory, in one figure; 2 GPUs x 300 W x 1 h = 600 Wh."""
    run = one_hour(usage=held(cpus=8, memory_bytes=64e9, gpus=2, joules=500))
    table = {"counts": "cpu", "cpu_watts": 5, "gpu_watts": 300, "memory_watts_per_gb": 0.4}
    profile = known(run, **table)

    assert {
        Component.CPU: 500_000,
        Component.MEMORY: 0,
        Component.GPU: 600 * WATT_HOUR_MJ,
    } == by_component(profile)
    assert profile.upper_estimate


def test_a_site_whose_plugin_counts_gpus_only_has_the_rest_modelled() -> None:
    """8 CPUs x 5 W x 1 h = 40 Wh."""
    run = one_hour(usage=held(cpus=8, gpus=2, joules=700_000))
    profile = known(run, counts="gpu", cpu_watts=5, gpu_watts=300)

    assert {Component.CPU: 40 * WATT_HOUR_MJ, Component.GPU: 700_000_000} == by_component(profile)


# --- the model ------------------------------------------------------------------------------------------------------


def test_without_energy_the_sites_table_says_what_was_drawn() -> None:
    """1 h: 8 CPUs x 5 W, 2 GPUs x 300 W, 64 GB x 0.4 W."""
    run = one_hour(usage=held(cpus=8, gpus=2, memory_bytes=64e9))
    profile = known(run, cpu_watts=5, gpu_watts=300, memory_watts_per_gb=0.4)

    assert {
        Component.CPU: 40 * WATT_HOUR_MJ,
        Component.GPU: 600 * WATT_HOUR_MJ,
        Component.MEMORY: 92_160_000,  # 25.6 Wh
    } == by_component(profile)
    assert {Method.MODELLED} == {part.method for part in profile.slices}
    assert profile.upper_estimate
    assert 1.0 == profile.coverage


def test_gpus_draw_by_their_type() -> None:
    """1 h: 2 A100 x 400 W, 1 H100 x 700 W, and one whose type Slurm does not tell, at the rate of all others."""
    types = {"slurm_gpus.0.a100": 2.0, "slurm_gpus.0.H100": 1.0}
    run = one_hour(usage=held(cpus=8, gpus=4) | types)
    profile = known(run, gpu_watts={"A100": 400, "h100": 700, "*": 250})

    assert {Component.GPU: 1750 * WATT_HOUR_MJ} == by_component(profile)


def test_gpus_of_a_type_that_the_table_lacks_are_not_known_rather_than_nothing() -> None:
    types = {"slurm_gpus.0.a100": 2.0, "slurm_gpus.0.mi300x": 2.0}
    run = one_hour(usage=held(cpus=8, gpus=4) | types)

    assert EnergyProfile(coverage=0.0) == known(run, gpu_watts={"a100": 400})


def test_gpus_may_be_named_as_devices_of_the_table() -> None:
    """1 h of 2 A100 x 400 W and 1 T4 x 70 W."""
    run = one_hour(usage=held(cpus=8, gpus=3) | {"slurm_gpus.0.a100": 2.0})

    for table in ({"a100": "A100-SXM4-80GB", "*": "t4"}, {"a100": 400, "*": 70}):
        assert {Component.GPU: 870 * WATT_HOUR_MJ} == by_component(known(run, gpu_watts=table))
    for one in ("t4", 70):
        assert {Component.GPU: 210 * WATT_HOUR_MJ} == by_component(known(run, gpu_watts=one))


def test_each_run_draws_by_what_it_held_and_where_it_was() -> None:
    """Half an hour of 4 CPUs x 5 W at home, half an hour of 8 CPUs x 3 W in France."""
    parts = (
        RunSegment(START, START + HOUR / 2, "home", ("12", "0")),
        RunSegment(START + HOUR, START + 1.5 * HOUR, "fr", ("12", "1")),
    )
    run = a_finished_run(segments=parts, usage=held(0, cpus=4) | held(1, cpus=8))
    profile = known(run, cpu_watts=5, locations={"fr": {"cpu_watts": 3}})

    assert [10 * WATT_HOUR_MJ, 12 * WATT_HOUR_MJ] == [part.millijoules for part in profile.slices]


def test_a_location_says_only_what_is_other_there() -> None:
    """1 h at home: 8 CPUs x 5 W as everywhere, 1 GPU x 700 W as there."""
    run = one_hour(usage=held(cpus=8, gpus=1) | {"slurm_gpus.0.h100": 1.0})
    own = {"home": {"gpu_watts": {"h100": 700}}}
    profile = known(run, cpu_watts=5, gpu_watts=300, locations=own)

    assert {
        Component.CPU: 40 * WATT_HOUR_MJ,
        Component.GPU: 700 * WATT_HOUR_MJ,
    } == by_component(profile)


def test_a_model_of_all_the_time_stands_before_a_measurement_of_half_of_it() -> None:
    """1 h in two halves: 4 CPUs x 5 W = 20 Wh."""
    run = a_finished_run(usage=held(0, cpus=4, joules=3600) | held(1, cpus=4))
    profile = known(run, cpu_watts=5)

    assert {Component.CPU: 20 * WATT_HOUR_MJ} == by_component(profile)
    assert 1.0 == profile.coverage


def test_a_measurement_of_half_the_time_stands_before_a_model_without_the_gpus() -> None:
    run = a_finished_run(usage=held(0, cpus=4, gpus=1, joules=3600) | held(1, cpus=4, gpus=1))
    profile = known(run, cpu_watts=5)

    assert {Component.WHOLE: 3_600_000} == by_component(profile)


# --- beside other meters --------------------------------------------------------------------------------------------


def test_what_slurm_counted_stands_before_a_model_and_before_declared_watts() -> None:
    run = one_hour(
        usage=held(cpus=4, gpus=1, joules=5600) | {"cpu_seconds": 60.0},
        request=DECLARED,
        allocated=Demand(4000, 8 * 10**9, 1),
    )

    assert {Component.WHOLE: 5_600_000} == by_component(best(run, cpu_watts=5, gpu_watts=300))


def test_a_model_stands_before_declared_watts() -> None:
    run = one_hour(usage=held(cpus=4), request=DECLARED, allocated=Demand(4000, 8 * 10**9))

    assert {Component.CPU: 20 * WATT_HOUR_MJ} == by_component(best(run, cpu_watts=5))


def test_declared_watts_stand_where_slurm_counted_nothing_and_the_site_has_no_table() -> None:
    run = one_hour(usage=held(cpus=4), request=DECLARED, allocated=Demand(4000, 8 * 10**9))

    assert {Component.WHOLE: 2400 * WATT_HOUR_MJ} == by_component(best(run))


@pytest.mark.parametrize("table", [{"cpu_watts": 5}, {"memory_watts_per_gb": 0.4}])
def test_declared_watts_stand_before_a_model_of_a_part(table: Mapping[str, float]) -> None:
    run = one_hour(
        usage=held(cpus=4, gpus=1, memory_bytes=8e9), request=DECLARED, allocated=Demand(4000, 8 * 10**9, 1)
    )

    assert {Component.WHOLE: 2400 * WATT_HOUR_MJ} == by_component(best(run, **table))


# --- settings -------------------------------------------------------------------------------------------------------


def test_every_fault_of_the_table_is_named() -> None:
    settings = {
        "cpu_wats": 5,
        "cpu_watts": "5",
        "gpu_watts": {"a100": -400, "h100": 700},
        "counts": "node",
        "locations": {"fr": {"cpu_watts": True, "counts": "cpu"}, "mars": {}},
    }

    with pytest.raises(ConfigurationError) as fault:
        slurm.build(settings, CONTEXT)

    told = str(fault.value).split("; ")
    for word in (
        "meters.slurm.cpu_wats: no such setting",
        "meters.slurm.cpu_watts: found '5', accepted: watts, 0 or more, or a table of idle and busy",
        f"meters.slurm.gpu_watts.a100: found -400, accepted: {DEVICE}, such as a100-sxm4-80gb, a10g, agx-xavier",
        "meters.slurm.counts: found 'node', accepted: one of whole, cpu, gpu",
        "meters.slurm.locations.fr.cpu_watts: found True, accepted: watts, 0 or more, or a table of idle and busy",
        "meters.slurm.locations.fr.counts: no such setting",
        "meters.slurm.locations.mars: no such location",
    ):
        assert word in told


def test_every_fault_of_idle_and_busy_watts_and_of_devices_is_named() -> None:
    settings = {
        "cpu_watts": {"idle": -1, "busi": 3.5},
        "gpu_watts": {"a100": "a100-sxm4-80", "*": 300},
        "locations": {"fr": {"cpu_watts": {"idle": 3.5, "busy": 0.74}, "gpu_watts": ["t4"]}},
    }

    with pytest.raises(ConfigurationError) as fault:
        slurm.build(settings, CONTEXT)

    for words in (
        "meters.slurm.cpu_watts.busi: no such setting; did you mean 'busy'?",
        "meters.slurm.cpu_watts.busy: missing: watts of one CPU that is busy",
        "meters.slurm.cpu_watts.idle: found -1, accepted: watts, 0 or more",
        f"meters.slurm.gpu_watts.a100: found 'a100-sxm4-80', accepted: {DEVICE}, did you mean 'a100-sxm4-80gb'?",
        "meters.slurm.locations.fr.cpu_watts.busy: found 0.74, accepted: at least idle, 3.5",
        f"meters.slurm.locations.fr.gpu_watts: found ['t4'], accepted: {DEVICE}, such as",
    ):
        assert words in str(fault.value)


@pytest.mark.parametrize("value", ["fr", {"fr": 5}])
def test_locations_are_tables(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\[meters\.slurm\.locations\.NAME\]"):
        slurm.build({"locations": value}, CONTEXT)
