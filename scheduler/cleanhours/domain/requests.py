"""What the owner of a job asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.resources import Demand
from cleanhours.domain.times import (
    LONGEST,
    format_duration,
    format_instant,
    parse_duration,
    parse_instant,
)

ASSUMED_POWER_W: Final = 1000.0
"""Planned with where nothing tells the power of a job: grams scale with it, the choice of a window does not."""

LARGEST_AMOUNT: Final = 10**15
"""Of anything a job may occupy (a petabyte of memory): sums over ten thousand jobs stay whole 64-bit numbers."""


class Policy(StrEnum):
    """How a plan is chosen."""

    RUN_NOW = "run-now"
    LOWEST_WINDOW = "lowest-window"
    LOWEST_SLOTS = "lowest-slots"
    CARBON_TIME = "carbon-time"
    DEADLINE_ONLY = "deadline-only"
    ELASTIC = "elastic"


_NOTHING: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job's wishes. Raises InvalidRequest with every complaint; well-formed but impossible wishes are accepted.

    `submitted` is where delay counts from; `duration` is running time without pauses; `deadline` is when the job must
    have finished; `max_delay` bounds waiting, pauses and checkpoints together. Each pause costs `checkpoint` of running
    time at full power and `pause_energy_j` joules more. `power_w` is the whole job's, before PUE. `data_bytes` lie at
    home and move once with a relocation. `power_curve` names what was measured of it under power caps: then it may be
    capped, and only then; not so that it would run longer than its `time_limit`, after which its cluster ends it.
    """

    submitted: datetime
    duration: timedelta | None = None
    deadline: datetime | None = None
    max_delay: timedelta | None = None
    earliest: datetime | None = None
    interruptible: bool = False
    checkpoint: timedelta = _NOTHING
    pause_energy_j: float = 0.0
    minimum_run: timedelta = _NOTHING
    maximum_pauses: int | None = None
    power_w: float | None = None
    locations: tuple[str, ...] = ()
    data_bytes: int = 0
    demand: Demand = Demand()
    policy: Policy | None = None
    power_curve: str = ""
    time_limit: timedelta | None = None

    def __post_init__(self) -> None:
        complaints = [
            *self._instant_faults(),
            *self._length_faults(),
            *self._number_faults(),
        ]
        if complaints:
            raise InvalidRequest(complaints)

    def _instant_faults(self) -> Iterator[Complaint]:
        for field in ("submitted", "deadline", "earliest"):
            instant = getattr(self, field)
            if instant is not None and instant.tzinfo is None:
                yield Complaint(field, str(instant), "an instant with a zone")

    def _length_faults(self) -> Iterator[Complaint]:
        for field, least in (("duration", timedelta(seconds=1)), ("max_delay", _NOTHING),
                             ("checkpoint", _NOTHING), ("minimum_run", _NOTHING)):  # fmt: skip
            length = getattr(self, field)
            if length is not None and not least <= length <= LONGEST:
                accepted = f"{format_duration(least)} to {format_duration(LONGEST)}"
                yield Complaint(field.replace("_", "-"), format_duration(length), accepted)

    def _number_faults(self) -> Iterator[Complaint]:
        if self.power_w is not None and not (math.isfinite(self.power_w) and 0 < self.power_w <= 1e9):
            yield Complaint("power", str(self.power_w), "watts above 0 and at most 1 GW")
        if not (math.isfinite(self.pause_energy_j) and self.pause_energy_j >= 0):
            yield Complaint("pause-energy", str(self.pause_energy_j), "joules, 0 or more")
        if self.data_bytes < 0:
            yield Complaint("data", str(self.data_bytes), "bytes, 0 or more")
        if self.maximum_pauses is not None and self.maximum_pauses < 0:
            yield Complaint("maximum-pauses", str(self.maximum_pauses), "a count, 0 or more")
        amounts = self.demand.amounts
        if min(amounts) < 0 or max(amounts) > LARGEST_AMOUNT:
            yield Complaint("demand", str(self.demand), f"amounts of 0 to {LARGEST_AMOUNT:,}")

    @property
    def flexible(self) -> bool:
        """Whether the owner gave us any time at all."""
        return self.deadline is not None or self.max_delay is not None

    @property
    def planned_power_w(self) -> float:
        """Watts to plan with: the owner's word, else the assumption."""
        return ASSUMED_POWER_W if self.power_w is None else self.power_w

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values that `from_json` reads back equal."""
        data: dict[str, Any] = {}
        for field in self.__dataclass_fields__:
            value = getattr(self, field)
            if isinstance(value, datetime):
                value = format_instant(value)
            elif isinstance(value, timedelta):
                value = format_duration(value)
            elif isinstance(value, Demand):
                value = value.to_json()
            elif isinstance(value, tuple):
                value = list(value)
            if value is not None and (value or field != "power_curve"):
                data[field] = value
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_json` wrote."""
        values = dict(data)
        for field in ("submitted", "deadline", "earliest"):
            if field in values:
                values[field] = parse_instant(values[field])
        for field in ("duration", "max_delay", "checkpoint", "minimum_run", "time_limit"):
            if field in values:
                values[field] = parse_duration(values[field])
        if "demand" in values:
            values["demand"] = Demand.from_json(values["demand"])
        if "policy" in values:
            values["policy"] = Policy(values["policy"])
        values["locations"] = tuple(values.get("locations", ()))
        return cls(**values)
