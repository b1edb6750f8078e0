"""Plugins found by real entry points of really installed (if small) distributions."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from cleanhours.adapters.discovery import Group, Plugins
from cleanhours.domain.errors import ConfigurationError
from cleanhours.ports import Context

NOBODY = cast("Context", None)

MODULES = {
    "good": "def build(settings, context):\n    return ('built', dict(settings))\n",
    "broken": "import a_library_that_is_not_there\n",
    "failing": "def build(settings, context):\n    raise RuntimeError('no sensor')\n",
    "refusing": (
        "from cleanhours.domain.errors import ConfigurationError\n"
        "def build(settings, context):\n    raise ConfigurationError('unknown key')\n"
    ),
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder as pip leaves it: modules, and a dist-info with entry points."""
    points = []
    for name, text in MODULES.items():
        (tmp_path / f"plugin_of_test_{name}.py").write_text(text)
        points.append(f"{name} = plugin_of_test_{name}:build")
    info = tmp_path / "plugins_of_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugins-of-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cleanhours.meters]\n" + "\n".join(points) + "\n")
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("plugin_of_test_")]:
        del sys.modules[name]


def test_names_are_listed_without_importing_anything(site: Path) -> None:
    assert ["broken", "failing", "good", "refusing"] == Plugins([str(site)]).names(Group.METERS)
    assert [] == [name for name in sys.modules if name.startswith("plugin_of_test_")]


def test_a_plugin_is_built_with_its_table(site: Path) -> None:
    assert ("built", {"a": 1}) == cast("Any", Plugins([str(site)]).meter("good", {"a": 1}, NOBODY))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("broken", "meter 'broken' cannot be loaded: ModuleNotFoundError"),
        ("failing", "meter 'failing' cannot be built: RuntimeError: no sensor"),
        ("refusing", "unknown key"),
        ("goood", "did you mean 'good'.*installed: broken, failing, good, refusing"),
        ("zzz", "no meter 'zzz' is installed"),
    ],
)
def test_a_plugin_asked_for_by_name_must_work(site: Path, name: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Plugins([str(site)]).meter(name, {}, NOBODY)


def test_in_a_list_a_broken_plugin_is_named_and_skipped(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        built, broken = Plugins([str(site)]).meters({}, NOBODY)
    assert 1 == len(built)
    assert ["broken", "failing", "refusing"] == [one.name for one in broken]
    assert all(one.name in caplog.text for one in broken)


def test_a_table_of_a_meter_that_is_not_installed_is_named_with_the_nearest_name(
    site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, broken = Plugins([str(site)]).meters({"goood": {"url": "http://x"}, "good": {}}, NOBODY)
    assert ["broken", "failing", "goood", "refusing"] == [one.name for one in broken]
    assert "name=goood error=no meter 'goood' is installed; did you mean 'good'?" in caplog.text


def test_our_own_plugins_are_found_where_python_looks() -> None:
    plugins = Plugins()
    assert "climatology" in plugins.names(Group.FORECASTS)
    assert "local" in plugins.names(Group.CLUSTERS)
    assert {"nvml", "rapl", "processes", "declared"} <= set(plugins.names(Group.METERS))
