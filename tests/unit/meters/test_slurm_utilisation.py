"""What CPUs of Slurm's jobs draw between idle and busy: by hand, against an oracle, and as docs/slurm.md works it out."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.jobs import RunSegment
from cleanhours.testing.meters import HOUR, START, a_finished_run
from cleanhours_plugins.clusters.slurm.energy import usage_of
from cleanhours_plugins.clusters.slurm.histories import histories
from cleanhours_plugins.meters import slurm
from cleanhours_plugins.meters.processes import WATTS_PER_CORE
from cleanhours_plugins.meters.proportionality import proportional
from cleanhours_plugins.meters.site_watts import CpuWatts
from tests.conftest import REPOSITORY
from tests.unit.meters.test_slurm import CONTEXT, WATT_HOUR_MJ, by_component, held, known, one_hour
from tests.unit.plugins.clusters.slurm.recorded import accounts, at, job

WATTS: Final = {"idle": 0.74, "busy": 3.5}
PAGE: Final = (REPOSITORY / "docs" / "slurm.md").read_text("utf-8")
WORDS: Final = " ".join(PAGE.lower().split())


# --- by hand --------------------------------------------------------------------------------------------------------


def test_a_cpu_draws_between_idle_and_busy_by_its_work() -> None:
    """8 CPUs for 1 h, of whose 8 h they worked 2: 8 x (1 + 0.25 x 4) W."""
    profile = known(one_hour(usage=held(cpus=8, cpu_seconds=7200)), cpu_watts={"idle": 1, "busy": 5})

    assert {Component.CPU: 16 * WATT_HOUR_MJ} == by_component(profile)
    assert not profile.upper_estimate
    assert 1.0 == profile.coverage
    assert {(Method.MODELLED, "slurm")} == {(part.method, part.meter) for part in profile.slices}


@pytest.mark.parametrize("nothing", [{}, {"cpu_seconds": 0.0}])
def test_work_that_is_not_known_counts_as_all_the_time_and_says_so(nothing: dict[str, float]) -> None:
    profile = known(one_hour(usage=held(cpus=8, **nothing)), cpu_watts={"idle": 1, "busy": 5})

    assert {Component.CPU: 40 * WATT_HOUR_MJ} == by_component(profile)
    assert profile.upper_estimate


def test_more_work_than_there_was_time_is_all_the_time() -> None:
    """Without cgroups a job may use CPUs that it does not hold."""
    profile = known(one_hour(usage=held(cpus=8, cpu_seconds=1e6)), cpu_watts={"idle": 1, "busy": 5})

    assert {Component.CPU: 40 * WATT_HOUR_MJ} == by_component(profile)
    assert not profile.upper_estimate


def test_one_number_is_what_a_held_cpu_draws_whatever_it_did() -> None:
    profile = known(one_hour(usage=held(cpus=8, cpu_seconds=7200)), cpu_watts=5)

    assert {Component.CPU: 40 * WATT_HOUR_MJ} == by_component(profile)
    assert profile.upper_estimate


def test_memory_is_no_upper_estimate_and_gpus_are_one() -> None:
    """Memory draws what it draws, used or not; a GPU that is held may do nothing."""
    usage = held(cpus=8, cpu_seconds=7200, memory_bytes=64e9, gpus=1)
    table = {"cpu_watts": WATTS, "memory_watts_per_gb": 0.392}

    assert not known(one_hour(usage=usage), **table).upper_estimate
    assert known(one_hour(usage=usage), **table, gpu_watts=300).upper_estimate


def test_what_slurm_counted_is_no_upper_estimate_for_work_that_is_not_known() -> None:
    profile = known(one_hour(usage=held(cpus=8, joules=700)), cpu_watts=WATTS)

    assert {Component.WHOLE: 700_000} == by_component(profile)
    assert not profile.upper_estimate


@pytest.mark.parametrize(
    ("there", "watt_hours", "upper"), [({"idle": 4, "busy": 8}, 12, False), (8, 16, True), ({}, 6, False)]
)
def test_a_location_has_its_own_range_or_number(there: Any, watt_hours: int, upper: bool) -> None:
    """Half an hour each of 4 CPUs that worked half of it: at home 4 x 3 W; in France 4 x 6 W, or 8, or as at home."""
    parts = tuple(
        RunSegment(START + HOUR * n, START + HOUR * (n + 0.5), place, ("12", str(n)))
        for n, place in enumerate(("home", "fr"))
    )
    usage = held(0, cpus=4, cpu_seconds=3600) | held(1, cpus=4, cpu_seconds=3600)
    run = a_finished_run(segments=parts, finished_at=START + 2 * HOUR, usage=usage)
    own = {"fr": {"cpu_watts": there} if there else {}}
    profile = known(run, cpu_watts={"idle": 1, "busy": 5}, locations=own)

    assert [6 * WATT_HOUR_MJ, watt_hours * WATT_HOUR_MJ] == [part.millijoules for part in profile.slices]
    assert upper == profile.upper_estimate


# --- against an oracle ----------------------------------------------------------------------------------------------

TICK_S: Final = 300


@given(
    cpus=st.integers(1, 8),
    busy_ticks=st.lists(st.integers(0, 8), min_size=1, max_size=24),
    idle=st.integers(0, 50),
    above=st.integers(0, 400),
    cut=st.integers(0, 24),
)
def test_the_model_is_the_sum_over_every_cpu_and_moment(
    cpus: int, busy_ticks: list[int], idle: int, above: int, cut: int
) -> None:
    """An oracle that walks through time: in each tick so many CPUs are busy and draw that, the others draw idle."""
    worked = [min(busy, cpus) for busy in busy_ticks]
    idle_w, busy_w = idle / 10, (idle + above) / 10
    tenths = sum(TICK_S * (busy * (idle + above) + (cpus - busy) * idle) for busy in worked)
    ends = sorted({0, min(cut, len(worked)), len(worked)})
    spans = [(timedelta(seconds=TICK_S * a), timedelta(seconds=TICK_S * b)) for a, b in zip(ends, ends[1:])]  # noqa: B905, RUF007
    # Slurm suspended it for an hour at `cut`: two segments of one run
    parts = tuple(
        RunSegment(START + a + n * HOUR, START + b + n * HOUR, "home", ("12", "0"))
        for n, (a, b) in enumerate(spans)
    )
    usage = held(cpus=cpus, cpu_seconds=sum(worked) * TICK_S)
    run = a_finished_run(segments=parts, finished_at=cast("Any", parts[-1].end), usage=usage)
    profile = known(run, cpu_watts={"idle": idle_w, "busy": busy_w})

    known_work = any(worked)
    ceiling = cpus * len(worked) * TICK_S * (idle + above)
    expected_mj = (tenths if known_work else ceiling) * 100
    assert abs(expected_mj - profile.millijoules) <= len(parts)
    assert profile.upper_estimate == (not known_work and bool(ceiling))


@given(st.integers(1, 512), st.fractions(0, 3), st.integers(0, 20), st.integers(0, 20), st.fractions(0, 3))
def test_more_work_never_draws_less_and_all_of_it_draws_busy(
    cpus: int, used: Fraction, idle: int, above: int, more: Fraction
) -> None:
    each = CpuWatts(float(idle + above), float(idle))
    drawn = each.of(cpus, used)

    assert cpus * idle <= drawn <= cpus * (idle + above)
    assert drawn <= each.of(cpus, used + more)
    assert cpus * idle == each.of(cpus, Fraction(0))
    assert cpus * (idle + above) == each.of(cpus, Fraction(1)) == each.of(cpus, None)
    assert (
        proportional(Fraction(cpus), cpus * min(used, Fraction(1)), Fraction(idle), Fraction(idle + above))
        == drawn
    )


# --- as docs/slurm.md works it out ----------------------------------------------------------------------------------


def examples() -> list[list[str]]:
    """The rows of the page's table."""
    section = PAGE.partition("### What CPUs draw by their work")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def settled(*rows: list[str]) -> EnergyProfile:
    """A job of such runs, each an hour after the one before it: as sacct prints it, read, told and modelled."""
    printed: list[str] = []
    second = 0
    for row in rows:
        seconds = int(float(row[2]) * 3600)
        end = str(second + seconds)
        printed.append(
            job(
                State=row[3],
                TotalCPU=row[4].strip("`"),
                AllocTRES=f"cpu={row[1]},node=1",
                Submit=str(second),
                Start=str(second),
                End=end,
            )
        )
        second += seconds + 60
    [history] = histories(accounts(*printed)).values()
    segments = tuple(
        RunSegment(cast("Any", run.started), run.ended, "home", ("2", str(number)))
        for number, run in enumerate(history.stretches)
    )
    finished = a_finished_run(
        segments=segments, finished_at=at(second), usage=usage_of(history.stretches, {})
    )
    return slurm.build({"cpu_watts": WATTS}, CONTEXT).energy(finished)


