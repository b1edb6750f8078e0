"""Azure Carbon Optimization: the saved answer of `carbonEmissionReports` (2025-04-01), JSON, kilograms by its documentation.

The answer says neither a unit nor whether it is location-based or market-based, and a summary not even its month.
https://learn.microsoft.com/rest/api/carbon/carbon-service/query-carbon-emission-reports
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cleanhours.apps.reconciliation.figures import UG_PER_KG, Amounts, Faults, Figure, amount_ug, check_rows

_MONTH: Final = re.compile(r"((?:19|20)\d\d-(?:0[1-9]|1[0-2]))-01(?:T00:00:00(?:\.0+)?Z?)?", re.ASCII)
_SUMMARIES: Final = ("OverallSummaryData", "MonthlySummaryData")
_WHOLE: Final = (*_SUMMARIES, "ItemDetailsData")
_KINDS: Final = f"{', '.join(_WHOLE)} (a report of the top items is not all of them)"


def figures(document: Any, month: str | None, faults: Faults) -> Iterator[Figure]:
    """The items of an answer. `month` is that of items which say none."""
    items = document.get("value") if isinstance(document, Mapping) else None
    if not isinstance(items, list):
        faults.add(
            "the file", "value", type(items).__name__, "the list of items of a carbonEmissionReports answer"
        )
        return
    kinds = {str(item.get("dataType")) for item in items if isinstance(item, Mapping)}
    if len(kinds) > 1:
        faults.add(
            "value",
            "dataType",
            ", ".join(sorted(kinds)),
            "items of one kind: two reports count the same twice",
        )
    numbered = [(f"value[{index}]", item) for index, item in enumerate(items)]
    details = [(where, item) for where, item in numbered if isinstance(item, Mapping) and not _sums_up(item)]
    check_rows(details, faults)
    summed: dict[str, str] = {}
    for where, item in numbered:
        if not isinstance(item, Mapping):
            faults.add(where, "", item, "an item with dataType and latestMonthEmissions")
            continue
        if item.get("dataType") not in _WHOLE:
            faults.add(where, "dataType", item.get("dataType"), _KINDS)
        if "latestMonthEmissions" not in item:
            faults.add(where, "latestMonthEmissions", "no such field", "a number of kgCO2e")
        amount = amount_ug(item.get("latestMonthEmissions"), UG_PER_KG, where, "latestMonthEmissions", faults)
        located = item.get("categoryType") == "Location"
        region = str(item.get("itemName") or "") if located else ""
        at = _month(item, month, where, faults)
        if _sums_up(item) and at and (first := summed.setdefault(at, where)) != where:
            faults.add(where, "dataType", f"{item['dataType']} of {at}, as {first} is", "one summary a month")
        yield Figure(where, at, region.strip(), Amounts(unstated_ug=amount))


def incomplete(document: Any) -> Iterator[str]:
    """Why the answer may not be all of it."""
    if not isinstance(document, Mapping):
        return
    if document.get("skipToken"):
        yield "the answer has a skipToken: there are more pages than this file holds"
    decisions = document.get("subscriptionAccessDecisionList")
    for one in decisions if isinstance(decisions, list) else ():
        if isinstance(one, Mapping) and one.get("decision") != "Allowed":
            yield f"subscription {one.get('subscriptionId')} was not read: {one.get('decision')}"


def _sums_up(item: Mapping[str, Any]) -> bool:
    """Whether it is everything of its month."""
    return item.get("dataType") in _SUMMARIES


def _month(item: Mapping[str, Any], month: str | None, where: str, faults: Faults) -> str:
    date = item.get("date")
    if date is None:
        if month is None:
            faults.add(where, "date", "none", "an item with its date, or --month YYYY-MM of the request")
        return month or ""
    match = _MONTH.fullmatch(str(date))
    if match is None:
        faults.add(where, "date", date, "the first day of a month, such as 2026-01-01")
        return ""
    return match[1]
