"""The second measure of a report: the same runs once more, in sums of their own that nothing else is added to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from cleanhours.apps.report.summary import Summary, summarise
from cleanhours.domain.accounts import Beside, Entry, Settled
from cleanhours.planning.replaying import apportion

NOTE: Final = (
    "The same energy and the same baseline on another intensity ([forecasts] beside). A second answer, to another question: "
    "nothing here may be added to the figures above."
)
_UNKNOWN: Final = Beside(settled=Settled.PROVISIONAL)
BESIDE_COLUMNS: Final = tuple(
    f"beside_{name}"
    for name in (
        "signal", "scope", "basis", "providers", "settled", "emissions_ug", "baseline_ug", "avoided_ug", "unknown",
    )
)  # fmt: skip


def told_beside(entries: Iterable[Entry]) -> bool:
    """Whether a second measure was configured when any of them was settled."""
    return any(entry.beside is not None for entry in entries)


def summarise_beside(entries: Iterable[Entry]) -> tuple[Summary, ...]:
    """A summary for each second measure. Runs that are not known in it are in none."""
    return summarise(
        _read_so(entry, entry.beside)
        for entry in entries
        if entry.beside is not None and entry.beside.measure
    )


def beside_row(entry: Entry) -> dict[str, Any]:
    """Its columns in the rows of runs; None where nothing is known."""
    beside = entry.beside or _UNKNOWN
    measure = beside.measure
    said: Mapping[str, Any] = {
        "signal": None if measure is None else measure.signal.value,
        "scope": None if measure is None else measure.scope.value,
        "basis": None if measure is None else measure.basis.value,
        "providers": " ".join(beside.providers),
        "settled": None if measure is None else beside.settled.value,
        "emissions_ug": beside.emissions_ug,
        "baseline_ug": beside.baseline_ug,
        "avoided_ug": beside.total_avoided_ug,
        "unknown": beside.unknown,
    }
    return {f"beside_{name}": value for name, value in said.items()}


def besides_apart(entries: Iterable[Entry]) -> list[list[Entry]]:
    """The rows apart by what their second measure is and how it is settled; those that are not known in it last."""
    parts: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        beside = entry.beside
        if beside is None or beside.measure is None or beside.emissions_ug is None:
            key: tuple[str, ...] = ()
        else:
            measure = beside.measure
            key = (measure.signal, measure.scope, measure.basis, beside.settled)
        parts.setdefault(key, []).append(entry)
    return [parts[key] for key in sorted(parts, key=lambda key: (not key, key))]


def beside_sums(entries: Sequence[Entry]) -> dict[str, Any]:
    """Their columns of the second measure, summed; None where nothing is known. `entries` are alike in it."""
    rows = [beside_row(entry) for entry in entries]
    amounts = {f"beside_{name}_ug": None for name in ("emissions", "baseline", "avoided")}
    if rows[0]["beside_emissions_ug"] is not None:
        amounts = {column: sum(row[column] for row in rows) for column in amounts}
    words = {
        column: separator.join(sorted({row[column] for row in rows} - {""}))
        for column, separator in (("beside_providers", " "), ("beside_unknown", " | "))
    }
    return {**rows[0], **amounts, **words}


def _read_so(entry: Entry, beside: Beside) -> Entry:
    """The run as if its account were the second one: the same energy, other grams."""
    energy = [share.millijoules for share in entry.shares]
    split = zip(
        entry.shares, apportion(beside.emissions_ug or 0, energy), apportion(beside.baseline_ug or 0, energy), strict=True
    )  # fmt: skip
    return replace(
        entry,
        measure=beside.measure or entry.measure,
        settled=beside.settled,
        providers=beside.providers,
        emissions_ug=beside.emissions_ug,
        baseline_ug=beside.baseline_ug,
        avoided_ug=beside.avoided_ug,
        shares=tuple(
            replace(share, emissions_ug=emitted, baseline_ug=at_home) for share, emitted, at_home in split
        ),
        intensity=beside.intensity,
        baseline_intensity=beside.baseline_intensity,
    )
