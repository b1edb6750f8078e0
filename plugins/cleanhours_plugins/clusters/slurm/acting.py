"""Acting: what Slurm is told so that a decision is carried out, word for word. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cleanhours.domain.jobs import Action, Decision, JobState, RunSegment
from cleanhours.domain.plans import Plan
from cleanhours.domain.times import epoch, instant_of
from cleanhours_plugins.clusters.slurm.jobs import Known, runs_of, state_of
from cleanhours_plugins.clusters.slurm.places import Asked
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.tagging import Tag, written

SHORTEST_REQUEUE_S: Final = 60
"""From such a delay on there is time to say when a requeued job starts before Slurm starts it."""
_WARNED_S: Final = 900
"""So long after its warning time a job counts as warned: it may have been let run on. By cron there are ten minutes between looks."""
ELIGIBLE: Final = frozenset({"Resources", "Priority"})
"""Reasons of a job that waits for room alone: its start is what Slurm expects, not what it was told."""
_STOPPED_S: Final = 2
"""From the end of a requeued run until its next may begin."""
_MOVES: Final = "ClusterFeatures"

Command = tuple[str, ...]
"""A program and its arguments."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What Slurm is told, in this order, and what is known of the job when it was."""

    commands: tuple[Command, ...]
    after: Known


def orders(
    known: Known, decision: Decision, now: int, settings: SlurmSettings, requeue_s: int
) -> Orders | None:
    """What carries `decision` out at `now` (epoch seconds); None where it is done.

    Raises ValueError where it must not be done, saying why, and where the plan does not fit into a comment.
    """
    state, plan = state_of(known, now), decision.plan
    _check(state, decision, settings)
    match decision.action:
        case Action.SUSPEND | Action.RELOCATE:
            if state is not JobState.RUNNING:
                return None
            there = settings.places.at(known.seen.partition, known.seen.features) == plan.location
            if decision.action is Action.RELOCATE and there:
                return None
            return _stop(known, plan, now, settings, requeue_s)
        case Action.REMARK if state in {JobState.RELEASED, JobState.PAUSING}:
            return _told(known, {}, replace(known.tag, plan=plan), now)
        case Action.HOLD | Action.REMARK:
            return _mark(known, plan, epoch(plan.start), now, settings)
        case Action.RELEASE | Action.RESUME:
            return _mark(known, plan, _soonest(known, now), now, settings)
    return None


def _soonest(known: Known, now: int) -> int:
    """Slurm fails a requeued job that starts in the second in which it stopped: "Job credential revoked" (seen on 22.05)."""
    return max(now, known.seen.submitted + _STOPPED_S) if known.requeued else now


def _check(state: JobState | None, decision: Decision, settings: SlurmSettings) -> None:
    """Raises ValueError."""
    if state is None:
        raise ValueError("it has ended")
    if state is JobState.UNMANAGED:
        raise ValueError("its owner holds it, or said himself when it starts")
    if state is JobState.PAUSING and decision.action in {Action.RELEASE, Action.RESUME}:
        raise ValueError("it is still stopping")
    if decision.at not in settings.places.locations:
        known = ", ".join(settings.places.locations)
        raise ValueError(f"no location {decision.at!r} here: it has {known}")


def _mark(known: Known, plan: Plan, begins: int, now: int, settings: SlurmSettings) -> Orders | None:
    """Writes the plan down; of a job that waits, also when it starts, and where."""
    tag = known.tag
    after = replace(tag, plan=plan, paused=tag.paused and known.waits and begins > now, warned_at=None)
    changes: dict[str, str] = {}
    if known.waits:
        if _starts_otherwise(known, begins, now):
            changes["StartTime"] = f"uts{begins}"
        changes |= _place(known, plan, settings)
    return _told(known, changes, after, now, needed=begins > now)


def _starts_otherwise(known: Known, begins: int, now: int) -> bool:
    """Whether Slurm must be told the start: to be told once more costs a job its place in the queue."""
    start, reasons = known.seen.start, known.seen.reason.split(",")
    if begins > now:
        return start != begins
    return start is not None and start > now and ELIGIBLE.isdisjoint(reasons)


