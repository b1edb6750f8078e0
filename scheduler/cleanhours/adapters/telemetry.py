"""Telemetry for processes that nobody scrapes."""

from __future__ import annotations


class Silent:
    """Keeps the promise of `ports.Telemetry` by forgetting."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None: ...

    def set(self, name: str, value: float, **labels: str) -> None: ...

    def observe(self, name: str, value: float, **labels: str) -> None: ...
