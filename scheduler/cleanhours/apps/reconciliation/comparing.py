"""Comparing: the provider's figure and ours of the same month and region, side by side, and why they differ, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cleanhours.apps.reconciliation.explaining import explain
from cleanhours.apps.reconciliation.figures import Amounts, Export
from cleanhours.domain.accounts import Entry, Settled
from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.locations import Location
from cleanhours.domain.measures import Signal


@dataclass(frozen=True, slots=True)
class Ours:
    """Our sums of a month and region: average intensity, each settlement apart; None where no run has known emissions."""

    runs: int
    final_ug: int | None
    provisional_ug: int | None
    typical_ug: int | None
    unmeasured: int

    @property
    def total_ug(self) -> int | None:
        """Final and provisional together; typical ones are in no total."""
        if self.final_ug is None:
            return self.provisional_ug
        return self.final_ug + (self.provisional_ug or 0)


@dataclass(frozen=True, slots=True)
class Line:
    """One month and region. `ours` is None where no location of ours is known to lie there."""

    month: str
    region: str
    locations: tuple[str, ...]
    theirs: Amounts
    ours: Ours | None

    @property
    def difference_ug(self) -> int | None:
        """Their location-based (or only) figure less ours; None where either is not known."""
        told = self.theirs.location_ug if self.theirs.location_ug is not None else self.theirs.unstated_ug
        mine = None if self.ours is None else self.ours.total_ug
        return None if told is None or mine is None else told - mine

    def to_json(self) -> dict[str, Any]:
        ours = self.ours
        return {
            "month": self.month,
            "region": self.region or None,
            "locations": list(self.locations),
            "location_based_ug": self.theirs.location_ug,
            "market_based_ug": self.theirs.market_ug,
            "unstated_ug": self.theirs.unstated_ug,
            "scope3_ug": self.theirs.scope3_ug,
            "ours_final_ug": None if ours is None else ours.final_ug,
            "ours_provisional_ug": None if ours is None else ours.provisional_ug,
            "ours_typical_ug": None if ours is None else ours.typical_ug,
            "our_runs": None if ours is None else ours.runs,
            "our_unmeasured_runs": None if ours is None else ours.unmeasured,
            "difference_ug": self.difference_ug,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The whole: lines by month and region, what could not be put beside anything, and why figures differ."""

    export: Export
    lines: tuple[Line, ...]
    unmapped_locations: tuple[str, ...]
    unmapped_regions: tuple[str, ...]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "version": 1,
            "provider": self.export.provider.value,
            "lines": [line.to_json() for line in self.lines],
            "unmapped": {"locations": list(self.unmapped_locations), "regions": list(self.unmapped_regions)},
            "incomplete": list(self.export.incomplete),
            "reasons": list(self.reasons),
        }


def parse_places(words: Iterable[str], export: Export, names: Collection[str]) -> dict[str, str]:
    """`NAME=REGION` words as location to region, the locations being `names`. Raises InvalidRequest with every fault."""
    words = list(words)
    wrong = place_faults(words, export, names)
    if wrong:
        raise InvalidRequest(wrong)
    known = _regions(export)
    parts = (word.partition("=") for word in words)
    return {name.strip(): known[region.strip().casefold()] for name, _, region in parts}


def place_faults(
    words: Iterable[str], export: Export | None, names: Collection[str] | None
) -> list[Complaint]:
    """What is wrong with `NAME=REGION` words, as far as an export that can be read and known locations tell."""
    known, wrong = {} if export is None else _regions(export), []
    for word in words:
        name, sign, region = (part.strip() for part in word.partition("="))
        if not (name and sign and region) or (export is not None and region.casefold() not in known):
            told = ", ".join(sorted(known.values())) or "none: the export names no regions"
            of_them = "" if export is None else f" ({told})"
            wrong.append(Complaint("location", word, f"NAME=REGION with a region of the export{of_them}"))
        elif names is not None and name not in names:
            told = ", ".join(sorted(names)) or "none"
            wrong.append(
                Complaint("location", word, f"a location of the settings or of our runs then ({told})")
            )
    return wrong


def _regions(export: Export) -> dict[str, str]:
    """What the export calls its regions, by how they are compared."""
    return {figure.region.casefold(): figure.region for figure in export.figures if figure.region}


def months_of(export: Export) -> tuple[datetime, datetime]:
    """[start, end) of the months that an export is about."""
    months = sorted(figure.month for figure in export.figures)
    first, last = (datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC) for month in (months[0], months[-1]))
    return first, (last + timedelta(days=32)).replace(day=1)


def compare(
    export: Export, entries: Sequence[Entry], locations: Mapping[str, Location], places: Mapping[str, str]
) -> Comparison:
    """The provider's figures beside the rows of the same months.

    A location lies in the region that `places` gives it, else in the one that its `match` or its own name is. Where an
    export names no regions at all, every location is in the one it is about.
    """
    regions = {figure.region for figure in export.figures}
    theirs: dict[tuple[str, str], Amounts] = {}
    for figure in export.figures:
        key = (figure.month, figure.region)
        theirs[key] = theirs.get(key, Amounts()).plus(figure.amounts)
    months = {month for month, _ in theirs}
    rows = [(_month(entry), entry) for entry in entries if entry.measure.signal is Signal.AVERAGE]
    kept = [(month, entry) for month, entry in rows if month in months]
    names = sorted({*locations, *(entry.location for _, entry in kept)})
    placed = {name: _region(name, locations.get(name), regions, places) for name in names}
    lines = []
    for (month, region), amounts in sorted(theirs.items()):
        here = tuple(name for name in names if placed[name] == region)
        own = [entry for at, entry in kept if at == month and entry.location in here]
        lines.append(Line(month, region, here, amounts, _ours(own) if here else None))
    compared = [entry for _, entry in kept if placed[entry.location] is not None]
    return Comparison(
        export,
        tuple(lines),
        tuple(name for name in names if placed[name] is None),
        tuple(sorted(region for region in regions if region not in placed.values() and region)),
        tuple(map(_plain, explain(export, compared, locations, len(entries) - len(rows)))),
    )


def _region(name: str, location: Location | None, regions: set[str], places: Mapping[str, str]) -> str | None:
    if name in places:
        return places[name]
    if regions == {""}:
        return ""
    known = {region.casefold(): region for region in regions if region}
    said = [] if location is None else list(location.match.values())
    return next((known[word.casefold()] for word in (*said, name) if word.casefold() in known), None)


def _ours(entries: Sequence[Entry]) -> Ours:
    def total(settled: Settled) -> int | None:
        known = [e.emissions_ug for e in entries if e.settled is settled and e.emissions_ug is not None]
        return sum(known) if known else None

    unmeasured = sum(entry.emissions_ug is None for entry in entries)
    sums = (total(Settled.FINAL), total(Settled.PROVISIONAL), total(Settled.TYPICAL))
    return Ours(len(entries), *sums, unmeasured)


def _plain(sentence: str) -> str:
    """With ordinary blanks: a sentence is searched and read by programs too."""
    return sentence.replace("\u00a0", " ").replace("\u202f", " ")


def _month(entry: Entry) -> str:
    return f"{entry.run.finished_at.astimezone(UTC):%Y-%m}"
