"""From plans to actions: what is done to each job now. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from cleanhours.domain.jobs import Action, Decision, Job, JobKey, JobState
from cleanhours.domain.plans import Plan, Reason

FORCED: Final = frozenset({Reason.DEADLINE_GUARD, Reason.NO_SLACK})
"""Reasons that no ramp may slow down."""


def decide(job: Job, plan: Plan, now: datetime, powers: frozenset[Action]) -> Decision | None:
    """The action that brings `job` in line with `plan`, or None when it is. Deciding twice is deciding once."""
    action = _action(job, plan, now, powers)
    return None if action is None else Decision(job.key, action, plan, plan.reason)


def _action(job: Job, plan: Plan, now: datetime, powers: frozenset[Action]) -> Action | None:
    due = plan.start <= now
    changed = Action.REMARK if plan.changed_from(job.plan) else None
    match job.state:
        case JobState.PENDING:
            return Action.RELEASE if due else Action.HOLD
        case JobState.HELD:
            return Action.RELEASE if due else changed
        case JobState.PAUSED:
            return Action.RESUME if due else changed
        case JobState.RUNNING if not due and Action.SUSPEND in powers and job.request.interruptible:
            return Action.SUSPEND if now < plan.latest_start else None
        case JobState.RUNNING | JobState.RELEASED:
            return changed
        case _:
            return None


def ramp(decisions: Iterable[Decision], jobs: Mapping[JobKey, Job], most: int) -> list[Decision]:
    """At most `most` unforced releases and resumes a location, least slack first; the rest waits for the next beat.

    Everything else passes in its order.
    """
    passed: list[Decision] = []
    starting: list[Decision] = []
    for decision in decisions:
        starts = decision.action in {Action.RELEASE, Action.RESUME} and decision.reason not in FORCED
        (starting if starts else passed).append(decision)
    starting.sort(key=lambda decision: (decision.plan.latest_start, jobs[decision.key].request.submitted))
    taken: Counter[str] = Counter()
    for decision in starting:
        taken[decision.at] += 1
        if taken[decision.at] <= most:
            passed.append(decision)
    return passed


def next_due(jobs: Sequence[Job], plans: Mapping[JobKey, Plan], now: datetime) -> datetime | None:
    """The next instant at which a decision falls due: a start, the end of a run before a pause, or a deadline's guard."""
    instants: list[datetime] = []
    for job in jobs:
        plan = plans.get(job.key)
        if plan is None or job.state is JobState.UNMANAGED:
            continue
        if job.state in {JobState.PENDING, JobState.HELD, JobState.PAUSED}:
            instants += [plan.start, plan.latest_start]
        elif len(plan.segments) > 1:
            instants.append(plan.segments[0].end)
    return min((instant for instant in instants if instant > now), default=None)
