"""Windows that runs measured with Zeus."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.jobs import FinishedRun, RunKey
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.meters import START
from cleanhours_plugins.meters import zeus
from cleanhours_plugins.meters.reports import UnreadableReport
from tests.unit.meters.reporting import END, World, by_component, context, one_hour

SINCE = START.timestamp()
HEADER = "start_time,window_name,elapsed_time,gpu0_energy,gpu1_energy"


def log(
    folder: Path, *rows: tuple[Any, ...], header: str = HEADER, end: str = "\n", name: str = "zeus.csv"
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    (folder / name).write_text("\n".join(lines) + end)


def report(folder: Path, data: Any, name: str = "zeus.json") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(data if isinstance(data, str) else json.dumps(data))


def known(run: FinishedRun, folder: Path, world: World | None = None, **settings: Any) -> EnergyProfile:
    return zeus.build({"folder": f"{folder}/{{uid}}", **settings}, context(world)).energy(run)


def test_the_log_of_the_monitor_is_the_gpus_energy(tmp_path: Path) -> None:
    log(tmp_path / "1", (SINCE, "training", 3600.0, 900_000.0, 910_000.5))
    profile = known(one_hour(), tmp_path)

    assert {Component.GPU: 1_810_000_500} == by_component(profile)
    assert 1.0 == profile.coverage
    assert {(Method.SELF_REPORTED, "zeus")} == {(part.method, part.meter) for part in profile.slices}


def test_of_windows_in_each_other_the_outermost_count(tmp_path: Path) -> None:
    """A training of two epochs, each with two steps, and an evaluation after it."""
    log(
        tmp_path / "1",
        (SINCE, "step", 600.0, 10, 0), (SINCE + 600, "step", 600.0, 11, 0), (SINCE, "epoch", 1200.0, 21, 0),
        (SINCE + 1200, "step", 600.0, 12, 0), (SINCE + 1800, "step", 600.0, 13, 0), (SINCE + 1200, "epoch", 1200.0, 25, 0),
        (SINCE, "training", 2400.0, 46, 0), (SINCE + 2400, "evaluation", 1200.0, 4, 0),
    )  # fmt: skip

    assert 50_000 == known(one_hour(), tmp_path).millijoules
    assert 46_000 == known(one_hour(), tmp_path, window="epoch").millijoules


def test_windows_that_overlap_in_part_are_refused(tmp_path: Path) -> None:
    log(tmp_path / "1", (SINCE, "a", 600.0, 10, 0), (SINCE + 300, "b", 600.0, 10, 0))

    with pytest.raises(UnreadableReport, match=r"name one by meters\.zeus\.window"):
        known(one_hour(), tmp_path)
    assert 10_000 == known(one_hour(), tmp_path, window="b").millijoules


def test_ranks_with_files_of_their_own_are_added(tmp_path: Path) -> None:
    for rank in (0, 1):
        log(tmp_path / "1", (SINCE, "training", 3600.0, 5, 6), name=f"zeus-{rank}.csv")

    assert 22_000 == known(one_hour(), tmp_path).millijoules


def test_windows_of_another_run_are_not_counted(tmp_path: Path) -> None:
    log(tmp_path / "1", (SINCE - 7200, "training", 3600.0, 5, 6), (SINCE, "training", 1800.0, 7, 0))
    profile = known(one_hour(), tmp_path)

    assert 7_000 == profile.millijoules
    assert 0.5 == profile.coverage


def test_many_steps_become_few_slices_with_the_same_energy(tmp_path: Path) -> None:
    log(tmp_path / "1", *((SINCE + n, f"step-{n}", 1.0, 100, 50) for n in range(3600)))
    profile = known(one_hour(), tmp_path)

    assert 3600 * 150_000 == profile.millijoules
    assert 1.0 == profile.coverage
    assert len(profile.slices) <= 8


def test_what_end_window_returns_is_read_as_json(tmp_path: Path) -> None:
    measured = {
        "start_time": SINCE, "time": 3600.0, "gpu_energy": {"0": 100.0, "1": 50.5}, "cpu_energy": {"0": 20.0},
        "dram_energy": {"0": 3.0}, "soc_energy": None,
    }  # fmt: skip
    report(tmp_path / "1", measured)
    found = known(one_hour(), tmp_path, file="zeus.json")

    assert {Component.GPU: 150_500, Component.CPU: 20_000, Component.MEMORY: 3_000} == by_component(found)
    report(tmp_path / "1", [{**measured, "start_time": "2026-03-01T00:00:00Z", "dram_energy": None}])
    assert {Component.GPU, Component.CPU} == known(one_hour(), tmp_path, file="zeus.json").components


def test_a_window_without_a_start_is_of_the_run_that_its_file_names(tmp_path: Path) -> None:
    report(tmp_path / "1", {"time": 1800.0, "gpu_energy": {"0": 7.0}})
    profile = known(one_hour(), tmp_path, file="zeus.json")

    assert 7_000 == profile.millijoules
    assert 0.5 == profile.coverage


def test_a_window_without_a_start_that_may_be_another_runs_is_refused(tmp_path: Path) -> None:
    report(tmp_path / "1", {"time": 1800.0, "gpu_energy": {"0": 7.0}})
    again = one_hour(key=RunKey("local", "1", 2))
    with pytest.raises(UnreadableReport, match="start_time"):
        known(again, tmp_path, file="zeus.json")

    by_name = {"folder": f"{tmp_path}/{{name}}", "file": "zeus.json"}
    report(tmp_path / "train", {"time": 1800.0, "gpu_energy": {"0": 7.0}})
    with pytest.raises(UnreadableReport, match="start_time"):
        zeus.build(by_name, context()).energy(one_hour())

    report(tmp_path / "1", [{"time": 600.0, "gpu_energy": {"0": 7.0}}] * 2)
    with pytest.raises(UnreadableReport, match="may lie in another one"):
        known(one_hour(), tmp_path, file="zeus.json")


def test_gpus_that_counted_nothing_were_not_measured(tmp_path: Path) -> None:
    """Zeus warns itself: a window shorter than the counter's period reads 0."""
    log(tmp_path / "1", (SINCE, "training", 0.05, 0.0, 0.0))

    assert EnergyProfile(coverage=0.0) == known(one_hour(), tmp_path)


