"""Telemetry that remembers."""

from __future__ import annotations

from collections import defaultdict

Labels = tuple[tuple[str, str], ...]


class FakeTelemetry:
    """Sums counts, keeps the last value set, lists observations; keyed by name and sorted labels."""

    def __init__(self) -> None:
        self.counted: defaultdict[tuple[str, Labels], float] = defaultdict(float)
        self.values: dict[tuple[str, Labels], float] = {}
        self.observed: defaultdict[tuple[str, Labels], list[float]] = defaultdict(list)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self.counted[name, tuple(sorted(labels.items()))] += amount

    def set(self, name: str, value: float, **labels: str) -> None:
        self.values[name, tuple(sorted(labels.items()))] = value

    def observe(self, name: str, value: float, **labels: str) -> None:
        self.observed[name, tuple(sorted(labels.items()))].append(value)

    def total(self, name: str, **labels: str) -> float:
        """A counter over all labels, or over those that wear these."""
        wanted = set(labels.items())
        return sum(
            amount
            for (counted, worn), amount in self.counted.items()
            if counted == name and wanted <= set(worn)
        )
