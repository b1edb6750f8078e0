"""Programme: the exact dynamic programme over when to run, pause and resume, on a board of points and prices.

Values are costs to go from a point with `k` grid units left to run, in four modes: START (beginning a run in the interval
after the point), RUN (running on through it), ON (running up to the point: goes on or stops) and OFF (not running).
Arrays have shape (layers, pauses, units, cases): layer 1 while the free part of a run, the one that need not end on a
point, is not spent, and 0 once it is; a case says whether the window's head and tail are used in full. All of these are
computed at once, point by point from the end; the plan is then read forwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cleanhours.domain.intervals import Integers
from cleanhours.planning.boards import Board
from cleanhours.planning.slots import Run
from cleanhours.planning.windows import NEVER

_SPENT, _FREE = 0, 1
_START, _RUN, _ON, _OFF = "start", "run", "on", "off"
_AT = {_ON: 0, _OFF: 1, _START: 0, _RUN: 1}
"""Where a mode stands in its pair. A free part leads from START to ON, and from RUN to OFF."""


class _Case(NamedTuple):
    """`tail` is reached running (_ON), entered after a pause (_OFF), or not used in full (empty)."""

    head: bool
    tail: str
    units: int
    rest: int
    """Seconds beyond the units: with some units, the free part."""


class _State(NamedTuple):
    mode: str
    point: int
    layer: int
    pauses: int
    units: int


class Programme:
    """The values of one board, and its cheapest plan."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.count = len(board.points) - 1
        self.widths = [
            (after - point) // board.unit
            for point, after in zip(board.points, board.points[1:], strict=False)
        ]
        self.lost = board.lost // board.unit
        self.cases = tuple(self._possible_cases())
        self.rests = np.array([case.rest for case in self.cases], np.int64)
        self.rows = np.arange(len(self.cases))
        self.units = np.array([case.units for case in self.cases], np.int64)
        self.width = max((case.units for case in self.cases), default=0) + self.lost + 1
        self.shape = (2, (board.pauses or 0) + 1, self.width, len(self.cases))
        # seconds of free parts by units, for every state alike: numpy is quicker without broadcasting
        lengths = np.arange(max(self.widths, default=1))[:, None, None] * board.unit + self.rests
        self.lengths = np.ascontiguousarray(np.broadcast_to(lengths, (len(lengths), *self.shape[2:])))
        self.empty = np.where(self.lengths[0] > 0, 0, NEVER)
        self.never = np.full(self.shape, NEVER)
        # per point the values of ON and OFF, and those of START and RUN, each pair in one array
        self.arrived = [np.stack((self.never, self.never))] * (self.count + 1)
        self.leaving = list(self.arrived)
        self.fresh: list[Integers] = [self.never[_FREE, 0, 0]] * self.count

    def best(self) -> tuple[int, tuple[Run, ...]] | None:
        """The cost and the runs of the cheapest plan; None where there is none."""
        if not self.cases:
            return None
        self._fill_last()
        for point in range(self.count - 1, -1, -1):
            self._fill(point)
        cost, row, pieces, state = min(self._openings(), key=lambda opening: opening[0])
        if cost >= NEVER:
            return None
        return cost, _joined([*pieces, *self._follow(row, state)])

    def _possible_cases(self) -> Iterator[_Case]:
        board = self.board
        head, tail = board.points[0] - board.low, board.high - board.points[-1]
        # a run in the tail alone must be longer than what it loses, and than the least length
        alone = (_OFF,) if tail > board.lost and not board.shortest else ()
        ways_to_end = ("", _ON, *alone) if tail and board.open[-1] else ("",)
        for used_head in (False, True)[: 2 if head and board.open[0] else 1]:
            for used_tail in ways_to_end:
                left = board.work - used_head * head - (tail if used_tail else 0)
                if used_tail == _OFF:
                    left += board.lost
                if left >= 0:
                    yield _Case(used_head, used_tail, left // board.unit, left % board.unit)

    # -- backwards -------------------------------------------------------------------------------------------------------

    def _fill_last(self) -> None:
        """The last point: what is left is run in the tail, or nothing is left."""
        board = self.board
        on, off = np.full(self.shape, NEVER), np.full(self.shape, NEVER)
        tail, price, energy = board.high - board.points[-1], board.prices[-1], board.energies[-1]
        limited = board.pauses is not None
        for row, case in enumerate(self.cases):
            for layer in (_SPENT, _FREE)[: 2 if case.rest == 0 else 1]:
                if case.tail == _ON:
                    on[layer, :, 0, row] = tail * price
                elif case.tail == _OFF:
                    off[layer, limited:, 0, row] = tail * price + energy
                else:
                    on[layer, :, 0, row] = off[layer, :, 0, row] = 0
            if case.tail or not board.open[-1]:
                continue
            for units in range(min(tail // board.unit + 1, self.width)):
                cost = (units * board.unit + case.rest) * price
                if not 0 < units * board.unit + case.rest <= tail:
                    continue
                np.minimum(on[_FREE, :, units, row], cost, out=on[_FREE, :, units, row])
                if units >= self.lost and not board.shortest:
                    resumed = off[_FREE, limited:, units - self.lost, row]
                    np.minimum(resumed, cost + energy, out=resumed)
        self.arrived[self.count] = np.stack((np.minimum(on, off), off))

    def _fill(self, i: int) -> None:
        """Point i from the later ones."""
        later = self.arrived[i + 1]
        if not self.board.open[i + 1]:
            self.arrived[i] = later[1:].repeat(2, axis=0)
            return
        width, price = self.widths[i], self.board.prices[i + 1]
        leaving = np.empty_like(later)
        run = leaving[1]
        run[..., :width, :] = NEVER
        if width < self.width:
            np.add(later[0, ..., :-width, :], width * self.board.unit * price, out=run[..., width:, :])
        if self.board.shortest:
            leaving[0] = self._long_starts(i)
            self._free(run[_FREE], later[1, _SPENT], width, price)
        else:
            leaving[0] = run
            self._free(leaving[:, _FREE], later[:, _SPENT], width, price)
        self.leaving[i] = leaving
        self.fresh[i] = leaving[0, _FREE, -1, self.units, self.rows]
        arrived = np.empty_like(later)
        self._resume(arrived[1], later[1], leaving[0], self.board.energies[i + 1])
        np.minimum(run, arrived[1], out=arrived[0])
        self.arrived[i] = arrived

    def _long_starts(self, i: int) -> Integers:
        """Values of beginning a run in interval i that has a least length: at its point, or with a free part before."""
        least, price = self.board.shortest, self.board.prices[i + 1]
        start = self.never.copy()
        if least < self.width:
            if self._open(i, least):
                start[..., least:, :] = self.arrived[i + least][0, ..., :-least, :] + self._cost(i, least)
            if self._open(i + 1, least):
                beyond = self.arrived[i + 1 + least][0, _SPENT, :, :-least] + self._cost(i + 1, least)
                self._free(start[_FREE, :, least:], beyond, self.widths[i], price)
        np.minimum(start, NEVER, out=start)
        return start

    def _resume(self, off: Integers, later: Integers, start: Integers, energy: int) -> None:
        """Not running: waiting on, or resuming now, which loses time and takes a pause from what is left of them."""
        off[...] = later
        resumed = start[..., self.lost :, :]
        if energy:
            resumed = resumed + energy
        target = off[..., : self.width - self.lost, :]
        if self.board.pauses is not None:
            resumed, target = resumed[:, :-1], target[:, 1:]
        np.minimum(target, resumed, out=target)

    def _free(self, values: Integers, beyond: Integers, width: int, price: int) -> None:
        """values[k] = min over x < width of beyond[k - x] + the cost of x units and the rest, where that is no less."""
        size = values.shape[-2]
        costs = self.lengths[: min(width, size), :size] * price
        np.minimum(values, beyond + (costs[0] + self.empty[:size]), out=values)
        for units in range(1, len(costs)):
            target = values[..., units:, :]
            np.minimum(target, beyond[..., :-units, :] + costs[units, units:], out=target)

    def _open(self, i: int, steps: int) -> bool:
        return i + steps <= self.count and all(self.board.open[i + 1 : i + 1 + steps])

    def _cost(self, i: int, steps: int) -> int:
        return sum(self.board.prices[i + 1 : i + 1 + steps]) * self.board.unit

    # -- forwards --------------------------------------------------------------------------------------------------------

    def _openings(self) -> Iterator[tuple[int, int, list[Run], _State]]:
        """The first moves: cost of the whole plan, case, what they run, and where they lead. Earlier ones first."""
        board, pauses = self.board, self.shape[1] - 1
        head = board.points[0] - board.low
        yield NEVER, 0, [], _State(_OFF, 0, 0, 0, 0)
        for row, case in enumerate(self.cases):
            if case.head or (board.running and not head):
                least = 0 if board.running else board.shortest
                if self._open(0, least) and case.units >= least:
                    state = _State(_ON, least, _FREE, pauses, case.units - least)
                    ran = [(board.low, board.points[least])] if head or least else []
                    cost = head * board.prices[0] + self._cost(0, least)
                    yield cost + self._value(row, state), row, ran, state
                continue
            if board.open[0]:
                yield from self._openings_in_head(row, case, pauses)
            if board.running:
                state = _State(_OFF, 0, _FREE, pauses, case.units)
                yield self._value(row, state), row, [], state
            elif self.count:
                fresh = [int(values[row]) for values in self.fresh]
                cost = min(fresh)
                yield cost, row, [], _State(_START, fresh.index(cost), _FREE, pauses, case.units)

    def _openings_in_head(
        self, row: int, case: _Case, pauses: int
    ) -> Iterator[tuple[int, int, list[Run], _State]]:
        """The free part in the head: at its end and going on, or (running already, or free to stop) at its begin."""
        board, least = self.board, 0 if self.board.running else self.board.shortest
        head = board.points[0] - board.low
        for units in range(min(head // board.unit, case.units) + 1):
            seconds, left = units * board.unit + case.rest, case.units - units
            if not 0 < seconds < head:
                continue
            cost = seconds * board.prices[0]
            if not least:
                state = _State(_OFF, 0, _SPENT, pauses, left)
                yield cost + self._value(row, state), row, [(board.low, board.low + seconds)], state
            if left >= least and not board.running and self._open(0, least):
                state = _State(_ON, least, _SPENT, pauses, left - least)
                ran = [(board.points[0] - seconds, board.points[least])]
                yield cost + self._cost(0, least) + self._value(row, state), row, ran, state

    def _value(self, row: int, state: _State) -> int:
        mode, point, layer, pauses, units = state
        if units < 0 or units >= self.width or pauses < 0:
            return NEVER
        values = self.arrived if mode in (_ON, _OFF) else self.leaving
        return int(values[point][_AT[mode], layer, pauses, units, row])

    def _follow(self, row: int, state: _State) -> Iterator[Run]:
        """What is run from a state on; goes on rather than stops, and resumes rather than waits, where that is equal."""
        board = self.board
        while state.point < self.count:
            value, i = self._value(row, state), state.point
            if state.mode == _OFF:
                resumed = state._replace(
                    mode=_START,
                    units=state.units + self.lost,
                    pauses=state.pauses - (board.pauses is not None),
                )
                if board.open[i + 1] and self._value(row, resumed) + board.energies[i + 1] == value:
                    state = resumed
                else:
                    state = state._replace(point=i + 1)
            elif state.mode == _ON:
                running = state._replace(mode=_RUN)
                going_on = board.open[i + 1] and self._value(row, running) == value
                state = running if going_on else state._replace(mode=_OFF)
            else:
                piece, state = self._move(row, state, value)
                yield piece
        yield from self._in_tail(row, state)

    def _move(self, row: int, state: _State, value: int) -> tuple[Run, _State]:
        """The stretch run in the interval of a state, and where that leads: all of it, else a free part."""
        board, i = self.board, state.point
        starting = state.mode == _START
        least = board.shortest if starting else 0
        width, price = (least or self.widths[i]), board.prices[i + 1]
        cost = self._cost(i, least) if least else width * board.unit * price
        onwards = _State(_ON, i + (least or 1), state.layer, state.pauses, state.units - width)
        if (
            onwards.point <= self.count
            and (not least or self._open(i, least))
            and (cost + self._value(row, onwards) == value)
        ):
            return (board.points[i], board.points[onwards.point]), onwards
        rest = self.cases[row].rest
        beyond = self._cost(i + 1, least) if least else 0
        for units in range(self.widths[i]):
            seconds = units * board.unit + rest
            spent = state._replace(layer=_SPENT, units=state.units - units)
            stopping = spent._replace(mode=_OFF, point=i + 1)
            if not least and seconds and seconds * price + self._value(row, stopping) == value:
                return (board.points[i], board.points[i] + seconds), stopping
            going_on = spent._replace(mode=_ON, point=i + 1 + least, units=spent.units - least)
            if (
                starting
                and seconds
                and going_on.point <= self.count
                and (seconds * price + beyond + self._value(row, going_on) == value)
            ):
                return (board.points[i + 1] - seconds, board.points[going_on.point]), going_on
        raise AssertionError("a value that no move explains")

    def _in_tail(self, row: int, state: _State) -> Iterator[Run]:
        """What is run in the tail from a state at the last point."""
        start, case = self.board.points[-1], self.cases[row]
        if case.tail:
            yield start, self.board.high
            return
        seconds = case.rest + state.units * self.board.unit
        if state.layer == _FREE and seconds:
            going_on = state.mode == _ON and self._value(row, state) == seconds * self.board.prices[-1]
            yield start, start + seconds + (0 if going_on else self.board.lost)


def _joined(pieces: list[Run]) -> tuple[Run, ...]:
    runs: list[Run] = []
    for start, end in pieces:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return tuple(runs)
