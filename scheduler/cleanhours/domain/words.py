"""The words of annotations, `#CARBON` lines and command lines, read into a `JobRequest`.

One table, one parser for every front door: admission, wrapper, watchdog and command line agree because they call this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.requests import JobRequest, Policy
from cleanhours.domain.resources import Demand
from cleanhours.domain.times import (
    DURATION_WORDS,
    INSTANT_WORDS,
    exact,
    parse_duration,
    parse_instant,
)

_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]+)", re.ASCII)
_WATTS: Final = {"W": 1, "kW": 1_000, "MW": 1_000_000}
_BYTES: Final = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50,
}  # fmt: skip
_YES_NO: Final = {"true": True, "false": False}
CURVE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/:-]{0,126}[A-Za-z0-9])?", re.ASCII)


@lru_cache(maxsize=1024)
def parse_power(text: str) -> float:
    """Watts from `2400W` or `2.4kW`. Raises ValueError that says what would have been right."""
    return _quantity(text, _WATTS, "watts such as 2400W or 2.4kW")


@lru_cache(maxsize=1024)
def parse_bytes(text: str) -> int:
    """Bytes from `200GB` (10^9) or `200GiB` (2^30). Raises ValueError that says what would have been right."""
    return int(_quantity(text, _BYTES, "bytes such as 200GB or 1.5TiB"))


def parse_deadline(text: str, created: datetime) -> datetime:
    """An instant: RFC 3339, or `+12h` counted from `created`. Raises ValueError."""
    accepted = f"{INSTANT_WORDS}, or +12h from submission"
    try:
        return created + parse_duration(text[1:]) if text.startswith("+") else parse_instant(text)
    except (ValueError, OverflowError):
        raise ValueError(accepted) from None


def parse_words(
    words: Mapping[str, str],
    *,
    created: datetime,
    locations: Collection[str] | None = None,
    demand: Demand = Demand(),
) -> JobRequest:
    """The request that `words` (without prefix, such as `max-delay`) make, counted from `created`.

    Locations are checked against `locations` where given. Raises InvalidRequest with all complaints; faults of time
    (a past deadline) are none.
    """
    values: dict[str, Any] = {}
    complaints: list[Complaint] = []
    for word, text in words.items():
        if word not in _READERS:
            import difflib

            close = difflib.get_close_matches(word, _READERS, 1)
            hint = f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(_READERS)
            complaints.append(Complaint(word, text, hint))
            continue
        try:
            values[word.replace("-", "_")] = _READERS[word](text, created)
        except ValueError as fault:
            complaints.append(Complaint(word, text, str(fault)))
    complaints += _unknown_locations(values.get("locations", ()), locations)
    if "data" in values:
        values["data_bytes"] = values.pop("data")
    if "power" in values:
        values["power_w"] = values.pop("power")
    try:
        request = JobRequest(submitted=created, demand=demand, **values)
    except InvalidRequest as invalid:
        raise InvalidRequest([*complaints, *invalid.complaints]) from None
    if complaints:
        raise InvalidRequest(complaints)
    return request


def split_words(text: str) -> dict[str, str]:
    """`deadline=+12h interruptible` as a mapping; a bare word is true. Raises InvalidRequest on a word given twice."""
    words: dict[str, str] = {}
    twice = []
    for part in text.split():
        word, equals, value = part.partition("=")
        if word in words:
            twice.append(Complaint(word, part, "each word once"))
        words[word] = value if equals else "true"
    if twice:
        raise InvalidRequest(twice)
    return words


def _quantity(text: str, units: Mapping[str, int], accepted: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if not match or match[2] not in units:
        raise ValueError(accepted)
    try:
        return float(exact(match[1]) * units[match[2]])
    except (OverflowError, ValueError):  # more digits than a number, or Python, takes
        raise ValueError(accepted) from None


def _duration(text: str, _created: datetime) -> timedelta:
    return parse_duration(text)


def _earliest(text: str, created: datetime) -> datetime:
    return parse_deadline(text, created)


def _yes_no(text: str, _created: datetime) -> bool:
    if text not in _YES_NO:
        raise ValueError("true or false")
    return _YES_NO[text]


def _names(text: str, _created: datetime) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(_NAME.fullmatch(name) for name in names):
        raise ValueError("a comma list of location names")
    return tuple(dict.fromkeys(names))


def _policy(text: str, _created: datetime) -> Policy:
    try:
        return Policy(text)
    except ValueError:
        raise ValueError("one of " + ", ".join(Policy)) from None


def _power(text: str, _created: datetime) -> float:
    return parse_power(text)


def _data(text: str, _created: datetime) -> int:
    return parse_bytes(text)


def _curve(text: str, _created: datetime) -> str:
    if not CURVE_NAME.fullmatch(text):
        raise ValueError("the name of a power curve in the settings, such as resnet50")
    return text


_READERS: Final[Mapping[str, Callable[[str, datetime], Any]]] = {
    "deadline": parse_deadline,
    "max-delay": _duration,
    "duration": _duration,
    "interruptible": _yes_no,
    "checkpoint": _duration,
    "locations": _names,
    "power": _power,
    "data": _data,
    "policy": _policy,
    "earliest": _earliest,
    "power-curve": _curve,
}

WORDS: Final = tuple(_READERS)
"""Every word a request may carry."""


def _unknown_locations(asked: Collection[str], known: Collection[str] | None) -> list[Complaint]:
    if known is None:
        return []
    return [
        Complaint("locations", name, "one of " + ", ".join(sorted(known)))
        for name in asked
        if name not in known
    ]


__all__ = [
    "DURATION_WORDS",
    "INSTANT_WORDS",
    "WORDS",
    "parse_bytes",
    "parse_deadline",
    "parse_power",
    "parse_words",
    "split_words",
]
