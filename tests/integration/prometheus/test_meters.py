"""Meters against a real Prometheus with a past: the energy of each curve is known, and each is found as a site exports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from cleanhours.domain.energy import Component, Method
from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.jobs import FinishedRun, RunKey
from cleanhours.domain.resources import Demand
from cleanhours.planning.metering import combine
from cleanhours.ports import Meter
from cleanhours.testing.meters import HOUR, START, MeterContract
from cleanhours_plugins.meters import dcgm, kepler, power, utilisation
from cleanhours_plugins.meters.kepler import KeplerMeter
from tests.integration.prometheus.archives import Line, prometheus
from tests.unit.meters.archives import JOB, World, a_run, at, joules

pytestmark = pytest.mark.integration

GB = 1_000_000_000
BUILDS = {"kepler": kepler.build, "dcgm": dcgm.build, "power": power.build, "utilisation": utilisation.build}
GAUGES = [
    {
        "metric": "scaph_process_power_consumption_microwatts",
        "labels": {"kubernetes_pod_name": "{pod}", "kubernetes_pod_namespace": "{namespace}"},
        "unit": "uW",
        "component": "cpu",
    }
]


def uid(n: int) -> str:
    return f"{n:08x}-2222-3333-4444-555555555555"


def rising(
    watts: float, *, minutes: float = 60, every_s: int = 30, first: float = 0.0
) -> list[tuple[float, float]]:
    """A counter of joules that began with the run, read in the middle of each interval and once after the end."""
    count = int(minutes * 60 / every_s)
    told = [(at(0) + every_s * (n + 0.5), first + watts * every_s * (n + 0.5)) for n in range(count)]
    return [*told, (at(minutes) + every_s / 2, first + watts * minutes * 60)]


def pod(n: int, **labels: str) -> dict[str, str]:
    return {"namespace": "ml", "pod": f"train-{n}", "uid": uid(n), **labels}


def kepler_pod(n: int, zone: str = "package", **labels: str) -> dict[str, str]:
    return {
        "node_name": "n1",
        "pod_id": uid(n),
        "pod_name": f"train-{n}",
        "state": "running",
        "zone": zone,
        **labels,
    }


def whole_hour(value: float) -> list[tuple[float, float]]:
    return [(at(m), value) for m in range(-2, 63)]


def a_past() -> dict[str, list[Line]]:
    """Pods 1 and 2 on a machine with everything; 3 knows cAdvisor alone; 10 to 29 are one Job; 5 ran for five days.

    30 to 53 are of a JobSet's two Jobs; 60 is of a Job that is called as if it were a third.
    """
    names = [*range(1, 6), *range(10, 30), *range(30, 54), 60]
    sets = {n: f"many-workers-{n % 2}" for n in range(30, 54)} | {60: "many-workers-2"}
    five_days = 5 * 24 * 60
    gpu = {"gpu": "0", "Hostname": "n1", "namespace": "ml"}
    cgroup = "/kubepods.slice/kubepods-pod{}.slice"
    return {
        "kube_pod_info": [(pod(n), whole_hour(1)) for n in names],
        "kube_pod_owner": [
            (pod(n, owner_kind="Job", owner_name=name, owner_is_controller="true"), whole_hour(1))
            for n, name in {**dict.fromkeys(range(10, 30), "crowd"), **sets}.items()
        ],
        "kube_job_owner": [
            (
                {
                    "namespace": "ml",
                    "job_name": name,
                    "owner_kind": kind,
                    "owner_name": owner,
                    "owner_is_controller": "true",
                },
                whole_hour(1),
            )
            for name, kind, owner in (
                ("many-workers-0", "JobSet", "many"),
                ("many-workers-1", "JobSet", "many"),
                ("many-workers-2", "CronJob", "many"),
                ("crowd", "CronJob", "many"),
            )
        ],
        "kepler_pod_cpu_joules_total": [
            (kepler_pod(1), rising(40)),
            (kepler_pod(1, state="terminated"), [(at(60.5), 40 * 3600.0)]),
            (kepler_pod(1, prometheus_replica="b"), [(t + 4, v) for t, v in rising(40)]),
            (kepler_pod(1, "core"), rising(25)),
            (kepler_pod(1, "dram"), rising(5)),
            (kepler_pod(2), rising(20)),
            (kepler_pod(5), rising(30, minutes=five_days)),
            *((kepler_pod(n), rising(n)) for n in (*range(10, 30), *sets)),
        ],
        "kepler_pod_gpu_joules_total": [
            ({k: v for k, v in kepler_pod(1).items() if k != "zone"}, rising(290)),
            ({k: v for k, v in kepler_pod(5).items() if k != "zone"}, rising(290, minutes=five_days)),
        ],
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": [
            (
                {**gpu, "UUID": "GPU-0", "pod": "train-1"},
                [(at(m), 9e12 + 300_000 * 60 * m) for m in range(61)],
            ),
        ],
        "DCGM_FI_DEV_POWER_USAGE": [
            ({**gpu, "UUID": "GPU-0", "pod": "train-1"}, whole_hour(310)),
            ({**gpu, "UUID": "GPU-1", "pod": "train-2"}, whole_hour(150)),
        ],
        "scaph_process_power_consumption_microwatts": [
            (
                {"kubernetes_pod_name": "train-3", "kubernetes_pod_namespace": "ml", "pid": "7"},
                whole_hour(5e6),
            ),
            (
                {"kubernetes_pod_name": "train-33", "kubernetes_pod_namespace": "ml", "pid": "8"},
                whole_hour(9e6),
            ),
        ],
        "container_cpu_usage_seconds_total": [
            ({"id": cgroup.format(uid(3).replace("-", "_")), "cpu": "total", "pod": "train-3"}, rising(2)),
            ({"id": cgroup.format(uid(4).replace("-", "_")), "cpu": "total", "pod": "train-4"}, rising(9)),
        ],
    }


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), a_past()) as address:
        yield address


def meter(url: str, name: str, **settings: Any) -> Any:
    world = World()
    world.clock.set(START + timedelta(days=6))
    table = {"url": url, **({"gauges": GAUGES} if name == "power" else {}), **settings}
    return BUILDS[name](table, world.context)


def known(url: str, name: str, run: FinishedRun, **settings: Any) -> Mapping[Component, float]:
    return joules(meter(url, name, **settings).energy(run))


def test_kepler_counts_each_joule_of_a_pod_once(url: str) -> None:
    """In a package, its memory and GPU: not its core's again, not the final total's, not the replica's."""
    profile = meter(url, "kepler").energy(a_run(uid(1)))

    assert {Component.CPU: 144_000, Component.MEMORY: 18_000, Component.GPU: 1_044_000} == joules(profile)
    assert 1.0 == profile.coverage
    assert 3 * 4 == len(profile.slices)