def test_a_power_limit_profile_is_no_report(test_data: Path, tmp_path: Path) -> None:
    report(tmp_path / "1", {"measurements": [{"power_limit": 300, "energy": 11800.5, "time": 41.2}]})
    with pytest.raises(UnreadableReport, match="power-limit profile"):
        known(one_hour(), tmp_path, file="zeus.json")

    sample = test_data / "provider-samples" / "energy" / "zeus_power_limit_profile_shape.json"
    report(tmp_path / "1", sample.read_text())
    with pytest.raises(UnreadableReport, match="power-limit profile"):
        known(one_hour(), tmp_path, file="zeus.json")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"time": 1.0}, "lacks time or gpu_energy"),
        ([7], "lacks time or gpu_energy"),
        ({"time": "x", "gpu_energy": {}, "start_time": 0}, "elapsed time: found 'x'"),
        ({"time": -1, "gpu_energy": {}, "start_time": 0}, "elapsed time: found -1"),
        ({"time": 1, "gpu_energy": {"0": True}, "start_time": 0}, "gpu_energy: found True"),
        ({"time": 1, "gpu_energy": {}, "cpu_energy": [1], "start_time": 0}, "cpu_energy: found"),
        (
            {"time": 1, "gpu_energy": {}, "start_time": "2026-03-01T00:00:00"},
            "start_time: found '2026-03-01T00:00:00'",
        ),
        (
            {"time": 1, "gpu_energy": {}, "start_time": "9999-12-31T23:59:59Z"},
            "start_time: found '9999-12-31T23:59:59Z', accepted: a time from 1970 to 5138",
        ),
        ({"time": 1, "gpu_energy": {}, "start_time": "0001-01-01T00:00:00Z"}, "start_time: found '0001-01"),
        ({"time": 1, "gpu_energy": {}, "start_time": 1e12}, "start_time: found 1000000000000.0"),
        ('{"time": 1, "gpu_energy": {"0": NaN}, "start_time": 0}', "gpu_energy: found nan"),
        (
            '{"time": 1, "gpu_energy": {"0": 1' + "0" * 5000 + '}, "start_time": 0}',
            "no JSON that anybody reads",
        ),
        ("[" * 100_000, "no JSON that anybody reads|Expecting"),
        ('{"time": 1', "Expecting"),
    ],
)
def test_what_is_no_measurement_is_said(tmp_path: Path, data: Any, said: str) -> None:
    report(tmp_path / "1", data)

    with pytest.raises(UnreadableReport, match=said):
        known(one_hour(), tmp_path, file="zeus.json")


def test_a_log_of_something_else_is_refused(tmp_path: Path) -> None:
    log(tmp_path / "1", header="Time,Power")
    with pytest.raises(UnreadableReport, match="lacks start_time, elapsed_time"):
        known(one_hour(), tmp_path)

    log(tmp_path / "1", (SINCE, "a"), header=HEADER)
    with pytest.raises(UnreadableReport, match="found None"):
        known(one_hour(), tmp_path)


def test_a_report_in_the_writing_is_waited_for(tmp_path: Path) -> None:
    early = World(FakeClock(END + timedelta(seconds=30)))
    log(tmp_path / "1", (SINCE, "a", 1800.0, 5, 6), (SINCE + 1800, "b"), end="")
    with pytest.raises(TemporaryError, match="not written"):
        known(one_hour(), tmp_path, early)
    assert 11_000 == known(one_hour(), tmp_path).millijoules

    report(tmp_path / "1", '{"time": 1')
    with pytest.raises(TemporaryError, match="not written"):
        known(one_hour(), tmp_path, early, file="zeus.json")


def test_the_table_is_checked() -> None:
    with pytest.raises(ConfigurationError, match=r"meters.zeus.window: found 7.*|meters.zeus.windows"):
        zeus.build({"folder": "/{uid}", "window": 7, "windows": 1}, context())
    assert EnergyProfile(coverage=0.0) == zeus.build({}, context()).energy(one_hour())
