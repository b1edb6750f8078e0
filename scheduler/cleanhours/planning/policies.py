"""Policies: one job's plan, by a ladder that always answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest, Policy
from cleanhours.domain.rules import ForecastLevels, Rules
from cleanhours.planning.assembling import assemble, assemble_option
from cleanhours.planning.capping import caps_of, lowest
from cleanhours.planning.moving import as_paused, assemble_move, best_move, best_stop
from cleanhours.planning.options import adopt, best_option, option_of
from cleanhours.planning.questions import (
    Chain,
    Option,
    Progress,
    Question,
    ask,
)
from cleanhours.planning.rooms import EVERYWHERE, Gaps, GapsGiven, Rooms, first_fit


def make_plan(  # noqa: PLR0913
    request: JobRequest,
    levels: ForecastLevels,
    *,
    now: datetime,
    locations: Mapping[str, Location],
    home: str,
    rules: Rules = Rules(),
    progress: Progress = Progress(),
    current: Plan | None = None,
    gaps: Gaps | None = None,
) -> Plan:
    """The plan of one job at `now`; never raises for a well-formed request, never holds one for want of knowledge.

    `levels` is the forecast chain by grid zone. `locations` are all known ones, by name; candidates are `home` and those
    of `request.locations` that are known. `progress` tells what is done already (`remaining`, default the whole
    duration) and where: a job that started stays there unless it is `movable`, a `running` one that cannot pause just
    goes on, a `paused` one loses its checkpoint time at resumption. `current` is the plan in force: it is kept unless another one saves more
    than `rules.hysteresis_percent`, and marks a job that was held. `gaps` is where there is room for the job.
    """
    asked = partial(
        ask, request, now=now, locations=locations, home=home, rules=rules, progress=progress, current=current
    )
    question, chain = asked(), Chain(levels)
    rung = rung_of(question, chain)
    rooms = GapsGiven(gaps) if gaps else EVERYWHERE
    if rung is not None:
        return answer(question, rung, rooms)
    best = _best(question, rooms)
    if progress.running and progress.movable:
        elsewhere = asked(progress=as_paused(progress))
        moved = plan_of_move(elsewhere, rooms, best) if chain.put_on_level(elsewhere) else None
        if moved is not None:
            return moved
    capped = [choose(rival, _best(rival, rooms), rooms) for rival in rivals_of(question, asked, chain)]
    return lowest([choose(question, best, rooms), *capped], question.request, current, rules)


def _best(question: Question, rooms: Rooms) -> Option | None:
    best = None
    for place in question.places:
        option = best_option(question, place, rooms.gaps(place.location.name))
        if option is not None and (best is None or option < best):
            best = option
    return best


def rivals_of(question: Question, asked: Callable[..., Question], chain: Chain) -> list[Question]:
    """The same question under each cap that its job may run under; none once it has begun."""
    if question.running or question.paused:
        return []
    rivals = []
    for cap in caps_of(question.request, question.rules):
        current = question.current
        rival = asked(cap=cap, current=current if current is not None and current.cap == cap else None)
        if rung_of(rival, chain) is None:
            rivals.append(rival)
    return rivals


def plan_of_move(elsewhere: Question, rooms: Rooms, staying: Option | None) -> Plan | None:
    """The plan of a running job that better goes on elsewhere, now or later; None where it better stays.

    `elsewhere` is the job's question as if it were paused: checkpoint and transfer are paid for. A job is not stopped to
    wait for what it may as well do later.
    """
    if staying is None or elsewhere.latest < elsewhere.start:
        return None
    now, later = best_stop(elsewhere, rooms, staying), best_move(elsewhere, rooms, staying)
    reason = _reason_of(elsewhere)
    if now is not None and (later is None or now.value < later.value):
        return assemble_option(elsewhere, now, reason, None)
    return None if later is None else assemble_move(elsewhere, later, reason)


def rung_of(question: Question, chain: Chain) -> Reason | None:
    """The rung of the ladder that answers without a search; None where there is something to choose.

    Puts the question on a level of the forecast, where one will do.
    """
    known = question.work is not None and chain.put_on_level(question)
    if question.work is None:
        return Reason.NO_DURATION
    if question.goes_on:
        return Reason.RUN_NOW if question.current is None else question.current.reason
    if not question.request.flexible:
        return Reason.RUN_NOW
    if question.latest < question.start:
        return _reason_past_latest(question)
    if question.policy is Policy.RUN_NOW:
        return Reason.RUN_NOW
    if question.policy is Policy.DEADLINE_ONLY:
        return Reason.DEADLINE_ONLY
    return None if known else Reason.NO_FORECAST


def answer(question: Question, rung: Reason, rooms: Rooms) -> Plan:
    """The plan of a rung. What must run at once does so whatever the room; what may wait, waits for room."""
    if question.work is None or question.goes_on or not question.request.flexible:
        return at_once(question, rung)
    if question.latest < question.start:
        return at_once(question, rung, "" if question.running else "the latest safe start has passed")
    if rung is Reason.DEADLINE_ONLY:
        run = (question.latest, question.latest + question.length)
        return assemble(question, question.here, (run,), rung)
    return soonest(question, rung, rooms, "no forecast covers the work" if rung is Reason.NO_FORECAST else "")


def _reason_past_latest(question: Question) -> Reason:
    current = question.current
    if current is None:
        return Reason.NO_SLACK
    if question.running or current.start <= question.now:
        return current.reason
    return Reason.DEADLINE_GUARD


def choose(question: Question, best: Option | None, rooms: Rooms, run_now: Option | None = None) -> Plan:
    """The plan: the best option, unless it is not worth waiting for, or not worth leaving the current plan for."""
    run_now = running_now(question) if run_now is None else run_now
    if best is None:
        return soonest(question, Reason.CAPACITY, rooms)
    if not worth_waiting(question, best.carbon, run_now):
        at_last = soonest_option(question, rooms, run_now)
        if at_last is run_now:
            return not_worth_more(question, run_now)
        if at_last is not None and not worth_waiting(question, best.carbon, at_last):
            return assemble_option(question, at_last, Reason.CAPACITY, run_now, NO_ROOM_YET)
    current = question.current
    if current is not None:
        kept = adopt(question, rooms)
        if (
            kept is not None
            and (kept.value - best.value) * 100 <= question.rules.hysteresis_percent * kept.value
        ):
            return assemble_option(question, kept, current.reason, run_now)
    return assemble_option(question, best, _reason_of(question), run_now)


def soonest_option(question: Question, rooms: Rooms, run_now: Option) -> Option | None:
    """What there is instead of waiting: running at once, or where there is no room, the first room there is."""
    if rooms.fits(question.here.name, run_now.runs):
        return run_now
    found = _first_room(question, rooms)
    place = found and next((place for place in question.places if place.location is found[2]), None)
    if found is None or place is None:
        return None
    run = (found[0], found[0] + question.length)
    return option_of(question, place, (run,)) if run[1] <= place.table.borders[-1] else None


def _first_room(question: Question, rooms: Rooms) -> tuple[int, int, Location] | None:
    earliest = []
    for rank, location in enumerate((question.here, *question.locations)):
        start = first_fit(rooms.gaps(location.name), question.length, question.start, question.latest)
        if start is not None:
            earliest.append((start, rank, location))
    return min(earliest, key=lambda found: found[:2], default=None)


def running_now(question: Question) -> Option:
    """What running at once would emit, where the job would run unmodified."""
    here = question.here_place
    if here is None:
        raise ValueError("a question without a forecast has no options")
    table, start, length = here.table, question.start, question.length
    integral = table.integral_at(start + length) - table.integral_at(start)
    carbon = integral * here.pue_ppm
    # no pause, no move, no delay: nothing else is charged
    return Option(carbon, start, here.rank, carbon, integral, length, ((start, start + length),), here)


def worth_waiting(question: Question, carbon: int, run_now: Option) -> bool:
    """Whether a cost saves enough against running at once.

    A wait that is nearly over is finished: what it still saves shrinks to nothing as its end comes near, and a job that
    waited all night for the sun is not to be released a minute before sunrise as not worth the wait.
    """
    if _wait_nearly_over(question):
        return True
    saving = run_now.carbon - carbon
    return saving > 0 and saving * 100 >= question.rules.minimum_saving_percent * run_now.carbon


def not_worth_more(question: Question, run_now: Option) -> Plan:
    """Running at once, because waiting (on) saves too little. Who has waited keeps the reason he waited for, who runs his."""
    current = question.current
    if current is not None and question.running:
        return assemble_option(question, run_now, current.reason, run_now)
    if current is None or current.reason not in _WAITED_FOR:
        return assemble_option(question, run_now, Reason.BELOW_MIN_SAVING, run_now)
    return assemble_option(question, run_now, current.reason, run_now, "waiting on would save too little")


def _wait_nearly_over(question: Question) -> bool:
    """Whether a plan that was worth waiting for starts within a tenth of the job's length."""
    current = question.current
    if current is None or question.running or current.reason not in _WAITED_FOR:
        return False
    return (int(current.start.timestamp()) - question.start) * 10 <= question.length


