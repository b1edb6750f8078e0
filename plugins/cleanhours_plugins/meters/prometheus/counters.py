"""Counters: what was drawn between their samples, through restarts, replicas and the birth of a series. Pure.

`increase()` starts at a series' first sample and extrapolates to the edges of its window. Here nothing is extrapolated: a
positive step is what was drawn, a drop is a reset (the new value was drawn since), and the first value was drawn by the
run where the series began with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import dropwhile, pairwise
from statistics import median
from typing import Final, NamedTuple

from cleanhours_plugins.meters.prometheus.asking import SECOND_US, Sample

MOST_W: Final = 1e7
"""No series draws more: a step beyond it is a fault of the exporter, and its time was not observed."""
ALONE_US: Final = 60 * SECOND_US
"""What a single sample is taken to tell of."""


class Drawn(NamedTuple):
    """An amount, in whole units of its counter, drawn evenly over [start, end)."""

    start_us: int
    end_us: int
    amount: int


class Reading(NamedTuple):
    """A sample in whole units. `joined`: it is of another replica than the one before, so a drop is no reset."""

    at_us: int
    amount: int
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What a counter tells: amounts, the spans of time in which nothing escaped it, and how many samples it had."""

    drawn: tuple[Drawn, ...] = ()
    seen: tuple[tuple[int, int], ...] = ()
    samples: int = 0

    @property
    def amount(self) -> int:
        return sum(part.amount for part in self.drawn)


def counted(samples: Iterable[Sample], units: float) -> list[Reading]:
    """Samples in whole units, `units` to one of the counter's own; negative ones are left out."""
    return [Reading(s.at_us, round(s.value * units)) for s in samples if s.value >= 0]


def merged(curves: Iterable[Sequence[Reading]]) -> list[Reading]:
    """Curves of the same counter under the same labels but its state: one, with the larger value where two tell of one time."""
    largest: dict[int, int] = {}
    for curve in curves:
        for reading in curve:
            largest[reading.at_us] = max(reading.amount, largest.get(reading.at_us, 0))
    return [Reading(at, largest[at]) for at in sorted(largest)]


def joined(curves: Iterable[Sequence[Reading]]) -> list[Reading]:
    """Curves of the same counter under other labels: replicas that saw it at once, or one that took over from another.

    The longest is kept, and of the others what lies before and after it: two replicas are never added. Where they saw the
    counter at the same time, their clocks differ by a little, and a drop from the one to the other is no reset.
    """
    kept: list[Reading] = []
    for curve in sorted((c for c in curves if c), key=lambda c: (c[0].at_us - c[-1].at_us, -len(c), c[0])):
        if not kept:
            kept = list(curve)
            continue
        first, last = kept[0].at_us, kept[-1].at_us
        before = [reading for reading in curve if reading.at_us < first]
        after = [reading for reading in curve if reading.at_us > last]
        if len(before) + len(after) < len(curve):
            before, after = _in_step(before, kept[0], after, kept[-1])
            kept[0] = kept[0]._replace(joined=bool(before))
            after = [one._replace(joined=one is after[0]) for one in after]
        kept = [*before, *kept, *after]
    return kept


def _in_step(
    before: list[Reading], first: Reading, after: list[Reading], last: Reading
) -> tuple[list[Reading], list[Reading]]:
    """What a replica saw besides, without what only its clock makes it see earlier or later than the other."""
    earlier = list(dropwhile(lambda one: one.amount > first.amount, reversed(before)))[::-1]
    later = list(dropwhile(lambda one: one.amount < last.amount, after))
    return earlier or before, later or after


def account(readings: Sequence[Reading], *, born: bool, since_us: int, watts_per_unit: float) -> Account:
    """What was drawn between readings; the first value too where the counter was `born` with the run.

    A first value is drawn at the power that follows it, but not before `since_us`: a Pod waits for its image, or its
    exporter was away. Of a born counter nothing before its first sample escaped. `watts_per_unit` is the power of one unit
    a second, so that nonsense can be told.
    """
    drawn: list[Drawn] = []
    seen: list[tuple[int, int]] = []
    if born and readings:
        first = readings[0]
        start = max(since_us, first.at_us - _before(readings))
        if start < first.at_us and _believable(first.amount, first.at_us - start, watts_per_unit):
            drawn.append(Drawn(start, first.at_us, first.amount))
            seen.append((since_us, first.at_us))
    for before, after in pairwise(readings):
        step = after.amount - before.amount
        amount = step if step >= 0 else 0 if after.joined else after.amount
        if _believable(amount, after.at_us - before.at_us, watts_per_unit):
            drawn.append(Drawn(before.at_us, after.at_us, amount))
            seen.append((before.at_us, after.at_us))
    return Account(tuple(drawn), tuple(seen), len(readings))


def began_within(readings: Sequence[Reading], window_start_us: int, start_us: int) -> bool:
    """Whether a series began with the run: its first sample is later than the start, or than a scrape that lacked it."""
    if not readings:
        return False
    first = readings[0].at_us
    return first > start_us or first - window_start_us > _interval(readings)


def _before(readings: Sequence[Reading]) -> int:
    """How long before the first sample its amount was drawn: at the power of what follows, one interval at least."""
    interval = _interval(readings)
    if len(readings) < 2:
        return interval
    first, second = readings[0], readings[1]
    step = second.amount - first.amount
    if step <= 0:
        return interval
    return max(interval, first.amount * (second.at_us - first.at_us) // step)


def _interval(readings: Sequence[Reading]) -> int:
    """The usual time between samples."""
    gaps = [after.at_us - before.at_us for before, after in pairwise(readings)]
    return round(median(gaps)) if gaps else ALONE_US


def _believable(amount: int, length_us: int, watts_per_unit: float) -> bool:
    return length_us > 0 and amount * watts_per_unit <= MOST_W * length_us / SECOND_US
