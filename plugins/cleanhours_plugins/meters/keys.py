"""A meter's own settings table: unknown keys are refused, with the nearest known name, and every fault is named at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cleanhours.domain.errors import ConfigurationError

T = TypeVar("T")


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


def number(value: Any, most: float = 1e6) -> float:
    """From 0 to `most`. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise ValueError(value)
    return float(value)


def folder(value: Any) -> Path:
    """A folder; it need not exist. Raises ValueError."""
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return Path(value)


class Table:
    """A meter's table, taken key by key; `close` raises what was wrong with all of them together."""

    def __init__(self, meter: str, settings: Mapping[str, Any], keys: Sequence[str]) -> None:
        self.meter = meter
        self._settings = settings
        self._faults: list[str] = []
        try:
            check_keys(meter, settings, keys)
        except ConfigurationError as fault:
            self._faults.append(str(fault))

    def fault(self, key: str, found: object, accepted: str) -> None:
        self._faults.append(f"meters.{self.meter}.{key}: found {found!r}, accepted: {accepted}")

    def add(self, fault: str) -> None:
        """One that says itself where it is."""
        self._faults.append(fault)

    def take(self, key: str, default: T, read: Callable[[Any], T], accepted: str) -> T:
        """What `read` makes of the value; a ValueError or TypeError of it is a fault."""
        if key not in self._settings:
            return default
        try:
            return read(self._settings[key])
        except (ValueError, TypeError):
            self.fault(key, _shown(self._settings[key]), accepted)
            return default

    def close(self) -> None:
        if self._faults:
            raise ConfigurationError("; ".join(self._faults))


def _shown(value: Any) -> Any:
    """A value as a complaint shows it: without what may be a secret."""
    if isinstance(value, Mapping):
        return list(value)
    if isinstance(value, str) and "@" in value:
        return "***@" + value.rpartition("@")[2]
    return value
