"""Acting: a decision and a record into the one patch that carries it out. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from cleanhours.domain.jobs import Action, Decision, JobState, RunSegment
from cleanhours.domain.plans import Plan
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.jobs import Reporting, segments_of, state_of
from cleanhours_plugins.clusters.kubernetes.kinds import JOB
from cleanhours_plugins.clusters.kubernetes.placing import home_of, placed_at, placement, write_original
from cleanhours_plugins.clusters.kubernetes.reading import write_runs
from cleanhours_plugins.clusters.kubernetes.records import Path, Record
from cleanhours_plugins.clusters.kubernetes.switching import Patch, letting_go, marking, merged, stopping

_GOES: Final = frozenset({JobState.RELEASED, JobState.RUNNING})


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """Why a decision cannot be carried out as things are."""

    why: str

    def __str__(self) -> str:
        return self.why


def as_wanted(record: Record, decision: Decision, reporting: Reporting) -> bool:
    """Whether there is nothing to do. Raises Refusal where it must not be done.

    A plan that is the same in all that counts is not written again.
    """
    state = state_of(record)
    _check(record, state, decision, reporting)
    goes = state in _GOES
    match decision.action:
        case Action.HOLD | Action.REMARK:
            return not decision.plan.changed_from(record.plan)
        case Action.RELEASE | Action.RESUME:
            return goes
        case Action.RELOCATE if goes:
            return where(record, reporting) == decision.at
    return not goes


def _check(record: Record, state: JobState | None, decision: Decision, reporting: Reporting) -> None:
    """Raises Refusal, with the first reason why not."""
    stopping_now = state in (JobState.PAUSING, JobState.MOVING)
    starts = decision.action in (Action.RELEASE, Action.RESUME)
    stops = decision.action in (Action.SUSPEND, Action.RELOCATE)
    known = ", ".join(reporting.places.labels)
    reasons = (
        (state is None, f"{record.name} has finished"),
        (reporting.shadow or record.shadow, "it is in shadow: planned, not touched"),
        (decision.action is Action.SCALE, "scale is not in this cluster's power"),
        (decision.at not in reporting.places.labels, f"no location {decision.at!r}: it has {known}"),
        (state is JobState.UNMANAGED, "its owner holds it"),
        (decision.action is Action.HOLD and state in _GOES, "it runs: suspend it"),
        (starts and stopping_now, "its Pods are still stopping"),
        (stops and state in _GOES and record.mark is not words.Mark.RELEASED, "its owner let it go"),
        (stops and record.kind.suspend is None, f"{record.kind} cannot be paused"),
    )
    for holds, why in reasons:
        if holds:
            raise Refusal(why)


def remark(record: Record, plan: Plan) -> Patch:
    """Only the plan."""
    return marking(record, {words.PLAN: encode(plan)})


def start(record: Record, plan: Plan, reporting: Reporting, place: Patch) -> Patch:
    """Lets it go where the plan says: state, placement (a patch of its own, empty to stay) and switch in one."""
    return merged(
        marking(record, going(record, plan, reporting) | _original(record, place)),
        place,
        capping(record, plan),
        letting_go(record),
    )


def capping(record: Record, plan: Plan) -> Patch:
    """Tells its power cap, or takes an earlier one back: on the object, and on the Pods of a Job, whose template takes an
    annotation for sure while it waits (KEP-2926).
    """
    before = None if record.plan is None else record.plan.cap
    if plan.cap is None and before is None:
        return {}
    told = {
        "metadata": {"annotations": {words.POWER_CAP: None if plan.cap is None else f"{plan.cap.limit_w:g}"}}
    }
    if record.kind is not JOB or record.queue:
        return told
    return merged(told, {"spec": {"template": told}})


def going(record: Record, plan: Plan, reporting: Reporting) -> dict[str, str | None]:
    """The annotations of one that is let go."""
    annotations: dict[str, str | None] = {words.STATE: words.Mark.RELEASED, words.PLAN: encode(plan)}
    if record.runs:
        annotations[words.RUNS] = write_runs(segments_of(record, reporting.places, where(record, reporting)))
    return annotations


def placing(record: Record, place: Patch) -> Patch:
    """Puts one elsewhere that stays stopped."""
    return merged(marking(record, _original(record, place)), place)


def _original(record: Record, place: Patch) -> dict[str, str | None]:
    if not place or record.original is not None:
        return {}
    return {words.ORIGINAL: json.dumps(write_original(record), separators=(",", ":"))}


def changes(record: Record, to: str, reporting: Reporting) -> dict[Path, Patch]:
    """What moves it there. What its owner offers no choice for and nobody moved yet is left as he wrote it."""
    offered = reporting.wishes(record).request.locations
    home = home_of(record, reporting.places, offered, reporting.around.tied(record))
    if record.original is None and to == home and not offered:
        return {}
    return placement(record, reporting.places, to, reporting.allowed(record, offered))


def stop(record: Record, plan: Plan, reporting: Reporting, now: datetime, *, to_move: bool) -> Patch:
    """Stops it, with its runs so far: the current one ends now, as far as anybody knows yet.

    What Kueue manages is only marked: it has no switch of its own.
    """
    mark = words.Mark.MOVING if to_move else words.Mark.PAUSED
    annotations: dict[str, str | None] = {words.STATE: mark, words.PLAN: encode(plan)}
    runs = closed(
        segments_of(record, reporting.places, where(record, reporting), reporting.around.pods(record)), now
    )
    if runs:
        annotations[words.RUNS] = write_runs(runs)
    return merged(marking(record, annotations), {} if record.queue else stopping(record))


def closed(runs: Sequence[RunSegment], now: datetime) -> tuple[RunSegment, ...]:
    """The same with no end open. A start that the server's clock puts after ours makes an empty run."""
    return tuple(replace(run, end=max(run.start, now)) if run.end is None else run for run in runs)


def where(record: Record, reporting: Reporting) -> str:
    """The location that it is at, or would be."""
    placed = placed_at(record, reporting.places)
    if placed is not None:
        return placed
    offered = reporting.wishes(record).request.locations
    return home_of(record, reporting.places, offered, reporting.around.tied(record))


def stayed(plan: Plan, at: str, zone: str, note: str) -> Plan:
    """The plan of a job that could not be moved: the same times, where it is."""
    segments = tuple(replace(part, location=at, zone=zone) for part in plan.segments)
    whole = f"{plan.note}; {note}" if plan.note else note
    return replace(
        plan, location=at, zone=zone, segments=segments, note=whole, said=None,
        mean_g_per_kwh=None, expected_g=None, baseline_g=None,
    )  # fmt: skip


def same_situation(before: Record, after: Record) -> bool:
    """Whether a decision made on `before` still makes sense on `after`: nobody else let it go, stopped or ended it."""
    return _situation(before) == _situation(after)


def _situation(record: Record) -> tuple[Any, ...]:
    return record.mark, record.suspended, record.gates, record.queue, record.activity.outcome is None


def encode(plan: Plan) -> str:
    """The annotation's text: its sentence first, for `kubectl describe` shows the beginning only."""
    data: Mapping[str, Any] = {"sentence": plan.sentence, **plan.to_json()}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)
