"""Kepler through a scripted Prometheus: whose joules are counted, once each, and when nothing is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.jobs import FinishedRun, RunKey, RunSegment
from cleanhours.http import Refused
from cleanhours.testing.meters import HOUR, START, a_finished_run
from cleanhours_plugins.meters.kepler import KeplerMeter, build
from cleanhours_plugins.meters.prometheus.asking import one_of, one_of_alike
from cleanhours_plugins.meters.prometheus.fetching import lots, named
from cleanhours_plugins.meters.prometheus.pods import Pod
from tests.unit.meters.archives import (
    JOB,
    MINUTE,
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
    words,
)

CPU = "kepler_pod_cpu_joules_total"
GPU = "kepler_pod_gpu_joules_total"
OLD_CPU = "kepler_container_package_joules_total"
SAMPLE = START.fromtimestamp(1767225615, START.tzinfo)
"""When the sample files' series begin."""


def meter(archive: Archive, world: World | None = None, **settings: Any) -> KeplerMeter:
    built = build({"url": URL, **settings}, (world or World()).context)
    assert built.server is not None
    built.server.session = archive.session
    return built


def new_kepler(*series: tuple[Mapping[str, str], list[tuple[float, float]]]) -> Archive:
    return Archive().put("__name__/values", words(CPU, GPU)).put("query", matrix(*series))


def line(
    watts: float = 10,
    pod: str = POD,
    zone: str = "package",
    first: float = 0,
    last: float = 60,
    **labels: str,
) -> tuple[Mapping[str, str], list[tuple[float, float]]]:
    """A counter of so many watts, born with the minute `first`, read each minute."""
    samples = [(at(m), watts * 60 * (m - first)) for m in range(int(first) + 1, int(last) + 1)]
    name = {"__name__": CPU, "zone": zone} if zone else {"__name__": GPU}
    return {**name, "pod_id": pod, "state": "running", **labels}, samples


# --- the samples with known answers -----------------------------------------------------------------------------------


def test_the_short_job_of_the_samples_drew_812_6_joules(test_data: Path) -> None:
    file = test_data / "provider-samples" / "prometheus" / "kepler_raw_range_selector_short_job.json"
    archive = Archive().put("__name__/values", words(CPU)).put("query", file.read_text("utf-8"))
    run = a_run(start=SAMPLE - timedelta(seconds=10), length=timedelta(seconds=55))

    assert {Component.CPU: 812.6} == joules(meter(archive).energy(run))
    assert 1.0 == meter(archive).energy(run).coverage


def test_the_counter_of_the_samples_that_was_reset_counts_520_joules(test_data: Path) -> None:
    file = test_data / "provider-samples" / "prometheus" / "kepler_counter_reset.json"
    archive = Archive().put("__name__/values", words(CPU)).put("query", file.read_text("utf-8"))
    run = a_run(start=SAMPLE - timedelta(seconds=10), length=timedelta(seconds=55))

    assert {Component.CPU: 520.0} == joules(meter(archive).energy(run))


# --- whose joules -----------------------------------------------------------------------------------------------------


def test_packages_memory_and_gpus_are_counted_and_zones_inside_others_are_not() -> None:
    archive = new_kepler(
        line(10), line(4, zone="core"), line(2, zone="dram"), line(90, zone="psys"), line(300, zone="")
    )
    profile = meter(archive).energy(a_run())

    assert {Component.CPU: 36_000, Component.MEMORY: 7_200, Component.GPU: 1_080_000} == joules(profile)
    assert {(Method.MEASURED, "kepler")} == {(part.method, part.meter) for part in profile.slices}
    assert 1.0 == profile.coverage
    assert not profile.upper_estimate


def test_it_is_a_profile_of_quarters_of_an_hour_and_not_a_mean() -> None:
    labels, _ = line()
    samples = [(at(m), 60.0 * min(m, 30) * 10) for m in range(1, 61)]
    profile = meter(new_kepler((labels, samples))).energy(a_run())

    assert [9_000_000, 9_000_000, 0, 0] == [part.millijoules for part in profile.slices]
    assert {15 * MINUTE} == {part.end - part.start for part in profile.slices}


