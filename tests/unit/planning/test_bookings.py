"""What is booked, given back and booked again is what was booked once."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.jobs import JobKey
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Booking as Taken
from cleanhours.domain.resources import Capacity, Demand
from cleanhours.domain.rules import Rules
from cleanhours.planning.bookings import Booking, Bookings
from cleanhours.planning.memory import Answer, Memory
from tests.unit.planning.made import NOW, START

DEMANDS = [Demand(cpus, 10**9, gpus, 1) for cpus in (0, 1000, 3000) for gpus in (0, 2)]
OTHERS = (Taken(NOW, NOW + timedelta(seconds=90), Demand(4000, 0, 1, 1)),)
ROOMS = {
    "a": Room(Location("a", "AA", 1.0, Capacity(12_000, None, 5, 40)), OTHERS),
    "b": Room(Location("b", "BB", 1.0, Capacity(None, 20 * 10**9, None, None))),
}


def _some(dice: random.Random) -> Booking:
    """Pauses, places without limits, places that nobody knows any more."""
    runs, at = [], dice.randint(0, 300)
    for _ in range(dice.randint(0, 3)):
        end = at + dice.randint(1, 60)
        place = dice.choice(("a", "b", "gone"))
        runs.append(Segment(NOW + timedelta(seconds=at), NOW + timedelta(seconds=end), place, "ZZ"))
        at = end + dice.randint(0, 60)
    return dice.choice(DEMANDS), tuple(runs)


def _answer(booking: Booking, *, kept: bool) -> Answer:
    demand, runs = booking
    plan = Plan(
        location="a",
        zone="AA",
        start=NOW,
        end=NOW,
        segments=runs,
        latest_start=NOW,
        reason=Reason.LOWEST_SLOTS,
    )
    return Answer(JobRequest(submitted=NOW, demand=demand), None, plan, kept)


def _memory(answers: Mapping[JobKey, Answer], booked: Bookings | None = None) -> Memory:
    kept = [one.booking for one in answers.values() if one.kept]
    return Memory(
        (), ROOMS, Rules(), answers, booked or Bookings.of(ROOMS, kept), complete=True, made=NOW, put_off={}
    )


def _keys(count: int) -> list[JobKey]:
    return [JobKey("c", str(number)) for number in range(count)]


@given(st.integers(0, 2**32))
def test_bookings_that_change_leave_the_room_that_there_is(seed: int) -> None:
    """Some jobs go, some get another plan, and those that were new the last time are kept now."""
    dice = random.Random(seed)
    everybody = _keys(200)
    memory = _memory({key: _answer(_some(dice), kept=True) for key in everybody[: dice.choice((3, 40, 120))]})
    for _ in range(6):
        before = _room_in(memory.booked)
        kept = dict(memory.answers)
        for key in dice.sample(sorted(kept), min(len(kept), dice.choice((0, 1, 2, 30)))):
            del kept[key]
        for key in dice.sample(sorted(kept), min(len(kept), dice.choice((0, 1, 2)))):
            kept[key] = _answer(_some(dice), kept=True)
        kept = {key: one if one.kept else one._replace(kept=True) for key, one in kept.items()}
        after = memory.rebooked(kept)
        assert before == _room_in(memory.booked), "who keeps the former keeps a value"
        assert _room_in(after) == _room_in(Bookings.of(ROOMS, [one.booking for one in kept.values()]))
        news = dice.sample(everybody, dice.choice((0, 1, 3)))
        memory = _memory({key: _answer(_some(dice), kept=False) for key in news} | kept, after)


def test_who_books_into_copies_leaves_the_bookings_alone() -> None:
    booked = Bookings.of(ROOMS, ())
    before = _room_in(booked)
    booked.copies()["a"].book(booked.timelines["a"].share(DEMANDS[-1]), START, START + 50)
    assert before == _room_in(booked)


def test_instants_of_what_is_gone_do_not_pile_up() -> None:
    steady = {key: _answer(_at(number), kept=True) for number, key in enumerate(_keys(80))}
    last = JobKey("c", "last")
    memory = _memory({**steady, last: _answer(_at(0), kept=True)})
    for second in range(1_000, 2_000):
        kept = {**steady, last: _answer(_at(second), kept=True)}
        booked = memory.rebooked(kept)
        assert booked.changes * 8 <= len(kept)
        memory = _memory(kept, booked)


def test_where_nothing_changed_nothing_is_booked_and_no_value_made() -> None:
    kept = {key: _answer(_at(number), kept=True) for number, key in enumerate(_keys(3))}
    memory = _memory(kept)
    assert memory.booked is memory.rebooked(dict(kept))


def _at(second: int) -> Booking:
    start = NOW + timedelta(seconds=second)
    return DEMANDS[-1], (Segment(start, start + timedelta(seconds=30), "a", "AA"),)


def _room_in(booked: Bookings) -> list[object]:
    found: list[object] = []
    for name, timeline in sorted(booked.timelines.items()):
        for demand in DEMANDS:
            gaps = timeline.gaps(timeline.share(demand))
            found.append((name, demand, None if gaps is None else gaps.tolist()))
    return found
