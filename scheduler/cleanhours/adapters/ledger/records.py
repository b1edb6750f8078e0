"""Records: entries as JSON text and back, exact to the microsecond, so that a row can be settled again years later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Final, TypeVar

from cleanhours.domain.accounts import Beside, Cause, Entry, IntensityUsed, MethodShare, Settled
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlices, Method, Row, Source
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.intensity import Basis, Kind, Measure, Scope, Signal
from cleanhours.domain.jobs import FinishedRun, JobState, RunKey, RunSegment
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Demand
from cleanhours.domain.times import instant_at, microseconds

_DAMAGE: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)

Kept = TypeVar("Kept")


def decode(read: Callable[[str], Kept], text: str, row: str) -> Kept:
    """What `read` makes of a column of `row`. Raises ConfigurationError naming it where it is not what we wrote."""
    try:
        return read(text)
    except _DAMAGE as fault:
        raise ConfigurationError(
            f"{row} is damaged ({type(fault).__name__}: {fault}): restore it from a backup"
        ) from None


def clean(text: str) -> str:
    """A name as a database can hold it: no NUL (PostgreSQL), no half characters (either)."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def write_entry(entry: Entry) -> str:
    """The entry as one line of ASCII JSON, the same for equal entries."""
    return json.dumps(_entry_to_json(entry), separators=(",", ":"), sort_keys=True)


def digest_of(entry: Entry) -> str:
    """What the entry says, whenever it was settled: equal for two settlements that agree."""
    data = _entry_to_json(entry)
    del data["settled_at"]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def read_entry(text: str) -> Entry:
    """The entry that `write_entry` wrote."""
    data = json.loads(text)
    return Entry(
        run=run_from_json(data["run"]),
        location=data["location"],
        settled=Settled(data["settled"]),
        settled_at=instant_at(data["settled_at"]),
        measure=read_measure(data["measure"]),
        providers=tuple(data["providers"]),
        profile=profile_from_json(data["profile"]),
        emissions_ug=data["emissions_ug"],
        baseline_ug=data["baseline_ug"],
        avoided_ug={Cause(cause): amount for cause, amount in data["avoided_ug"].items()},
        energy_avoided_mj={Cause(cause): amount for cause, amount in data["energy_avoided_mj"].items()},
        shares=tuple(MethodShare(Method(row[0]), tuple(row[1]), *row[2:]) for row in data["shares"]),
        intensity=tuple(_used_from_json(row) for row in data["intensity"]),
        baseline_intensity=tuple(_used_from_json(row) for row in data["baseline_intensity"]),
        deadline_kept=data["deadline_kept"],
        unmeasured=data["unmeasured"],
        beside=_beside_from_json(data["beside"]) if "beside" in data else None,
    )


def read_plan(text: str) -> Plan:
    """The plan that was written as its own JSON."""
    return Plan.from_json(json.loads(text))


def write_measure(measure: Measure) -> str:
    """Signal, scope and basis in one word."""
    return f"{measure.signal}/{measure.scope}/{measure.basis}"


def read_measure(text: str) -> Measure:
    """The measure that `write_measure` wrote."""
    signal, scope, basis = text.split("/")
    return Measure(Signal(signal), Scope(scope), Basis(basis))


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    return {
        "run": run_to_json(entry.run),
        "location": entry.location,
        "settled": entry.settled.value,
        "settled_at": microseconds(entry.settled_at),
        "measure": write_measure(entry.measure),
        "providers": list(entry.providers),
        "profile": profile_to_json(entry.profile),
        "emissions_ug": entry.emissions_ug,
        "baseline_ug": entry.baseline_ug,
        "avoided_ug": {cause.value: amount for cause, amount in entry.avoided_ug.items()},
        "energy_avoided_mj": {cause.value: amount for cause, amount in entry.energy_avoided_mj.items()},
        "shares": [
            [s.method.value, list(s.meters), s.millijoules, s.emissions_ug, s.baseline_ug]
            for s in entry.shares
        ],
        "intensity": [_used_to_json(part) for part in entry.intensity],
        "baseline_intensity": [_used_to_json(part) for part in entry.baseline_intensity],
        "deadline_kept": entry.deadline_kept,
        "unmeasured": entry.unmeasured,
        **({} if entry.beside is None else {"beside": _beside_to_json(entry.beside)}),
    }


