"""CodeCarbon's emissions.csv: which rows are a run's, what they say, and what must not be believed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.jobs import FinishedRun, RunKey, RunSegment
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.meters import HOUR, START, a_finished_run
from cleanhours_plugins.meters import codecarbon
from cleanhours_plugins.meters.reports import UnreadableReport
from tests.unit.meters.reporting import END, KWH_MJ, MINUTE, World, by_component, context, one_hour

OLD = (
    "timestamp,project_name,run_id,duration,emissions,emissions_rate,cpu_power,gpu_power,ram_power,cpu_energy,gpu_energy,"
    "ram_energy,energy_consumed,country_name,gpu_count,gpu_model,tracking_mode,on_cloud,pue"
)
NEW = (
    "timestamp,project_name,run_id,experiment_id,duration,emissions,emissions_rate,cpu_power,gpu_power,ram_power,cpu_energy,"
    "gpu_energy,ram_energy,energy_consumed,water_consumed,country_name,gpu_count,gpu_model,tracking_mode,"
    "cpu_utilization_percent,on_cloud,pue,wue"
)


def row(header: str = NEW, **more: Any) -> str:
    """An hour of 0.1 kWh of processors, 0.5 of GPUs, 0.02 of memory."""
    values: dict[str, Any] = {
        "timestamp": "2026-03-01T01:00:00", "project_name": "codecarbon", "run_id": "a", "experiment_id": "x",
        "duration": 3600.0, "emissions": 77.0, "cpu_energy": 0.1, "gpu_energy": 0.5, "ram_energy": 0.02,
        "energy_consumed": 0.62, "country_name": "France", "tracking_mode": "process", "pue": 1.0, "wue": 0.0, **more,
    }  # fmt: skip
    return ",".join(str(values.get(column, "")) for column in header.split(","))


def write(folder: Path, *rows: str, header: str = NEW, end: str = "\n") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "emissions.csv").write_text("\n".join((header, *rows)) + end, "utf-8")


def known(run: FinishedRun, folder: Path, world: World | None = None, **settings: Any) -> EnergyProfile:
    table = {"folder": f"{folder}/{{namespace}}/{{name}}", "timezone": "UTC", **settings}
    return codecarbon.build(table, context(world)).energy(run)


@pytest.mark.parametrize("header", [OLD, NEW])
def test_each_version_is_read_by_the_names_of_its_columns(tmp_path: Path, header: str) -> None:
    write(tmp_path / "ada" / "train", row(header), header=header)
    profile = known(one_hour(), tmp_path)

    assert {
        Component.CPU: KWH_MJ // 10,
        Component.GPU: KWH_MJ // 2,
        Component.MEMORY: KWH_MJ // 50,
    } == by_component(profile)
    assert 1.0 == profile.coverage
    assert not profile.upper_estimate
    assert {(Method.SELF_REPORTED, "codecarbon")} == {(part.method, part.meter) for part in profile.slices}


@pytest.mark.parametrize("name", ["codecarbon_emissions_2.4.csv", "codecarbon_emissions_3.3_columns.csv"])
def test_published_files_are_read(test_data: Path, tmp_path: Path, name: str) -> None:
    sample = test_data / "provider-samples" / "energy" / name
    if not sample.exists():
        pytest.skip(f"no {sample}")
    rows = list(codecarbon.rows_of(sample, sample.read_text("utf-8")))
    folder = tmp_path / "ada" / "train"
    folder.mkdir(parents=True)
    (folder / "emissions.csv").write_text(sample.read_text("utf-8"), "utf-8")
    last = datetime.fromisoformat(rows[0]["timestamp"]).replace(tzinfo=UTC)
    part = RunSegment(last - HOUR, last, "home")
    profile = known(a_finished_run(segments=(part,), finished_at=last), tmp_path)

    if name.endswith("2.4.csv"):
        assert 3 == len(rows)
        # by hand: (0.0001342166896178 + 8.236909446627563e-05 + 0.0001882034335533) kWh; the others are of later hours
        assert 1_457_241 == pytest.approx(profile.millijoules, abs=2)
        assert 355.466 / 3600 == pytest.approx(profile.coverage, abs=1e-3)
        assert profile.upper_estimate
    else:
        assert EnergyProfile(coverage=0.0) == profile  # it holds memory alone: no processor, no GPU


def test_pue_is_in_the_energies_already_and_is_divided_out(tmp_path: Path) -> None:
    """CodeCarbon 3: 0.1 kWh drawn at a PUE of 1.5 stand there as 0.15."""
    write(tmp_path / "ada" / "train", row(cpu_energy=0.15, gpu_energy=0.75, ram_energy=0.03, pue=1.5))

    assert 0.62 * KWH_MJ == pytest.approx(known(one_hour(), tmp_path).millijoules, abs=2)


def test_rows_of_several_processes_are_added_and_the_last_of_each_counts(tmp_path: Path) -> None:
    """Two ranks; the first has flushed after half an hour: its second row holds the sum."""
    write(
        tmp_path / "ada" / "train",
        row(run_id="a", timestamp="2026-03-01T00:30:00", duration=1800, cpu_energy=0.04),
        row(run_id="b", cpu_energy=0.2, gpu_energy=0),
        row(run_id="a"),
    )
    found = by_component(known(one_hour(), tmp_path))

    assert round(0.3 * KWH_MJ) == found[Component.CPU]
    assert KWH_MJ // 2 == found[Component.GPU]


def test_rows_without_an_id_are_rows_of_their_own_unless_they_are_the_same(tmp_path: Path) -> None:
    one, other = row(run_id=""), row(run_id="", cpu_energy=0.3)
    write(tmp_path / "ada" / "train", one, one, other)

    assert round(0.4 * KWH_MJ) == by_component(known(one_hour(), tmp_path))[Component.CPU]


@pytest.mark.parametrize(
    ("timestamp", "duration", "own"),
    [
        ("2026-03-01T01:00:00", 3600, True),
        ("2026-03-01T01:01:30", 3600, True),  # clocks differ by less than the tolerance
        ("2026-03-01T01:03:00", 3600, False),  # written after the run
        ("2026-02-28T23:59:00", 3600, False),  # the run before this one
        ("2026-02-28T23:00:00", 3600, False),
        ("2026-02-28T23:00:00", "nan", False),  # broken, and another's
        ("2026-03-01T02:00:00+01:00", 3600, True),
    ],
)
def test_a_row_is_the_runs_when_all_its_time_is(
    tmp_path: Path, timestamp: str, duration: float, own: bool
) -> None:
    write(tmp_path / "ada" / "train", row(timestamp=timestamp, duration=duration))

    assert own is bool(known(one_hour(), tmp_path).slices)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            {"timestamp": "2026-03-01T00:30:00"},
            "duration: found 3600, accepted: seconds within the run, which began",
        ),
        (
            {"duration": 99_999},
            "row of '2026-03-01T01:00:00': duration: found 99999, accepted: seconds within",
        ),
        (
            {"duration": "nan"},
            "row of '2026-03-01T01:00:00': duration: found 'nan', accepted: a number from 0 to",
        ),
        ({"duration": -1}, "duration: found '-1'"),
        ({"duration": 1e300}, "duration: found '1e[+]300'"),
        ({"timestamp": "yesterday"}, "row of 'yesterday': timestamp: accepted: YYYY-MM-DDTHH:MM:SS"),
        ({"timestamp": "0001-01-01T01:00:00"}, "timestamp: accepted"),
    ],
)
def test_a_row_whose_time_makes_no_sense_is_said(tmp_path: Path, fault: dict[str, Any], said: str) -> None:
    write(tmp_path / "ada" / "train", row(**fault))

    with pytest.raises(UnreadableReport, match=said):
        known(one_hour(), tmp_path)


def test_a_row_that_may_be_an_earlier_runs_harms_this_runs_own_only_where_no_other_run_writes(
    tmp_path: Path,
) -> None:
    """By `{namespace}/{name}` two runs may overlap; below a folder of its UID nobody else writes."""
    rows = (row(run_id="b", timestamp="2026-03-01T00:30:00"), row())
    write(tmp_path / "ada" / "train", *rows)
    write(tmp_path / "1", *rows)

    assert KWH_MJ // 10 == by_component(known(one_hour(), tmp_path))[Component.CPU]
    own = codecarbon.build({"folder": f"{tmp_path}/{{uid}}", "timezone": "UTC"}, context())
    with pytest.raises(UnreadableReport, match="duration: found 3600"):
        own.energy(one_hour())


def test_times_are_local_where_the_run_was(tmp_path: Path) -> None:
    write(tmp_path / "ada" / "train", row(timestamp="2026-03-01T02:00:00"))

    assert known(one_hour(), tmp_path, timezone="Europe/Paris").slices
    assert not known(one_hour(), tmp_path).slices


def test_both_hours_are_tried_when_a_clock_is_put_back(tmp_path: Path) -> None:
    """Paris, 25 October 2026: 02:30 was at 00:30 and at 01:30 UTC."""
    for hour in (0, 1):
        end = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
        run = a_finished_run(segments=(RunSegment(end - MINUTE, end, "home"),), finished_at=end)
        write(tmp_path / "ada" / "train", row(timestamp="2026-10-25T02:30:00", duration=60))
        assert known(run, tmp_path, FakeWorld(end), timezone="Europe/Paris").slices


def test_coverage_is_the_share_of_the_time_that_was_tracked_and_pauses_drew_nothing(tmp_path: Path) -> None:
    """Two half hours with half an hour's pause; tracked from the middle of the first on."""
    write(tmp_path / "ada" / "train", row(timestamp="2026-03-01T01:30:00", duration=4500))
    profile = known(a_finished_run(), tmp_path)

    assert 0.75 == profile.coverage
    gpu = profile.only((Component.GPU,)).slices
    assert [(START + HOUR / 4, START + HOUR / 2), (START + HOUR, START + 1.5 * HOUR)] == [
        (part.start, part.end) for part in gpu
    ]
    assert [KWH_MJ // 6, KWH_MJ // 3] == [part.millijoules for part in gpu]


def test_a_tracker_of_the_whole_machine_is_an_upper_estimate(tmp_path: Path) -> None:
    write(tmp_path / "ada" / "train", row(tracking_mode="machine"))

    assert known(one_hour(), tmp_path).upper_estimate


def test_gpus_that_codecarbon_could_not_read_are_left_to_other_meters(tmp_path: Path) -> None:
    write(tmp_path / "ada" / "train", row(gpu_energy=0.0))

    assert {Component.CPU, Component.MEMORY} == known(one_hour(), tmp_path).components


def test_memory_alone_is_not_the_job(tmp_path: Path) -> None:
    write(tmp_path / "ada" / "train", row(gpu_energy=0, cpu_energy=0))

    assert EnergyProfile(coverage=0.0) == known(one_hour(), tmp_path)


def test_a_run_is_told_by_project_run_id_and_experiment_where_these_are_set(tmp_path: Path) -> None:
    write(
        tmp_path,
        row(run_id="a", project_name="ada-train", cpu_energy=0.1),
        row(run_id="b", project_name="bob-train", cpu_energy=0.7),
    )
    shared = {"folder": str(tmp_path), "project": "{namespace}-{name}"}
    table = {**shared, "timezone": "UTC"}
    meter = codecarbon.build(table, context())

    assert KWH_MJ // 10 == by_component(meter.energy(one_hour()))[Component.CPU]
    assert round(0.7 * KWH_MJ) == by_component(meter.energy(one_hour(namespace="bob")))[Component.CPU]
    by_id = codecarbon.build({"folder": str(tmp_path), "run_id": "{uid}", "timezone": "UTC"}, context())
    assert by_id.energy(one_hour(key=RunKey("local", "b", 1))).slices
    assert not by_id.energy(one_hour(key=RunKey("local", "c", 1))).slices


def test_a_row_in_the_writing_is_waited_for_and_then_left(tmp_path: Path) -> None:
    write(tmp_path / "ada" / "train", row(run_id="a"), row(run_id="b")[:60], end="")
    early = World(FakeClock(END + timedelta(seconds=30)))

    with pytest.raises(TemporaryError, match="not written to its end"):
        known(one_hour(), tmp_path, early)
    assert KWH_MJ // 10 == by_component(known(one_hour(), tmp_path))[Component.CPU]


def test_values_that_codecarbon_left_out_do_not_shift_the_others(tmp_path: Path) -> None:
    """It appends without the columns that are missing (country, GPU): the row is shorter than its header."""
    parts = row(tracking_mode="machine", pue=2.0).split(",")
    columns = NEW.split(",")
    kept = [
        v for c, v in zip(columns, parts, strict=True) if c not in ("country_name", "gpu_count", "gpu_model")
    ]
    write(tmp_path / "ada" / "train", ",".join(kept))
    profile = known(one_hour(), tmp_path)

    assert KWH_MJ // 20 == by_component(profile)[Component.CPU]
    assert profile.upper_estimate


def test_a_row_of_which_too_much_is_missing_is_none(tmp_path: Path) -> None:
    """Without its experiment_id every energy would be read one column too early."""
    parts = [v for c, v in zip(NEW.split(","), row().split(","), strict=True) if c != "experiment_id"]
    write(tmp_path / "ada" / "train", ",".join(parts), "2026-03-01T01:00:00,codecarbon")

    assert EnergyProfile(coverage=0.0) == known(one_hour(), tmp_path)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"cpu_energy": -1}, "cpu_energy: found '-1'"),
        ({"cpu_energy": "nan"}, "cpu_energy: found 'nan'"),
        ({"gpu_energy": "much"}, "gpu_energy: found 'much'"),
        ({"pue": 0.5}, "pue: found 0.5"),
        ({"gpu_energy": 1e9}, "is more than 1e[+]07 W on the mean"),
    ],
)
def test_a_row_of_the_run_that_makes_no_sense_is_said(
    tmp_path: Path, fault: dict[str, Any], said: str
) -> None:
    write(tmp_path / "ada" / "train", row(**fault))

    with pytest.raises(UnreadableReport, match=said):
        known(one_hour(), tmp_path)


