"""From plans to actions: what is done to each job now. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from cleanhours.domain.jobs import WAITING, Action, Decision, Job, JobKey, JobState
from cleanhours.domain.plans import FORCED, Plan

DRIFT: Final = timedelta(minutes=1)
"""By how much a running job's pauses may shift before its plan is another one: starts come seconds late."""


def decide(job: Job, plan: Plan, now: datetime, powers: frozenset[Action]) -> Decision | None:
    """The action that brings `job` in line with `plan`, or None when it is. Deciding twice is deciding once.

    To relocate a running job is to stop it, to go on elsewhere: it is resumed when it is quiet and its plan due.
    """
    action = _action(job, plan, now, powers)
    if action is None:
        return None
    if (
        action in {Action.RELEASE, Action.RESUME}
        and job.plan is not None
        and _as_planned(plan, job.plan, now)
    ):
        plan = job.plan
    return Decision(job.key, action, plan, plan.reason)


def _as_planned(plan: Plan, current: Plan, now: datetime) -> bool:
    """Whether this is the start that was announced: then that plan is carried out, with what it was expected to save.

    A plan made anew at its own start sees nothing saved any more.
    """
    on_time = timedelta(0) <= now - current.start <= DRIFT
    return on_time and plan.reason is current.reason and goes_on(plan, current, now)


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
        case JobState.RUNNING if job.movable and plan.location != (job.location or job.home):
            return Action.RELOCATE if Action.RELOCATE in powers and now < plan.latest_start else None
        case JobState.RUNNING if not due and Action.SUSPEND in powers and job.request.interruptible:
            return Action.SUSPEND if now < plan.latest_start else None
        case JobState.RUNNING | JobState.RELEASED:
            return None if job.plan is not None and goes_on(plan, job.plan, now) else changed
        case _:
            return None


def goes_on(plan: Plan, current: Plan, now: datetime) -> bool:
    """Whether a running job does under `plan` what it does under the current one: the same pauses ahead, at the same places.

    What has begun is cut at now, and a job ends when it ends: neither is news worth a write every tick.
    """
    if plan.start > now or plan.location != current.location or plan.cap != current.cap:
        return False
    ahead = [turn for turn in _turns(current) if turn[0] > now]
    turns = _turns(plan)
    return len(turns) == len(ahead) and all(
        new[1] == old[1] and abs(new[0] - old[0]) <= DRIFT for new, old in zip(turns, ahead, strict=True)
    )


def _turns(plan: Plan) -> list[tuple[datetime, str]]:
    """When the job stops and goes on again, and where."""
    pairs = pairwise(plan.segments)
    return [
        turn
        for before, after in pairs
        for turn in ((before.end, before.location), (after.start, after.location))
    ]


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
        if job.state in WAITING:
            instants += [plan.start, plan.latest_start]
        elif len(plan.segments) > 1:
            instants.append(plan.segments[0].end)
    return min((instant for instant in instants if instant > now), default=None)
