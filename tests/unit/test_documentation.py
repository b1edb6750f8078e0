"""What the README and the docs claim is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

README = REPOSITORY / "README.md"
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return found


def said_by(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "COLUMNS": "90", "NO_COLOR": "1", "HOME": str(folder), "PYTHONUTF8": "1"}
    environment |= {"XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60, check=False
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_the_readmes_commands_print_what_it_shows(tmp_path: Path) -> None:
    shown = blocks(README, "console")

    assert shown
    for block in shown:
        prompt, output = block.split("\n", 1)
        words = shlex.split(prompt.removeprefix("$ cleanhours "))

        assert output == said_by([sys.executable, "-m", "cleanhours", *words], tmp_path)


def test_the_readmes_python_prints_what_it_shows(tmp_path: Path) -> None:
    (code,), (output,) = (
        blocks(README, "python"),
        [b for b in blocks(README, "text") if b.startswith("Start ")],
    )

    assert output == said_by([sys.executable, "-c", code], tmp_path)


def test_the_plugin_of_the_docs_passes_the_suite_it_is_shown_with(tmp_path: Path) -> None:
    plugin, suite = blocks(REPOSITORY / "docs" / "plugins.md", "python")
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tide.py").write_text(plugin, "utf-8")
    (tmp_path / "test_tide.py").write_text(suite, "utf-8")

    said = said_by([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_tide.py"], tmp_path)

    assert re.search(r"\d+ passed", said)
    assert "failed" not in said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text("utf-8"))

    assert [] == [target for target in targets if not (page.parent / target).exists()]
