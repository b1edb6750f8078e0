"""Starting: the plan of a job that was just submitted, and Slurm told when and where it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cleanhours.domain.jobs import Action, Decision, JobState
from cleanhours.domain.plans import Plan
from cleanhours.domain.times import epoch, instant_of
from cleanhours_plugins.clusters.slurm.acting import ELIGIBLE, Command, orders, parted
from cleanhours_plugins.clusters.slurm.asking import Seen
from cleanhours_plugins.clusters.slurm.calling import Refused, Slurm
from cleanhours_plugins.clusters.slurm.details import Details
from cleanhours_plugins.clusters.slurm.jobs import ENDED, Known, Reporting
from cleanhours_plugins.clusters.slurm.places import Asked
from cleanhours_plugins.clusters.slurm.tagging import Tag, split_comment

if TYPE_CHECKING:
    from cleanhours.ports import Context

_LONGEST_QUEUE: Final = timedelta(days=7)
"""What Slurm expects beyond it rests on running jobs without a limit, which end sooner."""


def set_start(
    seen: Seen,
    words: Mapping[str, str],
    details: Details,
    reporting: Reporting,
    slurm: Slurm,
    context: Context,
) -> tuple[Plan | None, list[Command]]:
    """Plans a job that waits by its words, as `reporting` knows the site, and writes that down.

    No plan for a job that is gone. Returns besides what Slurm is to be told when the job is let go. Raises CleanhoursError,
    also of one that was not held and has started: then nothing was changed.
    """
    seen, settings = _without_guess(seen), reporting.settings
    own, _ = split_comment(seen.comment)
    tag = Tag(
        submitted=seen.submitted,
        home=settings.places.home_of(Asked(seen.partition, seen.features)),
        words=words,
        begin=seen.start,
        killed_at=details.killed_at,
        partition=seen.partition,
        features=seen.features,
        requeues=details.requeues,
    )
    # if we hold it for a moment, it waits like any other
    known = Known(replace(seen, reason="None"), tag, own)
    if not known.waits and ENDED.get(seen.state) is not JobState.CANCELLED:
        raise Refused(f"job {seen.id} has started already")
    now = context.clock.now().replace(microsecond=0)
    job = reporting.job(known, now)
    if job is None:
        return None, []
    plan = context.plan(job.request, home=job.home, queue_margin=job.queue_margin)
    found = orders(known, Decision(job.key, Action.HOLD, plan, plan.reason), epoch(now), settings, 0)
    at_once, free = parted(found.commands if found is not None else ())
    for program, *arguments in at_once:
        slurm.ask(program, *arguments)
    return plan, free


def queues_of(seen: Seen, starts: int | None, now: datetime) -> dict[str, timedelta]:
    """How long a job queues in its partitions that Slurm would start at `starts`: nobody else may ever look after it."""
    if starts is None:
        return {}
    queue = instant_of(starts) - max(now, instant_of(seen.start or 0))
    return dict.fromkeys(seen.partition.split(","), queue) if timedelta(0) < queue <= _LONGEST_QUEUE else {}


def _without_guess(seen: Seen) -> Seen:
    """Of a job that waits for room, Slurm shows the start that it expects: its owner did not ask for that."""
    return seen if ELIGIBLE.isdisjoint(seen.reason.split(",")) else replace(seen, start=None)
