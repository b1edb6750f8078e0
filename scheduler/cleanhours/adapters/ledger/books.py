"""The books: every settlement a row, never changed; a later one supersedes and is counted once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import exists, insert, or_, select, tuple_

from cleanhours.adapters.ledger import foresight, labelling, recalling
from cleanhours.adapters.ledger.columns import row_beside, row_of, shares_of, standing
from cleanhours.adapters.ledger.database import BUSY_S, Database
from cleanhours.adapters.ledger.migrations import check_version, migrate
from cleanhours.adapters.ledger.records import clean, decode, digest_of, read_plan
from cleanhours.adapters.ledger.schema import besides, entries, plans, shares
from cleanhours.adapters.ledger.soundness import read_sound_entry, readable
from cleanhours.adapters.ledger.totalling import Tally
from cleanhours.domain.accounts import Entry, ForecastError, Settled, Totals
from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import JobKey, RunKey
from cleanhours.domain.plans import Plan
from cleanhours.domain.times import instant_at, microseconds

_CHUNK: Final = 300
"""Keys asked for at once: SQLite takes 32,766 parameters in one statement, old ones 999."""


class SqlLedger:
    """A `cleanhours.ports.Ledger` in SQLite or PostgreSQL; safe to share between threads and between processes.

    Every method raises TemporaryError where the database is locked, full, broken off or away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tally = Tally()
        self._tallying = threading.Lock()
        self._labelled: dict[str, bool] = {}

    def record(self, entry: Entry) -> bool:
        digest = digest_of(entry)
        with self._database.writing() as connection:
            query = select(
                entries.c.id,
                entries.c.revision,
                entries.c.digest,
                entries.c.emissions_ug,
                entries.c.counts_energy,
                entries.c.counts_grams,
            ).where(*_of(entry.key))
            earlier = connection.execute(query.order_by(entries.c.revision.desc())).all()
            if earlier and earlier[0].digest == digest:
                return False
            row = row_of(entry) | standing(entry, earlier) | {"digest": digest}
            added = connection.execute(insert(entries).returning(entries.c.id), row).scalar_one()
            parts = shares_of(entry, added)
            if parts:
                connection.execute(insert(shares), parts)
            if entry.beside is not None:
                connection.execute(insert(besides), row_beside(entry.beside, added))
        return True

    def current(
        self, since: datetime | None = None, until: datetime | None = None, *, as_of: datetime | None = None
    ) -> Sequence[Entry]:
        bounds = []
        if since is not None:
            bounds.append(entries.c.finished_us >= microseconds(since))
        if until is not None:
            bounds.append(entries.c.finished_us < microseconds(until))
        return self._in_force(*bounds, as_of=as_of)

    def provisional(self, damaged: Callable[[CleanhoursError], None] | None = None) -> Sequence[Entry]:
        may_change = Settled.PROVISIONAL.value
        beside = select(besides.c.entry_id).where(besides.c.settled == may_change)
        return self._in_force(or_(entries.c.settled == may_change, entries.c.id.in_(beside)), damaged=damaged)

    def known(self, keys: Sequence[RunKey]) -> frozenset[RunKey]:
        found: set[RunKey] = set()
        columns = tuple_(entries.c.cluster, entries.c.uid, entries.c.attempt)
        by_stored = {(clean(key.cluster), clean(key.uid), key.attempt): key for key in keys}
        stored = list(by_stored)
        with self._database.reading() as connection:
            for first in range(0, len(stored), _CHUNK):
                query = select(entries.c.cluster, entries.c.uid, entries.c.attempt).where(
                    entries.c.revision == 1, columns.in_(stored[first : first + _CHUNK])
                )
                found.update(
                    by_stored[row.cluster, row.uid, row.attempt] for row in connection.execute(query)
                )
        return frozenset(found)

    def totals(self) -> Totals:
        with self._tallying, self._database.reading() as connection:
            self._tally.catch_up(connection)
            return self._tally.totals()

    def label_namespaces(self, most: int) -> Sequence[str]:
        with self._tallying:
            with self._database.reading() as connection:
                self._tally.catch_up(connection)
            settled = self._tally.namespaces()
            if not self._labelled.keys() >= set(settled):
                with self._database.writing() as connection:
                    self._labelled = labelling.decide(connection, settled, most)
            return [namespace for namespace, own in self._labelled.items() if own]

    def record_plans(self, changed: Sequence[tuple[JobKey, str, Plan]], now: datetime) -> None:
        rows = [
            {
                "cluster": clean(key.cluster),
                "uid": clean(key.uid),
                "name": clean(name),
                "made_us": microseconds(now),
                "plan": json.dumps(plan.to_json(), separators=(",", ":")),
            }
            for key, name, plan in changed
        ]
        if rows:
            with self._database.writing() as connection:
                connection.execute(insert(plans), rows)

    def plans(self, key: JobKey) -> Sequence[tuple[datetime, Plan]]:
        query = select(plans.c.id, plans.c.made_us, plans.c.plan).where(
            plans.c.cluster == clean(key.cluster), plans.c.uid == clean(key.uid)
        )
        with self._database.reading() as connection:
            return [
                (instant_at(row.made_us), decode(read_plan, row.plan, self._named("plans", row.id, key)))
                for row in connection.execute(query.order_by(plans.c.id))
            ]

    def remembered(self, cluster: str, namespace: str, names: Collection[str]) -> frozenset[str]:
        stored = {name: clean(name) for name in names}
        with self._database.reading() as connection:
            known = {*stored.values()}
            found = recalling.remembered(connection, clean(cluster), clean(namespace), known)
        return frozenset(name for name, clean in stored.items() if clean in found)

    def durations(self, cluster: str, namespace: str, name: str) -> Sequence[timedelta]:
        with self._database.reading() as connection:
            return recalling.durations(connection, clean(cluster), clean(namespace), clean(name))

    def powers(self, cluster: str, namespace: str, name: str) -> Sequence[float]:
        with self._database.reading() as connection:
            return recalling.powers(connection, clean(cluster), clean(namespace), clean(name))

    def record_forecast(self, series: IntensitySeries, now: datetime) -> None:
        with self._database.writing() as connection:
            foresight.keep(connection, series, now)

    def record_actual(self, series: IntensitySeries) -> None:
        with self._database.writing() as connection:
            foresight.compare(connection, series)

    def forecast_errors(self) -> Sequence[ForecastError]:
        with self._database.reading() as connection:
            return foresight.errors(connection)

    def close(self) -> None:
        self._database.close()

    def _in_force(
        self,
        *bounds: Any,
        as_of: datetime | None = None,
        damaged: Callable[[CleanhoursError], None] | None = None,
    ) -> list[Entry]:
        later = entries.alias("later")
        superseded: tuple[Any, ...] = (later.c.supersedes == entries.c.id,)
        if as_of is not None:
            # by revision, not by link: where a clock was set back, a revision may be settled before the one it supersedes
            then = microseconds(as_of)
            same = (later.c[name] == entries.c[name] for name in ("cluster", "uid", "attempt"))
            superseded = (*same, later.c.revision > entries.c.revision, later.c.settled_us <= then)
            bounds = (*bounds, entries.c.settled_us <= then)
        query = (
            select(entries.c.id, entries.c.cluster, entries.c.uid, entries.c.attempt, entries.c.detail)
            .where(*bounds, ~exists().where(*superseded))
            .order_by(entries.c.finished_us, entries.c.id)
        )
        with self._database.reading() as connection:
            rows = (
                (self._named("entries", number, RunKey(cluster, uid, attempt)), detail)
                for number, cluster, uid, attempt, detail in connection.execute(query)
            )
            return readable(rows, read_sound_entry, damaged)

    def _named(self, table: str, number: int, key: JobKey | RunKey) -> str:
        """A row, for whoever has to mend it."""
        attempt = f" attempt {key.attempt}" if isinstance(key, RunKey) else ""
        return f"ledger {self._database.shown}: row {number} of {table} ({key.cluster}:{key.uid}{attempt})"


def open_ledger(url: str, *, busy_s: float = BUSY_S) -> SqlLedger:
    """The ledger at `url` (`sqlite:////path` or `postgresql://…`), its tables brought up to date.

    A SQLite file is created private to its user. Raises ConfigurationError or TemporaryError.
    """
    database = Database(url, busy_s=busy_s)
    with database.writing() as connection:
        migrate(connection)
    return SqlLedger(database)


def find_ledger(url: str, *, busy_s: float = BUSY_S) -> SqlLedger | None:
    """The ledger at `url` for questions alone, None where none was begun: nothing is created, changed or migrated.

    Rows and what became of forecasts can be asked of every version of the tables. Raises as `open_ledger`.
    """
    database = Database(url, busy_s=busy_s, asked=True)
    if not database.begun():
        database.close()
        return None
    with database.reading() as connection:
        check_version(connection)
    return SqlLedger(database)


def _of(key: RunKey) -> tuple[Any, ...]:
    return (
        entries.c.cluster == clean(key.cluster),
        entries.c.uid == clean(key.uid),
        entries.c.attempt == key.attempt,
    )
