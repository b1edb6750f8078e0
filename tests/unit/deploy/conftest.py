"""Slurm's scripts, in every Lua that is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import require_component
from tests.unit.deploy.lua import INSTALL, INTERPRETERS, Lua


@pytest.fixture(params=INTERPRETERS)
def lua(request: pytest.FixtureRequest, tmp_path: Path) -> Lua:
    return Lua(require_component(request.param, INSTALL), tmp_path)
