"""The import directions hold, and each contract notices when it is broken."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import grimp
import pytest

from tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
NAMES = {contract["name"]: identity for identity, contract in CONTRACTS.items()}

SOURCE_ROOTS = ("scheduler", "plugins")
LIBRARIES_WITHOUT_A_DOOR = {"numpy"}  # anywhere, says docs/decisions/0002-dependencies.md
SCHEDULER, PLUGINS = "scheduler/cleanhours", "plugins/cleanhours_plugins"


@dataclass(frozen=True)
class Breach:
    """A module with one line that the contract forbids."""

    contract: str
    file: str
    line: str

    @property
    def module(self) -> str:
        return self.file.split("/", 1)[1].removesuffix(".py").replace("/", ".")


BREACHES = (
    Breach("layers", f"{SCHEDULER}/domain/breach.py", "import cleanhours.planning"),
    Breach("layers", f"{SCHEDULER}/planning/breach.py", "import cleanhours.http"),
    Breach("layers", f"{SCHEDULER}/control/breach.py", "import cleanhours.adapters"),
    Breach("layers", f"{SCHEDULER}/adapters/breach.py", "import cleanhours.control"),
    Breach("layers", f"{SCHEDULER}/testing/breach.py", "import cleanhours.apps"),
    Breach("layers", f"{SCHEDULER}/stray.py", "import json"),
    Breach("public-words", f"{SCHEDULER}/adapters/breach_root.py", "from cleanhours import plan"),
    Breach("public-words", f"{PLUGINS}/forecasts/breach_root.py", "from cleanhours import plan"),
    Breach("no-plugins", f"{SCHEDULER}/adapters/breach_plugin.py", "import cleanhours_plugins.forecasts"),
    *(
        Breach("plugins-see", f"{PLUGINS}/meters/breach_{room}.py", f"import cleanhours.{room}")
        for room in ("__main__", "adapters", "apps", "control", "planning", "testing")
    ),
    Breach("plugin-kinds", f"{PLUGINS}/clusters/breach_kind.py", "import cleanhours_plugins.meters"),
    Breach("no-clock", f"{SCHEDULER}/domain/breach_clock.py", "import time"),
    Breach("pure", f"{SCHEDULER}/domain/breach_io.py", "import sqlite3"),
    Breach("pure", f"{SCHEDULER}/planning/breach_io.py", "import logging"),
    Breach("on-ports", f"{SCHEDULER}/control/breach_io.py", "import subprocess"),
    Breach("door-requests", f"{PLUGINS}/forecasts/breach_requests.py", "import requests"),
    Breach("door-requests", f"{SCHEDULER}/apps/breach_requests.py", "from urllib3 import Retry"),
    Breach("door-pydantic", f"{SCHEDULER}/domain/breach_pydantic.py", "from pydantic import BaseModel"),
    Breach("door-sqlalchemy", f"{SCHEDULER}/adapters/breach_sql.py", "import sqlalchemy.dialects.sqlite"),
    Breach("door-prometheus", f"{SCHEDULER}/apps/breach_metrics.py", "import prometheus_client"),
    Breach(
        "door-apscheduler", f"{SCHEDULER}/apps/breach_beat.py", "import apscheduler.schedulers.background"
    ),
    Breach("door-click", f"{PLUGINS}/clusters/breach_click.py", "import click"),
    Breach("door-rich", f"{SCHEDULER}/control/breach_rich.py", "from rich.console import Console"),
    Breach("door-kubernetes", f"{PLUGINS}/meters/breach_kubernetes.py", "import kubernetes.client"),
    Breach(
        "door-cryptography", f"{SCHEDULER}/adapters/breach_certificates.py", "from cryptography import x509"
    ),
    Breach("door-cryptography", f"{PLUGINS}/forecasts/breach_certificates.py", "import cryptography.x509"),
    Breach("door-nvml", f"{PLUGINS}/clusters/breach_nvml.py", "def read() -> None:\n    import pynvml"),
    Breach("door-xml", f"{PLUGINS}/forecasts/breach_xml.py", "import xml.etree.ElementTree"),
    Breach("door-testing", f"{SCHEDULER}/adapters/breach_testing.py", "import pytest"),
    Breach("no-scipy", f"{SCHEDULER}/planning/breach_scipy.py", "import scipy.optimize"),
)

# What a door is for is let through it.
USES = (
    ("requests", f"{SCHEDULER}/http.py"),
    ("pydantic", f"{SCHEDULER}/adapters/use_pydantic.py"),
    ("pydantic", f"{PLUGINS}/forecasts/use_pydantic.py"),
    ("sqlalchemy", f"{SCHEDULER}/adapters/ledger/use_sql.py"),
    ("prometheus_client", f"{SCHEDULER}/adapters/exposition.py"),
    ("apscheduler", f"{SCHEDULER}/apps/controller.py"),
    ("click", f"{SCHEDULER}/apps/use_click.py"),
    ("click", f"{PLUGINS}/clusters/use_click/commands.py"),
    ("click", f"{PLUGINS}/clusters/use_click_too/commands/use_click.py"),
    ("rich", f"{SCHEDULER}/apps/use_rich.py"),
    ("kubernetes", f"{PLUGINS}/clusters/use_kubernetes.py"),
    ("cryptography", f"{PLUGINS}/clusters/use_certificates/admission.py"),
    ("pynvml", f"{PLUGINS}/meters/use_nvml.py"),
    ("defusedxml", f"{PLUGINS}/forecasts/use_xml.py"),
    ("pytest", f"{SCHEDULER}/testing/use_pytest.py"),
)


def copied(folder: Path) -> Path:
    """Copy both source roots and the contracts, without what others left there."""
    for root in SOURCE_ROOTS:
        shutil.copytree(REPOSITORY / root, folder / root, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    return folder


def add(folder: Path, file: str, line: str) -> None:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    for parent in path.relative_to(folder).parents:
        if len(parent.parts) > 1 and not (folder / parent / "__init__.py").exists():
            (folder / parent / "__init__.py").write_text('"""A room."""\n', encoding="utf-8")
    text = path.read_text(encoding="utf-8") if path.exists() else '"""A module."""\n'
    path.write_text(f"{text}\n{line}\n", encoding="utf-8")


def linted(folder: Path) -> tuple[int, str]:
    """Run lint-imports on a copy, and on nothing else."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(folder / root) for root in SOURCE_ROOTS),
        "NO_COLOR": "1",
        "COLUMNS": "300",
    }
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


