"""Google Cloud Carbon Footprint, exported to BigQuery: rows as JSON lines, or as CSV with its nested names flattened; kg.

Fields: https://cloud.google.com/carbon-footprint/docs/data-schema. A flattened name is joined by a dot or an underscore.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cleanhours.apps.reconciliation.figures import UG_PER_KG, Amounts, Faults, Figure, amount_ug

MARK: Final = "carbon_footprint_total_kgCO2e"
_NEEDED: Final = ("usage_month", f"{MARK}.location_based", f"{MARK}.market_based")
_REGION: Final = "location.region"
_SCOPE3: Final = "carbon_footprint_kgCO2e.scope3"
_SCOPES: Final = ("billing_account_id", "project.id", "service.id")
_MONTH: Final = re.compile(r"((?:19|20)\d\d-(?:0[1-9]|1[0-2]))-01", re.ASCII)


def figures(rows: Sequence[tuple[str, Mapping[str, Any]]], faults: Faults) -> Iterator[Figure]:
    """The rows of a file, nested or flat; every fault is collected."""
    for where, row in rows:
        lacking = [name for name in _NEEDED if not _has(row, name)]
        for name in lacking:
            faults.add(
                where,
                name,
                "no such field",
                "the rows of the BigQuery table carbon_footprint, with this field",
            )
        if lacking:
            continue
        month = _MONTH.fullmatch(str(_at(row, "usage_month")).strip())
        if month is None:
            faults.add(
                where, "usage_month", _at(row, "usage_month"), "the first day of a month, such as 2026-01-01"
            )
        amounts = Amounts(
            location_ug=_amount(row, f"{MARK}.location_based", where, faults),
            market_ug=_amount(row, f"{MARK}.market_based", where, faults),
            scope3_ug=_amount(row, _SCOPE3, where, faults),
        )
        scope = tuple(str(_at(row, name) or "") for name in _SCOPES)
        region = str(_at(row, _REGION) or "").strip()
        model = str(_at(row, "carbon_model_version") or "")
        yield Figure(where, "" if month is None else month[1], region, amounts, scope, model)


def _amount(row: Mapping[str, Any], name: str, where: str, faults: Faults) -> int | None:
    return amount_ug(_at(row, name), UG_PER_KG, where, name, faults)


_ABSENT: Final = object()


def _has(row: Mapping[str, Any], name: str) -> bool:
    return _found(row, name) is not _ABSENT


def _at(row: Mapping[str, Any], name: str) -> Any:
    value = _found(row, name)
    return None if value is _ABSENT else value


def _found(row: Mapping[str, Any], name: str) -> Any:
    """A field by its path: nested, or flat under the joined name. A record that is null has null fields."""
    for flat in (name, name.replace(".", "_")):
        if flat in row:
            return row[flat]
    first, _, rest = name.partition(".")
    if not rest or first not in row:
        return _ABSENT
    record = row[first]
    if record is None:
        return None
    return record.get(rest, _ABSENT) if isinstance(record, Mapping) else _ABSENT
