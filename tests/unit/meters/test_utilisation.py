"""The model of utilisation by hand: the examples of docs/meters.md, and which of cAdvisor's series are counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.resources import Demand
from cleanhours_plugins.meters.utilisation import CPU, MEMORY, UtilisationMeter, build
from tests.conftest import REPOSITORY
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

Line = tuple[Mapping[str, str], list[tuple[float, float]]]
SLICE = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice"
GB = 1_000_000_000


def meter(archive: Archive, **settings: Any) -> UtilisationMeter:
    built = build({"url": URL, **settings}, World().context)
    assert built.server is not None
    built.server.session = archive.session
    return built


def cadvisor(*series: Line, names: str = "") -> Archive:
    archive = Archive()
    if names:
        archive.put("kube_pod_info", names)
    return archive.keep(*series)


def busy(cores: float, pod: str = POD, **labels: str) -> Line:
    """A Pod's own control group, its processors busy so many at a time."""
    name = {"__name__": CPU, "id": SLICE.format(pod.replace("-", "_")), "cpu": "total", "namespace": "ml"}
    return {**name, **labels}, [(at(m), cores * 60 * m) for m in range(1, 61)]


def container(cores: float, name: str, pod: str = POD, **labels: str) -> Line:
    line = busy(cores, pod, container=name, **labels)
    return {**line[0], "id": f"{line[0]['id']}/cri-containerd-{name or 'conmon'}.scope"}, line[1]


def test_the_first_example_of_the_docs() -> None:
    """Four vCPUs, busy to a half for an hour, and 16 GB."""
    run = a_run(allocated=Demand(cpu_millicores=4000, memory_bytes=16 * GB))
    profile = meter(cadvisor(busy(2.0))).energy(run)

    assert {Component.CPU: 30_528.0, Component.MEMORY: 22_579.2} == pytest.approx(joules(profile))
    assert {(Method.MODELLED, "utilisation")} == {(part.method, part.meter) for part in profile.slices}
    assert (1.0, False) == (profile.coverage, profile.upper_estimate)


def test_the_second_example_of_the_docs() -> None:
    """Two Pods that asked for half a vCPU each and used three and one; an EPYC; their working set is 2 GB."""
    memory = {**busy(0)[0], "__name__": MEMORY}
    archive = cadvisor(busy(3.0), busy(1.0, OTHER_POD), (memory, [(at(m), 2.0 * GB) for m in range(61)]))
    profile = meter(archive, processor="epyc-2").energy(
        a_run(POD, OTHER_POD, allocated=Demand(cpu_millicores=1000))
    )

    assert {Component.CPU: 24_336.0, Component.MEMORY: 2_822.4} == pytest.approx(joules(profile))


def test_the_docs_say_these_numbers() -> None:
    said = re.sub(r"\s+", " ", (REPOSITORY / "docs" / "meters.md").read_text("utf-8"))

    for figure in ("30,528 J", "22,579.2 J", "24,336 J", "2,822.4 J"):
        assert figure in said


@given(st.floats(0, 64), st.floats(0.1, 64))
def test_it_is_the_formula(cores: float, vcpus: float) -> None:
    """W = min + u (max - min) per vCPU, while no more is used than was requested."""
    cores = min(cores, vcpus)
    millicores = round(vcpus * 1000) or 1
    cores = min(cores, millicores / 1000)
    run = a_run(allocated=Demand(cpu_millicores=millicores))
    found = joules(meter(cadvisor(busy(cores))).energy(run))
    vcpus = millicores / 1000
    u = cores / vcpus

    assert pytest.approx(3600 * vcpus * (0.74 + u * (3.5 - 0.74)), abs=0.5) == found[Component.CPU]


def test_the_pods_own_group_is_counted_and_not_its_containers_besides() -> None:
    archive = cadvisor(busy(2.0), container(1.9, "main"), container(0.1, "sidecar"), container(0, ""))

    assert {Component.CPU: 30_528.0} == joules(meter(archive).energy(a_run(allocated=Demand(4000))))