def test_states_are_one_counter_and_replicas_are_one_counter() -> None:
    labels, samples = line()
    archive = new_kepler(
        (labels, samples),
        ({**labels, "state": "terminated"}, [(at(61), 36_000)]),
        ({**labels, "prometheus_replica": "b"}, [(t + 7, v) for t, v in samples]),
    )
    assert {Component.CPU: 36_000} == joules(meter(archive).energy(a_run()))


def test_the_gpus_of_a_pod_are_added() -> None:
    archive = new_kepler(line(10), line(300, zone="", gpu="0"), line(200, zone="", gpu="1"))

    assert {Component.CPU: 36_000, Component.GPU: 500 * 3600} == joules(meter(archive).energy(a_run()))


def test_two_sockets_and_two_pods_are_added() -> None:
    archive = new_kepler(
        line(10, zone="package-0"), line(5, zone="package-1"), line(1, OTHER_POD, zone="package-0")
    )
    assert {Component.CPU: 16 * 3600} == joules(meter(archive).energy(a_run(POD, OTHER_POD)))


def test_a_pod_that_was_there_before_the_run_gives_only_what_it_drew_since() -> None:
    labels, _ = line()
    samples = [(at(m), 1_000_000.0 + 600 * m) for m in range(-1, 62)]

    profile = meter(new_kepler((labels, samples))).energy(a_run())
    assert 62 * 600 == sum(joules(profile).values())


def test_pauses_hold_no_energy_and_each_stretch_keeps_its_own() -> None:
    segments = (
        RunSegment(START, START + HOUR / 2, "home", (POD,)),
        RunSegment(START + HOUR, START + 1.5 * HOUR, "fr", (OTHER_POD,)),
    )
    run = a_finished_run(segments=segments, finished_at=START + 1.5 * HOUR)
    archive = new_kepler(line(10, last=31), line(20, OTHER_POD, first=60, last=90))
    profile = meter(archive).energy(run)

    assert {Component.CPU: 10 * 31 * 60 + 20 * 1800} == joules(profile)
    first = [part.millijoules for part in profile.slices if part.start < START + HOUR / 2]
    assert 10 * 31 * 60_000 == sum(first), "what it took to stop is the stretch's that was stopped"
    assert not [p for p in profile.slices if START + HOUR / 2 <= p.start < START + HOUR]


def test_the_question_is_anchored_on_uids_and_bounded_in_time() -> None:
    archive = new_kepler(line())
    meter(archive).energy(a_run())

    assert 2 == len(archive.asked)
    assert f'pod_id=~"{POD}"' in archive.queries[1]
    assert archive.queries[1].endswith("[3690s]"), "half a minute before, a minute after"
    assert "10s" == archive.asked[1][1]["timeout"]


def test_the_generation_is_asked_once() -> None:
    archive = new_kepler(line())
    asking = meter(archive)
    for _ in range(3):
        asking.energy(a_run())

    assert 1 == sum("__name__" in path for path, _ in archive.asked)


# --- what is too many to be named -------------------------------------------------------------------------------------


def test_a_job_of_many_pods_is_found_by_its_name_in_its_time() -> None:
    owned = [
        {"namespace": "ml", "pod": f"train-{n}", "uid": uid, "owner_name": "train"}
        for n, uid in enumerate((POD, OTHER_POD))
    ]
    archive = (
        Archive()
        .put("__name__/values", words(CPU))
        .put("kube_pod_owner", vector(*owned))
        .put("query", matrix(line(10), line(5, OTHER_POD)))
    )
    run = a_run(JOB, key=RunKey("k", JOB, 1))

    assert {Component.CPU: 15 * 3600} == joules(meter(archive).energy(run))
    (question,) = [query for query in archive.queries if "kube_pod_owner" in query]
    assert 'owner_name="train"' in question
    assert 'namespace="ml"' in question
    assert 3 == len(archive.asked)


