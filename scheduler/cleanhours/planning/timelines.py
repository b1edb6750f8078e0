"""Timelines: how much of a location is taken when, and where a demand still has room."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cleanhours.domain.intensity import Integers
from cleanhours.domain.locations import Room
from cleanhours.domain.resources import Demand
from cleanhours.domain.times import epoch, epoch_after
from cleanhours.planning.windows import NEVER


class Timeline:
    """What is booked at one location, for the resources that are limited there; exact to the second.

    `times` are the instants at which the use changes, `used` has one row per limited resource: `used[:, i]` holds over
    [times[i], times[i + 1]). Both have spare room at their end; `count` is how much counts.
    """

    def __init__(self, room: Room) -> None:
        limits = room.location.capacity.limits()
        self.limited = [index for index, limit in enumerate(limits) if limit is not None]
        self.limits = np.array([limit for limit in limits if limit is not None], np.int64)
        self.times = np.full(64, NEVER, np.int64)
        self.times[0] = -NEVER
        self.used = np.zeros((len(self.limited), 64), np.int64)
        self.count = 1
        self._shares: dict[Demand, tuple[int, ...]] = {}
        self._known: dict[tuple[int, ...], Integers] = {}
        for booking in room.others:
            self.book(booking.demand, epoch(booking.start), epoch_after(booking.end))

    def share(self, demand: Demand) -> tuple[int, ...]:
        """What of a demand is limited here."""
        share = self._shares.get(demand)
        if share is None:
            amounts = (demand.cpu_millicores, demand.memory_bytes, demand.gpus, demand.slots)
            share = self._shares[demand] = tuple(amounts[index] for index in self.limited)
        return share

    def book(self, demand: Demand, start: int, end: int) -> None:
        """Takes the demand over [start, end), whether it fits or not."""
        share = self.share(demand)
        if end <= start or not any(share):
            return
        first = self._cut(start)
        last = self._cut(end)
        for row, amount in enumerate(share):
            if amount:
                self.used[row, first:last] += amount
        self._known.clear()

    def fits(self, demand: Demand, runs: Iterable[tuple[int, int]]) -> bool:
        """Whether the demand has room in every run."""
        if not self.limited:
            return True
        share = self.share(demand)
        times = self.times[: self.count]
        for start, end in runs:
            first = int(times.searchsorted(start, side="right")) - 1
            last = int(times.searchsorted(end))
            for row, amount in enumerate(share):
                if amount and self.used[row, first:last].max() + amount > self.limits[row]:
                    return False
        return True

    def gaps(self, demand: Demand) -> Integers | None:
        """The stretches with room for the demand, shape (k, 2), in order and apart; None where nothing is limited."""
        share = self.share(demand)
        if not any(share):
            return None
        known = self._known.get(share)
        if known is None:
            known = self._known[share] = self._gaps(share)
        return known

    def _gaps(self, share: tuple[int, ...]) -> Integers:
        count = self.count
        room = np.zeros(count + 2, np.bool_)
        room[1:-1] = True
        for row, amount in enumerate(share):
            if amount:
                room[1:-1] &= self.used[row, :count] <= self.limits[row] - amount
        changes = np.flatnonzero(room[1:] != room[:-1])
        ends_open = changes.size and changes[-1] == count
        bounds = self.times[changes] if not ends_open else self.times[np.minimum(changes, count - 1)]
        if ends_open:
            bounds[-1] = NEVER
        return bounds.reshape(-1, 2)

    def _cut(self, instant: int) -> int:
        """Makes an instant one of `times`; returns its index."""
        count = self.count
        index = int(self.times[:count].searchsorted(instant))
        if index < count and self.times[index] == instant:
            return index
        if count == self.times.size:
            self.times = np.concatenate((self.times, np.full(count, NEVER, np.int64)))
            self.used = np.concatenate((self.used, np.zeros_like(self.used)), axis=1)
        self.times[index + 1 : count + 1] = self.times[index:count]
        self.used[:, index + 1 : count + 1] = self.used[:, index:count]
        self.times[index] = instant
        self.used[:, index] = self.used[:, index - 1]
        self.count = count + 1
        return index
