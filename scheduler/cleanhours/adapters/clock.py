"""Clocks: the only place that looks at the time, real or running fast."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The real time in UTC: time zones and daylight saving change nothing."""

    rate = 1.0
    origin: datetime | None = None
    real_origin = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def real_seconds_until(self, instant: datetime) -> float:
        return max(0.0, (instant - self.now()).total_seconds())


@dataclass(frozen=True, slots=True)
class FastClock:
    """A clock that showed `origin` at Unix time `real_origin` and runs `rate` times as fast as the real one.

    Two processes with the same three values agree. Raises ValueError for a rate that is not above 0.
    """

    origin: datetime
    real_origin: float
    rate: float

    def __post_init__(self) -> None:
        if not 0 < self.rate < float("inf"):
            raise ValueError(f"a clock's rate is above 0, found {self.rate}")

    @classmethod
    def starting(cls, origin: datetime, rate: float) -> FastClock:
        """A clock that shows `origin` now."""
        return cls(origin, time.time(), rate)

    def now(self) -> datetime:
        return self.origin + timedelta(seconds=(time.time() - self.real_origin) * self.rate)

    def real_seconds_until(self, instant: datetime) -> float:
        return max(0.0, (instant - self.now()).total_seconds() / self.rate)


@dataclass(frozen=True, slots=True)
class StoppedClock:
    """A clock that stands at one instant, for questions about that instant."""

    at: datetime
    rate: float = 1.0
    real_origin: float = 0.0

    @property
    def origin(self) -> datetime | None:
        return None

    def now(self) -> datetime:
        return self.at

    def real_seconds_until(self, instant: datetime) -> float:
        return max(0.0, (instant - self.at).total_seconds())
