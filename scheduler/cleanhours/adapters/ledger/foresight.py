"""Foresight: what forecasts said for 1, 6 and 24 hours ahead, kept until it can be compared with what was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from cleanhours.adapters.ledger.records import write_measure
from cleanhours.adapters.ledger.schema import forecast_actuals, forecast_points
from cleanhours.domain.accounts import ForecastError
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.times import epoch, instant_of

LEADS_H: Final = (1, 6, 24)
JUDGED: Final = timedelta(days=28)
KEPT: Final = timedelta(days=90)


def points_of(series: IntensitySeries, now: datetime) -> Iterator[dict[str, Any]]:
    """The intervals in force 1, 6 and 24 hours after `now`, as rows; a short series has fewer."""
    for lead in LEADS_H:
        target = epoch(now) + lead * 3600
        index = int(np.searchsorted(series.borders, target, side="right")) - 1
        if 0 <= index < len(series):
            yield {
                "zone": series.zone,
                "provider": series.provider,
                "measure": write_measure(series.measure),
                "lead_hours": lead,
                "start_s": int(series.borders[index]),
                "end_s": int(series.borders[index + 1]),
                "predicted_ug": int(series.micrograms[index]),
            }


def keep(connection: Connection, series: IntensitySeries, now: datetime) -> None:
    """Keeps the first word said about each interval at each lead; forgets what is older than 90 days."""
    rows = list(points_of(series, now))
    if rows:
        _insert_new(connection, forecast_points, rows)
    oldest = select(forecast_points.c.id).where(forecast_points.c.end_s < epoch(now - KEPT))
    connection.execute(delete(forecast_actuals).where(forecast_actuals.c.point_id.in_(oldest)))
    connection.execute(delete(forecast_points).where(forecast_points.c.end_s < epoch(now - KEPT)))


def compare(connection: Connection, series: IntensitySeries) -> None:
    """Keeps the mean actual of every forecast interval that the series covers; estimates judge nobody."""
    points, actuals = forecast_points.c, forecast_actuals.c
    query = (
        select(points.id, points.start_s, points.end_s)
        .outerjoin(forecast_actuals, actuals.point_id == points.id)
        .where(
            actuals.point_id.is_(None),
            points.zone == series.zone,
            points.measure == write_measure(series.measure),
            points.start_s >= int(series.borders[0]),
            points.end_s <= int(series.borders[-1]),
        )
    )
    rows = [
        {"point_id": point, "actual_ug": series.integral_between(start, end) // (end - start)}
        for point, start, end in connection.execute(query)
        if series.worst_kind(instant_of(start), instant_of(end)) is Kind.ACTUAL
    ]
    if rows:
        _insert_new(connection, forecast_actuals, rows)


def errors(connection: Connection) -> list[ForecastError]:
    """Over the 28 days before the newest comparison. Where nothing was emitted there is no ratio."""
    points, actuals = forecast_points.c, forecast_actuals.c
    judged = forecast_points.join(forecast_actuals, actuals.point_id == points.id)
    newest = connection.execute(select(func.max(points.end_s)).select_from(judged)).scalar_one()
    if newest is None:
        return []
    query = (
        select(
            points.zone,
            points.provider,
            points.lead_hours,
            func.sum(func.abs(points.predicted_ug - actuals.actual_ug)),
            func.sum(actuals.actual_ug),
            func.count(),
        )
        .select_from(judged)
        .where(points.end_s > newest - int(JUDGED.total_seconds()))
        .group_by(points.zone, points.provider, points.lead_hours)
        .order_by(points.zone, points.provider, points.lead_hours)
    )
    return [
        ForecastError(zone, provider, lead, int(wrong) / int(actual), count)
        for zone, provider, lead, wrong, actual, count in connection.execute(query)
        if actual
    ]


def _insert_new(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    connection.execute(insert(table).on_conflict_do_nothing(), rows)
