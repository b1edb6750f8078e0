"""The ledger's file: private, append-only, brought up to date, and whole after whatever happens to its writers."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from cleanhours.adapters.ledger import SqlLedger, open_ledger
from cleanhours.adapters.ledger.backlog import SqlBacklog
from cleanhours.adapters.ledger.migrations import MIGRATIONS, migrate
from cleanhours.adapters.ledger.records import read_entry, write_entry
from cleanhours.domain.accounts import Settled
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.domain.jobs import JobKey
from cleanhours.testing.backlogs import a_waiting_run
from cleanhours.testing.ledger_contract import a_beside, a_plan, an_entry
from cleanhours.testing.ledgers import FakeLedger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqlLedger]:
    ledger = open_ledger(f"sqlite:///{path}", busy_s=0.05)
    yield ledger
    ledger.close()


def test_the_file_is_private_to_its_user(ledger: SqlLedger, path: Path) -> None:
    ledger.record(an_entry())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert {0o600} == set(modes.values()), modes
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


@pytest.mark.parametrize("table", ["entries", "shares", "plans", "besides", "namespaces"])
@pytest.mark.parametrize("act", ["UPDATE {} SET rowid = rowid", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_what_was_written(
    ledger: SqlLedger, path: Path, table: str, act: str
) -> None:
    entry = an_entry(beside=a_beside())
    ledger.record(entry)
    ledger.record_plans([(JobKey("local", "1"), "train", a_plan())], entry.settled_at)
    ledger.label_namespaces(1)
    with closing(sqlite3.connect(path)) as raw, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(act.format(table))


def test_a_locked_database_is_a_matter_of_time(ledger: SqlLedger, path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(TemporaryError, match="locked"):
            ledger.record(an_entry())
        assert 0 == len(ledger.current())  # reading goes on
        raw.rollback()
    assert ledger.record(an_entry())


FULL_DISK = """
import resource, sys
from cleanhours.adapters.ledger import open_ledger
from cleanhours.domain.errors import TemporaryError
from cleanhours.testing.ledger_contract import an_entry
ledger = open_ledger(sys.argv[1])
soft = 200_000
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))
written = 0
try:
    for n in range(2000):
        ledger.record(an_entry(str(n)))
        written += 1
except TemporaryError as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert ledger.record(an_entry("after"))
print(written, len(ledger.current()))
"""


def test_a_full_disk_is_a_matter_of_time_and_loses_nothing(path: Path) -> None:
    """A limit on the size of files stands in for the disk: SQLite sees the same failing writes."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, f"sqlite:///{path}"], capture_output=True, text=True, check=True
    )
    error, numbers = done.stdout.splitlines()
    written, kept = map(int, numbers.split())
    assert "TemporaryError" == error
    assert 0 < written < 2000
    assert written + 1 == kept


WRITER = """
import sys
from cleanhours.adapters.ledger import open_ledger
from cleanhours.testing.ledger_contract import an_entry
ledger = open_ledger(sys.argv[1])
for n in range(100_000):
    ledger.record(an_entry(str(n)))
    print(n, flush=True)
"""


def test_kill_9_neither_loses_nor_doubles_a_run(path: Path) -> None:
    url = f"sqlite:///{path}"
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        reported = [int(next(writer.stdout)) for _ in range(30)]
        writer.send_signal(signal.SIGKILL)
        reported += [int(line) for line in writer.stdout if line.endswith("\n")]
    with closing(open_ledger(url)) as ledger:
        kept = {entry.key.uid for entry in ledger.current()}
        assert {str(n) for n in reported} <= kept
        expected = FakeLedger()
        for n in range(len(kept) + 5):
            assert (str(n) not in kept) is ledger.record(an_entry(str(n)))
            expected.record(an_entry(str(n)))
        assert expected.totals() == ledger.totals()


