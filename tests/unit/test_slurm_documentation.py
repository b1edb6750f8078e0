"""docs/slurm.md against the code: every key, every default, every word and every settings file that it shows."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from cleanhours.adapters.settings import load_settings
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.locations import Location
from cleanhours.domain.words import WORDS
from cleanhours.ports import Context
from cleanhours_plugins.clusters.slurm.settings import read_settings
from cleanhours_plugins.meters import slurm as meter
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "slurm.md"
README = REPOSITORY / "README.md"
HERE = {"here": Location("here", "DE")}


@dataclass
class World:
    """All that the meter asks of its context."""

    locations: dict[str, Location] = field(default_factory=lambda: HERE)


CONTEXT = cast("Context", World())


def rows(before: str) -> dict[str, str]:
    """The first table after a text: what stands in its first column, and in its second."""
    _, found, rest = PAGE.read_text("utf-8").partition(before)
    assert found, f"{PAGE.name} does not say {before!r}"
    table = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", rest, re.MULTILINE)
    assert table is not None
    cells = [line.strip("|").split("|") for line in table[1].splitlines()]
    return {first.strip(): second.strip() for first, second, *_ in cells}


def named(before: str) -> dict[str, str]:
    """The names in code in the first column of that table, each with its second column."""
    return {
        name: second
        for first, second in rows(before).items()
        for name in re.findall(r"`([^`=]+)[^`]*`", first)
    }


def known(fault: str) -> set[str]:
    """The keys that a refusal offers."""
    return set(fault.rpartition("known: ")[2].split(", "))


def literals(before: str) -> list[tuple[str, Any]]:
    """The keys of that table whose default is a value of TOML."""
    return [
        (key, tomllib.loads(f"it = {default.strip('`')}")["it"])
        for key, default in named(before).items()
        if re.fullmatch(r'`("[^`]*"|\d+|true|false)`', default)
    ]


def test_every_key_of_the_cluster_is_documented_and_no_other() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_settings({"§": 1}, HERE)

    assert known(str(refused.value)) == set(named('`[clusters.NAME]`, `type = "slurm"`'))


def test_every_key_of_the_meter_is_documented_and_no_other() -> None:
    with pytest.raises(ConfigurationError) as refused:
        meter.build({"§": 1}, CONTEXT)

    assert known(str(refused.value)) == {key.removesuffix(".NAME") for key in named("`[meters.slurm]`:")}


def test_the_documented_defaults_change_nothing() -> None:
    usual = read_settings({}, HERE)

    said = literals('`[clusters.NAME]`, `type = "slurm"`')
    assert 7 < len(said)
    for key, value in said:
        assert usual == read_settings({key: value}, HERE), key
    for key, value in literals("`[meters.slurm]`:"):
        assert meter.build({}, CONTEXT) == meter.build({key: value}, CONTEXT), key


def test_every_word_is_documented_and_no_other() -> None:
    assert set(WORDS) == set(named("## Ask for clean hours"))


def settings_files() -> list[tuple[str, str]]:
    """Every settings file that is shown; one that is a part goes on where the first of its page ends."""
    shown = []
    for page in (PAGE, README):
        blocks = re.findall(r"^```toml\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        whole = [text for text in blocks if 'type = "slurm"' in text]
        parts = [whole[0] + text for text in blocks if text not in whole]
        shown += [(f"{page.name}-{number}", text) for number, text in enumerate([*whole, *parts])]
    return shown


@pytest.mark.parametrize(("name", "text"), settings_files(), ids=[name for name, _ in settings_files()])
def test_every_settings_file_that_is_shown_is_right(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.toml"
    file.write_text(text, "utf-8")

    settings = load_settings(config=file, environment={"HOME": str(tmp_path)})

    assert {"slurm"} == {cluster.type for cluster in settings.clusters.values()}
    for cluster in settings.clusters.values():
        read_settings({"name": cluster.name, **cluster.table}, settings.locations)
    meter.build(settings.meters.get("slurm", {}), cast("Context", World(dict(settings.locations))))
