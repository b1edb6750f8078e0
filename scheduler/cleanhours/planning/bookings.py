"""Bookings: the room that plans in force take, carried from one tick to the next, for few of ten thousand change in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from cleanhours.domain.locations import Room
from cleanhours.domain.plans import Segment
from cleanhours.domain.resources import Demand
from cleanhours.planning.timelines import Share, Timeline

Booking = tuple[Demand, tuple[Segment, ...]]
"""What a job takes, and when and where."""


@dataclass(frozen=True, slots=True)
class Bookings:
    """The timelines of all locations with what plans in force take. A value: nobody books into these, but into copies."""

    timelines: Mapping[str, Timeline]
    changes: int = 0
    """How many were booked or given back one by one. Each leaves its instants behind."""

    @classmethod
    def of(cls, rooms: Mapping[str, Room], held: Iterable[Booking]) -> Self:
        """Everything booked from the beginning: O(n log n)."""
        timelines = {name: Timeline(room) for name, room in rooms.items()}
        booked: dict[str, list[tuple[Share, int, int]]] = {name: [] for name in timelines}
        for demand, segments in held:
            for name, start, end in _stretches(segments):
                if name in booked:
                    booked[name].append((timelines[name].share(demand), start, end))
        for name, bookings in booked.items():
            timelines[name].book_all(bookings)
        return cls(timelines)

    def changed(self, gone: Iterable[Booking], new: Iterable[Booking]) -> Self:
        """The same rooms, where `gone`, which were booked, are given back and `new` are booked."""
        timelines, changes = self.copies(), self.changes
        for sign, bookings in ((-1, gone), (1, new)):
            for demand, segments in bookings:
                changes += 1
                for name, start, end in _stretches(segments):
                    if name in timelines:
                        share = timelines[name].share(demand)
                        timelines[name].book(tuple(sign * amount for amount in share), start, end)
        return type(self)(timelines, changes)

    def copies(self) -> dict[str, Timeline]:
        """Timelines to book into."""
        return {name: timeline.copy() for name, timeline in self.timelines.items()}


def _stretches(segments: tuple[Segment, ...]) -> Iterator[tuple[str, int, int]]:
    for part in segments:
        yield part.location, int(part.start.timestamp()), int(part.end.timestamp())
