"""What was decided for a job, and why: plan version 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Self

from cleanhours.domain.caps import Cap
from cleanhours.domain.measures import Scope, Signal
from cleanhours.domain.times import format_instant, parse_instant

VERSION: Final = 1


class Reason(StrEnum):
    """Why a plan is what it is. Log, event, metric label and command line read the same word."""

    RUN_NOW = "run-now"
    NO_SLACK = "no-slack"
    NO_DURATION = "no-duration"
    NO_FORECAST = "no-forecast"
    BELOW_MIN_SAVING = "below-min-saving"
    LOWEST_WINDOW = "lowest-window"
    LOWEST_SLOTS = "lowest-slots"
    CARBON_TIME = "carbon-time"
    ELASTIC = "elastic"
    CAPACITY = "capacity"
    DEADLINE_ONLY = "deadline-only"
    DEADLINE_GUARD = "deadline-guard"
    INVALID_REQUEST = "invalid-request"
    SHADOW = "shadow"


FORCED: Final = frozenset({Reason.DEADLINE_GUARD, Reason.NO_SLACK})
"""Reasons to start whatever is in the way: a slot limit, a ramp, a place that a server refuses."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of running, [start, end), at one location."""

    start: datetime
    end: datetime
    location: str
    zone: str

    def to_json(self) -> dict[str, str]:
        return {
            "start": format_instant(self.start),
            "end": format_instant(self.end),
            "location": self.location,
            "zone": self.zone,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, str]) -> Self:
        return cls(
            parse_instant(data["start"]),
            parse_instant(data["end"]),
            _same(data["location"]),
            _same(data.get("zone", "")),
        )


