"""What is kept in the cache: for its key alone, private, and worth nothing where another could have written it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from stat import S_IMODE

import pytest

from cleanhours.adapters.keeping import NEWEST, keep, kept_file, read_kept, xdg_folder

NOBODY = 12_345


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A kept file of ours."""
    path = Path(kept_file({"HOME": str(tmp_path)}, "words", "ours"))
    keep(str(path), "key", ["value"])
    return path


def read(path: Path, key: str = "key") -> object:
    return read_kept(str(path), key)


def test_it_is_read_back_for_the_same_key_only(file: Path) -> None:
    assert ["value"] == read(file)
    assert read(file, "another") is None
    assert read(file.with_name("nothing")) is None


def test_it_lies_in_the_users_cache_private_and_alone(tmp_path: Path, file: Path) -> None:
    assert tmp_path / ".cache" / "cleanhours" == file.parent
    assert (0o700, 0o600) == (S_IMODE(file.parent.stat().st_mode), S_IMODE(file.stat().st_mode))
    assert [file] == list(file.parent.iterdir())


def test_the_cache_follows_xdg_unless_it_is_relative(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}

    assert "/elsewhere" == xdg_folder(home | {"XDG_CACHE_HOME": "/elsewhere"}, "XDG_CACHE_HOME", ".cache")
    assert f"{tmp_path}/.cache" == xdg_folder(home | {"XDG_CACHE_HOME": "here"}, "XDG_CACHE_HOME", ".cache")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_what_others_can_read_or_write_is_none(file: Path, mode: int) -> None:
    file.chmod(mode)

    assert read(file) is None


def test_a_link_is_none(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)

    assert read(link) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_another_is_none_and_nothing_is_left_with_him(tmp_path: Path, file: Path) -> None:
    os.chown(file, NOBODY, NOBODY)

    assert read(file) is None

    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    keep(kept_file({"HOME": str(home)}, "words", "his"), "key", ["value"])

    assert [] == list(home.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"key": "key"}', "\xff", "[" * 100_000])
def test_what_makes_no_sense_is_none_and_is_replaced(file: Path, text: str) -> None:
    file.write_text(text, encoding="latin-1")

    assert read(file) is None

    keep(str(file), "key", ["again"])

    assert ["again"] == read(file)


def test_a_folder_that_cannot_be_made_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / ".cache").write_text("in the way")
    path = kept_file({"HOME": str(tmp_path)}, "words", "ours")

    keep(path, "key", ["value"])

    assert read_kept(path, "key") is None


def test_who_has_no_home_leaves_nothing_where_he_happens_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    keep(kept_file({"HOME": "here"}, "words", "ours"), "key", ["value"])

    assert [] == list(tmp_path.iterdir())


def test_the_newest_are_kept(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    paths = [Path(kept_file(home, "words", str(number))) for number in range(NEWEST + 3)]
    for age, path in enumerate(paths):
        keep(str(path), "key", age)
        os.utime(path, (age, age))

    keep(str(paths[-1]), "key", "new")

    assert sorted(paths[3:]) == sorted(paths[0].parent.iterdir())
    assert "new" == json.loads(paths[-1].read_text())["value"]
