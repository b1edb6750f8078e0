"""The database under the ledger: one place that connects, locks out other writers, and names what went wrong."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from cleanhours.domain.errors import ConfigurationError, TemporaryError

BUSY_S: Final = 5.0
"""How long a writer waits for another one before the next tick is asked to do it."""

RETRY: Final = timedelta(seconds=15)
MARK: Final = "schema_versions"
_OURS: Final = frozenset({MARK, "entries"})
"""Made in one transaction: a SQLite file has both, or no table at all, or it is not ours."""
_TABLES: Final = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
)
_LOCK: Final = 0x636C65616E  # "clean": the advisory lock of PostgreSQL that our writers share
_ACCEPTED: Final = "sqlite:////path/of/a/file, or postgresql://user:password@host/database"


class Database:
    """Transactions on one ledger. A writer holds the only writers' lock from its first statement to its commit.

    SQLite runs in WAL mode with synchronous=FULL: a settlement that was reported is on the disk. Where it is only
    `asked`, nothing is created and nothing can be written. Raises ConfigurationError for a URL that cannot work and for a
    SQLite file of another program, TemporaryError for whatever waiting may cure.
    """

    def __init__(self, url: str, *, busy_s: float = BUSY_S, asked: bool = False) -> None:
        self._busy_s = busy_s
        self._asked = asked
        self._url = _parse(url)
        self.shown = self._url.render_as_string(hide_password=True)
        self._engine = self._connectable()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view; changes nothing."""
        with self._naming_trouble(), self._engine.connect() as connection:
            yield connection
            connection.rollback()

    def begun(self) -> bool:
        """Whether a ledger is there."""
        if self._url.get_backend_name() == "sqlite" and not _is_there(
            Path(str(self._url.database)), self.shown
        ):
            return False
        with self.reading() as connection:
            return inspect(connection).has_table(MARK)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All or nothing, alone."""
        with (
            self._naming_trouble(),
            self._engine.connect().execution_options(writing=True) as connection,
            connection.begin(),
        ):
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK:d})")
            yield connection

    def close(self) -> None:
        """Closes every connection; idempotent."""
        self._engine.dispose()

    @contextmanager
    def _naming_trouble(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, IntegrityError) as error:
            raise TemporaryError(f"ledger {self.shown}: {_cause(error)}", delay=RETRY) from None
        except DatabaseError as error:
            raise ConfigurationError(f"ledger {self.shown}: {_cause(error)}") from None
        except SQLAlchemyError as error:
            raise TemporaryError(f"ledger {self.shown}: {_cause(error)}", delay=RETRY) from None

    def _connectable(self) -> Engine:
        if self._url.get_backend_name() == "sqlite":
            if not self._asked:
                _create_private(Path(str(self._url.database)), self.shown)
            engine = create_engine(self._url, connect_args={"timeout": self._busy_s})
            event.listen(engine, "connect", self._prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        only_asked = " -c default_transaction_read_only=on" if self._asked else ""
        try:
            return create_engine(
                self._url.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                connect_args={
                    "connect_timeout": max(1, round(self._busy_s)),
                    "options": f"-c lock_timeout={round(self._busy_s * 1000)} -c timezone=UTC{only_asked}",
                },
            )
        except ImportError:
            raise ConfigurationError(
                f"ledger {self.shown}: PostgreSQL needs psycopg: pip install 'cleanhours[postgresql]'"
            ) from None

    def _prepare_sqlite(self, raw: Any, _record: object) -> None:
        raw.isolation_level = None  # transactions begin where we say
        # else one row that is no UTF-8 any more would keep every other one from being read
        raw.text_factory = _text
        # a new file is not looked into: SQLite lets nobody wait for WAL mode while another one reads
        path = Path(str(self._url.database))
        if path.exists() and path.stat().st_size:
            self._refuse_others(raw)
        if self._asked:
            # not mode=ro: such a connection leaves the files of WAL mode behind
            raw.execute("PRAGMA query_only=ON")
        else:
            raw.execute("PRAGMA journal_mode=WAL")
            raw.execute("PRAGMA synchronous=FULL")
            raw.execute("PRAGMA foreign_keys=ON")
        raw.execute(
            "PRAGMA cache_size=-512"
        )  # KiB, of each connection in the pool: what is read again is in the system's own

    def _refuse_others(self, raw: Any) -> None:
        tables = {name for (name,) in raw.execute(_TABLES)}
        if tables and not tables >= _OURS:
            known = ", ".join(sorted(tables)[:5])
            raise ConfigurationError(
                f"ledger {self.shown}: found a database of another program (its tables: {known}), accepted: a ledger, "
                "or a file that is not there yet"
            )


def shown_url(url: str) -> str:
    """Where a ledger is, without a password. Raises ConfigurationError."""
    return _parse(url).render_as_string(hide_password=True)


def _text(stored: bytes) -> str:
    """We write UTF-8 alone; what is damaged comes as text that no reader takes for ours."""
    return stored.decode("utf-8", "backslashreplace")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):  # SQLAlchemy's own words would repeat a password
        raise ConfigurationError(f"[ledger] url is no database address, accepted: {_ACCEPTED}") from None
    usable = backend == "postgresql" or (
        backend == "sqlite" and parsed.database not in (None, "", ":memory:")
    )
    if not usable:
        found = parsed.render_as_string(hide_password=True)
        raise ConfigurationError(f"[ledger] url: found {found!r}, accepted: {_ACCEPTED}")
    return parsed


def _create_private(path: Path, shown: str) -> None:
    """Only its user reads the ledger; SQLite gives its -wal and -shm files the same rights."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            _check_rights(path, os.R_OK | os.W_OK)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EMFILE}:
            raise TemporaryError(f"ledger {shown}: {error.strerror}", delay=RETRY) from None
        raise ConfigurationError(f"ledger {shown}: cannot be opened: {error.strerror or error}") from None


def _is_there(path: Path, shown: str) -> bool:
    try:
        path.stat()
        _check_rights(path, os.R_OK)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigurationError(f"ledger {shown}: cannot be opened: {error.strerror or error}") from None
    return True


def _check_rights(path: Path, rights: int) -> None:
    """Without opening it: to close a file of SQLite's lets go the locks of every connection that this process has to it.

    Another process then takes itself for the last one, and throws away the log that we still write to.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, rights, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _cause(error: SQLAlchemyError) -> str:
    """What the database said, on one line, without the statement and its values."""
    original = getattr(error, "orig", None)
    return " ".join(str(original if original is not None else error).split())[:300]