def test_kepler_finds_the_pods_of_a_large_job_by_its_name(url: str) -> None:
    run = a_run(JOB, key=RunKey("k", JOB, 1), labels={"object-name": "crowd"})

    assert {Component.CPU: 3600 * sum(range(10, 30))} == known(url, "kepler", run)


def test_kepler_finds_the_pods_of_a_large_job_set_by_its_jobs(url: str) -> None:
    run = a_run(JOB, key=RunKey("k", JOB, 1), labels={"object-name": "many"})

    assert {Component.CPU: 3600 * sum(range(30, 54))} == known(url, "kepler", run)


def test_five_days_are_asked_for_in_steps_and_are_exact(url: str) -> None:
    run = a_run(uid(5), length=timedelta(days=5))
    profile = meter(url, "kepler").energy(run)

    assert {Component.CPU: 30 * 432_000, Component.GPU: 290 * 432_000} == joules(profile)
    assert pytest.approx(1.0) == profile.coverage
    quarters = [p.millijoules for p in profile.slices if p.component is Component.CPU][1:-1]
    assert 480 - 2 == len(quarters)
    assert {30 * 900_000} == set(quarters)
    raw = meter(url, "kepler", scrape_interval="5m")
    assert joules(profile) == joules(raw.energy(run)), "the same as from the samples themselves"