def _told(
    known: Known, changes: dict[str, str], after: Tag, now: int, *, needed: bool = True
) -> Orders | None:
    """One update, and the end of a hold that we left. A start is not kept back by a comment that does not fit."""
    comment = known.seen.comment
    try:
        comment = written(after, known.own)
    except ValueError:
        if needed:
            raise
        after = known.tag
    if comment != known.seen.comment:
        changes = {**changes, "Comment": comment}
    commands = [_update(known, changes)] if changes else []
    if known.left_held:
        commands.append(("scontrol", "release", known.seen.address))
    return Orders(tuple(commands), _changed(known, after, changes, now)) if commands else None


def _stop(known: Known, plan: Plan, now: int, settings: SlurmSettings, requeue_s: int) -> Orders | None:
    """Warned first, where the site wants that; then requeued, to start again where and when the plan says.

    What we know is written down before: a job that we left held without a word would stay so. It starts again no earlier
    than Slurm would start it, which leaves its nodes that time to clear up.
    """
    seen, tag = known.seen, known.tag
    if settings.warning:
        waited = now - tag.warned_at if tag.warned_at is not None else None
        enough = int(settings.warning_time.total_seconds())
        if waited is None or waited > enough + _WARNED_S:
            warned = replace(tag, warned_at=now)
            tell = ("scancel", "--batch", f"--signal={settings.warning}", seen.address)
            changes = {"Comment": written(warned, known.own)}
            return Orders((tell, _update(known, changes)), _changed(known, warned, changes, now))
        if waited < enough:
            return None
    place = settings.places.at(seen.partition, seen.features)
    began = instant_of(seen.start or now)
    before = tuple(replace(run, handles=()) for run in runs_of(known) if run.start != began)
    run = RunSegment(began, instant_of(max(now, epoch(began))), place)
    after = replace(tag, plan=plan, runs=(*before, run), paused=True, warned_at=None)
    start = {"StartTime": f"uts{max(epoch(plan.start), now + requeue_s)}", **_place(known, plan, settings)}
    comment = {"Comment": written(after, known.own)}
    waits = requeue_s >= SHORTEST_REQUEUE_S
    commands = [
        _update(known, comment),
        ("scontrol", "requeue" if waits else "requeuehold", seen.address),
        _update(known, start),
    ]
    if not waits:
        commands.append(("scontrol", "release", seen.address))
    stopping = replace(known, seen=replace(seen, state="COMPLETING"))
    return Orders(tuple(commands), _changed(stopping, after, {**start, **comment}, now))


def _place(known: Known, plan: Plan, settings: SlurmSettings) -> dict[str, str]:
    """Nothing for a job whose owner offered no places: what he asked of Slurm stays as it is."""
    seen, tag = known.seen, known.tag
    if "locations" not in tag.words:
        return {}
    asked = Asked(tag.partition or seen.partition, tag.features)
    place = settings.places.where(plan.location, asked)
    now = {"Partition": seen.partition, "Features": seen.features}
    if tag.plan is not None and tag.plan.location == plan.location:
        now[_MOVES] = place.get(_MOVES, "")
    return {name: word for name, word in place.items() if now.get(name) != word}


def parted(commands: Sequence[Command]) -> tuple[list[Command], list[Command]]:
    """The same for a job that we hold: what it may be told at once, and what only when it is let go.

    A held job that is sent to another cluster of its federation is taken off this one and not put on that one, and nobody
    but an operator can let it go any more (seen on 22.05).
    """
    at_once: list[Command] = []
    free: list[Command] = []
    for command in commands:
        moves = [word for word in command if word.startswith(f"{_MOVES}=")]
        if moves:
            free.append((*command[:3], *moves))
        rest = tuple(word for word in command if word not in moves)
        if not moves or len(rest) > 3:
            at_once.append(rest)
    return at_once, free


def _update(known: Known, changes: Mapping[str, str]) -> Command:
    words = (f"{name}={value}" for name, value in changes.items())
    return ("scontrol", "update", f"JobId={known.seen.address}", *words)


def _changed(known: Known, tag: Tag, changes: Mapping[str, str], now: int) -> Known:
    """What Slurm will show when it has done so."""
    seen = known.seen
    start = int(changes["StartTime"].removeprefix("uts")) if "StartTime" in changes else seen.start
    reason = seen.reason
    if "StartTime" in changes or known.left_held:
        reason = "BeginTime" if start is not None and start > now else "None"
    seen = replace(
        seen,
        start=start,
        reason=reason,
        partition=changes.get("Partition", seen.partition),
        features=changes.get("Features", seen.features),
        comment=changes.get("Comment", seen.comment),
    )
    return Known(seen, tag, known.own)