def test_another_csv_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    write(tmp_path / "ada" / "train", header="timestamp,duration,energy_consumed")

    with pytest.raises(UnreadableReport, match="lacks cpu_energy, ram_energy, gpu_energy"):
        known(one_hour(), tmp_path)


def test_where_nobody_reported_nothing_is_known(tmp_path: Path) -> None:
    nothing = EnergyProfile(coverage=0.0)

    assert nothing == known(one_hour(), tmp_path)
    write(tmp_path / "ada" / "train", end="")
    assert nothing == known(one_hour(), tmp_path)
    (tmp_path / "ada" / "train" / "emissions.csv").write_text("")
    assert nothing == known(one_hour(), tmp_path)
    assert nothing == codecarbon.build({}, context()).energy(one_hour())


@pytest.mark.parametrize("name", ["../bob/train", "..", ".hidden", "a/b", "a\0b", ""])
def test_no_name_of_a_job_leads_to_another_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path / "bob" / "train", row())

    with pytest.raises(UnreadableReport, match="names no folder"):
        known(one_hour(name=name), tmp_path)


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    tmp_path.joinpath("train.csv").write_text(f"{NEW}\n{row()}\n")
    table = {"folder": str(tmp_path), "file": "{name}.csv", "timezone": "UTC"}
    meter = codecarbon.build(table, context())

    assert meter.energy(one_hour()).slices
    assert not meter.energy(one_hour(name="*")).slices


