"""What planning remembers from one tick to the next, so that a tick in which nothing changed costs next to nothing.

An optimum stays the optimum while time passes, as long as it lies ahead: the starts that are gone were worse. So a waiting
job keeps its plan until the forecast, the room, the rules or the job itself changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.jobs import FINISHED, WAITING, Job, JobKey, JobState
from cleanhours.domain.locations import Room
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.rules import ForecastLevels, Rules

_KEEPING: Final = frozenset(
    {Reason.LOWEST_WINDOW, Reason.LOWEST_SLOTS, Reason.CARBON_TIME, Reason.DEADLINE_ONLY}
)


@dataclass(frozen=True, slots=True)
class Memory:
    """The world that plans were made in, and for each job what was asked and answered. Read-only for its keeper."""

    levels: ForecastLevels
    rooms: Mapping[str, Room]
    rules: Rules
    answers: Mapping[JobKey, tuple[JobRequest, timedelta | None, Plan]]
    complete: bool = True
    """Whether every job got its answer: if time ran out, those without one are no newcomers but next in line."""

    def still_best(
        self,
        now: datetime,
        jobs: Sequence[Job],
        rooms: Mapping[str, Room],
        levels: ForecastLevels,
        rules: Rules,
    ) -> dict[JobKey, Plan]:
        """The plans of waiting jobs that a search would find again; none when the world has changed.

        `levels` is compared by identity: a refreshed forecast is another one even if it says the same.
        """
        if levels is not self.levels or rules != self.rules or rooms != self.rooms:
            return {}
        planned = [job for job in jobs if job.plan is not None and job.key in self.answers]
        if not self.complete:
            # nobody asks twice before everybody was answered once: a plan in force holds that long
            return {job.key: job.plan for job in planned if job.plan is not None}
        return {
            job.key: job.plan
            for job in planned
            if job.plan is not None and self._unchanged(job, job.plan, now)
        }

    def _unchanged(self, job: Job, plan: Plan, now: datetime) -> bool:
        if job.state not in WAITING or plan.reason not in _KEEPING or plan.start <= now or job.complaints:
            return False
        request, remaining, planned = self.answers[job.key]
        same = plan is planned or not plan.changed_from(planned)
        return same and remaining == job.remaining and (request is job.request or request == job.request)


def remembering(
    jobs: Sequence[Job],
    plans: Mapping[JobKey, Plan],
    rooms: Mapping[str, Room],
    levels: ForecastLevels,
    rules: Rules,
) -> Memory:
    """The memory of one tick's answers."""
    waiting = sum(job.state not in FINISHED and job.state is not JobState.UNMANAGED for job in jobs)
    answers = {job.key: (job.request, job.remaining, plans[job.key]) for job in jobs if job.key in plans}
    return Memory(levels, dict(rooms), rules, answers, len(answers) >= waiting)