def test_dcgm_takes_the_counter_and_where_there_is_none_the_watts(url: str) -> None:
    assert {Component.GPU: 1_080_000} == known(url, "dcgm", a_run(uid(1), allocated=Demand(gpus=1)))
    profile = meter(url, "dcgm").energy(a_run(uid(2)))
    assert {Component.GPU: 540_000} == joules(profile)
    assert {"dcgm/power"} == {part.meter for part in profile.slices}


def test_a_gauge_is_of_the_pods_that_are_named_and_no_other(url: str) -> None:
    assert {Component.CPU: 18_000} == known(url, "power", a_run(uid(3)))


def test_the_model_finds_processor_time_by_uid(url: str) -> None:
    run = a_run(uid(3), allocated=Demand(cpu_millicores=4000, memory_bytes=16 * GB))

    expected = {Component.CPU: 30_528.0, Component.MEMORY: 22_579.2}
    assert expected == pytest.approx(known(url, "utilisation", run))


def test_together_each_component_is_known_by_its_best_meter(url: str) -> None:
    run = a_run(uid(1), allocated=Demand(4000, 16 * GB, 1))
    best = combine([(name, meter(url, name).energy(run)) for name in sorted(BUILDS)], needed=(Component.GPU,))

    assert {Component.CPU: 144_000, Component.MEMORY: 18_000, Component.GPU: 1_080_000} == joules(best)
    assert {Method.MEASURED} == {part.method for part in best.slices}


@pytest.mark.parametrize("name", BUILDS)
def test_a_run_of_which_the_server_knows_nothing_drew_nothing_known(url: str, name: str) -> None:
    profile = meter(url, name).energy(a_run(uid(77)))

    assert ((), 0.0) == (profile.slices, profile.coverage)


@pytest.mark.parametrize("name", BUILDS)
def test_a_run_older_than_what_is_kept_drew_nothing_known(url: str, name: str) -> None:
    profile = meter(url, name).energy(a_run(uid(1), start=START - 30 * 24 * HOUR))

    assert ((), 0.0) == (profile.slices, profile.coverage)


@pytest.mark.parametrize("name", BUILDS)
def test_a_server_that_is_not_there_may_be_there_later(name: str) -> None:
    with pytest.raises(TemporaryError):
        meter("http://127.0.0.1:9", name, timeout="1s").energy(a_run(uid(1)))


class TestKepler(MeterContract):
    @pytest.fixture
    def metered(self, url: str) -> tuple[Meter, FinishedRun]:
        return meter(url, "kepler"), a_run(uid(1))


class TestDcgm(MeterContract):
    @pytest.fixture
    def metered(self, url: str) -> tuple[Meter, FinishedRun]:
        return meter(url, "dcgm"), a_run(uid(1))


class TestPower(MeterContract):
    @pytest.fixture
    def metered(self, url: str) -> tuple[Meter, FinishedRun]:
        return meter(url, "power"), a_run(uid(3))


class TestUtilisation(MeterContract):
    @pytest.fixture
    def metered(self, url: str) -> tuple[Meter, FinishedRun]:
        return meter(url, "utilisation"), a_run(uid(3))


@pytest.fixture(scope="module")
def old_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site with the older Kepler, where kube-state-metrics is scraped with labels of its own."""
    labels = {"container_namespace": "ml", "pod_name": "train-1", "container_name": "main"}
    named = {"namespace": "monitoring", "exported_namespace": "ml", "exported_pod": "train-1", "uid": uid(1)}
    past: dict[str, list[Line]] = {
        "kube_pod_info": [(named, whole_hour(1))],
        "kepler_container_package_joules_total": [
            ({**labels, "mode": "dynamic"}, rising(40)),
            ({**labels, "mode": "idle"}, rising(60)),
        ],
        "kepler_container_gpu_joules_total": [({**labels, "mode": "dynamic"}, rising(290))],
    }
    with prometheus(tmp_path_factory.mktemp("old"), past) as address:
        yield address


def test_the_older_kepler_is_found(old_url: str) -> None:
    found: KeplerMeter = meter(old_url, "kepler")

    assert {Component.CPU: 144_000, Component.GPU: 1_044_000} == joules(found.energy(a_run(uid(1))))
