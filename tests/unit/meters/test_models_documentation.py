"""What docs/meters-models.md shows can be configured, and its sums are those of the tests."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any, Final

import pytest

from cleanhours.domain.energy import Component
from cleanhours.domain.jobs import FinishedRun, RunSegment
from cleanhours.domain.resources import Demand
from cleanhours.testing.meters import HOUR, START, a_finished_run
from cleanhours_plugins.meters import boamps, codecarbon, green_algorithms, processes, zeus
from cleanhours_plugins.meters.gpu_tdp import GPU_TDP_W
from tests.conftest import REPOSITORY
from tests.unit.meters.reporting import KWH_MJ, by_component, context

PAGE: Final = (REPOSITORY / "docs" / "meters-models.md").read_text("utf-8")
BUILD: Final[dict[str, Callable[..., Any]]] = {
    "boamps": boamps.build,
    "codecarbon": codecarbon.build,
    "green-algorithms": green_algorithms.build,
    "processes": processes.build,
    "zeus": zeus.build,
}
TABLES: Final = [
    tomllib.loads(block)["meters"] for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
]


def test_every_meter_is_shown() -> None:
    assert set(BUILD) == {name for tables in TABLES for name in tables}


@pytest.mark.parametrize("tables", TABLES, ids="-".join)
def test_every_table_that_is_shown_is_accepted(tables: dict[str, Any]) -> None:
    for name, table in tables.items():
        assert name == BUILD[name](table, context()).name


def test_figures_of_the_page_are_those_that_are_asserted() -> None:
    for figure in ("1.43808", "2.3445", "28 g per hour", "2485.62", "0.25 g", f"{len(GPU_TDP_W)} of them"):
        assert figure in PAGE
    assert round(12 * (8 * 12 + 64 * 0.3725) * 0.001, 9) == 1.43808
    assert GPU_TDP_W["h100-sxm"] == 700


def ran(*hours: float, **more: Any) -> FinishedRun:
    """For so many hours each time, with an hour's pause between."""
    segments, start = [], START
    for each in hours:
        segments.append(RunSegment(start, start + each * HOUR, "home", ("12", "0")))
        start += each * HOUR + HOUR
    return a_finished_run(segments=tuple(segments), finished_at=segments[-1].end, **more)


@pytest.mark.parametrize(
    ("settings", "run", "joules"),
    [
        (
            {},
            ran(2, allocated=Demand(4000, 8 * 10**9), usage={"cpu_seconds": 14_400.0}),
            {Component.CPU: 61_056, Component.MEMORY: 21_456},
        ),
        (
            {"processor": "epyc-2"},
            ran(1, usage={"cpu_seconds": 9_000.0, "max_rss_bytes": 2e9}),
            {Component.CPU: 16_056, Component.MEMORY: 2_682},
        ),
    ],
)
def test_examples_of_local_processes(
    settings: dict[str, Any], run: FinishedRun, joules: dict[Component, int]
) -> None:
    profile = processes.build(settings, context()).energy(run)

    assert {one: 1000 * drawn for one, drawn in joules.items()} == by_component(profile)
    assert all(f"**{drawn:,} J**" in PAGE for drawn in joules.values())


@pytest.mark.parametrize(
    ("run", "kwh"),
    [
        (ran(100, allocated=Demand(8000, 0, 8), usage={"slurm_gpus.0": 8.0, "slurm_gpus.0.v100": 8.0}), 240),
        (ran(1, 1.5, allocated=Demand(8000, 0, 2)), 2),
    ],
)
def test_examples_of_ml_co2_impact(run: FinishedRun, kwh: int) -> None:
    (table,) = (
        one["green-algorithms"] for one in TABLES if one.get("green-algorithms", {}).get("cpu_watts") == 0
    )
    profile = green_algorithms.build(table, context()).energy(run)

    assert {Component.GPU: kwh * KWH_MJ} == {
        one: drawn for one, drawn in by_component(profile).items() if drawn
    }
    assert f"× 0.001 = **{kwh} kWh**" in PAGE


def test_keys_of_local_processes_that_are_documented_are_those_that_it_takes() -> None:
    (table,) = (one["processes"] for one in TABLES if "processes" in one)

    assert set(table) == set(processes.KEYS)
    assert processes.build(table, context()) == processes.build({}, context())
