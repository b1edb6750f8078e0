"""Options: the best that one location can offer a job, and what any other choice would emit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from cleanhours.domain.intervals import Integers
from cleanhours.domain.plans import Reason
from cleanhours.domain.requests import Policy
from cleanhours.domain.times import seconds_of
from cleanhours.planning.pauses import PauseCosts, lowest_runs
from cleanhours.planning.questions import Option, Place, Question, delay_charge, transfer_cost
from cleanhours.planning.rooms import Rooms
from cleanhours.planning.slots import Run, lowest_slots
from cleanhours.planning.windows import lowest_window


def best_option(
    question: Question, place: Place, gaps: Integers | None, below: int | None = None
) -> Option | None:
    """The optimum of the question's policy at one location; the earliest of equals wins.

    None where nothing fits, or (perhaps) where nothing costs at most `below`.
    """
    moved = transfer_cost(question, place, question.start) if question.request.data_bytes else None
    if not question.pausable:
        if moved is not None:
            return _best_moved_window(question, place, gaps)
        charge = delay_charge(question) // place.pue_ppm if question.policy is Policy.CARBON_TIME else 0
        found = lowest_window(
            place.series, question.length, question.start, question.latest, delay_cost=charge, gaps=gaps
        )
        return found and option_of_window(question, place, found.start, found.cost * place.pue_ppm)
    if moved is None:
        return _best_runs(question, place, gaps, question.start, below)
    # a run is never begun early only to move its data: the optimum of the running is found from each new price of moving
    # on, and moving is added to it; beside it stands the best single run, which is exact. Near the optimum of both: an hour
    # more of slack may hide a cheaper sum behind it
    options = [_best_runs(question, place, gaps, start) for start in _prices_change(question, place)]
    options.append(_best_moved_window(question, place, gaps))
    return min((option for option in options if option is not None), default=None)


def _best_runs(
    question: Question, place: Place, gaps: Integers | None, start: int, below: int | None = None
) -> Option | None:
    work = question.work or 0
    if question.pauses_are_free:
        found = lowest_slots(place.series, work, start, question.end, gaps=gaps)
    else:
        limit = None if below is None else below // place.pue_ppm
        costs = pause_costs(question)
        found = lowest_runs(place.series, work, start, question.end, costs, gaps=gaps, below=limit)
    return found and option_of(question, place, found.runs)


def pause_costs(question: Question) -> PauseCosts:
    """What pausing costs this job; the stricter of the owner's and the operator's limits."""
    request, rules = question.request, question.rules
    limits = [n for n in (request.maximum_pauses, rules.maximum_pauses) if n is not None]
    return PauseCosts(
        lost=question.lost,
        energy_s=request.pause_energy_j / request.planned_power_w,
        minimum_run=seconds_of(max(request.minimum_run, rules.minimum_run)),
        maximum_pauses=min(limits, default=None),
        running=question.running,
        paused=question.paused,
    )


def _best_moved_window(question: Question, place: Place, gaps: Integers | None) -> Option | None:
    """With data to move, the cost also steps where either end's intensity does: between steps the window is exact."""
    length, charge = question.length, delay_charge(question)
    changes = [*_prices_change(question, place), question.latest + 1]
    best = None
    for first, after in itertools.pairwise(changes):
        found = lowest_window(
            place.series, length, first, after - 1, delay_cost=charge // place.pue_ppm, gaps=gaps
        )
        if found is not None:
            option = option_of(question, place, ((found.start, found.start + length),))
            best = option if best is None else min(best, option)
    return best


def _prices_change(question: Question, place: Place) -> list[int]:
    """The earliest start, and every later instant at which the price of moving data changes."""
    home = question.home_place or place
    borders = np.union1d(place.series.borders, home.series.borders)
    later = borders[(borders > question.start) & (borders <= question.latest)]
    return [question.start, *later.tolist()]


def option_of(question: Question, place: Place, runs: Sequence[Run]) -> Option:
    """What these runs at this location cost: exact, pauses and transfer included. They must lie inside the series."""
    table = place.table
    integral = seconds = 0
    for begin, end in runs:
        integral += table.integral_at(end) - table.integral_at(begin)
        seconds += end - begin
    start = runs[0][0]
    if question.request.pause_energy_j:
        costs = pause_costs(question)
        for begin, _ in runs[0 if question.running and start > question.start else 1 :]:
            integral += costs.energy_at(table.price_at(begin))
            seconds += round(costs.energy_s)
    carbon = integral * place.pue_ppm
    moved = transfer_cost(question, place, start)
    if moved is not None:
        carbon += moved
    value = carbon
    if question.policy is Policy.CARBON_TIME:
        # charged as the window search charges it, so that both see the same optimum
        value += delay_charge(question) // place.pue_ppm * place.pue_ppm * (start - question.start)
    return Option(value, start, place.rank, carbon, integral, seconds, tuple(runs), place)


def option_of_window(question: Question, place: Place, start: int, value: int) -> Option:
    """`option_of` of one window whose value is known; it moves no data."""
    carbon = value
    if question.policy is Policy.CARBON_TIME:
        carbon -= delay_charge(question) // place.pue_ppm * place.pue_ppm * (start - question.start)
    length = question.length
    runs = ((start, start + length),)
    return Option(value, start, place.rank, carbon, carbon // place.pue_ppm, length, runs, place)


def adopt(question: Question, rooms: Rooms) -> Option | None:
    """What is left of the current plan as an option of now; None where it cannot be kept.

    Runs that have begun are cut at the earliest start; work that was not done meanwhile is added at the end.
    """
    current = question.current
    if current is None or not current.segments or current.reason in _NOT_ADOPTED:
        return None
    names = {segment.location for segment in current.segments}
    place = next((place for place in question.places if {place.location.name} == names), None)
    if place is None:
        return None
    runs = _remaining_runs(question, current_runs(question))
    if runs is None or runs[-1][1] > question.end or runs[0][0] > question.latest:
        return None
    borders = place.table.borders
    if runs[0][0] < borders[0] or runs[-1][1] > borders[-1] or not rooms.fits(place.location.name, runs):
        return None
    return option_of(question, place, runs)


_NOT_ADOPTED = frozenset({Reason.CAPACITY, Reason.DEADLINE_GUARD, Reason.INVALID_REQUEST, Reason.NO_DURATION})


def current_runs(question: Question) -> list[Run]:
    """The runs of the current plan that are not over, cut at the earliest start."""
    current = question.current
    if current is None:
        return []
    runs = []
    for segment in current.segments:
        start, end = int(segment.start.timestamp()), int(segment.end.timestamp())
        if end > question.start:
            runs.append((max(start, question.start), end))
    return runs


def _remaining_runs(question: Question, runs: list[Run]) -> tuple[Run, ...] | None:
    """The runs made as long as what remains to be done, at their end; None where a run would be left without work."""
    if not runs or (len(runs) > 1 and not question.pausable):
        return None
    resumed = len(runs) - 1 + (question.paused or (question.running and runs[0][0] > question.start))
    needed = (question.work or 0) + question.lost * resumed
    surplus = sum(end - start for start, end in runs) - needed
    start, end = runs[-1]
    if end - surplus <= start:
        return None
    return (*runs[:-1], (start, end - surplus))
