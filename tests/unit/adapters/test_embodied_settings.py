"""The table [embodied]: off unless given, one server for all places or one for each, faults told at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.adapters.settings import Settings, load_settings
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.hardware import Hardware

YEAR = timedelta(days=365)


def load(folder: Path, text: str) -> Settings:
    file = folder / "cleanhours.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(config=file, environment={"HOME": str(folder)}, folder=folder, system=folder)


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load(folder, text)
    return [line.strip() for line in str(refused.value).splitlines()[1:]]


def test_nothing_is_known_of_machines_unless_it_is_said(tmp_path: Path) -> None:
    settings = load(tmp_path, "")

    assert (None, {}) == (settings.hardware, settings.hardware_at)


def test_one_server_for_all_and_another_for_a_place(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        [locations.here]
        zone = "GB"
        [embodied]
        server_kg_co2e = 1200
        cpus = 64
        [embodied.locations.here]
        server_kg_co2e = 2500.5
        lifetime = "5.5y"
        gpus = 8
        """,
    )

    assert Hardware(1200.0, 4 * YEAR, None, 64.0) == settings.hardware
    assert {"here": Hardware(2500.5, 5.5 * YEAR, 8, None)} == settings.hardware_at


@pytest.mark.parametrize(
    ("text", "hours"), [("35040h", 35040), ("1460d", 35040), ("4y", 35040), ("0.5y", 4380)]
)
def test_a_lifetime_is_years_days_or_hours(tmp_path: Path, text: str, hours: int) -> None:
    settings = load(tmp_path, f'[embodied]\nserver_kg_co2e = 1\ngpus = 1\nlifetime = "{text}"\n')

    assert settings.hardware is not None
    assert timedelta(hours=hours) == settings.hardware.lifetime


def test_what_is_shown_of_it_can_be_read_back(tmp_path: Path) -> None:
    settings = load(tmp_path, '[embodied]\nserver_kg_co2e = 7\ngpus = 2\nlifetime = "4.5y"\n')
    (shown,) = [one.value for one in settings.effective if one.key == "embodied.lifetime"]
    again = load(tmp_path, f'[embodied]\nserver_kg_co2e = 7\ngpus = 2\nlifetime = "{shown}"\n')

    assert settings.hardware == again.hardware


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """
        [embodied]
        server_kg_co2e = 0
        lifetime = "4 years"
        gpus = 0
        server_kg = 3
        """,
    )

    assert 4 == len(found)
    assert any("lifetime: found '4 years', accepted: a lifetime such as 4y" in one for one in found)
    assert any("did you mean 'server_kg_co2e'?" in one for one in found)


@pytest.mark.parametrize("kilograms", ["1e30", "1000001", "inf", "nan", "-1"])
def test_no_server_weighs_more_than_a_ship(tmp_path: Path, kilograms: str) -> None:
    (found,) = faults(tmp_path, f"[embodied]\nserver_kg_co2e = {kilograms}\ngpus = 1\n")

    assert found.startswith("embodied.server_kg_co2e: found ")
    assert "accepted: " in found


def test_what_does_not_go_together_is_a_fault(tmp_path: Path) -> None:
    both = "[embodied]\nserver_kg_co2e = 1\ngpus = 1\ncpus = 2\n"
    neither = "[embodied]\nserver_kg_co2e = 1\n"
    alone = "[embodied]\ngpus = 1\n"
    nowhere = "[embodied.locations.mars]\nserver_kg_co2e = 1\n"

    assert ["embodied: found gpus and cpus"] == [one.split(",")[0] for one in faults(tmp_path, both)]
    assert ["embodied: found neither"] == [one.split(",")[0] for one in faults(tmp_path, neither)]
    assert ["embodied.server_kg_co2e: missing"] == [one.split(",")[0] for one in faults(tmp_path, alone)]
    assert [
        "embodied.locations.mars: found neither",
        "embodied.locations.mars: no such location; known: local",
    ] == [one.split(",")[0] for one in faults(tmp_path, nowhere)]
