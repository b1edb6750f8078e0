"""Moving: whether a running job better goes on elsewhere, now or after a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.planning.assembling import baseline, forecast_id, instant
from cleanhours.planning.options import best_option
from cleanhours.planning.questions import Option, Place, Progress, Question, grams, transfer_cost
from cleanhours.planning.rooms import Rooms


class Move(NamedTuple):
    """Runs on until `at`, where it is, and from then on at `place`; costs `value`."""

    value: int
    at: int
    place: Place


def as_paused(progress: Progress) -> Progress:
    """A running job as if it had just been paused: what going on elsewhere means for it."""
    return progress._replace(running=False, paused=True)


def best_stop(elsewhere: Question, rooms: Rooms, staying: Option) -> Option | None:
    """The best way to stop now and go on at another location, if it saves more than the hysteresis against `staying`."""
    options = (
        best_option(elsewhere, place, rooms.gaps(place.location.name))
        for place in elsewhere.places
        if place.location is not elsewhere.here
    )
    best = min((option for option in options if option is not None), default=None)
    return best if best is not None and _saves_enough(elsewhere, best.value, staying.value) else None


def best_move(elsewhere: Question, rooms: Rooms, staying: Option) -> Move | None:
    """The best instant to move, if that saves more than the hysteresis against `staying`.

    The end is the same whenever it moves, so the cost only changes its slope where either grid does: every change is
    tried, O(changes).
    """
    best = min(_moves(elsewhere, rooms), key=lambda move: move[:2], default=None)
    return best if best is not None and _saves_enough(elsewhere, best.value, staying.value) else None


def _saves_enough(question: Question, value: int, against: int) -> bool:
    return (against - value) * 100 > question.rules.hysteresis_percent * against


def _moves(elsewhere: Question, rooms: Rooms) -> Iterator[Move]:
    here, start = elsewhere.here_place, elsewhere.start
    end, done = start + elsewhere.length, start + (elsewhere.work or 0)
    if here is None:
        return
    for place in elsewhere.places:
        if place.location is elsewhere.here or place.table.borders[-1] < end:
            continue
        for at in sorted({*here.table.borders, *place.table.borders}):
            if start < at < done and rooms.fits(place.location.name, ((at, end),)):
                before = (here.table.integral_at(at) - here.table.integral_at(start)) * here.pue_ppm
                after = (place.table.integral_at(end) - place.table.integral_at(at)) * place.pue_ppm
                yield Move(before + after + (transfer_cost(elsewhere, place, at) or 0), at, place)


def assemble_move(elsewhere: Question, move: Move, reason: Reason) -> Plan:
    """The plan that runs on where the job is, and then elsewhere."""
    request, here, end = elsewhere.request, elsewhere.here, elsewhere.start + elsewhere.length
    there, series = move.place.location, move.place.series
    staying = elsewhere.here_place or move.place
    integral = staying.table.integral_at(move.at) - staying.table.integral_at(elsewhere.start)
    integral += move.place.table.integral_at(end) - move.place.table.integral_at(move.at)
    start, at, stop = (instant(second) for second in (elsewhere.start, move.at, end))
    return Plan(
        location=here.name,
        zone=here.zone,
        start=start,
        end=stop,
        segments=(Segment(start, at, here.name, here.zone), Segment(at, stop, there.name, there.zone)),
        latest_start=instant(elsewhere.latest),
        reason=reason,
        mean_g_per_kwh=integral / (elsewhere.length * 1_000_000),
        expected_g=grams(elsewhere, move.value),
        baseline_g=baseline(elsewhere),
        signal=series.measure.signal,
        scope=series.measure.scope,
        forecast=forecast_id(elsewhere, series),
        power_w=request.planned_power_w,
        power_assumed=request.power_w is None,
        note=f"it goes on in {there.name} ({there.zone}) then",
    )