def _beside_to_json(beside: Beside) -> dict[str, Any]:
    return {
        "settled": beside.settled.value,
        "measure": None if beside.measure is None else write_measure(beside.measure),
        "providers": list(beside.providers),
        "emissions_ug": beside.emissions_ug,
        "baseline_ug": beside.baseline_ug,
        "avoided_ug": {cause.value: amount for cause, amount in beside.avoided_ug.items()},
        "intensity": [_used_to_json(part) for part in beside.intensity],
        "baseline_intensity": [_used_to_json(part) for part in beside.baseline_intensity],
        "unknown": beside.unknown,
    }


def _beside_from_json(data: Mapping[str, Any]) -> Beside:
    return Beside(
        settled=Settled(data["settled"]),
        measure=None if data["measure"] is None else read_measure(data["measure"]),
        providers=tuple(data["providers"]),
        emissions_ug=data["emissions_ug"],
        baseline_ug=data["baseline_ug"],
        avoided_ug={Cause(cause): amount for cause, amount in data["avoided_ug"].items()},
        intensity=tuple(_used_from_json(row) for row in data["intensity"]),
        baseline_intensity=tuple(_used_from_json(row) for row in data["baseline_intensity"]),
        unknown=data["unknown"],
    )


def run_to_json(run: FinishedRun) -> dict[str, Any]:
    """A run, for `run_from_json`."""
    return {
        "key": list(run.key),
        "name": run.name,
        "namespace": run.namespace,
        "state": run.state.value,
        "request": _request_to_json(run.request),
        "home": run.home,
        "segments": [
            [
                microseconds(part.start),
                None if part.end is None else microseconds(part.end),
                part.location,
                list(part.handles),
            ]
            for part in run.segments
        ],
        "finished_at": microseconds(run.finished_at),
        "allocated": run.allocated.to_json(),
        "owner": run.owner,
        "labels": dict(run.labels),
        "plan": None if run.plan is None else run.plan.to_json(),
        "exit_code": run.exit_code,
        "message": run.message,
        "usage": dict(run.usage),
    }


def run_from_json(data: Mapping[str, Any]) -> FinishedRun:
    """The run that `run_to_json` wrote."""
    cluster, uid, attempt = data["key"]
    return FinishedRun(
        key=RunKey(cluster, uid, attempt),
        name=data["name"],
        namespace=data["namespace"],
        state=JobState(data["state"]),
        request=JobRequest.from_json(data["request"]),
        home=data["home"],
        segments=tuple(
            RunSegment(instant_at(start), None if end is None else instant_at(end), location, tuple(handles))
            for start, end, location, handles in data["segments"]
        ),
        finished_at=instant_at(data["finished_at"]),
        allocated=Demand.from_json(data["allocated"]),
        owner=data["owner"],
        labels=data["labels"],
        plan=None if data["plan"] is None else Plan.from_json(data["plan"]),
        exit_code=data["exit_code"],
        message=data["message"],
        usage=data["usage"],
    )


def _request_to_json(request: JobRequest) -> dict[str, Any]:
    """The request's own JSON, with its instants to the microsecond: the baseline starts at one of them."""
    data = request.to_json()
    for name in ("submitted", "deadline", "earliest"):
        if name in data:
            data[name] = getattr(request, name).astimezone(UTC).isoformat()
    return data


def profile_to_json(profile: EnergyProfile) -> dict[str, Any]:
    """A profile, for `profile_from_json`."""
    return {
        "coverage": profile.coverage,
        "upper_estimate": profile.upper_estimate,
        "slices": [
            [start, end, component.value, millijoules, method.value, meter]
            for start, end, (component, method, meter), millijoules in profile.slices.rows()
        ],
    }


def profile_from_json(data: Mapping[str, Any]) -> EnergyProfile:
    """The profile that `profile_to_json` wrote."""
    rows = (
        Row(start, end, Source(Component(component), Method(method), meter), millijoules)
        for start, end, component, millijoules, method, meter in data["slices"]
    )
    return EnergyProfile(EnergySlices.of_rows(rows), data["coverage"], data["upper_estimate"])


def _used_to_json(part: IntensityUsed) -> list[Any]:
    return [
        part.zone,
        microseconds(part.start),
        microseconds(part.end),
        part.micrograms_per_kwh,
        part.kind.value,
    ]


def _used_from_json(row: list[Any]) -> IntensityUsed:
    zone, start, end, micrograms, kind = row
    return IntensityUsed(zone, instant_at(start), instant_at(end), micrograms, Kind(kind))
