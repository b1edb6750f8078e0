"""The public words: all there, all typed, and none loaded before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import cleanhours


@pytest.mark.parametrize("name", cleanhours.__all__)
def test_every_public_word_loads(name: str) -> None:
    assert getattr(cleanhours, name) is not None
    assert name in dir(cleanhours)


def test_an_unknown_word_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'cleanhours' has no attribute 'forecast'"):
        cleanhours.forecast  # type: ignore[attr-defined]  # noqa: B018


def test_what_an_editor_sees_is_what_is_loaded() -> None:
    source = Path(cleanhours.__file__).read_text(encoding="utf-8")
    seen = {
        alias.name: node.module
        for block in ast.parse(source).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert seen == cleanhours._ROOMS
    assert {*seen, "__version__"} == set(cleanhours.__all__)


def test_the_version_is_the_installed_one() -> None:
    assert version("cleanhours") == cleanhours.__version__


def test_importing_cleanhours_loads_no_library() -> None:
    code = "import sys, cleanhours; print(*sorted({n.split('.')[0] for n in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"numpy", "pydantic", "click", "rich", "requests", "sqlalchemy"} & set(run.stdout.split())
