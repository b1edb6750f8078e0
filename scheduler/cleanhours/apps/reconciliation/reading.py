"""Reading an export: which provider's it is, whether it is whole, and every fault of it at once."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cleanhours.apps.reconciliation import aws, azure, google
from cleanhours.apps.reconciliation.figures import Export, Faults, Figure, Provider, check_models, check_rows
from cleanhours.domain.errors import Complaint, InvalidRequest

_KNOWN: Final = (
    "an AWS Data Exports carbon CSV, a Google Carbon Footprint table as CSV or JSON lines, or the JSON answer of "
    "Azure's carbonEmissionReports"
)
_MONTH: Final = re.compile(r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])", re.ASCII)

Rows = Sequence[tuple[str, Mapping[str, Any]]]


def read_export(data: bytes, provider: Provider | None = None, month: str | None = None) -> Export:
    """The export in a file's bytes. `month` (YYYY-MM) is that of figures which say none (Azure's summaries).

    Raises InvalidRequest naming every fault: line, column, value found, and what would be right.
    """
    if wrong := month_faults(month):
        raise InvalidRequest(wrong)
    text, faults = _text(data), Faults()
    start = text.lstrip()[:1]
    if not start:
        raise InvalidRequest([Complaint("the file", "nothing", _KNOWN)])
    document = _json(text) if start in "{[" else None
    found = _provider(document, text)
    if provider is not None and found not in (None, provider):
        raise InvalidRequest(
            [Complaint("provider", provider.value, f"{found}: that is whose columns the file has")]
        )
    found = provider or found
    if found is Provider.AZURE:
        figures = list(azure.figures(document, month, faults))
        incomplete = list(azure.incomplete(document))
    elif found is None or (found is Provider.AWS and document is not None):
        raise InvalidRequest([Complaint("the file", text.strip().splitlines()[0][:80], _KNOWN)])
    else:
        rows = _csv(text, faults) if document is None else _objects(document, faults)
        if found is Provider.AWS:
            figures = list(aws.figures(rows, faults)) if _has_columns(rows, aws.NEEDED, faults) else []
        else:
            figures = list(google.figures(rows, faults))
        check_rows(rows, faults, besides=(aws.REFRESHED,))
        incomplete = []
    check_models(figures, faults)
    faults.raise_if_any()
    if not figures:
        raise InvalidRequest([Complaint("the file", "no rows", "an export with at least one row")])
    return Export(found, figures, (*incomplete, *_unvalued(figures)))


def month_faults(month: str | None) -> list[Complaint]:
    """What is wrong with the month that was asked for."""
    if month is None or _MONTH.fullmatch(month):
        return []
    return [Complaint("month", month, "a month such as 2026-01")]


def _text(data: bytes) -> str:
    if data[:2] == b"\x1f\x8b":
        raise InvalidRequest([Complaint("the file", "gzip", "the file unpacked: gunzip it first")])
    if data[:4] == b"PAR1":
        raise InvalidRequest([Complaint("the file", "Parquet", "the same export as CSV")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InvalidRequest(
            [Complaint("the file", f"byte {fault.start} is no UTF-8", "a text in UTF-8")]
        ) from None


def _json(text: str) -> Any:
    """A document, or JSON lines as the list of (line, object). Raises InvalidRequest for what is neither."""
    try:
        return json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as whole:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 and not _is_object(lines[0][1]):
            raise InvalidRequest(
                [Complaint("the file", str(whole), "JSON that was written to its end")]
            ) from None
    found, faults = [], Faults()
    for number, line in lines:
        try:
            found.append((f"line {number}", json.loads(line, parse_float=str)))
        except (ValueError, RecursionError) as fault:
            faults.add(f"line {number}", "", str(fault), "one whole JSON object a line")
    faults.raise_if_any()
    return found


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _objects(document: Any, faults: Faults) -> Rows:
    """The rows of JSON: lines, a list, or one object alone."""
    if isinstance(document, Mapping):
        document = [document]
    rows = []
    for index, one in enumerate(document):
        where, row = one if isinstance(one, tuple) else (f"row {index + 1}", one)
        if isinstance(row, Mapping):
            rows.append((where, row))
        else:
            faults.add(where, "", row, "a JSON object")
    return rows


def _csv(text: str, faults: Faults) -> Rows:
    """The rows of a CSV that is whole: one that breaks off would count a month too little."""
    if not text.endswith(("\n", "\r")):
        last = text.splitlines()[-1]
        faults.add("the last line", "", last[-60:], "a line that ends: the file was not written to its end")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows = []
    try:
        for cells in reader:
            where = f"line {reader.line_num}"
            if not header:
                header = [name.strip() for name in cells]
                for name in sorted({name for name in header if header.count(name) > 1}):
                    faults.add(where, name, "twice", "every column once")
            elif len(cells) != len(header):
                if cells:
                    faults.add(
                        where,
                        "",
                        f"{len(cells)} columns",
                        f"{len(header)}, as in the header: is the file whole?",
                    )
            else:
                rows.append((where, dict(zip(header, cells, strict=True))))
    except csv.Error as fault:
        faults.add(f"line {reader.line_num}", "", str(fault), "CSV by RFC 4180 that was written to its end")
    return rows


def _provider(document: Any, text: str) -> Provider | None:
    """Whose names the file has."""
    if isinstance(document, Mapping) and (
        "value" in document or "subscriptionAccessDecisionList" in document
    ):
        return Provider.AZURE
    first = text.lstrip().splitlines()[0] if document is None else text[:100_000]
    if google.MARK in first:
        return Provider.GOOGLE
    return Provider.AWS if document is None and "total_lbm_emissions_value" in first else None


def _has_columns(rows: Rows, needed: Sequence[str], faults: Faults) -> bool:
    """Whether all columns are there: without one, each row would repeat the same fault."""
    lacking = [name for name in needed if rows and name not in rows[0][1]]
    for name in lacking:
        faults.add(
            "the header", name, "no such column", "the columns of an AWS carbon export, this one among them"
        )
    return not lacking


def _unvalued(figures: Sequence[Figure]) -> list[str]:
    """What rows leave out: their sums are too small by as much."""
    if not any(figure.amounts.known for figure in figures):
        return ["no row has a value"]
    named = (
        ("location_ug", "location-based value"),
        ("market_ug", "market-based value"),
        ("unstated_ug", "value"),
    )
    missing = [
        (sum(getattr(figure.amounts, name) is None for figure in figures), words) for name, words in named
    ]
    return [
        f"{count} of {len(figures)} rows have no {words}"
        for count, words in missing
        if 0 < count < len(figures)
    ]
