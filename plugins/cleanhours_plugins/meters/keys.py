"""Keys of a meter's own settings table: unknown ones are refused, with the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cleanhours.domain.errors import ConfigurationError


def check_keys(meter: str, settings: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raises ConfigurationError naming every key that the meter does not know."""
    faults = []
    for key in settings:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
            faults.append(f"meters.{meter}.{key}: no such setting; {hint}")
    if faults:
        raise ConfigurationError("; ".join(faults))


def watts(meter: str, settings: Mapping[str, Any], key: str, default: float) -> float:
    """A setting in watts, 0 or more. Raises ConfigurationError."""
    value = settings.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e6:
        raise ConfigurationError(f"meters.{meter}.{key}: found {value!r}, accepted: watts, 0 or more")
    return float(value)


def folder(meter: str, settings: Mapping[str, Any], key: str, default: str) -> Path:
    """A setting that names a folder; it need not exist. Raises ConfigurationError."""
    value = settings.get(key, default)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"meters.{meter}.{key}: found {value!r}, accepted: the path of a folder")
    return Path(value)
