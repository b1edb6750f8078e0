"""A site's own gauges through a scripted Prometheus: whose they are, in which unit, and for how long they were silent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.jobs import RunKey, RunSegment
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.meters import HOUR, START, a_finished_run
from cleanhours_plugins.meters.power import PowerMeter, build
from tests.unit.meters.archives import (
    OTHER_POD,
    POD,
    URL,
    Archive,
    World,
    a_run,
    at,
    joules,
    matrix,
    vector,
)

BMC = {"metric": "ipmi_dcmi_power_consumption_watts", "labels": {"node": "{location}-.*"}}
SCAPHANDRE = {
    "metric": "scaph_process_power_consumption_microwatts",
    "labels": {"kubernetes_pod_name": "{pod}", "kubernetes_pod_namespace": "{namespace}"},
    "unit": "uW",
    "component": "cpu",
}
NAMES = vector(
    {"namespace": "ml", "pod": "train-1", "uid": POD}, {"namespace": "ml", "pod": "train-2", "uid": OTHER_POD}
)
Line = tuple[Mapping[str, str], list[tuple[float, float]]]


def meter(archive: Archive, *gauges: Mapping[str, Any], **settings: Any) -> PowerMeter:
    world = World()
    world.clock.set(START + 4 * HOUR)
    built = build({"url": URL, "gauges": list(gauges), **settings}, world.context)
    assert built.server is not None
    built.server.session = archive.session
    return built


def archive(*series: Line) -> Archive:
    return Archive().put("kube_pod_info", NAMES).keep(*series)


def bmc(watts: float = 400, node: str = "home-1", minutes: range = range(-1, 200), **labels: str) -> Line:
    return {"__name__": BMC["metric"], "node": node, **labels}, [(at(m), watts) for m in minutes]  # type: ignore[dict-item]


def process(microwatts: float, pod: str = "train-1", pid: str = "7") -> Line:
    labels = {"kubernetes_pod_name": pod, "kubernetes_pod_namespace": "ml", "pid": pid}
    name = "scaph_process_power_consumption_microwatts"
    return {"__name__": name, **labels}, [(at(m), microwatts) for m in range(61)]


def test_a_board_controller_tells_of_the_whole_machine_while_the_run_was_there() -> None:
    profile = meter(archive(bmc(400)), BMC).energy(a_run())

    assert {Component.WHOLE: 1_440_000} == joules(profile)
    assert {(Method.MEASURED, "power")} == {(part.method, part.meter) for part in profile.slices}
    assert (1.0, False) == (profile.coverage, profile.upper_estimate)


def test_power_that_rises_evenly_is_counted_exactly() -> None:
    labels, _ = bmc()
    rising = (labels, [(at(m), 100.0 + m) for m in range(-2, 63, 4)])

    assert {Component.WHOLE: 3600 * 130.0} == pytest.approx(
        joules(meter(archive(rising), BMC).energy(a_run()))
    )


def test_a_job_that_moved_is_read_where_it_was() -> None:
    segments = (
        RunSegment(START, START + HOUR, "home", (POD,)),
        RunSegment(START + 2 * HOUR, START + 3 * HOUR, "fr", (POD,)),
    )
    run = a_finished_run(segments=segments, finished_at=START + 3 * HOUR)
    profile = meter(archive(bmc(400, "home-1"), bmc(100, "fr-1"), bmc(7, "frost-1")), BMC).energy(run)

    assert {Component.WHOLE: 500 * 3600} == joules(profile)
    assert [100_000 * 900] * 4 == [p.millijoules for p in profile.slices if p.start >= START + HOUR]


def test_machines_are_added_and_replicas_are_not() -> None:
    found = archive(bmc(400), bmc(200, "home-2"), bmc(400, replica="b"), bmc(400, prometheus_replica="b"))

    assert {Component.WHOLE: 600 * 3600} == joules(meter(found, BMC).energy(a_run()))


def test_processes_of_pods_are_added_in_their_unit() -> None:
    found = archive(process(2e7), process(5e6, pid="8"), process(1e6, "train-2"))
    profile = meter(found, SCAPHANDRE).energy(a_run(POD, OTHER_POD))

    assert {Component.CPU: 26 * 3600} == joules(profile)
    assert 'kubernetes_pod_name=~"(train-1|train-2)"' in found.queries[-1]


def test_a_pod_that_was_not_seen_lowers_the_coverage() -> None:
    assert EnergyProfile(coverage=0.5) == meter(archive(process(2e7)), SCAPHANDRE).energy(
        a_run(POD, OTHER_POD)
    )


def test_gauges_that_are_found_alike_are_one_question_and_each_keeps_its_own_series() -> None:
    labels = SCAPHANDRE["labels"]
    gauges = [
        SCAPHANDRE,
        {"metric": "gpu_watts", "labels": labels, "component": "gpu"},
        {"metric": "memory_watts", "labels": {"pod": "{pod}"}, "component": "memory"},
    ]
    samples = [(at(m), 300.0) for m in range(61)]
    device = {"__name__": "gpu_watts", "kubernetes_pod_name": "train-1", "kubernetes_pod_namespace": "ml"}
    found = archive(
        process(2e7),
        (device, samples),
        ({"__name__": "memory_watts", "pod": "train-1"}, [(t, 5.0) for t, _ in samples]),
    )
    found.answers = [("kube_pod_info", vector({"namespace": "ml", "pod": "train-1", "uid": POD}))]
    profile = meter(found, *gauges).energy(a_run())

    assert {Component.CPU: 20 * 3600, Component.GPU: 300 * 3600, Component.MEMORY: 5 * 3600} == joules(
        profile
    )
    assert 3 == len(found.asked)
    assert '__name__=~"scaph_process_power_consumption_microwatts|gpu_watts"' in found.queries[1]


def test_gauges_of_many_pods_are_asked_for_one_by_one_so_that_each_fits_into_an_address() -> None:
    uids = [f"{n:08d}-2222-3333-4444-555555555555" for n in range(100)]
    kinds = ("cpu", "memory", "gpu")
    gauges = [{"metric": f"{kind}_watts", "labels": {"pod": "{uid}"}, "component": kind} for kind in kinds]
    found = Archive()
    asking = meter(found, *gauges)
    assert asking.server is not None
    asking.server.clock = FakeClock(START + timedelta(days=8))
    asking.energy(a_run(*uids, length=timedelta(days=7)))

    assert 3 == len(found.asked)
    for path, params in found.asked:
        assert len(f"{URL}{path}?{urlencode(params)}") < 8_000


def test_what_is_shared_is_an_upper_estimate() -> None:
    profile = meter(archive(bmc()), {**BMC, "shared": True}).energy(a_run())

    assert profile.upper_estimate
    assert {"power/shared"} == {part.meter for part in profile.slices}


def test_a_run_of_another_cluster_is_found_by_its_own_uid() -> None:
    gauge = {"metric": "job_watts", "labels": {"jobid": "{uid}", "user": "{namespace}"}, "component": "whole"}
    run = a_run("12", "0", key=RunKey("slurm", "12", 1))
    found = archive(({"__name__": "job_watts", "jobid": "12", "user": "ml"}, bmc(50)[1]))

    assert {Component.WHOLE: 180_000} == joules(meter(found, gauge).energy(run))


def test_a_long_silence_is_not_bridged() -> None:
    labels, samples = bmc()
    silent = (labels, [*samples[:20], *samples[26:]])

    assert pytest.approx(53 / 60) == meter(archive(silent), BMC).energy(a_run()).coverage
    assert 1.0 == meter(archive(silent), BMC, max_gap="7m").energy(a_run()).coverage


def test_names_are_matched_as_they_are() -> None:
    run = a_run(labels={"object-name": "train.(1)|.*"})
    gauge = {"metric": "w", "labels": {"job": "{name}"}}
    found = Archive()
    meter(found, gauge).energy(run)

    assert '"(train\\\\.\\\\(1\\\\)\\\\|\\\\.\\\\*)"' in found.queries[0]


def test_a_week_is_asked_for_as_means() -> None:
    world = World()
    world.clock.set(START + timedelta(days=8))
    built = build({"url": URL, "gauges": [BMC]}, world.context)
    found = Archive().put(
        "avg_over_time",
        matrix(
            (
                {"cleanhours_metric": str(BMC["metric"]), "node": "home-1"},
                [(START.timestamp() - 30 + 120 * m, 400.0) for m in range(5_045)],
            )
        ),
    )
    assert built.server is not None
    built.server.session = found.session
    profile = built.energy(a_run(length=timedelta(days=7)))

    assert ("/api/v1/query_range", 120) == (found.asked[0][0], found.asked[0][1]["step"])
    assert {Component.WHOLE: 400 * 7 * 86_400} == joules(profile)


def test_where_nothing_is_found_nothing_is_known() -> None:
    assert EnergyProfile(coverage=0.0) == meter(Archive(), BMC).energy(a_run())
    assert EnergyProfile(coverage=0.0) == build({}, World().context).energy(a_run())


def test_a_gauge_of_pods_is_no_question_of_other_clusters() -> None:
    found = archive(process(2e7))

    assert EnergyProfile(coverage=0.0) == meter(found, SCAPHANDRE).energy(a_run("100"))
    assert [] == found.asked


def test_asked_too_soon_it_says_so() -> None:
    built = meter(archive(bmc()), BMC)
    with pytest.raises(TemporaryError):
        built.energy(a_run(length=4 * HOUR))


@pytest.mark.parametrize(
    ("gauges", "said"),
    [
        ([], "meters.power.gauges: found [], accepted: one to 3 tables"),
        ([BMC] * 4, "accepted: one to 3 tables"),
        ([BMC, {**BMC, "component": "cpu"}], "each component once, and whole alone"),
        ([{**SCAPHANDRE}, {**SCAPHANDRE}], "each component once, and whole alone"),
        ([{**BMC, "labels": {"node": "n1"}}], "meters.power.gauges[0].labels: found {'node': 'n1'}"),
        ([{**BMC, "labels": {"node": "{locaton}"}}], "a table of regular expressions"),
        ([{**BMC, "labels": {"node": "({location}"}}], "a table of regular expressions"),
        ([{**BMC, "unit": "J"}], "meters.power.gauges[0].unit: found 'J', accepted: one of W, mW"),
        ([{**BMC, "component": "disk"}], "meters.power.gauges[0].component: found 'disk'"),
        (
            [{**BMC, "metrics": "x"}],
            "meters.power.gauges[0].metrics: no such setting; did you mean 'metric'?",
        ),
        ([{"labels": BMC["labels"]}], "meters.power.gauges[0].metric: found None"),
        ([{**BMC, "shared": "yes"}], "meters.power.gauges[0].shared: found 'yes', accepted: true or false"),
    ],
)
def test_faults_of_gauges_are_named(gauges: list[Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        build({"url": URL, "gauges": gauges}, World().context)
    assert said in str(fault.value)


def test_a_table_without_gauges_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="one to 3 tables"):
        build({"url": URL}, World().context)