_WAITED_FOR = frozenset({Reason.LOWEST_WINDOW, Reason.LOWEST_SLOTS, Reason.CARBON_TIME})


def _reason_of(question: Question) -> Reason:
    if question.policy is Policy.CARBON_TIME:
        return Reason.CARBON_TIME
    return Reason.LOWEST_SLOTS if question.pausable else Reason.LOWEST_WINDOW


def at_once(question: Question, reason: Reason, note: str = "") -> Plan:
    """Runs from the earliest start on, where the job would run unmodified, whatever the capacity."""
    runs = () if question.work is None else ((question.start, question.start + question.length),)
    return assemble(question, question.here, runs, reason, note)


def soonest(
    question: Question, reason: Reason, rooms: Rooms, note: str = "", run_now: Option | None = None
) -> Plan:
    """Runs at once if there is room; else at the earliest instant and location with room; else when it must."""
    name, length = question.here.name, question.length
    run = (question.start, question.start + length)
    if reason is not Reason.CAPACITY and rooms.fits(name, (run,)):
        if run_now is not None:
            return assemble_option(question, run_now, reason, run_now)
        return assemble(question, question.here, (run,), reason, note)
    found = _first_room(question, rooms)
    if found is not None:
        start, _, location = found
        return assemble(question, location, ((start, start + length),), Reason.CAPACITY, NO_ROOM_YET)
    run = (question.latest, question.latest + length)
    return assemble(question, question.here, (run,), Reason.CAPACITY, NO_ROOM_AT_ALL)


NO_ROOM_YET = "it waits for room"
NO_ROOM_AT_ALL = "there is no room before its latest safe start: its deadline goes before capacity"
