"""DCGM through a scripted Prometheus: differences of device counters, and whose devices they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.resources import Demand
from cleanhours.testing.meters import START
from cleanhours_plugins.meters.dcgm import ENERGY, POWER, DcgmMeter, build
from tests.unit.meters.archives import (
    OTHER_POD,
    POD,
    URL,
    Archive,
    World,
    a_run,
    at,
    joules,
    vector,
    words,
)

NAMES = vector(
    {"namespace": "ml", "pod": "train-1", "uid": POD}, {"namespace": "ml", "pod": "train-2", "uid": OTHER_POD}
)
Line = tuple[Mapping[str, str], list[tuple[float, float]]]


def meter(archive: Archive, **settings: Any) -> DcgmMeter:
    built = build({"url": URL, **settings}, World().context)
    assert built.server is not None
    built.server.session = archive.session
    return built


def dcgm(
    *series: Line, labels: tuple[str, ...] = ("UUID", "pod", "namespace"), names: str = NAMES
) -> Archive:
    return Archive().put("/api/v1/labels", words(*labels)).put("kube_pod_info", names).keep(*series)


def counter(watts: float = 300, gpu: str = "GPU-0", pod: str = "train-1", **labels: str) -> Line:
    """A device's millijoules, since its driver was loaded long ago."""
    samples = [(at(m), 9e12 + watts * 60_000 * m) for m in range(61)]
    return {"__name__": ENERGY, "UUID": gpu, "pod": pod, "namespace": "ml", **labels}, samples


def gauge(watts: float = 300, gpu: str = "GPU-0", **labels: str) -> Line:
    named = {"__name__": POWER, "UUID": gpu, "pod": "train-1", "namespace": "ml", **labels}
    return named, [(at(m), watts) for m in range(61)]


def test_the_device_of_the_samples_drew_4620_joules(test_data: Path) -> None:
    file = test_data / "provider-samples" / "prometheus" / "dcgm_energy_raw_range.json"
    archive = dcgm(names=vector({"namespace": "dcgm-exporter", "pod": "cuda-workload", "uid": POD}))
    archive.put(ENERGY, file.read_text("utf-8"))
    run = a_run(start=START.fromtimestamp(1767225600, START.tzinfo), length=timedelta(seconds=60))

    assert {Component.GPU: 4620.0} == joules(meter(archive).energy(run))


def test_the_first_value_is_never_the_runs() -> None:
    profile = meter(dcgm(counter())).energy(a_run(allocated=Demand(gpus=1)))

    assert {Component.GPU: 1_080_000} == joules(profile)
    assert {(Method.MEASURED, "dcgm")} == {(part.method, part.meter) for part in profile.slices}
    assert (1.0, False) == (profile.coverage, profile.upper_estimate)


def test_what_the_device_drew_before_its_first_sample_is_not_known() -> None:
    labels, samples = counter(300)
    young = [(t, v - 9e12) for t, v in samples[5:]]

    profile = meter(dcgm((labels, young))).energy(a_run())
    assert {Component.GPU: 55 * 60 * 300} == joules(profile)
    assert pytest.approx(55 / 60) == profile.coverage


def test_what_is_drawn_before_and_after_the_run_is_not_its_own() -> None:
    labels, _ = counter()
    counting = (labels, [(at(m), 9e12 + 18_000_000 * m) for m in range(-3, 64, 6)])
    watts = (gauge()[0], [(at(m), 300.0) for m in range(-3, 64, 2)])

    assert {Component.GPU: 1_080_000} == joules(meter(dcgm(counting)).energy(a_run()))
    assert {Component.GPU: 1_080_000} == joules(meter(dcgm(watts)).energy(a_run()))


def test_devices_and_pods_are_added_replicas_are_not() -> None:
    archive = dcgm(
        counter(300),
        counter(300, prometheus_replica="b"),
        counter(100, "GPU-1"),
        counter(50, "GPU-2", "train-2"),
    )
    profile = meter(archive).energy(a_run(POD, OTHER_POD, allocated=Demand(gpus=3)))

    assert {Component.GPU: 450 * 3600} == joules(profile)


def test_a_device_on_two_pods_of_the_run_counts_once() -> None:
    archive = dcgm(counter(300), counter(300, pod="train-2"))

    assert {Component.GPU: 1_080_000} == joules(meter(archive).energy(a_run(POD, OTHER_POD)))


def test_between_two_pods_on_one_device_it_was_somebody_elses() -> None:
    labels, samples = counter(300)
    first = (labels, samples[:26])
    second = ({**labels, "pod": "train-2"}, samples[31:])
    profile = meter(dcgm(first, second), minimum_coverage=0.5).energy(a_run(POD, OTHER_POD))

    assert {Component.GPU: 54 * 60 * 300} == joules(profile)
    assert pytest.approx(54 / 60) == profile.coverage


