"""Every backlog keeps the promises of its port: the fake, SQLite and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from cleanhours.adapters.ledger import open_ledger
from cleanhours.adapters.ledger.backlog import SqlBacklog
from cleanhours.ports import Backlog
from cleanhours.testing.backlogs import BacklogContract, FakeBacklog, a_waiting_run
from tests.postgres import Postgres, postgres_server

__all__ = ["postgres_server"]


class TestFake(BacklogContract):
    @pytest.fixture
    def opened(self) -> Callable[[], Backlog]:
        backlog = FakeBacklog()
        return lambda: backlog


@pytest.fixture
def doors() -> Iterator[Callable[[str], SqlBacklog]]:
    """Opens backlogs, and closes them all in the end."""
    found: list[SqlBacklog] = []

    def open_one(url: str) -> SqlBacklog:
        found.append(SqlBacklog(url))
        return found[-1]

    yield open_one
    for one in found:
        one.close()


class TestSqlite(BacklogContract):
    @pytest.fixture
    def opened(self, tmp_path: Path, doors: Callable[[str], SqlBacklog]) -> Callable[[], Backlog]:
        return lambda: doors(f"sqlite:///{quote(str(tmp_path / 'ledger.sqlite'))}")


@pytest.mark.integration
class TestPostgres(BacklogContract):
    @pytest.fixture
    def opened(self, postgres_server: Postgres, doors: Callable[[str], SqlBacklog]) -> Callable[[], Backlog]:
        url = postgres_server.new_database()
        return lambda: doors(url)


def test_it_lives_beside_the_ledger(tmp_path: Path, doors: Callable[[str], SqlBacklog]) -> None:
    url = f"sqlite:///{quote(str(tmp_path / 'ledger.sqlite'))}"
    ledger = open_ledger(url)
    doors(url).keep([a_waiting_run("a")])

    assert [] == list(ledger.current())
    assert ["a"] == [one.run.key.uid for one in doors(url).waiting()]
    ledger.close()
