"""Which cluster the commands mean: options, else settings, else defaults; and that they are found by their names."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest

from cleanhours.apps.wiring import Wiring
from cleanhours.domain.deadlines import Margins
from cleanhours.domain.errors import ConfigurationError
from cleanhours_plugins.clusters.kubernetes.commands.options import Asked
from cleanhours_plugins.clusters.kubernetes.commands.targets import Target, target_of
from cleanhours_plugins.clusters.kubernetes.kinds import JOB, KINDS
from tests.conftest import REPOSITORY

SETTINGS = """
[planning]
safety = 1.5
[locations.de]
zone = "DE"
[clusters.kubernetes]
type = "kubernetes"
kubeconfig = "/somewhere/config"
context = "there"
watch_namespaces = ["team"]
kinds = ["jobs"]
queue_margin = "5m"
lease = "ours"
lease_namespace = "system"
[clusters.desk]
type = "local"
"""


def world(folder: Path, settings: str) -> Wiring:
    file = folder / "cleanhours.toml"
    file.write_text(settings, "utf-8")
    return Wiring.lazily(str(file), str(folder / "state"))


def test_settings_say_all_of_it(tmp_path: Path) -> None:
    found = target_of(world(tmp_path, SETTINGS), Asked())
    assert (Path("/somewhere/config"), "there", ("team",)) == (
        found.kubeconfig,
        found.context,
        found.namespaces,
    )
    assert Margins(1.5, timedelta(minutes=5)) == found.margins
    assert ((JOB,), "ours", "system") == (found.kinds, found.lease, found.lease_namespace)


def test_options_stand_over_settings(tmp_path: Path) -> None:
    asked = Asked(kubeconfig=Path("/other"), namespaces=("a", "b"))
    found = target_of(world(tmp_path, SETTINGS), asked)
    assert (Path("/other"), None, ("a", "b")) == (found.kubeconfig, found.context, found.namespaces)


@pytest.mark.parametrize("settings", ["", "[clusters.desk]\ntype = 'local'", "this is no TOML", "[nonsense]"])
def test_without_settings_that_can_be_read_the_defaults_stand(tmp_path: Path, settings: str) -> None:
    found = target_of(world(tmp_path, settings), Asked())
    assert Target() == found
    assert (Margins(1.1, timedelta(minutes=2)), KINDS) == (found.margins, found.kinds)


def test_a_cluster_asked_for_must_be_there_and_be_one_of_these(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no cluster 'moon' is configured; known: desk, kubernetes"):
        target_of(world(tmp_path, SETTINGS), Asked(cluster="moon"))
    with pytest.raises(ConfigurationError, match="'desk' is not of type kubernetes"):
        target_of(world(tmp_path, SETTINGS), Asked(cluster="desk"))


@pytest.mark.parametrize("name", ["release-all", "release-overdue"])
def test_each_command_is_found_by_its_name(name: str) -> None:
    told = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    value = told["project"]["entry-points"]["cleanhours.commands"][name]
    command = EntryPoint(name, value, "cleanhours.commands").load()
    assert isinstance(command, click.Command)
    assert name == command.name
    assert command.get_short_help_str().startswith("Kubernetes: release")


def test_help_lists_them_without_loading_what_they_need() -> None:
    room = "cleanhours_plugins.clusters.kubernetes.commands"
    heavy = "{'numpy', 'kubernetes', 'pydantic', 'cleanhours.ports'} & set(sys.modules)"
    words = f"import sys, {room}.release_all, {room}.release_overdue; print(sorted({heavy}))"
    run = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert "[]" == run.stdout.strip()
