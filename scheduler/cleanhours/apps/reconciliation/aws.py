"""AWS Data Exports, table CARBON_EMISSIONS, as CSV: a row for each month, account, product and region, metric tonnes.

Columns: https://docs.aws.amazon.com/cur/latest/userguide/carbon-emissions-columns.html. Scope 3 came later: read where there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from cleanhours.apps.reconciliation.figures import UG_PER_TONNE, Amounts, Faults, Figure, amount_ug

NEEDED: Final = (
    "usage_period_start", "usage_period_end", "usage_account_id", "product_code", "region_code", "model_version",
    "total_lbm_emissions_value", "total_lbm_emissions_unit", "total_mbm_emissions_value", "total_mbm_emissions_unit",
)  # fmt: skip
REFRESHED: Final = "last_refresh_timestamp"
"""When a row was written, not what it says: in two exports put together, the same row has two of them."""
_SCOPE3: Final = "total_scope_3_lbm_emissions"
_UNIT: Final = "MTCO2E"
_INSTANT: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ]00:00:00(?:\.0+)?)?(?:Z| ?UTC|\+00:00)?", re.ASCII
)


def figures(rows: Sequence[tuple[str, Mapping[str, str]]], faults: Faults) -> Iterator[Figure]:
    """The rows of a file by their names; every fault is collected."""
    for where, row in rows:
        month = _month(row, where, faults)
        amounts = Amounts(
            location_ug=_amount(row, "total_lbm_emissions", where, faults),
            market_ug=_amount(row, "total_mbm_emissions", where, faults),
            scope3_ug=_amount(row, _SCOPE3, where, faults) if f"{_SCOPE3}_value" in row else None,
        )
        scope = (row["usage_account_id"], row["product_code"])
        yield Figure(where, month, row["region_code"].strip(), amounts, scope, row["model_version"])


def _amount(row: Mapping[str, str], name: str, where: str, faults: Faults) -> int | None:
    value, unit = row[f"{name}_value"], row.get(f"{name}_unit", "")
    found = amount_ug(value, UG_PER_TONNE, where, f"{name}_value", faults)
    if value.strip() and unit.strip().upper() != _UNIT:
        faults.add(where, f"{name}_unit", unit, "MTCO2e (metric tonnes)")
    return found


def _month(row: Mapping[str, str], where: str, faults: Faults) -> str:
    """The calendar month that the period is; any other period is a fault."""
    start, end = (_day(row[name]) for name in ("usage_period_start", "usage_period_end"))
    for name, day in (("usage_period_start", start), ("usage_period_end", end)):
        if day is None:
            faults.add(where, name, row[name], "the first of a month in UTC, such as 2026-01-01 00:00:00")
    if start is None or end is None:
        return ""
    if (end.year * 12 + end.month) - (start.year * 12 + start.month) != 1:
        faults.add(
            where,
            "usage_period_end",
            row["usage_period_end"],
            f"the end of the month that begins {start:%Y-%m-%d}",
        )
    return f"{start:%Y-%m}"


def _day(text: str) -> datetime | None:
    match = _INSTANT.fullmatch(text.strip())
    try:
        found = (
            None if match is None else datetime.fromisoformat(f"{'-'.join(match.groups())}T00:00:00+00:00")
        )
    except ValueError:
        return None
    return found if found is not None and found.day == 1 else None
