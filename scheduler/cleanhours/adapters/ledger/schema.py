"""Schema: the tables as the newest migration leaves them. Instants are whole microseconds or seconds since 1970, UTC."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, Table, Text

from cleanhours.domain.accounts import Cause

metadata: Final = MetaData()


def _amounts(suffix: str) -> list[Column[int]]:
    return [Column(f"{cause.value}_{suffix}", BigInteger, nullable=False) for cause in Cause]


entries: Final = Table(
    "entries",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("supersedes", BigInteger),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("settled", Text, nullable=False),
    Column("settled_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger, nullable=False),
    Column("running_us", BigInteger, nullable=False),
    Column("deadline_kept", Boolean),
    Column("coverage_ppm", Integer, nullable=False),
    Column("emissions_ug", BigInteger),
    Column("baseline_ug", BigInteger),
    *_amounts("ug"),
    *_amounts("mj"),
    Column("counts_energy", Boolean, nullable=False),
    Column("counts_grams", Boolean, nullable=False),
    Column("correction_ug", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

shares: Final = Table(
    "shares",
    metadata,
    Column("entry_id", BigInteger, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("meters", Text, nullable=False),
    Column("millijoules", BigInteger, nullable=False),
    Column("emissions_ug", BigInteger, nullable=False),
    Column("baseline_ug", BigInteger, nullable=False),
)

besides: Final = Table(
    "besides",
    metadata,
    Column("entry_id", BigInteger, primary_key=True),
    Column("settled", Text, nullable=False),
    Column("signal", Text),
    Column("scope", Text),
    Column("emissions_ug", BigInteger),
    Column("baseline_ug", BigInteger),
)
"""What an entry says in a second measure, as far as it is asked for by column; all of it is in the entry's detail."""

namespaces: Final = Table(
    "namespaces",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("labelled", Boolean, nullable=False),
)
"""Whether a settled namespace has a label of its own in metrics, in the order in which that was decided."""

plans: Final = Table(
    "plans",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Column("plan", Text, nullable=False),
)

waiting_runs: Final = Table(
    "waiting_runs",
    metadata,
    Column("cluster", Text, primary_key=True),
    Column("uid", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("finished_us", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
)
"""Runs that ended and have no row yet; they go when they have."""

told_until: Final = Table(
    "told_until",
    metadata,
    Column("cluster", Text, primary_key=True),
    Column("until_us", BigInteger, nullable=False),
)
"""Up to when each cluster told what finished there."""

forecast_points: Final = Table(
    "forecast_points",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("measure", Text, nullable=False),
    Column("lead_hours", Integer, nullable=False),
    Column("start_s", BigInteger, nullable=False),
    Column("end_s", BigInteger, nullable=False),
    Column("predicted_ug", BigInteger, nullable=False),
)

forecast_actuals: Final = Table(
    "forecast_actuals",
    metadata,
    Column("point_id", BigInteger, primary_key=True),
    Column("actual_ug", BigInteger, nullable=False),
)
