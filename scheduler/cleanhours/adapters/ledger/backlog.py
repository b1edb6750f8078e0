"""The backlog: runs that wait for their account, beside the ledger in its database, so that no restart loses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from cleanhours.adapters.ledger.database import BUSY_S, Database
from cleanhours.adapters.ledger.migrations import migrate
from cleanhours.adapters.ledger.records import (
    clean,
    profile_from_json,
    profile_to_json,
    run_from_json,
    run_to_json,
)
from cleanhours.adapters.ledger.schema import told_until, waiting_runs
from cleanhours.adapters.ledger.soundness import readable
from cleanhours.domain.accounts import Waiting
from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.jobs import RunKey
from cleanhours.domain.times import instant_at, microseconds


class SqlBacklog:
    """A `cleanhours.ports.Backlog` in SQLite or PostgreSQL, safe between threads and processes."""

    def __init__(self, url: str, *, busy_s: float = BUSY_S) -> None:
        self._database = Database(url, busy_s=busy_s)
        with self._database.writing() as connection:
            migrate(connection)

    def keep(
        self,
        waiting: Sequence[Waiting],
        *,
        done: Collection[RunKey] = (),
        told: Mapping[str, datetime] | None = None,
    ) -> None:
        with self._database.writing() as connection:
            for key in (*done, *(one.run.key for one in waiting)):
                _forget(connection, key)
            if waiting:
                connection.execute(insert(waiting_runs), [_row(one) for one in waiting])
            for cluster, until in (told or {}).items():
                name = clean(cluster)
                connection.execute(delete(told_until).where(told_until.c.cluster == name))
                connection.execute(insert(told_until), {"cluster": name, "until_us": microseconds(until)})

    def waiting(self, damaged: Callable[[CleanhoursError], None] | None = None) -> Sequence[Waiting]:
        of = waiting_runs.c
        query = select(of.cluster, of.uid, of.attempt, of.detail).order_by(of.finished_us, of.uid)
        with self._database.reading() as connection:
            rows = (
                (f"ledger {self._database.shown}: the waiting run {cluster}:{uid} attempt {attempt}", detail)
                for cluster, uid, attempt, detail in connection.execute(query)
            )
            return readable(rows, _read, damaged)

    def told(self) -> Mapping[str, datetime]:
        with self._database.reading() as connection:
            rows = connection.execute(select(told_until.c.cluster, told_until.c.until_us)).all()
        return {row.cluster: instant_at(row.until_us) for row in rows}

    def close(self) -> None:
        self._database.close()


def _forget(connection: Connection, key: RunKey) -> None:
    of = waiting_runs.c
    connection.execute(
        delete(waiting_runs).where(
            of.cluster == clean(key.cluster), of.uid == clean(key.uid), of.attempt == key.attempt
        )
    )


def _row(one: Waiting) -> dict[str, Any]:
    key = one.run.key
    profile = None if one.profile is None else profile_to_json(one.profile)
    detail = {"run": run_to_json(one.run), "profile": profile, "why": one.why}
    return {
        "cluster": clean(key.cluster),
        "uid": clean(key.uid),
        "attempt": key.attempt,
        "finished_us": microseconds(one.run.finished_at),
        "detail": json.dumps(detail, separators=(",", ":"), sort_keys=True),
    }


def _read(text: str) -> Waiting:
    data = json.loads(text)
    profile = None if data["profile"] is None else profile_from_json(data["profile"])
    return Waiting(run_from_json(data["run"]), profile, data["why"])
