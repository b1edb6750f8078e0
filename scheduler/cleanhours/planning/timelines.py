"""Timelines: how much of a location is taken when, and where there is still room."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from copy import copy

import numpy as np

from cleanhours.domain.intervals import Integers
from cleanhours.domain.locations import Room
from cleanhours.domain.resources import Demand
from cleanhours.domain.times import epoch, epoch_after
from cleanhours.planning.windows import NEVER

Share = tuple[int, ...]
"""What of a demand is limited at a location, in the order of the timeline's limits."""


class Timeline:
    """What is booked at one location, for the resources that are limited there; exact to the second.

    `_times` are the instants at which the use changes; `_used` has one row per limited resource, and `_used[:, i]` holds
    over [_times[i], _times[i + 1]). `_bounds` are the same instants as an array; arrays have spare room at their end.
    """

    def __init__(self, room: Room) -> None:
        limits = room.location.capacity.limits()
        self._limited = [index for index, limit in enumerate(limits) if limit is not None]
        self._limits = [limit for limit in limits if limit is not None]
        self._times = [-NEVER]
        self._bounds = np.full(64, NEVER, np.int64)
        self._bounds[0] = -NEVER
        self._used = np.zeros((len(self._limited), 64), np.int64)
        self._known: dict[Share, Integers] = {}
        self.book_all(
            [(self.share(one.demand), epoch(one.start), epoch_after(one.end)) for one in room.others]
        )

    def copy(self) -> Timeline:
        """Another one that is booked alike."""
        other = copy(self)
        vars(other).update({name: copy(value) for name, value in vars(self).items()})
        return other

    def share(self, demand: Demand) -> Share:
        """What of a demand is limited here."""
        amounts = demand.amounts
        return tuple(amounts[index] for index in self._limited)

    def book(self, share: Share, start: int, end: int) -> None:
        """Takes the share over [start, end), whether it fits or not; gives it back where its amounts are below 0."""
        if end <= start or not any(share):
            return
        first = self._cut(start)
        last = self._cut(end)
        for row, amount in enumerate(share):
            if amount:
                self._used[row, first:last] += amount
        self._known.clear()

    def book_all(self, bookings: Sequence[tuple[Share, int, int]]) -> None:
        """The same for many, at the cost of sorting them once: shares, starts and ends."""
        taken = [booking for booking in bookings if booking[2] > booking[1] and any(booking[0])]
        if not taken:
            return
        amounts = np.array([share for share, _, _ in taken], np.int64).T
        edges = np.array([(start, end) for _, start, end in taken], np.int64).T
        count = len(self._times)
        times = np.union1d(self._bounds[:count], edges)
        changes = np.zeros((len(self._limited), times.size), np.int64)
        before = np.searchsorted(times, self._bounds[:count])
        changes[:, before] = np.diff(self._used[:, :count], axis=1, prepend=0)
        for row, amount in zip(changes, amounts, strict=True):
            np.add.at(row, np.searchsorted(times, edges[0]), amount)
            np.subtract.at(row, np.searchsorted(times, edges[1]), amount)
        self._times = times.tolist()
        self._bounds = times
        self._used = changes.cumsum(axis=1)
        self._known.clear()

    def fits(self, share: Share, runs: Iterable[tuple[int, int]]) -> bool:
        """Whether the share has room in every run."""
        for row, amount in enumerate(share):
            if amount:
                used, most = self._used[row], self._limits[row] - amount
                for start, end in runs:
                    first = bisect_right(self._times, start) - 1
                    if used[first : bisect_left(self._times, end)].max() > most:
                        return False
        return True

    def gaps(self, share: Share) -> Integers | None:
        """The stretches with room for the share, shape (k, 2), in order and apart; None where nothing is limited."""
        if not any(share):
            return None
        known = self._known.get(share)
        if known is None:
            known = self._known[share] = self._gaps(share)
        return known

    def _gaps(self, share: Share) -> Integers:
        count = len(self._times)
        room = np.zeros(count + 2, np.bool_)
        inner = room[1:-1]
        inner[...] = True
        for row, amount in enumerate(share):
            if amount:
                inner &= self._used[row, :count] <= self._limits[row] - amount
        changes = np.flatnonzero(room[1:] != room[:-1])
        if count == self._bounds.size:
            self._grow()
        return self._bounds[changes].reshape(-1, 2)

    def _cut(self, instant: int) -> int:
        """Makes an instant one of the times; returns its index."""
        times = self._times
        index = bisect_left(times, instant)
        count = len(times)
        if index < count and times[index] == instant:
            return index
        if count == self._bounds.size:
            self._grow()
        times.insert(index, instant)
        self._bounds[index + 1 : count + 1] = self._bounds[index:count]
        self._used[:, index + 1 : count + 1] = self._used[:, index:count]
        self._bounds[index] = instant
        self._used[:, index] = self._used[:, index - 1]
        return index

    def _grow(self) -> None:
        """Twice the room; bounds that do not count yet are NEVER, so that room at the end lasts for ever."""
        self._bounds = np.concatenate((self._bounds, np.full(self._bounds.size, NEVER, np.int64)))
        self._used = np.concatenate((self._used, np.zeros_like(self._used)), axis=1)
