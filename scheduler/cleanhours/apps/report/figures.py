"""Numbers for people: a fitting unit, three digits, a real minus, never a bare number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

NOTHING: Final = "—"
"""Stands where a value is not known: missing is never zero."""

NO_BREAK: Final = "\u00a0"
"""Keeps a number and its unit on one line."""
_MASSES: Final = ((10**12, "t"), (10**9, "kg"), (10**6, "g"), (10**3, "mg"), (1, "µg"))
_ENERGIES: Final = ((36 * 10**11, "MWh"), (36 * 10**8, "kWh"), (36 * 10**5, "Wh"), (10**3, "J"))


def format_ug(micrograms: int | None, *, signed: bool = False) -> str:
    """A mass of CO2e; `signed` shows a plus too."""
    return _quantity(micrograms, _MASSES, "g", signed=signed)


def format_mj(millijoules: int | None, *, signed: bool = False) -> str:
    """An energy."""
    return _quantity(millijoules, _ENERGIES, "kWh", signed=signed)


def format_percent(part: float | None, whole: float | None, *, signed: bool = False) -> str:
    """A share; unknown where the whole is 0 or either is unknown."""
    if part is None or not whole:
        return NOTHING
    value = Decimal(str(100 * part / whole)).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return f"{_sign(value, signed=signed)}{abs(value):f}{NO_BREAK}%"


def format_count(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count}{NO_BREAK}{noun}{'' if count == 1 else 's'}"


def format_span(length: timedelta) -> str:
    """A length of time in its two greatest units."""
    seconds = round(length.total_seconds())
    for size, unit, part_size, part in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // part_size
            whole = f"{seconds // size}{NO_BREAK}{unit}"
            return f"{whole} {rest}{NO_BREAK}{part}" if rest else whole
    return f"{seconds}{NO_BREAK}s"


def format_time(instant: datetime | None) -> str:
    """A UTC instant to the minute, without its year."""
    return NOTHING if instant is None else f"{instant.astimezone(UTC):%-d{NO_BREAK}%b{NO_BREAK}%H:%M}"


def format_day(instant: datetime) -> str:
    """A UTC day with its year."""
    return f"{instant.astimezone(UTC):%-d{NO_BREAK}%b{NO_BREAK}%Y}"


def _quantity(
    amount: int | None, units: tuple[tuple[int, str], ...], unit_of_zero: str, *, signed: bool
) -> str:
    if amount is None:
        return NOTHING
    if amount == 0:
        return f"0{NO_BREAK}{unit_of_zero}"
    size, unit = next((one for one in units if abs(amount) >= one[0]), units[-1])
    value = _three_digits(Decimal(abs(amount)) / size)
    return f"{_sign(amount, signed=signed)}{value}{NO_BREAK}{unit}"


def _three_digits(value: Decimal) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    rounded = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded:,f}".replace(",", "\u202f")


def _sign(value: int | Decimal, *, signed: bool) -> str:
    return "−" if value < 0 else "+" if signed and value > 0 else ""
