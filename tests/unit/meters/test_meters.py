"""Meters, by hand: what they should say of runs and counters whose energy anybody can work out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.jobs import FinishedRun, Job, JobKey, JobState, RunSegment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Demand
from cleanhours.planning.metering import combine
from cleanhours.ports import Context
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.meters import HOUR, START, a_finished_run
from cleanhours_plugins.meters import declared, nvml, processes, rapl
from cleanhours_plugins.meters.kinship import busy_seconds, members
from cleanhours_plugins.meters.kinship import processes as all_processes
from tests.unit.meters.machines import Machine


@dataclass
class World:
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))


def context(clock: FakeClock | None = None) -> Context:
    return cast("Context", World(clock or FakeClock(START)))


def living(uid: str = "1", *handles: str, since: datetime = START) -> Job:
    return Job(
        key=JobKey("local", uid),
        name="train",
        namespace="ada",
        state=JobState.RUNNING,
        request=JobRequest(submitted=START),
        home="home",
        segments=(RunSegment(since, None, "home", handles),),
    )


def finished(uid: str = "1", end: datetime = START + HOUR, start: datetime = START) -> FinishedRun:
    run = a_finished_run(segments=(RunSegment(start, end, "home", ("1",)),), finished_at=end)
    return replace(run, key=run.key._replace(uid=uid))


def by_component(profile: EnergyProfile) -> dict[Component, int]:
    return {one: profile.only((one,)).millijoules for one in profile.components}


# --- declared -------------------------------------------------------------------------------------------------------


def test_declared_watts_count_while_the_job_ran() -> None:
    run = a_finished_run(request=JobRequest(submitted=START, power_w=2400))
    profile = declared.build({}, context()).energy(run)
    assert 2400 * 3600 * 1000 == profile.millijoules  # two half hours, the pause draws nothing
    assert [4_320_000_000, 4_320_000_000] == [part.millijoules for part in profile.slices]
    assert {(Method.DECLARED, Component.WHOLE)} == {(part.method, part.component) for part in profile.slices}


def test_without_declared_watts_nothing_is_known() -> None:
    assert EnergyProfile(coverage=0.0) == declared.build({}, context()).energy(a_finished_run())


def test_rounding_loses_no_millijoule() -> None:
    parts = tuple(
        RunSegment(START + n * HOUR, START + n * HOUR + timedelta(microseconds=333_333), "home")
        for n in range(3)
    )
    run = a_finished_run(segments=parts, request=JobRequest(submitted=START, power_w=1.0))
    assert 1000 == declared.build({}, context()).energy(run).millijoules  # 0.999999 J


# --- processes ------------------------------------------------------------------------------------------------------


def test_cpu_energy_is_minimum_for_held_cores_and_the_rest_by_use() -> None:
    """One hour, 1.5 CPU hours, so 2 cores: 1 h x 2 x 0.74 W + 1.5 h x (3.5 - 0.74) W = 5.62 Wh."""
    run = a_finished_run(usage={"cpu_seconds": 5400.0})
    profile = processes.build({}, context()).energy(run)
    assert {Component.CPU: 20_232_000} == by_component(profile)  # 5.62 Wh x 3600 x 1000
    assert {Method.MODELLED} == {part.method for part in profile.slices}


def test_cores_that_were_asked_for_are_held() -> None:
    """4 cores: 1 h x 4 x 0.74 W + 1.5 h x 2.76 W = 7.1 Wh."""
    run = a_finished_run(usage={"cpu_seconds": 5400.0}, allocated=Demand(cpu_millicores=4000))
    assert 25_560_000 == processes.build({}, context()).energy(run).millijoules


def test_memory_draws_by_what_was_asked_for_else_by_its_peak() -> None:
    """One hour x 0.3725 W/GB: 100 GB draw 37.25 Wh, 8 GB 2.98 Wh."""
    used = {"cpu_seconds": 5400.0, "max_rss_bytes": 8e9}
    asked = a_finished_run(usage=used, allocated=Demand(memory_bytes=100 * 10**9))
    meter = processes.build({}, context())
    assert 134_100_000 == by_component(meter.energy(asked))[Component.MEMORY]
    assert 10_728_000 == by_component(meter.energy(a_finished_run(usage=used)))[Component.MEMORY]


def test_memory_alone_is_not_the_job_and_keeps_no_declared_watts_out() -> None:
    run = a_finished_run(
        request=JobRequest(submitted=START, power_w=2400), allocated=Demand(memory_bytes=100 * 10**9)
    )
    meters = (declared.build({}, context()), processes.build({}, context()))
    found = combine([(meter.name, meter.energy(run)) for meter in meters])
    assert {Component.WHOLE: 2400 * 3600 * 1000} == by_component(found)


def test_a_run_without_usage_is_not_known() -> None:
    assert EnergyProfile(coverage=0.0) == processes.build({}, context()).energy(a_finished_run())


def test_a_processor_family_has_its_own_watts() -> None:
    """Skylake, one core fully used for an hour: 4.26 Wh."""
    run = a_finished_run(usage={"cpu_seconds": 3600.0})
    assert 15_336_000 == processes.build({"processor": "skylake"}, context()).energy(run).millijoules
    named = {"minimum_watts_per_core": 1, "maximum_watts_per_core": 2.5}
    assert 9_000_000 == processes.build(named, context()).energy(run).millijoules


def test_coefficients_are_those_that_cloud_carbon_footprint_publishes(test_data: Path) -> None:
    import json

    source = json.loads((test_data / "provider-samples" / "energy" / "ccf_coefficients.json").read_text())
    published = source["cpu_min_max_watts_per_vcpu"]
    ours = {
        name.upper()
        .replace("-", "_")
        .replace("EPYC_1", "AMD_EPYC_1ST_GEN")
        .replace("EPYC_2", "AMD_EPYC_2ND_GEN"): w
        for name, w in processes.WATTS_PER_CORE.items()
    }
    ours["AWS_GRAVITON_2"] = ours.pop("GRAVITON_2")
    assert (source["aws"]["min_watts_avg"], source["aws"]["max_watts_avg"]) == ours.pop("AVERAGE")
    assert {name: tuple(watts) for name, watts in published.items()} == ours


@pytest.mark.parametrize(
    ("build", "settings", "told"),
    [
        (processes.build, {"procesor": "skylake"}, "did you mean 'processor'"),
        (processes.build, {"processor": "z80"}, "one of average, sandy-bridge"),
        (processes.build, {"minimum_watts_per_core": "3"}, "found '3', accepted: watts"),
        (processes.build, {"minimum_watts_per_core": 9}, "at least the minimum"),
        (declared.build, {"watts": 3}, "known: none"),
        (
            processes.build,
            {"processor": ["z80"], "minimum_watts_per_core": -5, "maximum_watts_per_core": -1, "watts": 3},
            r"processes\.watts: no such.*processor: found \['z80'\].*minimum_watts_per_core: found -5.*found -1, accepted",
        ),
        (rapl.build, {"powercap": 3}, "the path of a folder"),
        (
            rapl.build,
            {"powercap": 3, "proc": 5, "cap": 1},
            "rapl.cap: no such.*rapl.powercap: .*rapl.proc: found 5",
        ),
        (nvml.build, {"gpus": 3, "proc": 5}, "nvml.gpus: no such setting.*nvml.proc: found 5"),
        (nvml.build, {"gpus": 3}, "no such setting"),
    ],
)
def test_settings_that_make_no_sense_are_refused(build: Any, settings: Mapping[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        build(settings, context())


# --- RAPL -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.counter("intel-rapl:0", "package-0", 0)
    machine.counter("intel-rapl:0:0", "core", 0)
    machine.counter("intel-rapl:0:1", "dram", 0)
    machine.counter("intel-rapl:1", "psys", 0)
    machine.busy(0)
    machine.process(100, 0, session=100)
    return machine


def rapl_on(machine: Machine, clock: FakeClock) -> rapl.RaplMeter:
    return rapl.build({"powercap": str(machine.powercap), "proc": str(machine.proc)}, context(clock))


def test_a_run_gets_its_share_of_the_processor_and_the_memory(machine: Machine) -> None:
    """A minute: the package drew 600 J, memory 60 J; the job and its child used 30 of 40 busy CPU seconds."""
    clock = FakeClock(START)
    meter = rapl_on(machine, clock)
    meter.sample([living("1", "100")])
    clock.advance(timedelta(minutes=1))
    machine.counter("intel-rapl:0", "package-0", 600_000_000)
    machine.counter("intel-rapl:0:0", "core", 500_000_000)
    machine.counter("intel-rapl:0:1", "dram", 60_000_000)
    machine.counter("intel-rapl:1", "psys", 900_000_000)
    machine.busy(40)
    machine.process(100, 10, session=100)
    machine.process(101, 20, parent=100, session=101)
    meter.sample([living("1", "100")])
    profile = meter.energy(finished("1", START + timedelta(minutes=1)))
    assert {Component.CPU: 450_000, Component.MEMORY: 45_000} == by_component(profile)
    assert 1.0 == profile.coverage
    assert 0.5 == meter.energy(finished("1", START + timedelta(minutes=2))).coverage


def test_a_counter_that_wrapped_goes_on(machine: Machine) -> None:
    clock = FakeClock(START)
    machine.counter("intel-rapl:0", "package-0", 999_000_000)
    meter = rapl_on(machine, clock)
    meter.sample([living("1", "100")])
    clock.advance(timedelta(minutes=1))
    machine.counter("intel-rapl:0", "package-0", 4_000_000)
    machine.busy(1)
    machine.process(100, 1, session=100)
    meter.sample([living("1", "100")])
    assert 5_000 == by_component(meter.energy(finished("1")))[Component.CPU]


def test_many_looks_make_few_slices(machine: Machine) -> None:
    clock = FakeClock(START)
    meter = rapl_on(machine, clock)
    for minute in range(4 * 60):
        machine.counter("intel-rapl:0", "package-0", 1_000_000 * minute % machine.range_uj)
        machine.busy(minute)
        machine.process(100, minute, session=100)
        meter.sample([living("1", "100")])
        clock.advance(timedelta(minutes=1))
    profile = meter.energy(finished("1", START + 4 * HOUR))
    assert 239_000 == by_component(profile)[Component.CPU]
    assert len(profile.slices) <= 2 * 4 * 4 + 2


def test_counters_that_cannot_be_read_are_said_once_and_known_by_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    meter = rapl_on(Machine(tmp_path), FakeClock(START))
    with caplog.at_level(logging.INFO):
        meter.sample([living("1", "100")])
        meter.sample([living("1", "100")])
    assert 1 == len(caplog.records)
    assert () == meter.energy(finished("1")).slices


def test_this_machines_own_processes_are_read() -> None:
    import os

    everyone = all_processes(Path("/proc"))
    assert os.getppid() == everyone[os.getpid()].parent
    assert os.getpid() in members(everyone, frozenset({os.getppid()}))
    assert busy_seconds(Path("/proc")) > 0


# --- NVML -----------------------------------------------------------------------------------------------------------


class FakeNvml:
    """The four questions that we ask of pynvml; `gpus` holds counter and process ids of each device.

    A counter of None is that of a device which has none.
    """

    class NVMLError(Exception):
        pass

    @dataclass
    class Running:
        pid: int

    def __init__(self, *gpus: tuple[int | None, tuple[int, ...]], broken: bool = False) -> None:
        self.gpus = list(gpus)
        self.broken = broken

    def nvmlInit(self) -> None:  # noqa: N802
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetComputeRunningProcesses(self, device: int) -> list[Running]:  # noqa: N802
        return [self.Running(pid) for pid in self.gpus[device][1]]

    def nvmlDeviceGetTotalEnergyConsumption(self, device: int) -> int:  # noqa: N802
        counter = self.gpus[device][0]
        if self.broken or counter is None:
            raise self.NVMLError("Not Supported")
        return counter


def test_a_gpus_energy_goes_to_the_runs_that_compute_on_it(machine: Machine) -> None:
    """Two GPUs: one drew 9 kJ for run 1 alone, the other 4 kJ for runs 1 and 2."""
    clock, library = FakeClock(START), FakeNvml((1_000, (100,)), (500, (100, 200)), (7, (9,)))
    machine.process(200, 0, session=200)
    meter = nvml.NvmlMeter(clock, machine.proc, library)
    jobs = [living("1", "100"), living("2", "200")]
    meter.sample(jobs)
    clock.advance(timedelta(seconds=30))
    library.gpus = [(9_001_000, (100,)), (4_000_500, (100, 200)), (99_000, (9,))]
    meter.sample(jobs)
    end = START + timedelta(seconds=30)
    assert {Component.GPU: 11_000_000} == by_component(meter.energy(finished("1", end)))
    assert {Component.GPU: 2_000_000} == by_component(meter.energy(finished("2", end)))
    assert () == meter.energy(finished("3", end)).slices


def test_a_run_that_started_between_two_looks_gets_its_part(machine: Machine) -> None:
    clock, library = FakeClock(START), FakeNvml((0, ()))
    meter = nvml.NvmlMeter(clock, machine.proc, library)
    meter.sample([])
    clock.advance(timedelta(seconds=30))
    library.gpus = [(3_000, (100,))]
    meter.sample([living("1", "100", since=START + timedelta(seconds=20))])
    run = finished("1", START + timedelta(seconds=30), START + timedelta(seconds=20))
    assert 1_000 == meter.energy(run).millijoules
    assert START + timedelta(seconds=20) == meter.energy(run).slices[0].start


def test_a_gpu_without_a_counter_leaves_the_others_be_and_is_said_once(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """Run 2 is on both: what its other GPU drew is not all that it drew, so nothing is known of it."""
    clock, library = FakeClock(START), FakeNvml((None, (200,)), (0, (100,)), (0, (200,)))
    machine.process(200, 0, session=200)
    meter = nvml.NvmlMeter(clock, machine.proc, library)
    jobs = [living("1", "100"), living("2", "200")]
    for look in range(3):
        library.gpus = [(None, (200,)), (3_000 * look, (100,)), (5_000 * look, (200,))]
        meter.sample(jobs)
        clock.advance(timedelta(seconds=30))
    end = START + timedelta(seconds=60)
    assert {Component.GPU: 6_000} == by_component(meter.energy(finished("1", end)))
    assert 1.0 == meter.energy(finished("1", end)).coverage
    assert EnergyProfile(coverage=0.0) == meter.energy(finished("2", end))
    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert ["GPU counter not read, its runs are not measured gpu=0 error=Not Supported"] == warned


def test_a_gpu_that_does_not_answer_once_costs_its_runs_the_time_and_is_not_nothing(machine: Machine) -> None:
    """Three spans of half a minute; at the second look there was no answer, so only the third is known."""
    clock, library = FakeClock(START), FakeNvml()
    meter = nvml.NvmlMeter(clock, machine.proc, library)
    for counter in (0, None, 6_000, 9_000):
        library.gpus = [(counter, (100,))]
        meter.sample([living("1", "100")])
        clock.advance(timedelta(seconds=30))
    profile = meter.energy(finished("1", START + timedelta(seconds=90)))
    assert 3_000 == profile.millijoules
    assert 1 / 3 == pytest.approx(profile.coverage)


@pytest.mark.parametrize("library", [FakeNvml(broken=True), FakeNvml()])
def test_a_machine_without_gpus_knows_nothing(machine: Machine, library: FakeNvml) -> None:
    meter = nvml.NvmlMeter(FakeClock(START), machine.proc, library)
    meter.sample([living("1", "100")])
    meter.sample([living("1", "100")])
    assert () == meter.energy(finished("1")).slices


def test_the_real_library_is_asked_and_its_answer_survived(machine: Machine) -> None:
    pytest.importorskip("pynvml")
    meter = nvml.build({"proc": str(machine.proc)}, context())
    meter.sample([living("1", "100")])
    assert meter.energy(finished("1")).coverage <= 1