def test_where_only_containers_are_kept_they_are_added_without_the_pause() -> None:
    archive = cadvisor(container(1.5, "main"), container(0.5, "sidecar"), container(9, "POD"))

    assert {Component.CPU: 30_528.0} == joules(meter(archive).energy(a_run(allocated=Demand(4000))))


def test_processors_one_by_one_are_added_and_the_sum_over_them_stands_alone() -> None:
    each = [busy(1.0, cpu="cpu00"), busy(1.0, cpu="cpu01")]
    run = a_run(allocated=Demand(4000))

    assert joules(meter(cadvisor(*each)).energy(run)) == joules(meter(cadvisor(busy(2.0), *each)).energy(run))


def test_replicas_are_not_added() -> None:
    archive = cadvisor(busy(2.0, replica="a"), busy(2.0, replica="b"))

    assert {Component.CPU: 30_528.0} == joules(meter(archive).energy(a_run(allocated=Demand(4000))))


def test_both_spellings_of_a_uid_are_asked_for() -> None:
    archive = cadvisor(busy(2.0))
    meter(archive).energy(a_run(allocated=Demand(1000)))
    pattern = re.search(r'id=~"([^"]+)"', archive.queries[0])

    assert pattern
    for spelled in (POD, POD.replace("-", "_")):
        assert re.fullmatch(pattern[1], SLICE.format(spelled))
        assert re.fullmatch(pattern[1], f"/kubepods/besteffort/pod{spelled}/0a1b")
    assert not re.fullmatch(pattern[1], SLICE.format(OTHER_POD))


def test_where_the_scrape_drops_ids_pods_are_found_by_name() -> None:
    labels, samples = busy(2.0)
    labels = {k: v for k, v in labels.items() if k != "id"} | {"pod": "train-1", "container": ""}
    archive = Archive().put("kube_pod_info", vector({"namespace": "ml", "pod": "train-1", "uid": POD}))
    archive.put(",id=~", matrix()).put(CPU, matrix((labels, samples)))

    asking = meter(archive)
    run = a_run(allocated=Demand(cpu_millicores=4000, memory_bytes=GB))
    for _ in range(2):
        assert 30_528.0 == joules(asking.energy(run))[Component.CPU]
    assert 3 + 2 == len(archive.asked), "once it is known, it is not asked by UID first"


def test_processors_and_memory_are_one_question() -> None:
    memory = {**busy(0)[0], "__name__": MEMORY}
    archive = cadvisor(busy(2.0), (memory, [(at(m), 2.0 * GB) for m in range(61)]))

    assert {Component.CPU, Component.MEMORY} == meter(archive).energy(a_run()).components
    assert 1 == len(archive.asked)
    assert f"{CPU}|{MEMORY}" in archive.queries[0]


def test_a_pod_that_was_not_seen_lowers_the_coverage() -> None:
    profile = meter(cadvisor(busy(2.0))).energy(a_run(POD, OTHER_POD))

    assert EnergyProfile(coverage=0.5) == profile


def test_without_cadvisor_nothing_is_known() -> None:
    assert EnergyProfile(coverage=0.0) == meter(Archive()).energy(a_run())


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"processor": "abacus"}, "meters.utilisation.processor: found 'abacus', accepted: one of average"),
        (
            {"minimum_watts_per_vcpu": 5},
            "meters.utilisation.maximum_watts_per_vcpu: found 3.5, accepted: at least",
        ),
        ({"memory_watts_per_gb": -1}, "meters.utilisation.memory_watts_per_gb: found -1"),
        ({"minimum_watts_per_cpu": 1}, "did you mean 'minimum_watts_per_vcpu'?"),
    ],
)
def test_faults_are_named(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        build({"url": URL, **table}, World().context)
    assert said in str(fault.value)
