"""Starting: the plan of a job that was just submitted, and Slurm told when and where it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cleanhours.domain.jobs import Action, Decision
from cleanhours.domain.plans import Plan
from cleanhours.domain.times import epoch
from cleanhours_plugins.clusters.slurm.acting import Command, orders, parted
from cleanhours_plugins.clusters.slurm.asking import Seen
from cleanhours_plugins.clusters.slurm.calling import Slurm
from cleanhours_plugins.clusters.slurm.details import Details
from cleanhours_plugins.clusters.slurm.jobs import Known, Reporting
from cleanhours_plugins.clusters.slurm.places import Asked
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.tagging import Tag, split_comment

if TYPE_CHECKING:
    from cleanhours.ports import Context


def set_start(
    seen: Seen,
    words: Mapping[str, str],
    details: Details,
    settings: SlurmSettings,
    slurm: Slurm,
    context: Context,
) -> tuple[Plan | None, list[Command]]:
    """Plans a held job by its words and writes that down.

    No plan for a job that is gone. Returns besides what Slurm is to be told when the job is let go. Raises CleanhoursError:
    then nothing was changed.
    """
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
    # held by us for a moment, it waits like any other
    known = Known(replace(seen, reason="None"), tag, own)
    now = context.clock.now().replace(microsecond=0)
    job = Reporting(settings).job(known, now)
    if job is None:
        return None, []
    plan = context.plan(job.request, home=job.home, queue_margin=job.queue_margin)
    found = orders(known, Decision(job.key, Action.HOLD, plan, plan.reason), epoch(now), settings, 0)
    at_once, free = parted(found.commands if found is not None else ())
    for program, *arguments in at_once:
        slurm.ask(program, *arguments)
    return plan, free
