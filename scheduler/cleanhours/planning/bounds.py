"""Bounds: what each candidate location can offer many jobs at the very best, worked out for all of them at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from cleanhours.domain.intervals import Integers
from cleanhours.planning.questions import Place, Question, delay_charge
from cleanhours.planning.rooms import Rooms
from cleanhours.planning.slots import lowest_slots_costs
from cleanhours.planning.timelines import Share
from cleanhours.planning.windows import NEVER, lowest_windows

Bound = tuple[int, Place, int | None]
"""No option of the place is cheaper (units of cost); and where the optimum of a window starts, if the bound is exact."""


_Member = tuple[int, Question, Place]


class SharedRooms(Rooms, Protocol):
    """Room by what of a demand is limited where: equal shares see the same gaps."""

    @property
    def shares(self) -> Mapping[str, Share]: ...


class Bounds:
    """Lower bounds per question and candidate, in the room that the timelines have now. Room only gets less."""

    def __init__(self, questions: Sequence[tuple[Question, SharedRooms]]) -> None:
        self._bounds: list[list[Bound]] = [[] for _ in questions]
        groups: dict[tuple[int, int, bool, Share], list[_Member]] = defaultdict(list)
        rooms: dict[Share, SharedRooms] = {}
        for row, (question, room) in enumerate(questions):
            pausable = question.pausable
            for place in question.places:
                share = room.shares.get(place.location.name, ())
                rooms[share] = room
                groups[id(place.location), id(place.series), pausable, share].append((row, question, place))
        for (_, _, pausable, share), members in groups.items():
            gaps = rooms[share].gaps(members[0][2].location.name)
            found = _slots(members, gaps) if pausable else _windows(members, gaps)
            for row, bound in found:
                self._bounds[row].append(bound)

    def of(self, row: int) -> list[Bound]:
        """The bounds of a question, best first; candidates where nothing fits are left out."""
        return sorted(self._bounds[row], key=lambda bound: (bound[0], bound[1].rank))


def _slots(members: Sequence[_Member], gaps: Integers | None) -> Iterator[tuple[int, Bound]]:
    place = members[0][2]
    costs = lowest_slots_costs(
        place.series,
        np.array([question.length for _, question, _ in members]),
        np.array([question.start for _, question, _ in members]),
        np.array([question.end for _, question, _ in members]),
        gaps=gaps,
    )
    for (row, _, own), cost in zip(members, costs.tolist(), strict=True):
        if cost < NEVER:
            yield row, (cost * own.pue_ppm, own, None)


def _windows(members: Sequence[_Member], gaps: Integers | None) -> Iterator[tuple[int, Bound]]:
    place = members[0][2]
    charges = [delay_charge(question) // place.pue_ppm for _, question, _ in members]
    windows = lowest_windows(
        place.series,
        np.array([question.length for _, question, _ in members]),
        np.array([question.start for _, question, _ in members]),
        np.array([question.latest for _, question, _ in members]),
        delay_costs=np.array(charges) if any(charges) else None,
        gaps=gaps,
    )
    found = zip(members, windows.starts.tolist(), windows.costs.tolist(), strict=True)
    for (row, question, own), start, cost in found:
        if cost < NEVER:
            moves = question.request.data_bytes and own.location not in (question.here, question.home)
            yield row, (cost * own.pue_ppm, own, None if moves else start)
