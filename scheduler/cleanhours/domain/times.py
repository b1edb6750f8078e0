"""Instants and durations: UTC only, words in, words out.

Instants are aware `datetime`s in UTC. Inside series and planners they are whole epoch seconds: every optimum of a
step-constant series lies on whole seconds when its borders and durations do.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fractions import Fraction

LONGEST: Final = timedelta(days=366)
DURATION_WORDS: Final = (
    "a number with a unit and no spaces, such as 90m, 6h, 2d, 1h30m, or ISO 8601 such as PT6H (at most 366d)"
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
INSTANT_WORDS: Final = "RFC 3339 with a zone, such as 2026-03-01T18:00:00Z"

_SECONDS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WORD: Final = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+", re.ASCII)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([dhms])", re.ASCII)
_ISO: Final = re.compile(
    r"P(?=.)(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?=.)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_RFC3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)
_MOST_CHARACTERS: Final = 100
"""Longer than any duration that means something, and shorter than any number that Python refuses to read."""


def exact(number: str) -> int | Fraction:
    """A decimal number as it stands. Most are whole, and spare the import of fractions (the sbatch wrapper's user waits)."""
    if number.isdecimal():
        return int(number)
    from fractions import Fraction

    return Fraction(number)


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> timedelta:
    """A length of time in whole seconds, rounded up. Raises ValueError that says what would have been right."""
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(DURATION_WORDS)
    if _WORD.fullmatch(text):
        units = [unit for _, unit in _PART.findall(text)]
        if units != sorted(set(units), key="dhms".index):
            raise ValueError(DURATION_WORDS)
        seconds = sum(exact(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    elif match := _ISO.fullmatch(text):
        weights = (604_800, 86_400, 3_600, 60, 1)
        seconds = sum(exact(n) * w for n, w in zip(match.groups(), weights, strict=True) if n is not None)
    else:
        raise ValueError(DURATION_WORDS)
    whole = -(-seconds // 1)
    if whole > LONGEST.total_seconds():
        raise ValueError(DURATION_WORDS)
    return timedelta(seconds=int(whole))


def format_duration(length: timedelta) -> str:
    """The shortest word that `parse_duration` reads back: `1h30m`; seconds only where they matter."""
    rest = round(abs(length).total_seconds())
    words = []
    for unit, seconds in _SECONDS.items():
        count, rest = divmod(rest, seconds)
        if count:
            words.append(f"{count}{unit}")
    return ("-" if length < timedelta(0) and words else "") + ("".join(words) or "0s")


@lru_cache(maxsize=4096)
def parse_instant(text: str) -> datetime:
    """An instant in UTC from RFC 3339 text; a text without a zone is refused. Raises ValueError."""
    if not _RFC3339.fullmatch(text):
        raise ValueError(INSTANT_WORDS)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(INSTANT_WORDS) from None


def parse_past(text: str, now: datetime) -> datetime:
    """An instant: RFC 3339, or how long before `now`: `7d`. Raises ValueError."""
    for read in (parse_instant, lambda length: now - parse_duration(length)):
        try:
            return read(text)
        except (ValueError, OverflowError):
            continue
    raise ValueError(f"{INSTANT_WORDS}, or how long ago, such as 7d")


def format_instant(instant: datetime) -> str:
    """RFC 3339 with `Z`, whole seconds."""
    return instant.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"  # ten times as fast as strftime


def epoch(instant: datetime) -> int:
    """Whole seconds since 1970-01-01T00:00Z, rounded down. Raises ValueError for a naive datetime."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no zone: instants are aware datetimes in UTC")
    return int(instant.timestamp() // 1)


def epoch_after(instant: datetime) -> int:
    """Whole seconds since 1970-01-01T00:00Z, rounded up: nothing starts before it was asked."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no zone: instants are aware datetimes in UTC")
    return int(-(-instant.timestamp() // 1))


def instant_of(seconds: int) -> datetime:
    """The instant of whole epoch seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)


def microseconds(instant: datetime) -> int:
    """Exact microseconds since 1970-01-01T00:00Z: runs start and end between whole seconds."""
    return (instant - EPOCH) // MICROSECOND


def instant_at(microsecond: int) -> datetime:
    """The instant of exact microseconds since 1970-01-01T00:00Z."""
    return EPOCH + timedelta(microseconds=microsecond)


def seconds_of(length: timedelta) -> int:
    """Whole seconds of a length, rounded up: half a second of work is still work."""
    return -(-length // timedelta(seconds=1))
