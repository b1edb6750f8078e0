"""The table `[clusters.NAME]` of a local cluster, read once and completely."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from cleanhours.domain.deadlines import Margins
from cleanhours.domain.errors import ConfigurationError
from cleanhours_plugins.clusters.tables import Reader, length, only, read_table

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_NAME_WORDS: Final = "1 to 63 letters, digits, dots, dashes or underscores"


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """`slots` jobs at once at `location`; `grace` is the real time between SIGTERM and SIGKILL."""

    name: str
    slots: int
    location: str
    margins: Margins
    grace: timedelta


def read_settings(
    table: Mapping[str, Any], defaults: Margins = Margins(), locations: Sequence[str] | None = None
) -> LocalSettings:
    """The settings of a table; `defaults` are the margins of planning, `locations` the configured ones, home first.

    Without a `location` it is `local`, or the first there is. Raises ConfigurationError naming every fault: key, value
    found, what would be right.
    """
    found, faults = read_table(table, _READERS)
    usual = "local" if locations is None or "local" in locations else next(iter(locations), "local")
    location = found.get("location", usual)
    if locations is not None and location not in locations:
        faults.append(
            f"location: found {location!r}, accepted: {', '.join(sorted(locations)) or 'none is configured'}"
        )
    if faults:
        raise ConfigurationError("cluster of type local: " + "; ".join(faults))
    return LocalSettings(
        name=found.get("name", "local"),
        slots=found.get("slots") or os.cpu_count() or 1,
        location=location,
        margins=Margins(found.get("safety", defaults.safety), found.get("queue_margin", defaults.queue)),
        grace=found.get("grace", timedelta(seconds=10)),
    )


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(_NAME_WORDS)
    return value


def _slots(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000:
        raise ValueError("a whole number, 1 to 100000")
    return value


def _safety(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 100:
        raise ValueError("a factor, 1 to 100")
    return float(value)


_READERS: Final[Mapping[str, Reader]] = {
    "type": only("local"),
    "name": _name,
    "slots": _slots,
    "location": _name,
    "safety": _safety,
    "queue_margin": length,
    "grace": length,
}
