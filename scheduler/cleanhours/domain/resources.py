"""What a job occupies and what a location has: CPUs, memory, GPUs, slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Demand:
    """What the whole job occupies while it runs: thousandths of a CPU, bytes, whole GPUs, and slots (one by default)."""

    cpu_millicores: int = 0
    memory_bytes: int = 0
    gpus: int = 0
    slots: int = 1

    @property
    def amounts(self) -> tuple[int, int, int, int]:
        """In the order of the fields."""
        return (self.cpu_millicores, self.memory_bytes, self.gpus, self.slots)

    def to_json(self) -> dict[str, int]:
        return {
            "cpu_millicores": self.cpu_millicores,
            "memory_bytes": self.memory_bytes,
            "gpus": self.gpus,
            "slots": self.slots,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{name: int(data[name]) for name in cls.__dataclass_fields__ if name in data})


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a location has in all, in the units of `Demand`; None is not limited."""

    cpu_millicores: int | None = None
    memory_bytes: int | None = None
    gpus: int | None = None
    slots: int | None = None

    def limits(self) -> tuple[int | None, int | None, int | None, int | None]:
        """In the order of `Demand`'s fields."""
        return (self.cpu_millicores, self.memory_bytes, self.gpus, self.slots)


@dataclass(frozen=True, slots=True)
class Booking:
    """A demand that occupies a location over [start, end)."""

    start: datetime
    end: datetime
    demand: Demand
