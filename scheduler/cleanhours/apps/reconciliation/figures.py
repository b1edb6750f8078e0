"""Figures of a provider's monthly export: whole micrograms, location-based and market-based apart, unknown kept unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any, Final

from cleanhours.domain.errors import Complaint, InvalidRequest

UG_PER_KG: Final = 10**9
UG_PER_TONNE: Final = 10**12
"""AWS says MTCO2e: metric tonnes, not megatonnes."""

MOST_TOLD: Final = 20
_LARGEST_UG: Final = 10**24
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
"""What exports hold: Decimal would take the digits of other scripts and underscores, too."""


class Provider(StrEnum):
    """Whose export it is."""

    AWS = "aws"
    GOOGLE = "google"
    AZURE = "azure"


class Accounting(StrEnum):
    """How a provider counted: the grid's own emissions, those of what it buys, or it does not say."""

    LOCATION = "location-based"
    MARKET = "market-based"
    UNSTATED = "unstated"


@dataclass(frozen=True, slots=True)
class Amounts:
    """Micrograms CO2e by accounting; None where the provider gave none. `scope3_ug` is inside the total, where it is told."""

    location_ug: int | None = None
    market_ug: int | None = None
    unstated_ug: int | None = None
    scope3_ug: int | None = None

    @property
    def known(self) -> bool:
        return any(one is not None for one in (self.location_ug, self.market_ug, self.unstated_ug))

    def plus(self, other: Amounts) -> Amounts:
        """Both together; what one of them does not know counts as what the other knows (the export says what is missing)."""
        return Amounts(
            _sum(self.location_ug, other.location_ug),
            _sum(self.market_ug, other.market_ug),
            _sum(self.unstated_ug, other.unstated_ug),
            _sum(self.scope3_ug, other.scope3_ug),
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of an export. `month` is YYYY-MM, `region` the provider's code or empty where it names none.

    `scope` and `model` find rows that count the same twice: two models of one scope are two answers to one question.
    """

    where: str
    month: str
    region: str
    amounts: Amounts
    scope: tuple[str, ...] = ()
    model: str = ""


@dataclass(frozen=True, slots=True)
class Export:
    """What a file says. `incomplete` are the reasons for which it may not be all of it, in words."""

    provider: Provider
    figures: Sequence[Figure]
    incomplete: tuple[str, ...] = ()


class Faults:
    """Every fault of a file, collected to be told in one message."""

    def __init__(self) -> None:
        self._found: list[Complaint] = []

    def add(self, where: str, column: str, found: object, accepted: str) -> None:
        self._found.append(Complaint(f"{where}, {column}" if column else where, str(found)[:80], accepted))

    def raise_if_any(self) -> None:
        """Raises InvalidRequest naming them all, the first twenty in full."""
        if not self._found:
            return
        more = len(self._found) - MOST_TOLD
        told = self._found[:MOST_TOLD]
        if more > 0:
            told.append(Complaint("and", f"{more} more faults", "none"))
        raise InvalidRequest(told)


def amount_ug(value: object, unit_ug: int, where: str, column: str, faults: Faults) -> int | None:
    """A cell as micrograms, rounded once; None where it is empty. A number that is none, or below 0, is a fault."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = None
    try:
        if not isinstance(value, (bool, list, dict)) and _NUMBER.fullmatch(text := str(value).strip()):
            number = Decimal(text) * unit_ug
    except ArithmeticError:  # beyond all bounds
        number = None
    if number is None or not 0 <= number <= _LARGEST_UG:
        most = f"{_LARGEST_UG // unit_ug:.0e}"
        faults.add(
            where, column, value, f"a number, 0 or more and at most {most}, or empty where nothing is known"
        )
        return None
    return int(number.quantize(Decimal(1), ROUND_HALF_UP))


def check_models(figures: Sequence[Figure], faults: Faults) -> None:
    """A month of one scope counted by two models would be counted twice."""
    seen: dict[tuple[str, ...], Figure] = {}
    for figure in figures:
        first = seen.setdefault((figure.month, figure.region, *figure.scope), figure)
        if first.model != figure.model:
            faults.add(
                figure.where,
                "model version",
                figure.model or "none",
                f"{first.model or 'none'}, as for the same month and scope in {first.where}: export one version only",
            )


def check_rows(
    rows: Iterable[tuple[str, Mapping[str, Any]]], faults: Faults, besides: Collection[str] = ()
) -> None:
    """A row that stands there twice would be counted twice. Rows that differ in anything, but for `besides`, are two.

    Rows of one month and scope may be of two projects or payers: only whole rows tell.
    """
    seen: dict[str, str] = {}
    for where, row in rows:
        told = {name: value for name, value in row.items() if name not in besides}
        try:
            same = json.dumps(told, sort_keys=True)
        except RecursionError:  # nested as no export is: it is the reader's to refuse
            continue
        first = seen.setdefault(same, where)
        if first != where:
            faults.add(where, "", f"the same row as {first}", "each row once: it would be counted twice")


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