def test_a_pod_that_is_its_own_job_needs_no_names() -> None:
    run = a_run(POD, key=RunKey("k", POD, 1))

    assert {Component.CPU: 36_000} == joules(meter(new_kepler(line())).energy(run))


def test_a_week_of_a_hundred_pods_is_asked_for_in_steps() -> None:
    uids = [f"{n:08d}-2222-3333-4444-555555555555" for n in range(100)]
    world = World()
    world.clock.set(START + timedelta(days=8))
    archive = new_kepler(line())
    meter(archive, world).energy(a_run(*uids, length=timedelta(days=7)))

    assert 1 + 2 == len(archive.asked)
    for path, params in archive.asked[1:]:
        assert "/api/v1/query_range" == path
        assert 50 * 3 * 7 * 86_400 / int(params["step"]) <= 200_000
        assert "max_over_time" in params["query"]
        assert len(f"{URL}{path}?{urlencode(params)}") < 8_000, "proxies refuse longer addresses"


def test_of_more_pods_than_fit_into_a_question_there_are_several() -> None:
    uids = [f"{n:08d}-2222-3333-4444-555555555555" for n in range(250)]
    archive = new_kepler(line())
    profile = meter(archive).energy(a_run(*uids))

    assert [50] * 5 == [query.count("2222") for query in archive.queries[1:]]
    assert () == profile.slices, "one of 250 is not the run"
    assert profile.coverage < 0.01


def test_long_names_make_smaller_lots() -> None:
    names = [f"{n:060d}" for n in range(100)]

    assert [30, 30, 30, 10] == [len(lot) for lot in lots(names)]
    assert [] == lots([])
    assert 1000 == sum(map(len, lots(names * 20)))


@given(
    st.lists(st.text("ab.(|-", min_size=1, max_size=6), min_size=1, max_size=6, unique=True),
    st.text("ab.(|-"),
)
def test_texts_that_begin_alike_are_matched_and_no_other(texts: list[str], other: str) -> None:
    for expression in (one_of(texts), one_of_alike(texts)):
        for text in (*texts, other):
            assert (text in texts) == bool(re.fullmatch(expression, text))


def test_a_hundred_long_names_of_one_job_are_one_question_and_of_many_jobs_several() -> None:
    alike = [Pod("", "ml", f"train-{'x' * 40}.{n}") for n in range(100)]
    ((namespace, expression, count),) = named(alike)

    assert ("ml", 100) == (namespace, count)
    assert all(re.fullmatch(expression, pod.name) for pod in alike)
    assert not re.fullmatch(expression, alike[0].name.replace(".", "-"))
    others = [Pod("", "ml", f"{n:02d}{'x' * 40}") for n in range(100)]
    lots_of = list(named(others))
    assert [42, 42, 16] == [count for _, _, count in lots_of]
    assert all(any(re.fullmatch(one, pod.name) for _, one, _ in lots_of) for pod in others)


# --- the older Kepler -------------------------------------------------------------------------------------------------


def an_old_one(*series: tuple[Mapping[str, str], list[tuple[float, float]]]) -> Archive:
    pod = {"namespace": "monitoring", "exported_namespace": "ml", "exported_pod": "train-x7k2p", "uid": POD}
    return (
        Archive()
        .put("__name__/values", words(OLD_CPU, "kepler_container_gpu_joules_total"))
        .put("kube_pod_info", vector(pod))
        .put("query", matrix(*series))
    )


def container(
    metric: str, watts: float, name: str = "main"
) -> tuple[dict[str, str], list[tuple[float, float]]]:
    labels = {
        "container_namespace": "ml",
        "pod_name": "train-x7k2p",
        "container_name": name,
        "mode": "dynamic",
    }
    return {"__name__": metric, **labels}, [(at(m), watts * 60 * m) for m in range(1, 61)]