def test_nothing_but_plain_files_of_a_bounded_size_are_opened(tmp_path: Path) -> None:
    folder = tmp_path / "ada" / "train"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "emissions.csv")
    with pytest.raises(UnreadableReport, match="plain file"):
        known(one_hour(), tmp_path)

    (folder / "emissions.csv").unlink()
    with (folder / "emissions.csv").open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(UnreadableReport, match="16 MiB"):
        known(one_hour(), tmp_path)

    (folder / "emissions.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UnreadableReport, match="not UTF-8"):
        known(one_hour(), tmp_path)


def test_every_fault_of_the_table_is_named_at_once() -> None:
    table = {
        "folder": "runs",
        "file": "a/{uid}",
        "project": "{team}",
        "timezone": "Mars",
        "tolerance": "soon",
        "fodler": 1,
    }
    with pytest.raises(ConfigurationError) as caught:
        codecarbon.build(table, context())

    said = str(caught.value)
    for part in (
        "meters.codecarbon.folder: found 'runs'",
        "meters.codecarbon.file: found 'a/{uid}'",
        "meters.codecarbon.project: found '{team}'",
        "meters.codecarbon.timezone: found 'Mars'",
        "meters.codecarbon.tolerance: found 'soon'",
        "did you mean 'folder'?",
    ):
        assert part in said


@pytest.mark.parametrize("folder", ["/runs", "/runs/{namespace}"])
def test_a_place_that_every_run_shares_is_refused(folder: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"put .uid. or .name. into folder, file, project, run_id, experiment"
    ):
        codecarbon.build({"folder": folder}, context())
    codecarbon.build({"folder": folder, "run_id": "{uid}"}, context())


@pytest.mark.parametrize("folder", ["/{uid.real}", "/{uid!r}", "/{uid:>9}", "/{", "/{}"])
def test_only_plain_words_stand_in_braces(folder: str) -> None:
    with pytest.raises(ConfigurationError, match=r"with any of .cluster."):
        codecarbon.build({"folder": folder}, context())


def FakeWorld(end: datetime) -> World:  # noqa: N802 - a world at another time
    return World(FakeClock(end + HOUR))
