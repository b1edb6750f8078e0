"""What docs/meters-models.md shows can be configured, and its sums are those of the tests."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any, Final

import pytest

from cleanhours_plugins.meters import boamps, codecarbon, green_algorithms, zeus
from cleanhours_plugins.meters.gpu_tdp import GPU_TDP_W
from tests.conftest import REPOSITORY
from tests.unit.meters.reporting import context

PAGE: Final = (REPOSITORY / "docs" / "meters-models.md").read_text("utf-8")
BUILD: Final[dict[str, Callable[..., Any]]] = {
    "boamps": boamps.build,
    "codecarbon": codecarbon.build,
    "green-algorithms": green_algorithms.build,
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
