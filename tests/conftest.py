"""What every test may ask for: the shared data sets, and other people's programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

settings.register_profile("cleanhours", deadline=None, print_blob=True)
settings.load_profile("cleanhours")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of public data sets that are too large for the repository (CLEANHOURS_TEST_DATA)."""
    named = os.environ.get("CLEANHOURS_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}: set CLEANHOURS_TEST_DATA to the folder that holds them")
    return folder.resolve()


def require_component(name: str, hint: str, within: Iterable[Path] = ()) -> Path:
    """Return the program `name`, from PATH or the folders `within`.

    Where it is missing, the test is skipped, saying `hint` (the one command that gets it); under
    CLEANHOURS_REQUIRE_INTEGRATION=1 it fails instead, so that a green run has run everything.
    """
    found = shutil.which(name) or next(
        (str(folder / name) for folder in within if os.access(folder / name, os.X_OK)), None
    )
    if found is not None:
        return Path(found)
    missing = f"{name} is not installed: {hint}"
    if os.environ.get("CLEANHOURS_REQUIRE_INTEGRATION") == "1":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)
