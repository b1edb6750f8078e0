"""Settings of meters that ask Prometheus: every fault in one error, each with what was found and what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cleanhours.domain.energy import ENOUGH
from cleanhours.domain.times import DURATION_WORDS, parse_duration
from cleanhours.ports import Clock
from cleanhours_plugins.meters.keys import Table, number
from cleanhours_plugins.meters.prometheus.server import Server

KEYS: Final = ("url", "headers", "token_file", "timeout", "scrape_interval", "minimum_coverage")
"""What every such meter understands."""

LONGEST_TIMEOUT: Final = timedelta(seconds=60)
LONGEST_SCRAPE: Final = timedelta(minutes=5)
"""A run waits ten minutes for its meters at most, from when they are first asked."""


def server_of(table: Table, settings: Mapping[str, Any], clock: Clock) -> Server | None:
    """The server of a meter's table; None for an empty one: the meter is installed, and nobody asked for it."""
    if not settings:
        return None
    if "url" not in settings:
        table.fault("url", None, "the address of a Prometheus server, such as http://prometheus:9090")
    url = table.take(
        "url", "", _address, "the address of a Prometheus server, such as http://prometheus:9090"
    )
    headers = table.take(
        "headers",
        dict[str, str](),
        _headers,
        "a table of texts; a token belongs into token_file, a password into the url",
    )
    token = table.take("token_file", None, _file, "the path of a file that holds a bearer token")
    timeout = table.take(
        "timeout",
        timedelta(seconds=10),
        lambda value: _duration(value, LONGEST_TIMEOUT),
        f"{DURATION_WORDS}, up to 60s",
    )
    scrape = table.take(
        "scrape_interval",
        timedelta(seconds=30),
        lambda value: _duration(value, LONGEST_SCRAPE),
        f"{DURATION_WORDS}, up to 5m",
    )
    enough = table.take("minimum_coverage", ENOUGH, share, "a number from 0 to 1")
    return Server(
        table.meter,
        url,
        clock,
        headers=headers,
        token_file=token,
        timeout_s=timeout.total_seconds(),
        scrape_interval=scrape,
        enough=enough,
    )


def share(value: Any) -> float:
    """From 0 to 1. Raises ValueError."""
    return number(value, 1.0)


def _address(value: Any) -> str:
    text = str(value).strip().rstrip("/")
    parts = urlsplit(text)
    if not isinstance(value, str) or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(value)
    if parts.query or parts.fragment or text.endswith("/api/v1"):
        raise ValueError(value)
    return text


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or any(not isinstance(each, str) for each in value.values()):
        raise ValueError(value)
    if any(str(name).lower() in ("authorization", "proxy-authorization", "cookie") for name in value):
        raise ValueError(value)
    return {str(name): each for name, each in value.items()}


def _file(value: Any) -> Path | None:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return Path(value)


def _duration(value: Any, longest: timedelta) -> timedelta:
    if not isinstance(value, str):
        raise TypeError(value)
    length = parse_duration(value)
    if not timedelta(0) < length <= longest:
        raise ValueError(value)
    return length


def max_gap(table: Table) -> timedelta:
    """Of a gauge: silence that is longer is not bridged."""
    return table.take(
        "max_gap",
        timedelta(minutes=5),
        lambda value: _duration(value, timedelta(hours=1)),
        f"{DURATION_WORDS}, up to 1h",
    )
