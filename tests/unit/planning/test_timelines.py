"""Room is what every second says it is."""

from __future__ import annotations

import random
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cleanhours.domain.locations import Location, Room
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours.planning.rooms import GapsGiven, first_fit
from cleanhours.planning.timelines import Timeline
from tests.unit.planning.made import NOW, START


def _demand(dice: random.Random) -> Demand:
    return Demand(dice.randint(0, 5), dice.choice((0, 10**9)), dice.randint(0, 2), 1)


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_room_is_what_every_second_says(seed: int) -> None:
    dice = random.Random(seed)
    bookings = []
    for _ in range(dice.randint(0, 90)):
        start = dice.randint(0, 300)
        bookings.append((_demand(dice), START + start, START + start + dice.randint(0, 60)))
    capacity = Capacity(dice.choice((None, 12)), 4 * 10**9, dice.choice((None, 5)), 9)
    others = tuple(
        Booking(NOW + timedelta(seconds=start - START), NOW + timedelta(seconds=end - START), demand)
        for demand, start, end in bookings[:5]
    )
    timeline = Timeline(Room(Location("a", "AA", 1.0, capacity), others))
    at_once = dice.randint(5, 90)
    timeline.book_all([(timeline.share(demand), start, end) for demand, start, end in bookings[5:at_once]])
    for demand, start, end in bookings[at_once:-5] if at_once < len(bookings) else ():
        timeline.book(timeline.share(demand), start, end)
    rest = bookings[max(at_once, len(bookings) - 5) :]
    timeline.book_all([(timeline.share(demand), start, end) for demand, start, end in rest])
    asked = _demand(dice)
    free = []
    for second in range(START, START + 400):
        there = [demand for demand, start, end in bookings if start <= second < end]
        used = [sum(amounts) for amounts in zip(*map(_amounts, [asked, *there]), strict=True)]
        free.append(all(
            limit is None or not asks or amount <= limit
            for asks, amount, limit in zip(_amounts(asked), used, capacity.limits(), strict=True)
        ))  # fmt: skip
    gaps = timeline.gaps(timeline.share(asked))
    for _ in range(20):
        first = dice.randint(0, 350)
        length = dice.randint(1, 40)
        runs = [(START + first, START + first + length)]
        expected = all(free[first : first + length])
        assert (
            expected == timeline.fits(timeline.share(asked), runs) == GapsGiven({"a": gaps}).fits("a", runs)
        )
        starts = [at for at in range(first, 350) if all(free[at : at + length])]
        found = first_fit(gaps, length, START + first, START + 349)
        assert (START + starts[0] if starts else None) == found


def _amounts(demand: Demand) -> tuple[int, ...]:
    return demand.cpu_millicores, demand.memory_bytes, demand.gpus, demand.slots


def test_a_location_without_limits_has_room_for_all() -> None:
    timeline = Timeline(Room(Location("a", "AA")))
    timeline.book(timeline.share(Demand(10**9, 10**18, 10**6)), START, START + 10)
    assert timeline.gaps(timeline.share(Demand())) is None
    assert timeline.fits(timeline.share(Demand(10**9)), [(START, START + 10)])
