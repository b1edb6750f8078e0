"""Fleets: many jobs planned together against capacity, by least slack, each one exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from cleanhours.domain.intervals import Integers
from cleanhours.domain.jobs import Job, JobKey
from cleanhours.domain.locations import Room
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import Policy
from cleanhours.domain.resources import Demand
from cleanhours.domain.rules import ForecastLevels, Rules
from cleanhours.planning.bookings import Bookings
from cleanhours.planning.bounds import Bound, Bounds
from cleanhours.planning.capping import lowest
from cleanhours.planning.memory import Answer, Memory, Tick, remembering
from cleanhours.planning.options import best_option, option_of_window
from cleanhours.planning.policies import (
    answer,
    at_once,
    choose,
    not_worth_more,
    plan_of_move,
    running_now,
    worth_waiting,
)
from cleanhours.planning.questions import Option, Question
from cleanhours.planning.slots import Run
from cleanhours.planning.timelines import Timeline
from cleanhours.planning.turns import Asked, Asking, line_of

CHUNK: Final = 256
"""Jobs whose bounds are worked out at once, in the room there is before the first of them."""
UNKNOWN_RUN_S: Final = 3600
"""How long a job of unknown duration is taken to occupy its place from now on."""


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
    tick = Tick(now, jobs, rooms, levels, rules)
    known = memory if isinstance(memory, Memory) else None
    kept = {} if known is None else known.still_best(tick)
    put_off = {} if known is None else known.still_put_off(tick)
    booked = known.rebooked(kept) if known is not None and kept else Bookings.of(rooms, ())
    plans, rest = _plan_the_rest(tick, kept, put_off, booked, out_of_time)
    if (
        known is not None
        and known.complete
        and any(_crowded_out(key, plan, known) for key, plan in plans.items())
    ):
        # a newcomer found no room beside plans that were made without it: everybody is asked again
        kept, booked = {}, Bookings.of(rooms, ())
        plans, rest = _plan_the_rest(tick, kept, {}, booked, out_of_time)
    return plans, remembering(tick, plans, kept, booked, rest)


def _crowded_out(key: JobKey, plan: Plan, known: Memory) -> bool:
    return plan.reason is Reason.CAPACITY and key not in known.answers


def _plan_the_rest(
    tick: Tick,
    kept: Mapping[JobKey, Answer],
    put_off: Mapping[JobKey, int],
    booked: Bookings,
    out_of_time: Callable[[], bool] | None,
) -> tuple[dict[JobKey, Plan], dict[JobKey, tuple[Job, int]]]:
    """Every plan: those kept, which are booked, and beside them the others by least slack; and who is put off, and until when.

    Jobs that were `put_off` before are asked when it is their turn, by the latest safe start that is known of them.
    """
    asking = Asking(tick)
    plans = {key: answer.plan for key, answer in kept.items()}
    line = line_of(asking, (job for job in tick.jobs if job.key not in kept), put_off)
    fleet = _Fleet(booked.copies())
    for first in range(0, len(line), CHUNK):
        if first and out_of_time is not None and out_of_time():
            rest = line[first:]
            known = [one for _, _, one in rest if one is not None]
            urgent = [one for one in known if one.rung is not None]
            plans.update(fleet.keep(one for one in known if one.rung is None))
            plans.update(fleet.place(urgent))
            return plans, {job.key: (job, order[1]) for order, job, _ in rest if job.key not in plans}
        chunk = line[first : first + CHUNK]
        plans.update(fleet.place([one or asking.of(job) for _, job, one in chunk]))
    return plans, {}


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

    def __init__(self, timelines: Mapping[str, Timeline]) -> None:
        self._timelines = timelines
        self._rooms: dict[Demand, _RoomFor] = {}

    def _room_for(self, one: Asked) -> _RoomFor:
        demand = one.job.request.demand
        room = self._rooms.get(demand)
        if room is None:
            room = self._rooms[demand] = _RoomFor(self._timelines, demand)
        return room

    def keep(self, rest: Iterable[Asked]) -> Iterator[tuple[JobKey, Plan]]:
        """Books the plans in force, as they are; whoever has none yet has to wait for one."""
        for one in rest:
            if one.job.plan is not None:
                _book(one, one.job.plan, self._room_for(one))
                yield one.job.key, one.job.plan

    def place(self, chunk: Sequence[Asked]) -> Iterator[tuple[JobKey, Plan]]:
        """Plans and books the jobs of a chunk, in order."""
        rooms = [self._room_for(one) for one in chunk]
        searched = [
            (question, room)
            for one, room in zip(chunk, rooms, strict=True)
            if one.rung is None
            for question in (one.question, *one.rivals)
        ]
        bounds = Bounds(searched)
        row = 0
        for one, room in zip(chunk, rooms, strict=True):
            if one.rung is Reason.INVALID_REQUEST:
                complaints = "; ".join(str(complaint) for complaint in one.job.complaints)
                plan = at_once(one.question, one.rung, complaints)
            elif one.rung is not None:
                plan = answer(one.question, one.rung, room)
            else:
                plan = self._chosen(one.question, one.elsewhere, room, bounds.of(row))
                row += 1
                if one.rivals:
                    places = range(row, row + len(one.rivals))
                    row = places.stop
                    capped = [
                        self._chosen(rival, None, room, bounds.of(place))
                        for rival, place in zip(one.rivals, places, strict=True)
                    ]
                    plan = lowest([plan, *capped], one.question.request, one.job.plan, one.question.rules)
            _book(one, plan, room)
            yield one.job.key, plan

    def _chosen(
        self, question: Question, elsewhere: Question | None, room: _RoomFor, open_bounds: Sequence[Bound]
    ) -> Plan:
        """The job's plan, its candidates tried in the order of their bounds until none can be better."""
        run_now = running_now(question)
        if (
            question.policy is not Policy.CARBON_TIME
            and elsewhere is None
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
        moved = None if elsewhere is None else plan_of_move(elsewhere, room, best)
        if moved is not None:
            return moved
        return choose(question, best, room, run_now)


def _book(one: Asked, plan: Plan, room: _RoomFor) -> None:
    for segment in plan.segments:
        room.book(segment.location, int(segment.start.timestamp()), int(segment.end.timestamp()))
    if not plan.segments:
        room.book(plan.location, one.question.start, one.question.start + UNKNOWN_RUN_S)
