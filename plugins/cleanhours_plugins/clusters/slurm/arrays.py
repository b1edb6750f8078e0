"""Arrays: when tasks of one are stopped, Slurm starts the next ones in their place, unless those are told to wait too. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cleanhours.domain.jobs import Action, Decision, JobKey
from cleanhours_plugins.clusters.slurm.jobs import Known

_STOPS = frozenset({Action.SUSPEND, Action.RELOCATE})


def for_their_rests(decisions: Sequence[Decision], known: Mapping[str, Known]) -> list[Decision]:
    """What the waiting rests of arrays are told before tasks of theirs are stopped: to start when these do.

    Nothing for a rest about which something was decided itself, which waits longer than that, or must not wait so long.
    """
    decided = {decision.key.uid for decision in decisions}
    rests = {one.seen.number: one for one in known.values() if one.waits and one.seen.rest}
    found: dict[str, Decision] = {}
    for decision in decisions:
        task = known.get(decision.key.uid)
        if decision.action not in _STOPS or task is None or task.seen.id == task.seen.number:
            continue
        rest = rests.get(task.seen.number)
        if rest is None or rest.uid in decided or rest.tag.plan is None:
            continue
        plan, own = decision.plan, rest.tag.plan
        if own.start >= plan.start or own.latest_start < plan.start:
            continue
        held = replace(plan, latest_start=own.latest_start)
        found[rest.uid] = Decision(JobKey(decision.key.cluster, rest.uid), Action.HOLD, held, decision.reason)
    return list(found.values())