def test_two_writers_record_each_run_once(path: Path) -> None:
    url = f"sqlite:///{path}"
    with closing(open_ledger(url)) as one, closing(open_ledger(url)) as other, ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda n: (one, other)[n % 2].record(an_entry(str(n // 4))), range(80)))
        assert 20 == sum(outcomes)
        assert 20 == len(one.current())
        assert one.totals() == other.totals()


def test_a_file_that_is_no_database_is_an_operators_matter(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_text("these are not the bytes of a database, however long the text may be " * 20)
    with pytest.raises(ConfigurationError, match="not a database"):
        open_ledger(f"sqlite:///{file}")


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "mysql://u:geheim@h/d", "oracle9://u:geheim@h/d"]
)
def test_an_address_that_cannot_work_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="accepted: sqlite") as caught:
        open_ledger(url)
    assert "geheim" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file/ledger\.sqlite"):
        open_ledger(f"sqlite:///{tmp_path}/file/ledger.sqlite")


def test_a_server_that_is_away_is_a_matter_of_time(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(TemporaryError) as caught:
        open_ledger(f"postgresql://ada:geheim@/x?host={tmp_path}", busy_s=1)
    assert "geheim" not in str(caught.value)


def test_a_newer_releases_ledger_is_left_alone(ledger: SqlLedger, path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO schema_versions VALUES (999)")
    with pytest.raises(ConfigurationError, match="version 999"):
        open_ledger(f"sqlite:///{path}")


def test_opening_again_migrates_once(ledger: SqlLedger, path: Path) -> None:
    open_ledger(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as raw:
        assert [(one.number,) for one in MIGRATIONS] == raw.execute(
            "SELECT version FROM schema_versions"
        ).fetchall()


def test_a_ledger_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrate(connection, MIGRATIONS[:1])
    engine.dispose()
    ledger = open_ledger(f"sqlite:///{path}")
    assert ledger.record(an_entry(beside=a_beside()))
    assert [a_beside()] == [entry.beside for entry in ledger.current()]
    ledger.close()


def test_rows_are_plain_numbers_and_json(ledger: SqlLedger, path: Path) -> None:
    ledger.record(an_entry())
    with closing(sqlite3.connect(path)) as raw:
        emissions, detail = raw.execute("SELECT emissions_ug, detail FROM entries").fetchone()
    assert 60 == emissions
    assert "GB" == json.loads(detail)["intensity"][0][0]


STEPS = st.lists(
    st.tuples(
        st.sampled_from("123"),
        st.sampled_from(Settled),
        st.integers(-50, 90),
        st.sampled_from(["ada", "bob"]),
    ),
    max_size=12,
)


@settings(max_examples=25)
@given(STEPS)
def test_whatever_is_recorded_sums_as_the_simplest_ledger_sums(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Settled, int, str]]
) -> None:
    file = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    fake = FakeLedger()
    with closing(open_ledger(f"sqlite:///{file}")) as real:
        for uid, settled, avoided, namespace in steps:
            entry = an_entry(uid, settled=settled, avoided=avoided, namespace=namespace + uid)
            assert entry == read_entry(write_entry(entry))
            assert fake.record(entry) is real.record(entry)
            assert fake.totals() == real.totals()


def test_what_another_process_asks_meanwhile_loses_no_row(path: Path) -> None:
    """SQLite's locks are the process's: whoever opens and closes the file besides lets them go, and the log is thrown away."""
    url = f"sqlite:///{path}"
    counts = (
        "import sys; from cleanhours.adapters.ledger import find_ledger; "
        "ledger = find_ledger(sys.argv[1]); print(len(ledger.current())); ledger.close()"
    )

    def seen_by_another() -> int:
        done = subprocess.run([sys.executable, "-c", counts, url], capture_output=True, text=True, check=True)
        return int(done.stdout)

    with closing(open_ledger(url)) as ledger, closing(SqlBacklog(url)) as backlog:
        ledger.record(an_entry("1"))
        assert 1 == seen_by_another()
        backlog.keep([a_waiting_run("2")])
        ledger.record(an_entry("2"))
        assert 2 == seen_by_another()
    with closing(open_ledger(url)) as ledger, closing(SqlBacklog(url)) as backlog:
        assert [2, 1] == [len(ledger.current()), len(backlog.waiting())]
