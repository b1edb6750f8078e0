"""Every ledger keeps the promises of its port: the fake, SQLite and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from cleanhours.adapters.ledger import SqlLedger, find_ledger, open_ledger
from cleanhours.domain.errors import CleanhoursError, TemporaryError
from cleanhours.ports import Ledger
from cleanhours.testing.ledger_contract import LedgerContract, an_entry
from cleanhours.testing.ledgers import FakeLedger, Pages
from tests.postgres import Postgres, postgres_server

__all__ = ["postgres_server"]


class TestFake(LedgerContract):
    @pytest.fixture
    def opened(self) -> Callable[[], Ledger]:
        pages = Pages()
        return lambda: FakeLedger(pages)


class Opener:
    """Opens ledgers, and closes them all in the end: an open connection is a warning, and warnings are errors."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ledgers: list[SqlLedger] = []

    def __call__(self) -> Ledger:
        self.ledgers.append(open_ledger(self.url))
        return self.ledgers[-1]

    def close(self) -> None:
        for ledger in self.ledgers:
            ledger.close()


class TestSqlite(LedgerContract):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Opener]:
        opener = Opener(f"sqlite:///{quote(str(tmp_path / 'ledger.sqlite'))}")
        yield opener
        opener.close()


@pytest.mark.integration
class TestPostgres(LedgerContract):
    @pytest.fixture
    def opened(self, postgres_server: Postgres) -> Iterator[Opener]:
        opener = Opener(postgres_server.new_database())
        yield opener
        opener.close()

    @pytest.mark.parametrize(
        "act", ["UPDATE entries SET namespace = 'x'", "DELETE FROM shares", "TRUNCATE plans"]
    )
    def test_the_server_itself_refuses_to_change_what_was_written(self, opened: Opener, act: str) -> None:
        psycopg = pytest.importorskip("psycopg")
        opened().record(an_entry())
        with psycopg.connect(opened.url) as raw, pytest.raises(psycopg.DatabaseError, match="is append-only"):
            raw.execute(act)

    def test_only_asking_makes_no_table_and_writes_no_row(self, postgres_server: Postgres) -> None:
        psycopg = pytest.importorskip("psycopg")
        url = postgres_server.new_database()
        assert find_ledger(url) is None
        with psycopg.connect(url) as raw:
            tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
            assert (0,) == raw.execute(tables).fetchone()
        with closing(open_ledger(url)) as ledger:
            ledger.record(an_entry())
        asked = find_ledger(url)
        assert asked is not None
        with closing(asked):
            assert [an_entry()] == list(asked.current())
            with pytest.raises(CleanhoursError, match="read-only"):
                asked.record(an_entry("2"))

    def test_a_server_that_stops_is_a_matter_of_time(self, postgres_server: Postgres, opened: Opener) -> None:
        ledger = opened()
        ledger.record(an_entry("1"))
        postgres_server.stop()
        try:
            with pytest.raises(TemporaryError):
                ledger.record(an_entry("2"))
        finally:
            postgres_server.start()
        assert ledger.record(an_entry("2"))
        assert 2 == len(ledger.current())