def test_the_older_kepler_is_asked_by_the_pods_names_for_what_is_dynamic() -> None:
    archive = an_old_one(
        container(OLD_CPU, 10),
        container(OLD_CPU, 1, "sidecar"),
        container("kepler_container_dram_joules_total", 2),
        container("kepler_container_gpu_joules_total", 300),
    )
    profile = meter(archive).energy(a_run())

    assert {Component.CPU: 39_600, Component.MEMORY: 7_200, Component.GPU: 1_080_000} == joules(profile)
    assert 3 == len(archive.asked)
    assert 'pod_name=~"train-x7k2p"' in archive.queries[-1]
    assert 'mode=~"dynamic"' in archive.queries[-1]


def test_a_kepler_that_was_replaced_is_found_again() -> None:
    archive = an_old_one()
    asking = meter(archive)
    assert EnergyProfile(coverage=0.0) == asking.energy(a_run())

    archive.answers = new_kepler(line()).answers
    assert {Component.CPU: 36_000} == joules(asking.energy(a_run()))


# --- what is not known ------------------------------------------------------------------------------------------------

NOTHING = EnergyProfile(coverage=0.0)


@pytest.mark.parametrize("run", [a_finished_run(), a_run("100"), a_run("12", "0")])
def test_runs_without_pods_are_nobodys_question(run: FinishedRun) -> None:
    archive = new_kepler(line())

    assert NOTHING == meter(archive).energy(run)
    assert [] == archive.asked


def test_without_a_table_it_asks_nobody() -> None:
    assert NOTHING == build({}, World().context).energy(a_run())


def test_without_kepler_nothing_is_known() -> None:
    archive = Archive()

    assert NOTHING == meter(archive).energy(a_run())
    assert 1 == len(archive.asked)


@pytest.mark.parametrize(
    ("series", "coverage"),
    [
        (line(10, first=20), 1.0),
        (line(10, last=50), 50 / 60),
        (line(10, last=47), None),
        ((line()[0], line()[1][:2]), None),
        ((line()[0], [(at(1), 5.0), (at(60), 500.0)]), None),
    ],
    ids=["born later", "lost at the end", "too little seen", "two samples", "two samples far apart"],
)
def test_what_was_not_seen_lowers_the_coverage_until_nothing_is_said(
    series: Any, coverage: float | None
) -> None:
    profile = meter(new_kepler(series)).energy(a_run())

    assert (coverage is not None) == bool(profile.slices)
    assert profile.slices == () or coverage == pytest.approx(profile.coverage)
    assert 0 <= profile.coverage <= 1


@pytest.mark.parametrize("minutes", [-20, -8, -1, -0.01, 0, 0.01, 1, 8, 20])
def test_a_server_whose_clock_is_off_tells_less_and_never_more(minutes: float) -> None:
    """What it stamps outside of the run is not the run's."""
    labels, samples = line(10)
    shifted = [(when + 60 * minutes, drawn) for when, drawn in samples]
    profile = meter(new_kepler((labels, shifted))).energy(a_run())
    inside = 1 - abs(minutes) / 60
    # stamped late, the run's end is lost, and its beginning looks as if the Pod had come late
    covered = inside if minutes < 0 else 1

    assert (covered >= 0.8) == bool(profile.slices)
    if profile.slices:
        assert inside - 1.5 / 60 <= joules(profile)[Component.CPU] / 36_000 <= 1
        assert profile.coverage == pytest.approx(covered, abs=1.5 / 60)


def test_a_counter_that_stands_still_measures_nothing() -> None:
    """A node without RAPL: its Kepler exports zeros."""
    assert () == meter(new_kepler(line(0))).energy(a_run()).slices


def test_an_operator_may_want_less_coverage() -> None:
    profile = meter(new_kepler(line(10, last=30)), minimum_coverage=0.4).energy(a_run())

    assert 0.5 == profile.coverage
    assert {Component.CPU: 18_000} == joules(profile)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "1e300", "9223372036854775794"])
