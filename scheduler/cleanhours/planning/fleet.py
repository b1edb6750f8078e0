"""Fleets: many jobs planned together against capacity, by least slack, each one exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from cleanhours.domain.intervals import Integers
from cleanhours.domain.jobs import FINISHED, Job, JobKey, JobState
from cleanhours.domain.locations import Room
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import Policy
from cleanhours.domain.resources import Demand
from cleanhours.domain.rules import ForecastLevels, Rules
from cleanhours.planning.bounds import Bounds
from cleanhours.planning.memory import Memory, remembering
from cleanhours.planning.moving import as_paused
from cleanhours.planning.options import best_option, option_of_window
from cleanhours.planning.policies import (
    answer,
    at_once,
    choose,
    not_worth_more,
    plan_of_move,
    rung_of,
    running_now,
    worth_waiting,
)
from cleanhours.planning.questions import Chain, Option, Progress, Question, ask
from cleanhours.planning.slots import Run
from cleanhours.planning.timelines import Share, Timeline

CHUNK: Final = 256
"""Jobs whose bounds are worked out at once, in the room there is before the first of them."""
UNKNOWN_RUN_S: Final = 3600
"""How long a job of unknown duration is taken to occupy its place from now on."""

_GOING_ON = frozenset({JobState.RELEASED, JobState.RUNNING, JobState.MOVING})
_PAUSED = frozenset({JobState.PAUSED, JobState.PAUSING})


def plan_all(
    now: datetime,
    jobs: Sequence[Job],
    rooms: Mapping[str, Room],
    levels: ForecastLevels,
    rules: Rules = Rules(),
    *,
    memory: object | None = None,
    out_of_time: Callable[[], bool] | None = None,
) -> tuple[dict[JobKey, Plan], object | None]:
    """A plan for every job but the unmanaged ones, and a memory to hand in the next time.

    What runs keeps its room first; then each job, by least slack, takes its optimum in the room that is left. No job is
    late for want of room: at its latest safe start it runs anyway, reason `capacity` with a note. A job with complaints
    runs now, `invalid-request`. `rooms` are all known locations by name. `memory` may be None; with it, waiting jobs for
    which nothing changed keep the plans that a search would find again.
    Once `out_of_time()` says so, jobs that have a plan keep it as it is, and those that never had one get theirs the next
    time: they wait, the ones with most slack. What must run at once always has a plan.
    """
    known = memory if isinstance(memory, Memory) else None
    kept = {} if known is None else known.still_best(now, jobs, rooms, levels, rules)
    plans = _plan_the_rest(now, jobs, rooms, levels, rules, kept, out_of_time)
    if (
        known is not None
        and known.complete
        and any(_crowded_out(key, plan, known) for key, plan in plans.items())
    ):
        # a newcomer found no room beside plans that were made without it: everybody is asked again
        plans = _plan_the_rest(now, jobs, rooms, levels, rules, {}, out_of_time)
    return plans, remembering(jobs, plans, rooms, levels, rules)


def _crowded_out(key: JobKey, plan: Plan, known: Memory) -> bool:
    return plan.reason is Reason.CAPACITY and key not in known.answers


def _plan_the_rest(
    now: datetime,
    jobs: Sequence[Job],
    rooms: Mapping[str, Room],
    levels: ForecastLevels,
    rules: Rules,
    kept: Mapping[JobKey, Plan],
    out_of_time: Callable[[], bool] | None,
) -> dict[JobKey, Plan]:
    """Every plan: those kept, booked as they are, and beside them the others by least slack."""
    locations = {name: room.location for name, room in rooms.items()}
    chain = Chain(levels)
    asked = [
        _Asked(job, partial(ask, job.request, now=now, locations=locations, home=job.home, rules=rules,
                            current=job.plan, queue_margin=job.queue_margin), chain)
        for job in jobs
        if job.key not in kept and job.state not in FINISHED and job.state is not JobState.UNMANAGED
    ]  # fmt: skip
    asked.sort(key=lambda one: one.order)
    fleet = _Fleet(rooms)
    if asked:
        fleet.book_all((job.request.demand, kept[job.key]) for job in jobs if job.key in kept)
    plans = dict(kept)
    while asked:
        plans.update(fleet.place(asked[:CHUNK]))
        asked = asked[CHUNK:]
        if asked and out_of_time is not None and out_of_time():
            urgent = [one for one in asked if one.rung is not None]
            plans.update(fleet.keep(one for one in asked if one.rung is None))
            plans.update(fleet.place(urgent))
            break
    return plans


def progress_of(job: Job) -> Progress:
    """What a job has behind it, as the planners read it. Only what really runs can be paused."""
    going_on, paused = job.state in _GOING_ON, job.state in _PAUSED
    started = going_on or paused or job.started_at is not None
    return Progress(
        remaining=job.remaining,
        at=(job.location or job.home) if started else None,
        running=going_on,
        paused=paused,
        fixed=job.state in (JobState.RELEASED, JobState.MOVING),
        movable=job.movable,
    )


class _Asked:
    """A job, its question, and its place in the order: what runs, what must run now, then by least slack."""

    __slots__ = ("elsewhere", "job", "order", "question", "rung")

    def __init__(self, job: Job, asked: partial[Question], chain: Chain) -> None:
        progress = progress_of(job)
        question = asked(progress=progress)
        self.job = job
        self.question = question
        self.rung = Reason.INVALID_REQUEST if job.complaints else rung_of(question, chain)
        self.elsewhere: Question | None = None
        """The same question as if the job were paused, where it runs and may go on at another location."""
        if progress.running and progress.movable and self.rung is None:
            moving = asked(progress=as_paused(progress))
            self.elsewhere = moving if chain.put_on_level(moving) else None
        if question.running:
            phase = 0 if self.rung is not None else 1
        else:
            phase = 2 if self.rung in _AT_ONCE or not job.request.flexible else 3
        self.order = (phase, question.latest, job.key)


_AT_ONCE = frozenset({Reason.INVALID_REQUEST, Reason.NO_DURATION})


class _RoomFor:
    """The room that one demand has in the timelines, worked out when asked for."""

    __slots__ = ("shares", "timelines")

    def __init__(self, timelines: Mapping[str, Timeline], demand: Demand) -> None:
        self.timelines = timelines
        self.shares = {name: timeline.share(demand) for name, timeline in timelines.items()}

    def gaps(self, name: str) -> Integers | None:
        timeline = self.timelines.get(name)
        return None if timeline is None else timeline.gaps(self.shares[name])

    def fits(self, name: str, runs: Sequence[Run]) -> bool:
        timeline = self.timelines.get(name)
        return timeline is None or timeline.fits(self.shares[name], runs)

    def book(self, name: str, start: int, end: int) -> None:
        timeline = self.timelines.get(name)
        if timeline is not None:
            timeline.book(self.shares[name], start, end)


class _Fleet:
    """What is booked so far."""

    def __init__(self, rooms: Mapping[str, Room]) -> None:
        self._timelines = {name: Timeline(room) for name, room in rooms.items()}
        self._rooms: dict[Demand, _RoomFor] = {}

    def book_all(self, plans: Iterable[tuple[Demand, Plan]]) -> None:
        """Books plans as they are, each for its demand."""
        booked: dict[str, list[tuple[Share, int, int]]] = {name: [] for name in self._timelines}
        for demand, plan in plans:
            shares = self._room_of(demand).shares
            for part in plan.segments:
                bookings = booked.get(part.location)
                if bookings is not None:
                    start, end = int(part.start.timestamp()), int(part.end.timestamp())
                    bookings.append((shares[part.location], start, end))
        for name, bookings in booked.items():
            self._timelines[name].book_all(bookings)

    def _room_for(self, one: _Asked) -> _RoomFor:
        return self._room_of(one.job.request.demand)

    def _room_of(self, demand: Demand) -> _RoomFor:
        room = self._rooms.get(demand)
        if room is None:
            room = self._rooms[demand] = _RoomFor(self._timelines, demand)
        return room

    def keep(self, rest: Iterable[_Asked]) -> Iterator[tuple[JobKey, Plan]]:
        """Books the plans in force, as they are; whoever has none yet has to wait for one."""
        for one in rest:
            if one.job.plan is not None:
                _book(one, one.job.plan, self._room_for(one))
                yield one.job.key, one.job.plan

    def place(self, chunk: Sequence[_Asked]) -> Iterator[tuple[JobKey, Plan]]:
        """Plans and books the jobs of a chunk, in order."""
        rooms = [self._room_for(one) for one in chunk]
        searched = [(one.question, room) for one, room in zip(chunk, rooms, strict=True) if one.rung is None]
        bounds = Bounds(searched)
        row = 0
        for one, room in zip(chunk, rooms, strict=True):
            if one.rung is Reason.INVALID_REQUEST:
                complaints = "; ".join(str(complaint) for complaint in one.job.complaints)
                plan = at_once(one.question, one.rung, complaints)
            elif one.rung is not None:
                plan = answer(one.question, one.rung, room)
            else:
                plan = self._chosen(one, room, bounds, row)
                row += 1
            _book(one, plan, room)
            yield one.job.key, plan

    def _chosen(self, one: _Asked, room: _RoomFor, bounds: Bounds, row: int) -> Plan:
        """The job's plan, its candidates tried in the order of their bounds until none can be better."""
        question = one.question
        open_bounds = bounds.of(row)
        run_now = running_now(question)
        if (
            question.policy is not Policy.CARBON_TIME
            and one.elsewhere is None
            and (not open_bounds or not worth_waiting(question, open_bounds[0][0], run_now))
            and room.fits(question.here.name, run_now.runs)
        ):
            return not_worth_more(question, run_now)
        best: Option | None = None
        for bound, place, start in open_bounds:
            if best is not None and best.value < bound:
                break
            option: Option | None
            if start is not None and room.fits(place.location.name, ((start, start + question.length),)):
                option = option_of_window(question, place, start, bound)
            else:
                gaps = room.gaps(place.location.name)
                option = best_option(question, place, gaps, None if best is None else best.value)
            if option is not None and (best is None or option < best):
                best = option
        moved = None if one.elsewhere is None else plan_of_move(one.elsewhere, room, best)
        if moved is not None:
            return moved
        return choose(question, best, room, run_now)


def _book(one: _Asked, plan: Plan, room: _RoomFor) -> None:
    for segment in plan.segments:
        room.book(segment.location, int(segment.start.timestamp()), int(segment.end.timestamp()))
    if not plan.segments:
        room.book(plan.location, one.question.start, one.question.start + UNKNOWN_RUN_S)
