"""Bounds: what each candidate location can offer many jobs at the very best, worked out for all of them at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from cleanhours.domain.intensity import Integers
from cleanhours.domain.resources import Demand
from cleanhours.planning.questions import Place, Question, delay_charge
from cleanhours.planning.slots import lowest_slots_costs
from cleanhours.planning.timelines import Timeline
from cleanhours.planning.windows import NEVER, lowest_windows

Bound = tuple[int, Place, int | None]
"""No option of the place is cheaper (units of cost); and where the optimum of a window starts, if the bound is exact."""


class Bounds:
    """Lower bounds per question and candidate, in the room that the timelines have now. Room only gets less."""

    def __init__(
        self, questions: Sequence[tuple[Question, Demand]], timelines: Mapping[str, Timeline]
    ) -> None:
        self._bounds: list[list[Bound]] = [[] for _ in questions]
        groups: dict[tuple[str, int, bool, tuple[int, ...]], list[tuple[int, Question, Place]]] = defaultdict(
            list
        )
        demands: dict[tuple[int, ...], Demand] = {}
        for row, (question, demand) in enumerate(questions):
            for place in question.places:
                timeline = timelines.get(place.location.name)
                share = () if timeline is None else timeline.share(demand)
                demands[share] = demand
                groups[place.location.name, id(place.series), question.pausable, share].append(
                    (row, question, place)
                )
        for (_, _, pausable, share), members in groups.items():
            timeline = timelines.get(members[0][2].location.name)
            gaps = None if timeline is None else timeline.gaps(demands[share])
            found = _slots(members, gaps) if pausable else _windows(members, gaps)
            for row, bound in found:
                self._bounds[row].append(bound)

    def of(self, row: int) -> list[Bound]:
        """The bounds of a question, best first; candidates where nothing fits are left out."""
        return sorted(self._bounds[row], key=lambda bound: (bound[0], bound[1].rank))


def _slots(
    members: Sequence[tuple[int, Question, Place]], gaps: Integers | None
) -> Iterator[tuple[int, Bound]]:
    place = members[0][2]
    costs = lowest_slots_costs(
        place.series,
        np.array([question.length for _, question, _ in members]),
        np.array([question.start for _, question, _ in members]),
        np.array([question.end for _, question, _ in members]),
        gaps=gaps,
    )
    for (row, _, _), cost in zip(members, costs.tolist(), strict=True):
        if cost < NEVER:
            yield row, (cost * place.pue_ppm, place, None)


def _windows(
    members: Sequence[tuple[int, Question, Place]], gaps: Integers | None
) -> Iterator[tuple[int, Bound]]:
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
    for (row, question, _), start, cost in found:
        if cost < NEVER:
            exact = not question.request.data_bytes or place.location is question.here
            yield row, (cost * place.pue_ppm, place, start if exact else None)
