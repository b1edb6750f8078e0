"""Asking a dashboard's query as Grafana does: at one instant, or over the range of time that is looked at."""

from __future__ import annotations

from typing import Any, Final

from tests.dashboards import Query
from tests.integration.prometheus.server import Prometheus

RANGE_S, STEP_S = 24 * 3600, 240
ALL: Final = dict.fromkeys(("cluster", "namespace", "location", "zone"), ".*")
"""What stands for `All` in each variable."""


def answer(prometheus: Prometheus, query: Query, filling: dict[str, str]) -> list[dict[str, Any]]:
    """Series with their values, [time, text], oldest first."""
    expression = query.filled(filling)
    if query.instant:
        found = prometheus.ask(expression)
        return [{"metric": one["metric"], "values": [one["value"]]} for one in found]
    now = prometheus.number("vector(time())")
    return prometheus.ask_range(expression, now - RANGE_S, now, STEP_S)


def last(series: dict[str, Any]) -> float:
    return float(series["values"][-1][1])


def shown(found: list[dict[str, Any]]) -> dict[frozenset[tuple[str, str]], float]:
    """The newest value of each series."""
    return {frozenset(series["metric"].items()): last(series) for series in found}
