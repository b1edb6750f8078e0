"""Reports in Boavizta's format: what is certain in them is counted, what is not is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.jobs import FinishedRun
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.meters import boamps
from cleanhours_plugins.meters.reports import UnreadableReport
from tests.unit.meters.reporting import END, KWH_MJ, World, by_component, context, one_hour


def measure(**more: Any) -> dict[str, Any]:
    """Half a kilowatt-hour in an hour, as CodeCarbon reports it."""
    found = {
        "measurementMethod": "codecarbon", "version": "3.3.2", "cpuTrackingMode": "process", "gpuTrackingMode": "process",
        "powerConsumption": 0.5, "measurementDuration": 3600.0, "measurementDateTime": "2026-03-01T01:00:00", **more,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def report(folder: Path, *measures: Any, name: str = "boamps_report_a.json") -> None:
    (folder / "1").mkdir(exist_ok=True)
    body = {"task": {}, "measures": list(measures), "infrastructure": {}}
    (folder / "1" / name).write_text(json.dumps(body))


def known(run: FinishedRun, folder: Path, world: World | None = None, **settings: Any) -> EnergyProfile:
    table = {"folder": f"{folder}/{{uid}}", "timezone": "UTC", **settings}
    return boamps.build(table, context(world)).energy(run)


def test_a_report_of_the_whole_job(tmp_path: Path) -> None:
    report(tmp_path, measure())
    profile = known(one_hour(), tmp_path)

    assert {Component.WHOLE: KWH_MJ // 2} == by_component(profile)
    assert 1.0 == profile.coverage
    assert {(Method.SELF_REPORTED, "boamps")} == {(part.method, part.meter) for part in profile.slices}


def test_its_time_may_be_the_beginning_or_the_end(tmp_path: Path) -> None:
    for when in ("2026-03-01 00:00:00", "2026-03-01 01:00:00"):
        report(tmp_path, measure(measurementDateTime=when))
        assert 1.0 == known(one_hour(), tmp_path).coverage
    for when in ("2026-03-01 00:30:00", "2026-02-28 01:00:00"):
        report(tmp_path, measure(measurementDateTime=when))
        assert EnergyProfile(coverage=0.0) == known(one_hour(), tmp_path)


def test_parts_are_told_by_how_they_were_tracked(tmp_path: Path) -> None:
    """As `perf` and `nvidia-smi` report a run together."""
    report(
        tmp_path,
        measure(measurementMethod="perf", gpuTrackingMode=None, cpuTrackingMode="rapl", powerConsumption=0.1),
        measure(measurementMethod="nvidia-smi", cpuTrackingMode=None, powerConsumption=0.4),
    )
    assert {Component.CPU: KWH_MJ // 10, Component.GPU: KWH_MJ * 2 // 5} == by_component(
        known(one_hour(), tmp_path)
    )


def test_processors_of_codecarbon_are_with_their_memory(tmp_path: Path) -> None:
    """So that no model's memory is added to it."""
    report(tmp_path, measure(gpuTrackingMode=None))

    assert {Component.CPU: KWH_MJ // 2, Component.MEMORY: 0} == by_component(known(one_hour(), tmp_path))


def test_two_tools_that_measured_the_same_are_not_added(tmp_path: Path) -> None:
    report(tmp_path, measure(), measure(measurementMethod="wattmeter"))
    with pytest.raises(UnreadableReport, match="would count twice"):
        known(one_hour(), tmp_path)

    report(tmp_path, measure())
    report(tmp_path, measure(cpuTrackingMode=None), name="boamps_report_b.json")
    with pytest.raises(UnreadableReport, match="not added"):
        known(one_hour(), tmp_path)


def test_processes_with_reports_of_their_own_are_added(tmp_path: Path) -> None:
    for name in "ab":
        report(tmp_path, measure(), name=f"boamps_report_{name}.json")

    assert KWH_MJ == known(one_hour(), tmp_path).millijoules


def test_a_tracker_of_the_whole_machine_is_an_upper_estimate(tmp_path: Path) -> None:
    report(tmp_path, measure(cpuTrackingMode="machine"))

    assert known(one_hour(), tmp_path).upper_estimate


def test_the_pue_that_its_writer_applied_is_divided_out(tmp_path: Path) -> None:
    report(tmp_path, measure(powerConsumption=0.6))

    assert KWH_MJ // 2 == known(one_hour(), tmp_path, pue=1.2).millijoules


def test_units_of_older_reports(tmp_path: Path) -> None:
    for unit, amount in (("Wh", 500), ("MJoule", 1.8), ("kWh", 0.5), ("", 0.5)):
        report(tmp_path, measure(unit=unit, powerConsumption=amount))
        assert KWH_MJ // 2 == known(one_hour(), tmp_path).millijoules


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"unit": "BTU"}, "unit: found 'BTU', accepted: mWh, Wh, kWh"),
        ({"unit": {"a": 1}}, "unit: found {'a': 1}, accepted: mWh, Wh, kWh"),
        ({"unit": ["kWh"]}, r"unit: found \['kWh'\], accepted: mWh, Wh, kWh"),
        ({"powerConsumption": None}, "powerConsumption: found None"),
        ({"powerConsumption": -1}, "powerConsumption: found -1"),
        ({"measurementDuration": None}, "measurementDuration: found None"),
        ({"measurementDateTime": None}, "measurementDateTime: found None"),
        ({"measurementDateTime": 1209}, "measurementDateTime: found 1209"),
        ({"measurementDateTime": "0001-01-01 00:00:00"}, "measurementDateTime: found"),
        ({"powerConsumption": 10**400}, "powerConsumption: found"),
    ],
)
def test_what_is_not_certain_is_refused_with_the_reason(
    tmp_path: Path, fault: dict[str, Any], said: str
) -> None:
    report(tmp_path, measure(**fault))

    with pytest.raises(UnreadableReport, match=said):
        known(one_hour(), tmp_path)


@pytest.mark.parametrize("key", ["unit", "powerConsumption", "measurementDuration", "measurementDateTime"])
def test_what_a_report_says_is_shown_short(tmp_path: Path, key: str) -> None:
    """Megabytes of it would stand in the log of the controller."""
    for value in ("x" * 1_000_000, {"x": [["y" * 1_000_000]]}):
        report(tmp_path, measure(**{key: value}))
        with pytest.raises(UnreadableReport, match=key) as caught:
            known(one_hour(), tmp_path)
        assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("text", ["[]", "{}", '{"measures": {}}', '{"measures": [7]}'])
def test_another_json_is_refused(tmp_path: Path, text: str) -> None:
    report(tmp_path)
    (tmp_path / "1" / "boamps_report_a.json").write_text(text)

    with pytest.raises(UnreadableReport, match="no report of BoAmps"):
        known(one_hour(), tmp_path)


def test_a_report_in_the_writing_is_waited_for(tmp_path: Path) -> None:
    report(tmp_path)
    (tmp_path / "1" / "boamps_report_a.json").write_text('{"measures": [{"power')

    with pytest.raises(TemporaryError):
        known(one_hour(), tmp_path, World(FakeClock(END + timedelta(seconds=30))))
    with pytest.raises(UnreadableReport):
        known(one_hour(), tmp_path)


def test_the_table_is_checked() -> None:
    with pytest.raises(
        ConfigurationError, match=r"meters.boamps.pue: found 0.9, accepted: a number, 1 or more"
    ):
        boamps.build({"folder": "/{uid}", "pue": 0.9}, context())
    assert EnergyProfile(coverage=0.0) == boamps.build({}, context()).energy(one_hour())