def sections(report: str) -> dict[str, str]:
    """What the report says about each broken contract, by the contract's id."""
    details = report.partition("\nBroken contracts\n")[2]
    headings = "|".join(re.escape(name) for name in NAMES)
    pieces = re.split(rf"^({headings})\n-+\n", details, flags=re.MULTILINE)
    return {NAMES[name]: text for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What lint-imports says of a tree that holds every breach at once (one run, for speed)."""
    folder = copied(tmp_path_factory.mktemp("broken"))
    for breach in BREACHES:
        add(folder, breach.file, breach.line)
    code, report = linted(folder)
    assert code == 1, report
    return sections(report)


def test_the_tree_keeps_every_contract(tmp_path: Path) -> None:
    code, report = linted(copied(tmp_path))

    assert code == 0, report
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in report


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.contract}:{breach.module}")
def test_a_breach_is_caught_by_its_contract(breach: Breach, broken: dict[str, str]) -> None:
    assert re.search(rf"{re.escape(breach.module)}(?![\w.])", broken.get(breach.contract, ""))


def test_every_contract_has_a_breach() -> None:
    assert set(CONTRACTS) == {breach.contract for breach in BREACHES}


def test_every_forbidden_room_of_the_plugins_has_a_breach() -> None:
    forbidden = set(CONTRACTS["plugins-see"]["forbidden_modules"])

    assert forbidden == {b.line.split()[1] for b in BREACHES if b.contract == "plugins-see"}


def test_a_door_lets_its_own_library_through(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    for library, file in USES:
        add(folder, file, f"import {library}")

    code, report = linted(folder)

    assert code == 0, report


def test_every_library_has_a_door() -> None:
    guarded = {
        library
        for identity, contract in CONTRACTS.items()
        if identity.startswith(("door-", "no-"))
        for library in contract["forbidden_modules"]
    }
    graph = grimp.build_graph(
        "cleanhours", "cleanhours_plugins", include_external_packages=True, cache_dir=None
    )
    outside = {name for name in graph.modules if graph.is_module_squashed(name)}

    assert outside - set(sys.stdlib_module_names) - LIBRARIES_WITHOUT_A_DOOR <= guarded
