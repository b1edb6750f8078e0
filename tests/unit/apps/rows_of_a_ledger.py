"""Settled runs as a ledger holds them, short to write down in a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cleanhours.domain.accounts import Cause, Entry, IntensityUsed, MethodShare, Settled
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.intensity import Kind, Measure
from cleanhours.domain.jobs import FinishedRun, JobState, RunKey, RunSegment
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
_AVERAGE = Measure()


def a_run(
    name: str = "train",
    *,
    uid: str = "1",
    submitted: datetime = NOON,
    started: datetime = NOON + 3 * HOUR,
    hours: Sequence[int] = (1,),
    zone: str = "GB",
    location: str = "local",
    millijoules: int = 3_600_000_000,
    emissions_ug: int = 100_000_000,
    avoided_ug: Mapping[Cause, int] | None = None,
    settled: Settled = Settled.FINAL,
    measure: Measure = _AVERAGE,
    method: Method = Method.DECLARED,
    deadline: datetime | None = None,
    **changed: Any,
) -> Entry:
    """A run of one or more stretches of `hours`, an hour apart; the baseline is what was emitted and what was avoided."""
    segments, at = [], started
    for length in hours:
        segments.append(RunSegment(at, at + length * HOUR, location))
        at += (length + 1) * HOUR
    end = segments[-1].end
    assert end is not None
    causes = {Cause.DELAYED: 50_000_000} if avoided_ug is None else avoided_ug
    baseline = emissions_ug + sum(causes.values())
    request = JobRequest(submitted=submitted, duration=sum(hours) * HOUR, deadline=deadline)
    plan = Plan(
        location=location, zone=zone, start=started, end=end, segments=(), latest_start=started, reason=Reason.LOWEST_WINDOW
    )  # fmt: skip
    values: dict[str, Any] = {
        "run": FinishedRun(
            key=RunKey("local", uid, 1), name=name, namespace="me", state=JobState.SUCCEEDED, request=request,
            home="local", segments=tuple(segments), finished_at=end, plan=plan,
        ),
        "location": location,
        "settled": settled,
        "settled_at": end,
        "measure": measure,
        "providers": ("csv",),
        "profile": EnergyProfile((EnergySlice(started, end, Component.WHOLE, millijoules, method, "m"),)),
        "emissions_ug": emissions_ug,
        "baseline_ug": baseline,
        "avoided_ug": causes,
        "shares": (MethodShare(method, ("m",), millijoules, emissions_ug, baseline),),
        "intensity": tuple(
            IntensityUsed(zone, part.start, part.end, 100_000_000, Kind.ACTUAL) for part in segments if part.end
        ),
        "baseline_intensity": (IntensityUsed(zone, submitted, submitted + HOUR, 150_000_000, Kind.ACTUAL),),
        "deadline_kept": None if deadline is None else end <= deadline,
    }  # fmt: skip
    return Entry(**{**values, **changed})


def unmeasured(name: str = "unseen", **changed: Any) -> Entry:
    """A run whose energy nobody knows."""
    nothing: dict[str, Any] = {
        "profile": EnergyProfile(),
        "emissions_ug": None,
        "baseline_ug": None,
        "avoided_ug": {},
        "shares": (),
    }
    built = a_run(name, **changed)
    return Entry(**{
        **{field: getattr(built, field) for field in Entry.__dataclass_fields__},
        **nothing,
        "unmeasured": "no meter saw it",
    })  # fmt: skip
