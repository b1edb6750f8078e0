"""Clocks for tests: one that stands still until it is moved, so that a week passes in a microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

MONDAY: Final = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday, midnight UTC: where a test begins that has no wish of its own."""


class FakeClock:
    """Keeps every promise of `ports.Clock`, and moves only by `advance` and `set`.

    `set` may step backwards, as a real clock does when somebody corrects it.
    """

    def __init__(self, now: datetime = MONDAY) -> None:
        if now.tzinfo is None:
            raise ValueError(f"{now!r} has no zone: instants are aware datetimes in UTC")
        self._now = now.astimezone(UTC)
        self.rate = 1.0
        self.origin: datetime | None = None
        self.real_origin = 0.0

    def now(self) -> datetime:
        return self._now

    def real_seconds_until(self, instant: datetime) -> float:
        return max((instant - self._now).total_seconds(), 0.0)

    def advance(self, length: timedelta) -> datetime:
        """Moves forward and says what time it is then. Raises ValueError for a negative length."""
        if length < timedelta(0):
            raise ValueError(f"{length}: time only advances; `set` steps back")
        self._now += length
        return self._now

    def set(self, instant: datetime) -> None:
        """Steps to an aware instant, forward or back."""
        self._now = instant.astimezone(UTC)
