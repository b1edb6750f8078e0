"""Every meter keeps the promises of its port: the fake, and those that are shipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.jobs import FinishedRun, Job, JobKey, JobState, RunSegment
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Meter, Sampling
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.meters import START, FakeMeter, MeterContract, a_finished_run
from cleanhours_plugins.meters import dcgm, kepler, power, utilisation
from cleanhours_plugins.meters.declared import DeclaredMeter
from cleanhours_plugins.meters.nvml import NvmlMeter
from cleanhours_plugins.meters.processes import ProcessMeter
from cleanhours_plugins.meters.rapl import RaplMeter
from cleanhours_plugins.meters.site_watts import CpuWatts, Table
from cleanhours_plugins.meters.slurm import SlurmMeter
from tests.unit.meters.archives import POD, URL, Archive, World, a_run, at, matrix, vector, words
from tests.unit.meters.machines import Machine
from tests.unit.meters.test_meters import FakeNvml

MINUTE = timedelta(minutes=1)


def alive() -> Job:
    return Job(
        key=JobKey("local", "1"),
        name="train",
        namespace="ada",
        state=JobState.RUNNING,
        request=JobRequest(submitted=START),
        home="home",
        segments=(RunSegment(START, None, "home", ("100",)),),
    )


def ended() -> FinishedRun:
    return a_finished_run(
        segments=(RunSegment(START, START + MINUTE, "home", ("100",)),), finished_at=START + MINUTE
    )


class TestFake(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        return FakeMeter(), a_finished_run()


class TestDeclared(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        return DeclaredMeter(), replace(a_finished_run(), request=JobRequest(submitted=START, power_w=100.0))


class TestProcesses(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        return ProcessMeter(0.74, 3.5), a_finished_run(usage={"cpu_seconds": 7.0, "max_rss_bytes": 1e9})


class TestRapl(MeterContract):
    @pytest.fixture
    def metered(self, tmp_path: Path) -> tuple[Meter, FinishedRun]:
        machine, clock = Machine(tmp_path), FakeClock(START)
        meter = RaplMeter(clock, machine.powercap, machine.proc)
        assert isinstance(meter, Sampling)
        for seconds in (0, 60):
            machine.counter("intel-rapl:0", "package-0", seconds * 1_000_000)
            machine.busy(seconds)
            machine.process(100, seconds, session=100)
            meter.sample([alive()])
            clock.advance(MINUTE)
        return meter, ended()


class TestNvml(MeterContract):
    @pytest.fixture
    def metered(self, tmp_path: Path) -> tuple[Meter, FinishedRun]:
        machine, clock, library = Machine(tmp_path), FakeClock(START), FakeNvml((0, (100,)))
        machine.process(100, 0, session=100)
        meter = NvmlMeter(clock, machine.proc, library)
        assert isinstance(meter, Sampling)
        for counter in (0, 60_000):
            library.gpus = [(counter, (100,))]
            meter.sample([alive()])
            clock.advance(MINUTE)
        return meter, ended()


class TestSlurm(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        usage = {"slurm_cpus.0": 4.0, "slurm_joules.0": 1200.0, "slurm_cpus.1": 4.0, "slurm_joules.1": 7.0}
        return SlurmMeter(), a_finished_run(usage=usage)


class TestSlurmModel(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        usage = {"slurm_cpus.0": 4.0, "slurm_cpus.1": 4.0, "slurm_gpus.1": 1.0}
        return SlurmMeter(Table(CpuWatts(5.0), {"*": 300.0})), a_finished_run(usage=usage)


class TestSlurmUtilisation(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        usage = {"slurm_cpus.0": 4.0, "slurm_cpu_seconds.0": 7.3, "slurm_cpus.1": 4.0}
        return SlurmMeter(Table(CpuWatts(3.5, 0.74))), a_finished_run(usage=usage)


def answering(
    build: Callable[[Any, Any], Any], archive: Archive, **settings: Any
) -> tuple[Meter, FinishedRun]:
    """A meter of a Prometheus that is scripted (tests/integration/prometheus has a real one), and an hour of a Pod."""
    meter = build({"url": URL, **settings}, World().context)
    meter.server.session = archive.session
    return meter, a_run()


COUNTED = [(at(minute), 600.0 * minute) for minute in range(1, 61)]


class TestKepler(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        labels = {"__name__": "kepler_pod_cpu_joules_total", "pod_id": POD, "zone": "package"}
        archive = Archive().put("__name__/values", words(labels["__name__"]))
        return answering(kepler.build, archive.put("query", matrix((labels, COUNTED))))


class TestDcgm(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        labels = {"__name__": dcgm.ENERGY, "UUID": "GPU-0", "pod_uid": POD}
        archive = Archive().put("labels", words("pod_uid")).put("query", matrix((labels, COUNTED)))
        return answering(dcgm.build, archive)


class TestPower(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        gauge = {"metric": "watts", "labels": {"pod": "{pod}"}}
        archive = Archive().put("kube_pod_info", vector({"namespace": "ml", "pod": "train-1", "uid": POD}))
        samples = [(instant, 400.0) for instant, _ in COUNTED]
        archive.put("query", matrix(({"__name__": "watts", "pod": "train-1"}, samples)))
        return answering(power.build, archive, gauges=[gauge])


class TestUtilisation(MeterContract):
    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        labels = {"__name__": utilisation.CPU, "id": f"/kubepods/pod{POD}"}
        return answering(utilisation.build, Archive().put("query", matrix((labels, COUNTED))))
