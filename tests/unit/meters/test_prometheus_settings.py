"""What docs/meters.md says of the settings is what the meters take."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from cleanhours_plugins.meters import dcgm, kepler, power, utilisation
from cleanhours_plugins.meters.processes import WATTS_PER_CORE
from cleanhours_plugins.meters.prometheus.settings import KEYS
from tests.conftest import REPOSITORY
from tests.unit.meters.archives import World

PAGE = REPOSITORY / "docs" / "meters.md"
BUILDS = {"kepler": kepler.build, "dcgm": dcgm.build, "power": power.build, "utilisation": utilisation.build}


def section(title: str) -> str:
    text = PAGE.read_text("utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def keys(title: str) -> set[str]:
    return set(re.findall(r"^\| `([\w.]+)` \|", section(title), re.MULTILINE))


def test_the_tables_of_the_docs_name_every_key() -> None:
    assert set(KEYS) == keys("What meters on Prometheus share")
    assert {"max_gap"} == keys("DCGM")
    gauge = {"metric", "labels", "unit", "component", "shared", "replica_labels"}
    assert {"max_gap", *(f"gauges.{key}" for key in gauge)} == keys("Power gauges")
    model = {"processor", "minimum_watts_per_vcpu", "maximum_watts_per_vcpu", "memory_watts_per_gb"}
    assert model == keys("The model of utilisation")


def test_the_processors_of_the_docs_are_those_that_are_known() -> None:
    said = section("The model of utilisation")

    assert all(f"`{family}`" in said or family == "average" for family in WATTS_PER_CORE)


def blocks() -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks())
def test_the_settings_that_the_docs_show_are_taken(block: str) -> None:
    for name, table in tomllib.loads(block)["meters"].items():
        build: Any = BUILDS[name]
        assert build(table, World().context).server is not None
