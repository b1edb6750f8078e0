"""A ledger that is only asked: nothing is created or changed, other programs' files are refused, damage is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from cleanhours.adapters.ledger import find_ledger, open_ledger, shown_url
from cleanhours.adapters.ledger.migrations import MIGRATIONS, migrate
from cleanhours.domain.accounts import Settled
from cleanhours.domain.errors import CleanhoursError, ConfigurationError, TemporaryError
from cleanhours.domain.jobs import JobKey
from cleanhours.testing.ledger_contract import START, a_beside, a_plan, an_entry
from cleanhours_plugins.clusters.local.queue import Queue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def written(path: Path) -> None:
    with closing(open_ledger(f"sqlite:///{path}")) as ledger:
        ledger.record(an_entry())
        ledger.record_plans([(JobKey("local", "1"), "train", a_plan())], START)


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_asking_leaves_the_folder_as_it_was(tmp_path: Path, path: Path) -> None:
    written(path)
    before = files(tmp_path)
    ledger = find_ledger(f"sqlite:///{path}")
    assert ledger is not None
    with closing(ledger):
        assert [an_entry()] == list(ledger.current())
        assert [] == list(ledger.forecast_errors())
        with pytest.raises(TemporaryError, match="readonly"):
            ledger.record(an_entry("2"))
    assert before == files(tmp_path)


def test_what_a_writer_has_just_recorded_is_seen(path: Path) -> None:
    with closing(open_ledger(f"sqlite:///{path}")) as writer:
        writer.record(an_entry())
        asked = find_ledger(f"sqlite:///{path}")
        assert asked is not None
        with closing(asked):
            writer.record(an_entry("2"))
            assert 2 == len(asked.current())


@pytest.mark.parametrize("kind", ["no folder", "no file", "empty file"])
def test_where_none_was_begun_there_is_none_and_none_is_made(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state" / "ledger.sqlite"
    if kind != "no folder":
        path.parent.mkdir()
    if kind == "empty file":
        path.touch()
    before = files(tmp_path)
    assert find_ledger(f"sqlite:///{path}") is None
    assert before == files(tmp_path)
    assert ("no folder" == kind) is not path.parent.exists()


@pytest.mark.parametrize("newest", [1, 2])
def test_a_ledger_of_an_older_release_answers_and_stays_as_old(path: Path, newest: int) -> None:
    written(path)
    old = path.with_name("old.sqlite")
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as connection:
        migrate(connection, MIGRATIONS[:newest])
    engine.dispose()
    with closing(sqlite3.connect(old)) as raw, raw:
        raw.execute("ATTACH ? AS new", (str(path),))
        raw.execute("INSERT INTO entries SELECT * FROM new.entries")
    ledger = find_ledger(f"sqlite:///{old}")
    assert ledger is not None
    with closing(ledger):
        assert [an_entry()] == list(ledger.current())
        assert [] == list(ledger.forecast_errors())
    with closing(sqlite3.connect(old)) as raw:
        assert (newest,) == raw.execute("SELECT max(version) FROM schema_versions").fetchone()


def test_a_newer_releases_ledger_is_not_asked(path: Path) -> None:
    written(path)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO schema_versions VALUES (999)")
    with pytest.raises(ConfigurationError, match="version 999"):
        find_ledger(f"sqlite:///{path}")


def _other(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE foo (a)")


def _other_with_versions(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE schema_versions (version)")


def _queue(path: Path) -> None:
    Queue(str(path.parent / "queue")).close()
    (made,) = (file for file in (path.parent / "queue").iterdir() if file.suffix == ".sqlite")
    made.rename(path)


@pytest.mark.parametrize("make", [_other, _other_with_versions, _queue])
@pytest.mark.parametrize("begin", [find_ledger, open_ledger])
def test_a_database_of_another_program_is_refused_and_untouched(
    tmp_path: Path, path: Path, make: Callable[[Path], None], begin: Callable[[str], object]
) -> None:
    make(path)
    before = files(tmp_path)
    with pytest.raises(ConfigurationError, match="found a database of another program") as refused:
        begin(f"sqlite:///{path}")
    assert str(path) in str(refused.value)
    assert before == files(tmp_path)


def test_what_is_no_file_of_ours_to_read_is_named(tmp_path: Path, path: Path) -> None:
    path.write_text("no database at all " * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        find_ledger(f"sqlite:///{path}")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        find_ledger(f"sqlite:///{tmp_path}")
    with pytest.raises(ConfigurationError, match="Not a directory"):
        find_ledger(f"sqlite:///{path}/ledger.sqlite")


@pytest.mark.parametrize(
    "detail",
    [
        "{",
        "{}",
        "[]",
        "null",
        "1",
        '"\\ud800"',
        "[" * 100_000,
        '{"run": {"key": 1}}',
        "é" * 9,
        "",
        "1" * 5000,
    ],
)
def test_a_damaged_row_is_named_with_its_run(path: Path, detail: str) -> None:
    written(path)
    with closing(sqlite3.connect(path)) as raw, raw:
        for table in ("entries", "plans"):
            raw.execute(f"DROP TRIGGER {table}_no_update")
        raw.execute("UPDATE entries SET detail = ?", (detail,))
        raw.execute("UPDATE plans SET plan = ?", (detail,))
    for begin in (find_ledger, open_ledger):
        ledger = begin(f"sqlite:///{path}")
        assert ledger is not None
        with closing(ledger):
            with pytest.raises(CleanhoursError, match=r"row 1 of entries \(local:1 attempt 1\) is damaged"):
                ledger.current()
            with pytest.raises(CleanhoursError, match=r"row 1 of plans \(local:1\) is damaged"):
                ledger.plans(JobKey("local", "1"))


@pytest.mark.parametrize(
    ("kept", "flipped"),
    [
        ('"emissions_ug":60', '"emissions_ug":"60"'),
        ('"emissions_ug":60', '"emissions_ug":62'),
        ('"delayed":40', '"delayed":41'),
        ('"delayed":40', '"delayed":40.0'),
        ('["rapl"],3600000,60,100]', '["rapl"],3600000,60,true]'),
        ('"emissions_ug":80', '"emissions_ug":"80"'),
        ('"labels":{}', '"labels":{"team":7}'),
        ('"labels":{}', '"labels":7'),
        ('"rapl"],3600000,60', '"rapl"],3600000,61'),
        ('"cpu",3600000,"measured"', '"cpu",3700000,"measured"'),
        ('"name":"train"', '"name":null'),
        ('"name":"train"', '"name":"tr\\udcff\xff"'),
    ],
)
def test_a_row_that_reads_well_and_cannot_be_an_account_is_damaged(
    path: Path, kept: str, flipped: str
) -> None:
    with closing(open_ledger(f"sqlite:///{path}")) as ledger:
        ledger.record(an_entry(beside=a_beside()))
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DROP TRIGGER entries_no_update")
        ((detail,),) = raw.execute("SELECT detail FROM entries").fetchall()
        assert detail.count(kept) == 1
        raw.execute(
            "UPDATE entries SET detail = CAST(? AS TEXT)", (detail.replace(kept, flipped).encode("latin-1"),)
        )
    refused = pytest.raises(ConfigurationError, match=r"row 1 of entries \(local:1 attempt 1\) is damaged")
    with closing(open_ledger(f"sqlite:///{path}")) as ledger, refused:
        ledger.current()


def test_what_is_damaged_hides_no_other_row_that_may_change(path: Path) -> None:
    young = [an_entry(uid, settled=Settled.PROVISIONAL) for uid in "123"]
    with closing(open_ledger(f"sqlite:///{path}")) as ledger:
        for entry in young:
            ledger.record(entry)
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute("DROP TRIGGER entries_no_update")
            raw.execute("UPDATE entries SET detail = '{' WHERE uid = '2'")
        damaged: list[CleanhoursError] = []
        assert [young[0], young[2]] == list(ledger.provisional(damaged.append))
        assert ["row 2 of entries (local:2 attempt 1)"] == [
            str(fault).split(": ", 1)[1].split(" is ")[0] for fault in damaged
        ]
        with pytest.raises(ConfigurationError, match="row 2 of entries"):
            ledger.provisional()


def test_an_address_is_shown_without_its_password() -> None:
    assert "postgresql://ada:***@host/db" == shown_url("postgresql://ada:geheim@host/db")