def last_number(cell: str) -> float:
    return float(re.findall(r"\d+(?:\.\d+)?", cell)[-1])


def test_the_examples_of_the_page_are_those_that_are_modelled() -> None:
    one, *requeued = examples()
    first, second = settled(one), settled(*requeued)

    assert "cpu_watts = {idle = 0.74, busy = 3.5}" in PAGE
    assert (0.74, 3.5) == WATTS_PER_CORE["average"]
    for family in ("cascade-lake", "epyc-2"):
        idle_w, busy_w = WATTS_PER_CORE[family]
        assert f"{idle_w:g} and {busy_w:g} of {family.replace('-', ' ')}" in WORDS
    assert (44.96, False) == (round(first.millijoules / WATT_HOUR_MJ, 9), first.upper_estimate)
    assert (31.16, True) == (round(second.millijoules / WATT_HOUR_MJ, 9), second.upper_estimate)
    assert "31.16 Wh" in PAGE
    assert [44.96, 14, 17.16] == [last_number(row[7]) for row in examples()]
    assert [44.96, 14, 17.16] == [
        round(part.millijoules / WATT_HOUR_MJ, 9) for part in (*first.slices, *second.slices)
    ]


@pytest.mark.parametrize("row", examples(), ids=lambda row: row[0])
def test_the_sums_of_the_page_are_right(row: list[str]) -> None:
    for cell in row[5:]:
        sum_of, equals, result = cell.replace("×", "*").replace("not known: ", "").partition(" = ")
        if equals:
            assert float(result) == pytest.approx(eval(sum_of, {}))
