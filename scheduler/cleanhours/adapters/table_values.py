"""Values of the settings file: each read from what an operator writes, or refused with what would have been right."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from cleanhours.domain.times import DURATION_WORDS, parse_duration
from cleanhours.domain.words import parse_bytes

_LISTEN: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})", re.ASCII)
_LISTEN_WORDS: Final = "host:port such as 127.0.0.1:9464, or off"
_LIFETIME: Final = re.compile(r"(?:\d{1,7}(?:\.\d{1,6})?[ydhms]){1,5}", re.ASCII)
_LIFETIME_PART: Final = re.compile(r"([\d.]+)([ydhms])")
_LIFETIME_SECONDS: Final = {"y": 31_536_000, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_LONGEST_LIFE_S: Final = 100 * 31_536_000
_LIST: Final = "a list such as ['neso', 'climatology']"


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(DURATION_WORDS)
    return parse_duration(value)


def _lifetime(value: Any) -> timedelta:
    """Years of 365 days, or a duration that is longer than any request's."""
    if isinstance(value, timedelta):
        return value
    match = _LIFETIME.fullmatch(value) if isinstance(value, str) else None
    seconds = 0
    if match is not None:
        parts = _LIFETIME_PART.findall(value)
        seconds = round(sum(float(number) * _LIFETIME_SECONDS[unit] for number, unit in parts))
    if not 0 < seconds <= _LONGEST_LIFE_S:
        raise ValueError("a lifetime such as 4y, 1460d or 35040h (at most 100y)")
    return timedelta(seconds=seconds)


def byte_count(value: Any) -> int:
    """A number of bytes."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("bytes such as 64GiB")
    return value if isinstance(value, int) else parse_bytes(value)


def listen_address(value: Any) -> tuple[str, int] | None:
    """Host and port; None where nothing listens."""
    if value == "off":
        return None
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[3]) > 65535:
        raise ValueError(_LISTEN_WORDS)
    if match[1]:
        try:
            ipaddress.IPv6Address(match[1])
        except ValueError:
            raise ValueError(_LISTEN_WORDS) from None
    return (match[1] or match[2], int(match[3]))


def _names(value: Any) -> list[str]:
    """A list, or from the environment a text with commas."""
    names = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(_LIST)
    return names


def _any_names(value: Any) -> list[str]:
    """The same, or none."""
    return [] if value in ([], "") else _names(value)


Lifetime = Annotated[timedelta, BeforeValidator(_lifetime)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Names = Annotated[list[str], BeforeValidator(_names)]
AnyNames = Annotated[list[str], BeforeValidator(_any_names)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=0)]
