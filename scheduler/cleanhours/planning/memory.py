"""What planning remembers from one tick to the next, so that a tick in which nothing changed costs next to nothing.

An optimum stays the optimum while time passes, as long as it lies ahead: the starts that are gone were worse. So a waiting
job keeps its plan until the forecast, the room, the rules or the job itself changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cleanhours.domain.jobs import FINISHED, WAITING, Job, JobKey, JobState
from cleanhours.domain.locations import Room
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.rules import ForecastLevels, Rules
from cleanhours.domain.times import epoch
from cleanhours.planning.bookings import Booking, Bookings

_KEEPING: Final = frozenset(
    {Reason.LOWEST_WINDOW, Reason.LOWEST_SLOTS, Reason.CARBON_TIME, Reason.DEADLINE_ONLY}
)
_CALM_S: Final = 120
"""A job whose latest safe start is further away need not be asked again only to learn that it may wait for its turn."""
_FEW: Final = 8
"""Booked one by one are fewer changes than one in so many plans: for more it is quicker to begin anew."""


class Answer(NamedTuple):
    """What was asked of a job, and the plan that it got; whether that one was kept, and so booked before any other."""

    request: JobRequest
    remaining: timedelta | None
    plan: Plan
    kept: bool

    @property
    def booking(self) -> Booking:
        return self.request.demand, self.plan.segments


class Tick(NamedTuple):
    """What is planned, and in what. `levels` is compared by identity: a refreshed forecast is another one."""

    now: datetime
    jobs: Sequence[Job]
    rooms: Mapping[str, Room]
    levels: ForecastLevels
    rules: Rules


@dataclass(frozen=True, slots=True)
class Memory:
    """The world that plans were made in, and for each job what was asked and answered. Read-only for its keeper."""

    levels: ForecastLevels
    rooms: Mapping[str, Room]
    rules: Rules
    answers: Mapping[JobKey, Answer]
    booked: Bookings
    """The rooms, with the plans that were kept and nothing else."""
    complete: bool
    """Whether every job got its answer: if time ran out, those without one are no newcomers but next in line."""
    made: datetime
    put_off: Mapping[JobKey, tuple[Job, int]]
    """Jobs without a plan whose turn did not come, and their latest safe starts."""

    def still_best(self, tick: Tick) -> dict[JobKey, Answer]:
        """The plans of waiting jobs that a search would find again; none when the world has changed."""
        if not self._same_grid(tick) or tick.rooms != self.rooms:
            return {}
        # nobody asks twice before everybody was answered once: a plan in force holds that long
        return {
            job.key: _kept(job, job.plan, self.answers[job.key])
            for job in tick.jobs
            if job.plan is not None
            and job.key in self.answers
            and (not self.complete or self._unchanged(job, job.plan, tick.now))
        }

    def _unchanged(self, job: Job, plan: Plan, now: datetime) -> bool:
        if job.state not in WAITING or plan.reason not in _KEEPING or plan.start <= now or job.complaints:
            return False
        before = self.answers[job.key]
        same = plan is before.plan or not plan.changed_from(before.plan)
        request = before.request
        return (
            same and before.remaining == job.remaining and (request is job.request or request == job.request)
        )

    def still_put_off(self, tick: Tick) -> dict[JobKey, int]:
        """Of jobs whose turn did not come, the latest safe starts of those that would be asked the very same again, and may
        still wait: their place in line is known.
        """
        if not self.put_off or not self._same_grid(tick) or tick.now < self.made:
            return {}
        soon = epoch(tick.now) + _CALM_S
        found = ((job, *self.put_off[job.key]) for job in tick.jobs if job.key in self.put_off)
        return {job.key: latest for job, before, latest in found if job is before and latest > soon}

    def _same_grid(self, tick: Tick) -> bool:
        return tick.levels is self.levels and tick.rules == self.rules

    def rebooked(self, kept: Mapping[JobKey, Answer]) -> Bookings:
        """The same rooms with these plans, whose jobs all have an answer, in the place of those kept before."""
        gone = [
            before.booking
            for key, before in self.answers.items()
            if before.kept and _differs(kept.get(key), before)
        ]
        new = [
            one.booking
            for key, one in kept.items()
            if not self.answers[key].kept or _differs(self.answers[key], one)
        ]
        if not gone and not new:
            return self.booked
        if (self.booked.changes + len(gone) + len(new)) * _FEW > len(kept):
            return Bookings.of(self.rooms, (one.booking for one in kept.values()))
        return self.booked.changed(gone, new)


def _kept(job: Job, plan: Plan, before: Answer) -> Answer:
    """The very same value where nothing changed, as nearly always: it costs no room, and is quickly compared."""
    if (
        before.kept
        and before.request is job.request
        and before.plan is plan
        and before.remaining == job.remaining
    ):
        return before
    return Answer(job.request, job.remaining, plan, kept=True)


def _differs(one: Answer | None, other: Answer) -> bool:
    return one is not other and (one is None or one.booking != other.booking)


def remembering(
    tick: Tick,
    plans: Mapping[JobKey, Plan],
    kept: Mapping[JobKey, Answer],
    booked: Bookings,
    put_off: Mapping[JobKey, tuple[Job, int]],
) -> Memory:
    """The memory of one tick's answers, of the room that plans kept in it were booked in, and of whom it put off."""
    jobs = tick.jobs
    waiting = sum(job.state not in FINISHED and job.state is not JobState.UNMANAGED for job in jobs)
    answers = {
        job.key: kept.get(job.key) or Answer(job.request, job.remaining, plans[job.key], kept=False)
        for job in jobs
        if job.key in plans
    }
    complete = len(answers) >= waiting
    return Memory(tick.levels, dict(tick.rooms), tick.rules, answers, booked, complete, tick.now, put_off)