def test_a_value_that_is_none_spoils_no_other(value: str) -> None:
    labels, samples = line()
    archive = new_kepler((labels, [*samples, (at(30.5), value)]))  # type: ignore[list-item]

    assert {Component.CPU: 36_000} == joules(meter(archive).energy(a_run()))


def test_asked_too_soon_it_says_when() -> None:
    world = World()
    world.clock.set(START + HOUR + timedelta(seconds=20))
    archive = new_kepler(line())
    with pytest.raises(TemporaryError) as early:
        meter(archive, world).energy(a_run())

    assert timedelta(seconds=70) == early.value.delay
    assert [] == archive.asked


def test_a_server_that_is_away_is_left_alone_for_a_while() -> None:
    world = World()
    archive = Archive().put("", TemporaryError("no answer within 10 s"))
    asking = meter(archive, world)
    for _ in range(3):
        with pytest.raises(TemporaryError, match="no answer"):
            asking.energy(a_run())
    assert 1 == len(archive.asked)

    world.clock.advance(timedelta(seconds=31))
    archive.answers = new_kepler(line()).answers
    assert {Component.CPU: 36_000} == joules(asking.energy(a_run()))


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<html>",
        "[]",
        '{"status":"success"}',
        '{"status":"error"}',
        "{}",
        "[" * 100_000,
        '{"data":' * 100_000,
    ],
    ids=range(8),
)
def test_an_answer_of_something_else_is_not_known_and_said_once(
    answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    asking = meter(Archive().put("", answer))

    assert NOTHING == asking.energy(a_run())
    assert NOTHING == asking.energy(a_run())
    assert 1 == len([r for r in caplog.records if r.levelname == "WARNING"])


@pytest.mark.parametrize(
    "result",
    ['[{"metric":{}}]', '[{"metric":{},"values":[[1]]}]', '[{"metric":3}]', "[3]", '{"a":1}', "null"],
)
def test_a_crooked_answer_kills_nobody(result: str) -> None:
    text = '{"status":"success","data":{"resultType":"matrix","result":' + result + "}}"
    archive = Archive().put("__name__/values", words(CPU)).put("query", text)

    assert () == meter(archive).energy(a_run()).slices


def test_a_question_that_is_too_large_is_asked_in_steps() -> None:
    archive = (
        Archive()
        .put("__name__/values", words(CPU))
        .put("/api/v1/query {", Refused(422, "too many samples"))
        .put("query_range", matrix(line()))
    )
    assert {Component.CPU: 36_000} == joules(meter(archive).energy(a_run()))


def test_a_question_that_is_refused_is_not_known() -> None:
    archive = Archive().put("__name__/values", words(CPU)).put("query", Refused(422, "too many samples"))

    assert NOTHING == meter(archive).energy(a_run())


# --- settings ---------------------------------------------------------------------------------------------------------


def test_every_fault_of_the_table_is_named_at_once_and_no_secret() -> None:
    table = {
        "url": "ftp://me:hidden@x",
        "scrape_intervall": "30s",
        "timeout": 10,
        "minimum_coverage": 2,
        "headers": {"Authorization": "Bearer hidden"},
        "token_file": "",
    }
    with pytest.raises(ConfigurationError) as fault:
        build(table, World().context)
    said = str(fault.value)

    for key in table:
        assert f"meters.kepler.{key}: " in said
    assert "did you mean 'scrape_interval'?" in said
    assert "hidden" not in said


def test_a_table_without_an_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"meters\.kepler\.url"):
        build({"timeout": "5s"}, World().context)


def test_a_token_is_read_anew_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n", "utf-8")
    archive = new_kepler(line())
    asking = meter(archive, token_file=str(token), headers={"X-Scope-OrgID": "ml"})
    asking.energy(a_run())
    token.write_text("two", "utf-8")
    asking.energy(a_run())

    assert {"Authorization": "Bearer one", "X-Scope-OrgID": "ml"} == archive.sent[0]
    assert "Bearer two" == archive.sent[-1]["Authorization"]
    token.unlink()
    with pytest.raises(TemporaryError, match="token_file"):
        asking.energy(a_run())
