"""Why a job waits, runs or rests, in a sentence its owner understands."""

from __future__ import annotations

from datetime import datetime

from cleanhours.control.history import Draw
from cleanhours.domain.jobs import WAITING, Job, JobState
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.times import format_duration, format_instant

_BECAUSE = {
    Reason.RUN_NOW: "its owner asked for no delay, or now is the cleanest time",
    Reason.NO_SLACK: "its deadline leaves no time to wait",
    Reason.NO_DURATION: "nothing tells how long it runs, so no window can be guaranteed",
    Reason.NO_FORECAST: "no forecast covers its run, and not knowing never holds a job",
    Reason.BELOW_MIN_SAVING: "waiting would save too little to be worth it",
    Reason.LOWEST_WINDOW: "this is the stretch with the lowest emissions before its latest safe start",
    Reason.LOWEST_SLOTS: "these are the hours with the lowest emissions before its deadline, pauses counted",
    Reason.CARBON_TIME: "this is the best trade of emissions against waiting",
    Reason.ELASTIC: "this is the cleanest way to scale it",
    Reason.CAPACITY: "the cleaner hours are taken by other jobs",
    Reason.DEADLINE_ONLY: "its policy asks for the latest safe start",
    Reason.DEADLINE_GUARD: "any later start would cost its deadline",
    Reason.INVALID_REQUEST: "its request could not be read",
    Reason.SHADOW: "the controller runs in shadow mode and touches nothing",
}

_DOES = {
    JobState.PENDING: "is queued and not planned yet",
    JobState.HELD: "waits",
    JobState.RELEASED: "was released and is about to start",
    JobState.RUNNING: "runs",
    JobState.PAUSING: "is being paused",
    JobState.PAUSED: "is paused",
    JobState.MOVING: "is being moved",
    JobState.SUCCEEDED: "has finished",
    JobState.FAILED: "has failed",
    JobState.CANCELLED: "was cancelled",
    JobState.UNMANAGED: "is in its owner's hands: he paused it, or said himself when it starts",
}


def explain(job: Job, now: datetime, draw: Draw | None = None, unserved: str = "") -> str:
    """What the job does and why, with its plan and its guarantee. Names are not escaped: the caller shows them.

    `draw` is what its earlier runs drew, where its plan rests on that; `unserved` which of its zones no source serves.
    """
    parts = [f"{job.name} {_DOES[job.state]}"]
    if job.plan is not None and job.state is not JobState.UNMANAGED:
        parts[0] += f" because {_BECAUSE[job.plan.reason]}."
        parts.append(job.plan.sentence)
        # a cluster may keep the plan and not its words
        if unserved and unserved not in job.plan.sentence:
            parts.append(f"{unserved[0].upper()}{unserved[1:]}.")
        parts += _guarantee(job, job.plan, now)
        if draw is not None:
            parts.append(f"It is planned with a power of {draw}.")
    else:
        parts[0] += "."
    parts += [f"Not understood: {complaint}." for complaint in job.complaints]
    return " ".join(parts)


def _guarantee(job: Job, plan: Plan, now: datetime) -> list[str]:
    if job.state not in WAITING:
        return []
    word = "resumes" if job.state is JobState.PAUSED else "starts"
    text = f"It {word} by {format_instant(plan.latest_start)} at the latest, whatever forecasts say"
    if plan.start > now:
        text += f"; the plan is {format_duration(plan.start - now)} from now"
    return [text + "."]
