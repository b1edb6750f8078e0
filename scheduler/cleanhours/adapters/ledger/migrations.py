"""Migrations: how the ledger's tables came to be, step by step, in order. A step that was released never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from cleanhours.domain.errors import ConfigurationError

_IDENTITY: Final = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}
_KEPT: Final = ("entries", "shares", "plans")
"""Tables whose rows are never changed and never go."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. `statements` are for both databases; `{identity}` is how each numbers its rows."""

    number: int
    statements: tuple[str, ...]
    append_only: tuple[str, ...] = ()


MIGRATIONS: Final[Sequence[Migration]] = (
    Migration(
        1,
        (
            """CREATE TABLE entries (
                id {identity}, cluster TEXT NOT NULL, uid TEXT NOT NULL, attempt INTEGER NOT NULL,
                revision INTEGER NOT NULL, supersedes BIGINT REFERENCES entries (id),
                namespace TEXT NOT NULL, name TEXT NOT NULL, location TEXT NOT NULL, state TEXT NOT NULL,
                settled TEXT NOT NULL, settled_us BIGINT NOT NULL, finished_us BIGINT NOT NULL,
                running_us BIGINT NOT NULL, deadline_kept BOOLEAN, coverage_ppm INTEGER NOT NULL,
                emissions_ug BIGINT, baseline_ug BIGINT,
                delayed_ug BIGINT NOT NULL, relocated_ug BIGINT NOT NULL, paused_ug BIGINT NOT NULL,
                scaled_ug BIGINT NOT NULL, capped_ug BIGINT NOT NULL,
                delayed_mj BIGINT NOT NULL, relocated_mj BIGINT NOT NULL, paused_mj BIGINT NOT NULL,
                scaled_mj BIGINT NOT NULL, capped_mj BIGINT NOT NULL,
                counts_energy BOOLEAN NOT NULL, counts_grams BOOLEAN NOT NULL, correction_ug BIGINT NOT NULL,
                digest TEXT NOT NULL, detail TEXT NOT NULL,
                UNIQUE (cluster, uid, attempt, revision), UNIQUE (supersedes)
            )""",
            "CREATE INDEX entries_finished ON entries (finished_us)",
            "CREATE INDEX entries_work ON entries (cluster, namespace, name, finished_us)",
            "CREATE INDEX entries_settled ON entries (settled, id)",
            """CREATE TABLE shares (
                entry_id BIGINT NOT NULL REFERENCES entries (id), method TEXT NOT NULL, meters TEXT NOT NULL,
                millijoules BIGINT NOT NULL, emissions_ug BIGINT NOT NULL, baseline_ug BIGINT NOT NULL,
                PRIMARY KEY (entry_id, method)
            )""",
            """CREATE TABLE plans (
                id {identity}, cluster TEXT NOT NULL, uid TEXT NOT NULL, name TEXT NOT NULL,
                made_us BIGINT NOT NULL, plan TEXT NOT NULL
            )""",
            "CREATE INDEX plans_job ON plans (cluster, uid, id)",
            """CREATE TABLE forecast_points (
                id {identity}, zone TEXT NOT NULL, provider TEXT NOT NULL, measure TEXT NOT NULL,
                lead_hours INTEGER NOT NULL, start_s BIGINT NOT NULL, end_s BIGINT NOT NULL,
                predicted_ug BIGINT NOT NULL,
                UNIQUE (zone, provider, measure, lead_hours, start_s)
            )""",
            "CREATE INDEX forecast_points_end ON forecast_points (end_s)",
            "CREATE TABLE forecast_actuals (point_id BIGINT PRIMARY KEY, actual_ug BIGINT NOT NULL)",
        ),
        append_only=_KEPT,
    ),
    Migration(
        2,
        (
            """CREATE TABLE besides (
                entry_id BIGINT PRIMARY KEY REFERENCES entries (id), settled TEXT NOT NULL,
                signal TEXT, scope TEXT, emissions_ug BIGINT, baseline_ug BIGINT
            )""",
            "CREATE INDEX besides_settled ON besides (settled, entry_id)",
        ),
        append_only=("besides",),
    ),
    Migration(
        3,
        (
            """CREATE TABLE waiting_runs (
                cluster TEXT NOT NULL, uid TEXT NOT NULL, attempt INTEGER NOT NULL,
                finished_us BIGINT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (cluster, uid, attempt)
            )""",
            "CREATE TABLE told_until (cluster TEXT PRIMARY KEY, until_us BIGINT NOT NULL)",
        ),
    ),
    Migration(
        4,
        (
            """CREATE TABLE namespaces (
                id {identity}, namespace TEXT NOT NULL, labelled BOOLEAN NOT NULL, UNIQUE (namespace)
            )""",
        ),
        append_only=("namespaces",),
    ),
)


def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Applies what is missing, inside the caller's transaction, which holds the writers' lock.

    Raises ConfigurationError for a ledger that a newer release wrote.
    """
    dialect = connection.dialect.name
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY)")
    found = check_version(connection, migrations)
    for migration in migrations:
        if migration.number <= found:
            continue
        for statement in migration.statements:
            connection.exec_driver_sql(statement.replace("{identity}", _IDENTITY[dialect]))
        for table in migration.append_only:
            _forbid_changes(connection, table)
        connection.exec_driver_sql(f"INSERT INTO schema_versions VALUES ({migration.number:d})")  # noqa: S608


def check_version(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """The version of the ledger's tables. Raises ConfigurationError for a ledger that a newer release wrote."""
    found: int = connection.exec_driver_sql(
        "SELECT COALESCE(MAX(version), 0) FROM schema_versions"
    ).scalar_one()
    newest = migrations[-1].number
    if found > newest:
        raise ConfigurationError(
            f"the ledger has schema version {found}, this release knows versions up to {newest}: "
            "use the newer release, or another [ledger] url"
        )
    return found


def _forbid_changes(connection: Connection, table: str) -> None:
    """The database itself refuses to change or delete what is kept for good."""
    if connection.dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    connection.exec_driver_sql(
        "CREATE OR REPLACE FUNCTION cleanhours_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME; END $$"
    )
    connection.exec_driver_sql(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION cleanhours_append_only()"
    )
