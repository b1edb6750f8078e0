"""The scheduler's clock, rebuilt in another process from three numbers. Instants here are epoch microseconds."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from cleanhours.ports import Clock

    class Showing(Protocol):
        """Shows epoch microseconds."""

        def now_us(self) -> int: ...


class SharedClock:
    """The same instants as a `ports.Clock`: the wall clock, or one that runs `rate` times as fast since `real_origin`."""

    def __init__(self, origin_us: int | None = None, rate: float = 1.0, real_origin: float = 0.0) -> None:
        self.origin_us = origin_us
        self.rate = rate
        self.real_origin = real_origin

    @classmethod
    def of(cls, clock: Clock) -> SharedClock:
        """The clock that a process of ours is to follow."""
        origin = clock.origin
        return cls(None if origin is None else round(origin.timestamp() * 1e6), clock.rate, clock.real_origin)

    @classmethod
    def parse(cls, words: str) -> SharedClock:
        """What `words` wrote. Raises ValueError."""
        if words == "real":
            return cls()
        origin, rate, real_origin = words.split(",")
        return cls(int(origin), float(rate), float(real_origin))

    @property
    def words(self) -> str:
        """One argument for a command line."""
        return "real" if self.origin_us is None else f"{self.origin_us},{self.rate!r},{self.real_origin!r}"

    def now_us(self) -> int:
        """The wall clock is asked anew each time: whoever corrects it corrects us."""
        return self.at_real(real_now())

    def at_real(self, real: float) -> int:
        """The instant that this clock shows at a Unix time."""
        if self.origin_us is None:
            return int(real * 1e6)
        return self.origin_us + int((real - self.real_origin) * self.rate * 1e6)

    def length_us(self, real_seconds: float) -> int:
        """How far this clock goes in a real time."""
        return int(real_seconds * 1e6 * (1.0 if self.origin_us is None else self.rate))

    def real_seconds(self, length_us: int) -> float:
        """How long a stretch of this clock really lasts."""
        return length_us / 1e6 / (1.0 if self.origin_us is None else self.rate)


def real_now() -> float:
    """Unix time. The processes of the local cluster outlive the controller, so they must ask for themselves."""
    return time.time()  # noqa: TID251


class SteadyClock:
    """Follows a clock forward but never back: a step back must not make a job late.

    When somebody sets the machine's clock two hours back, what was due stays due: the watchdog then starts a job
    early at worst, which costs grams and no deadline.
    """

    def __init__(self, clock: SharedClock) -> None:
        self._clock = clock
        self._begun = time.monotonic()
        self._begun_us = clock.now_us()

    def now_us(self) -> int:
        """The later of what the clock shows and what has really passed since this was made."""
        passed_us = self._clock.length_us(time.monotonic() - self._begun)
        return max(self._clock.now_us(), self._begun_us + passed_us)
