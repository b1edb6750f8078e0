"""Profiles: amounts between samples laid onto the quarters of an hour in which a run ran. Pure; sums stay exact."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from cleanhours.domain.energy import EnergySlices, Source
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.times import MICROSECOND, microseconds
from cleanhours_plugins.meters.prometheus.asking import SECOND_US, Window
from cleanhours_plugins.meters.prometheus.counters import Drawn
from cleanhours_plugins.meters.prometheus.server import AFTER
from cleanhours_plugins.meters.spreading import running

QUARTER_US: Final = 900 * SECOND_US
BEFORE_US: Final = 30 * SECOND_US
"""A Pod may be seen a little before its Job says that it began: their clocks differ."""

Span = tuple[int, int]


def spans_of(run: FinishedRun) -> list[Span]:
    """Its running, in order, nothing twice."""
    return union((microseconds(start), microseconds(end)) for start, end in running(run))


def since_of(at_us: int, spans: Sequence[Span]) -> int:
    """The earliest time at which a Pod that was first seen then may have begun: with the stretch of running that it is of."""
    begun = [start for start, _ in spans if start <= at_us + BEFORE_US]
    return (begun[-1] if begun else spans[0][0]) - BEFORE_US


def window_of(spans: Sequence[Span]) -> Window:
    """What is asked for of a run: from a little before it until its last samples are in."""
    return Window(spans[0][0] - BEFORE_US, spans[-1][1] + AFTER // MICROSECOND)


def union(spans: Iterable[Span]) -> list[Span]:
    """The time that any of them covers."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def length(spans: Iterable[Span]) -> int:
    """All spans together."""
    return sum(end - start for start, end in spans)


def common(one: Sequence[Span], other: Sequence[Span]) -> int:
    """How long both of two unions cover; each is in order."""
    total = at = 0
    for start, end in one:
        while at < len(other) and other[at][1] <= start:
            at += 1
        each = at
        while each < len(other) and other[each][0] < end:
            total += min(end, other[each][1]) - max(start, other[each][0])
            each += 1
    return total


def share_seen(seen: Iterable[Span], spans: Sequence[Span]) -> float:
    """The share of the running time that was observed, 0 to 1."""
    whole = length(spans)
    return common(union(seen), spans) / whole if whole else 0.0


def laid(drawn: Iterable[Drawn], spans: Sequence[Span], *, keep_all: bool) -> dict[Span, int]:
    """Amounts per quarter of an hour of the spans, in order.

    What is drawn partly outside lies inside with `keep_all` (a Pod's own counter: all of it is the run's, also what it took
    to stop), the whole of it at the nearest end of a span where it lies nowhere inside; else its part outside is not counted.
    """
    cells = [cell for span in spans for cell in _quarters(*span)]
    starts = [start for start, _ in cells]
    amounts: dict[Span, int] = {}
    for part in drawn:
        first = max(bisect_right(starts, part.start_us) - 1, 0)
        inside: list[tuple[Span, int, int]] = []
        for index in range(first, len(cells)):
            start, end = max(cells[index][0], part.start_us), min(cells[index][1], part.end_us)
            if cells[index][0] >= part.end_us:
                break
            if start < end:
                inside.append((cells[index], start, end))
        if inside:
            _share(part, inside, amounts, keep_all=keep_all)
        elif keep_all and cells:
            middle = (part.start_us + part.end_us) // 2
            near = min(cells[first : first + 2], key=lambda cell: max(cell[0] - middle, middle - cell[1]))
            amounts[near] = amounts.get(near, 0) + part.amount
    return {cell: amounts[cell] for cell in sorted(amounts)}


def _share(
    part: Drawn, inside: Sequence[tuple[Span, int, int]], amounts: dict[Span, int], *, keep_all: bool
) -> None:
    """Whole units in proportion to the time in each cell; with `keep_all` they add up to the amount."""
    whole = sum(end - start for _, start, end in inside) if keep_all else part.end_us - part.start_us
    passed = 0
    for cell, start, end in inside:
        before = passed if keep_all else start - part.start_us
        after = before + end - start
        passed += end - start
        share = part.amount * after // whole - part.amount * before // whole
        amounts[cell] = amounts.get(cell, 0) + share


def _quarters(start: int, end: int) -> Iterable[Span]:
    at = start
    while at < end:
        until = min(end, (at // QUARTER_US + 1) * QUARTER_US)
        yield at, until
        at = until


def slices(amounts: dict[Span, int], source: Source) -> EnergySlices:
    """Slices of amounts in millijoules; none where all is 0: a counter that stands still measures nothing."""
    if not any(amounts.values()):
        return EnergySlices.of(())
    starts, ends = zip(*amounts, strict=True)
    return EnergySlices.of_source(source, starts, ends, [*amounts.values()])