@dataclass(frozen=True, slots=True)
class ForecastId:
    """Which forecast was acted on."""

    provider: str
    issued_at: datetime | None
    age_seconds: float | None

    def to_json(self) -> dict[str, Any]:
        issued = None if self.issued_at is None else format_instant(self.issued_at)
        return {
            "provider": self.provider,
            "issued_at": issued,
            "age_seconds": self.age_seconds,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls._of(data["provider"], data.get("issued_at"), data.get("age_seconds"))

    @classmethod
    @lru_cache(maxsize=256)
    def _of(cls, provider: str, issued: str | None, age_seconds: float | None) -> Self:
        """The same value for the same forecast: thousands of plans share it."""
        return cls(provider, None if issued is None else parse_instant(issued), age_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where and when a job runs, with what it is expected to emit and what it would have emitted.

    Grams are gCO2e of the remaining work, PUE and transfers included; None where no forecast was known.
    `mean_g_per_kwh` is energy-weighted, before PUE. `baseline_g` starts at max(now, earliest) at home. `end` is None
    where the duration is unknown (then there are no segments). `latest_start` is the latest safe start, or resume.
    """

    location: str
    zone: str
    start: datetime
    end: datetime | None
    segments: tuple[Segment, ...]
    latest_start: datetime
    reason: Reason
    mean_g_per_kwh: float | None = None
    expected_g: float | None = None
    baseline_g: float | None = None
    signal: Signal | None = None
    scope: Scope | None = None
    forecast: ForecastId | None = None
    power_w: float = 0.0
    power_assumed: bool = False
    cap: Cap | None = None
    """What its accelerators are to be limited to while it runs; None where they are not."""
    note: str = ""
    """What the owner should know besides, such as a horizon that ends early; part of the sentence."""
    said: str | None = None
    """The sentence as it was written, for a plan read back."""

    @property
    def saving_percent(self) -> float | None:
        """100 x (baseline - expected) / baseline; None where the baseline is 0 or unknown."""
        if self.baseline_g is None or self.expected_g is None or self.baseline_g == 0:
            return None
        return 100 * (self.baseline_g - self.expected_g) / self.baseline_g

    @property
    def sentence(self) -> str:
        """The plan in one sentence, for people."""
        return self._compose() if self.said is None else self.said

    def _compose(self) -> str:
        where = f"{self.location} ({self.zone})" if self.location != self.zone else self.location
        words = [f"Start {self.start:%a} {format_instant(self.start)} in {where}"]
        if len(self.segments) > 1:
            words.append(f"in {len(self.segments)} runs")
        if self.end is not None:
            words.append(f"until {format_instant(self.end)}")
        if self.cap is not None:
            words.append(str(self.cap))
        words.append(f"({self.reason})")
        text = " ".join(words)
        if self.expected_g is not None and self.baseline_g is not None:
            text += (
                f", expecting {format_mass(self.expected_g)} instead of {format_mass(self.baseline_g)} CO2e"
            )
            if self.saving_percent is not None and abs(self.saving_percent) >= 0.05:
                text += f", {abs(self.saving_percent):.1f} % {'less' if self.saving_percent > 0 else 'more'}"
        return text + (f"; {self.note}" if self.note else "") + "."

    def changed_from(self, other: Plan | None) -> bool:
        """Whether it must be written and announced: location, segments, reason, latest start or cap differ."""
        return other is not self and (other is None or _IDENTITY(self) != _IDENTITY(other))

    def to_json(self) -> dict[str, Any]:
        """Plan version 1, plain JSON values."""
        return {
            "version": VERSION,
            "location": self.location,
            "zone": self.zone,
            "start": format_instant(self.start),
            "end": None if self.end is None else format_instant(self.end),
            "segments": [segment.to_json() for segment in self.segments],
            "latest_start": format_instant(self.latest_start),
            "mean_g_per_kwh": self.mean_g_per_kwh,
            "expected_g": self.expected_g,
            "baseline_g": self.baseline_g,
            "saving_percent": self.saving_percent,
            "reason": self.reason.value,
            "signal": None if self.signal is None else self.signal.value,
            "scope": None if self.scope is None else self.scope.value,
            "forecast": None if self.forecast is None else self.forecast.to_json(),
            "power_w": self.power_w,
            "power_assumed": self.power_assumed,
            **({} if self.cap is None else {"cap": self.cap.to_json()}),
            "note": self.note,
            "sentence": self.sentence,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The plan that `to_json` wrote. Raises ValueError for another version."""
        if data.get("version") != VERSION:
            raise ValueError(f"plan version {data.get('version')!r}: this release reads version {VERSION}")
        return cls(
            location=_same(data["location"]),
            zone=_same(data["zone"]),
            start=parse_instant(data["start"]),
            end=None if data["end"] is None else parse_instant(data["end"]),
            segments=tuple(Segment.from_json(segment) for segment in data["segments"]),
            latest_start=parse_instant(data["latest_start"]),
            reason=Reason(data["reason"]),
            mean_g_per_kwh=data["mean_g_per_kwh"],
            expected_g=data["expected_g"],
            baseline_g=data["baseline_g"],
            signal=None if data["signal"] is None else Signal(data["signal"]),
            scope=None if data["scope"] is None else Scope(data["scope"]),
            forecast=None if data["forecast"] is None else ForecastId.from_json(data["forecast"]),
            power_w=data["power_w"],
            power_assumed=data["power_assumed"],
            cap=Cap.from_json(data["cap"]) if data.get("cap") else None,
            note=data.get("note", ""),
            # its note is all that the sentence says besides; a plan of an earlier release has none apart
            said=None if "note" in data else data["sentence"],
        )


@lru_cache(maxsize=1024)
def _same(name: str) -> str:
    """One value for equal names: thousands of plans are read back, of a few places."""
    return name


_IDENTITY: Final = attrgetter("start", "segments", "reason", "latest_start", "location", "cap")


def format_mass(grams: float) -> str:
    """Grams for people: `780 mg`, `1.5 g`, `2.8 kg`, `1.2 t`; negatives keep their sign."""
    size = abs(grams)
    for unit, factor in (("t", 1e6), ("kg", 1e3), ("g", 1.0)):
        if size >= factor:
            return f"{grams / factor:.3g} {unit}"
    return f"{grams * 1000:.3g} mg"
