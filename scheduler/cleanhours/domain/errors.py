"""Errors, named for what happens next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Complaint:
    """One fault: the field, the value found, and what would have been right."""

    field: str
    found: str
    accepted: str

    def __str__(self) -> str:
        return f"{self.field}: found {self.found!r}, accepted: {self.accepted}"


class CleanhoursError(Exception):
    """Whatever this project raises on purpose."""


class InvalidRequest(CleanhoursError):
    """The owner must change the request. Carries every complaint at once, never only the first."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(str(complaint) for complaint in self.complaints))


class ConfigurationError(CleanhoursError):
    """A setting is wrong: trying again will not help, an operator must act."""


class NotConfigured(ConfigurationError):
    """Nothing of that name is configured: whoever can do without goes on."""


class TemporaryError(CleanhoursError):
    """The next tick may do better, after `delay`."""

    def __init__(self, message: str, *, delay: timedelta = timedelta(minutes=1)) -> None:
        self.delay = delay
        super().__init__(message)


class UnknownZone(CleanhoursError):
    """The source does not serve this grid zone, and will not at the next tick either."""

    def __init__(self, zone: str, source: str, known: Iterable[str] = (), meant: str = "") -> None:
        self.zone = zone
        served = sorted(known)
        shown = ", ".join(served[:12]) + (f" and {len(served) - 12} more" if len(served) > 12 else "")
        super().__init__(
            f"{source} does not serve zone {zone!r}"
            + (f" (did you mean {meant}?)" if meant else "")
            + (f"; it serves {shown}" if served else "")
        )


class SeriesError(CleanhoursError, ValueError):
    """Values that are no intensity series: gaps, overlaps, disorder, mixed signals, numbers out of bounds."""


class EnergyError(CleanhoursError, ValueError):
    """An amount of energy that no run can have drawn, or that is no number."""


class NotSupported(CleanhoursError):
    """This cluster lacks the optional power; the message names the command to use instead."""
