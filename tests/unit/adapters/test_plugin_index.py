"""The index of plugins: searched for once, and again when something was installed or removed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest

from cleanhours.adapters.discovery import Group, Plugins, find_targets
from cleanhours.adapters.plugin_index import known_targets, load_target
from cleanhours.domain.errors import ConfigurationError
from cleanhours.ports import Context

NOBODY = cast("Context", None)
COMMANDS = "cleanhours.commands"


class Site:
    """A folder where distributions are installed, and a home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "site"
        self.folder.mkdir()
        self.home = {"HOME": str(folder)}

    def install(self, name: str, points: str) -> None:
        info = self.folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)

    def known(self) -> Any:
        return known_targets(self.home, [str(self.folder)])

    @property
    def kept(self) -> Path:
        (path,) = (Path(self.home["HOME"]) / ".cache" / "cleanhours").iterdir()
        return path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.install("one", "[cleanhours.commands]\nfirst = os.path:join\n[another.group]\nx = y\n")
    return made


def test_it_holds_every_group_of_ours_and_nothing_else(site: Site) -> None:
    none: dict[str, str] = {}

    assert {group.value: none for group in Group} | {COMMANDS: {"first": "os.path:join"}} == site.known()


def test_what_is_known_is_not_searched_for_again(site: Site) -> None:
    site.known()
    site.kept.write_text(site.kept.read_text().replace("os.path:join", "os.path:marked"))

    assert {"first": "os.path:marked"} == site.known()[COMMANDS]


def test_what_is_installed_later_is_found(site: Site) -> None:
    site.known()
    os.utime(site.folder, (0, 0))
    site.known()
    site.install("two", "[cleanhours.commands]\nsecond = json\n")

    assert {"first": "os.path:join", "second": "json"} == site.known()[COMMANDS]


def test_it_is_what_a_search_finds() -> None:
    assert Plugins().names(Group.FORECASTS) == sorted(find_targets()["cleanhours.forecasts"])
    assert "cleanhours_plugins.forecasts.neso:build" == find_targets()["cleanhours.forecasts"]["neso"]


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("json", json),
        ("json:", json),
        ("json:loads", json.loads),
        ("json : JSONDecoder.decode [extra]", json.JSONDecoder.decode),
        ("os.path:join", os.path.join),
    ],
)
def test_a_target_names_a_module_or_what_is_in_it(target: str, named: object) -> None:
    assert named is load_target(target)


def test_plugins_that_are_known_are_looked_for_nowhere() -> None:
    plugins = Plugins(["/nowhere"], known={"cleanhours.meters": {"ours": "builtins:dict"}})

    assert ["ours"] == plugins.names(Group.METERS)
    assert [] == plugins.names(Group.CLUSTERS)
    assert dict is plugins.load(Group.METERS, "ours")
    with pytest.raises(ConfigurationError, match="did you mean 'ours'"):
        plugins.meter("hours", {}, NOBODY)