@pytest.mark.parametrize("label", ["GPU_I_ID", "vgpu"])
def test_a_part_of_a_device_is_an_upper_estimate(label: str) -> None:
    profile = meter(dcgm(({**counter()[0], label: "7"}, counter()[1]))).energy(a_run())

    assert profile.upper_estimate
    assert {"dcgm/shared"} == {part.meter for part in profile.slices}


def test_devices_that_were_not_seen_lower_the_coverage() -> None:
    assert () == meter(dcgm(counter())).energy(a_run(allocated=Demand(gpus=2))).slices
    told = meter(dcgm(counter()), minimum_coverage=0.5).energy(a_run(allocated=Demand(gpus=2)))
    assert 0.5 == told.coverage


@pytest.mark.parametrize(
    ("labels", "asked"),
    [
        (("pod", "namespace"), 'namespace=~"ml",pod=~"train-1|train-2"'),
        (
            ("pod", "exported_pod", "exported_namespace"),
            'exported_namespace=~"ml",exported_pod=~"train-1|train-2"',
        ),
        (("pod", "exported_pod", "pod_uid"), f'pod_uid=~"{POD}|{OTHER_POD}"'),
    ],
)
def test_pods_are_named_as_the_scrape_names_them(labels: tuple[str, ...], asked: str) -> None:
    archive = dcgm(labels=labels)
    meter(archive).energy(a_run(POD, OTHER_POD))

    assert asked in archive.queries[-1]
    assert ("pod_uid" in labels) != any("kube_pod_info" in query for query in archive.queries)


def test_blanks_are_no_energy() -> None:
    labels, samples = counter()
    archive = dcgm((labels, [*samples, (at(30.5), 9223372036854775794.0)]))

    assert {Component.GPU: 1_080_000} == joules(meter(archive).energy(a_run()))


def test_a_driver_loaded_anew_counts_from_0() -> None:
    labels, samples = counter(300)
    anew = [(t, v - 9e12 - 30 * 60 * 300_000) for t, v in samples[31:]]

    found = joules(meter(dcgm((labels, [*samples[:31], *anew]))).energy(a_run()))
    assert {Component.GPU: 1_080_000} == found


def test_with_watts_alone_their_integral_is_taken() -> None:
    archive = dcgm(gauge(300), gauge(300, prometheus_replica="b"), gauge(100, "GPU-1"))
    profile = meter(archive).energy(a_run())

    assert {Component.GPU: 1_440_000} == joules(profile)
    assert {(Method.MEASURED, "dcgm/power")} == {(part.method, part.meter) for part in profile.slices}


def test_a_site_may_have_counters_of_some_devices_and_watts_of_all() -> None:
    """Two runs by their counters, one by its watts alone, and one by its counters again: each by the best that it has."""
    archive = dcgm(counter(300), gauge(310))
    asking = meter(archive)
    for kept, drawn, name in (
        ([counter(300), gauge(310)], 300, "dcgm"),
        ([counter(300), gauge(310)], 300, "dcgm"),
        ([gauge(310)], 310, "dcgm/power"),
        ([gauge(310)], 310, "dcgm/power"),
        ([counter(300), gauge(310)], 300, "dcgm"),
    ):
        archive.kept = list(kept)
        profile = asking.energy(a_run())
        assert {Component.GPU: drawn * 3600} == joules(profile)
        assert {name} == {part.meter for part in profile.slices}


def test_counters_and_watts_of_a_week_are_asked_for_each_in_its_own_way() -> None:
    """A counter's last value of a step, a gauge's mean."""
    world = World()
    world.clock.set(START + timedelta(days=8))
    archive = dcgm()
    built = build({"url": URL}, world.context)
    assert built.server is not None
    built.server.session = archive.session
    built.energy(a_run(length=timedelta(days=7)))

    (query,) = [query for query in archive.queries if ENERGY in query]
    assert f'max_over_time({{__name__=~"{ENERGY}"' in query
    assert f'avg_over_time({{__name__=~"{POWER}"' in query


def test_a_long_silence_of_the_gauge_lowers_the_coverage() -> None:
    labels, samples = gauge(300)
    silent = (labels, [*samples[:20], *samples[26:]])

    assert pytest.approx(53 / 60) == meter(dcgm(silent)).energy(a_run()).coverage
    assert 1.0 == meter(dcgm(silent), max_gap="10m").energy(a_run()).coverage


@pytest.mark.parametrize(
    "archive", [dcgm(), dcgm(labels=()), dcgm(counter(), names=vector()), Archive()], ids=range(4)
)
def test_where_nothing_is_found_nothing_is_known(archive: Archive) -> None:
    assert EnergyProfile(coverage=0.0) == meter(archive).energy(a_run())


def test_without_a_table_it_asks_nobody() -> None:
    assert EnergyProfile(coverage=0.0) == build({}, World().context).energy(a_run())
