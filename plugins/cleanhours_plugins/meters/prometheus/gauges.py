"""Gauges of power: their integral over the samples, and the time for which they were silent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from cleanhours_plugins.meters.prometheus.asking import SECOND_US, Sample, Series
from cleanhours_plugins.meters.prometheus.counters import MOST_W, Account, Drawn


def trapezia(samples: Sequence[Sample], *, watts: float, longest_gap_us: int) -> Account:
    """Millijoules between samples, `watts` to one unit of the gauge: the mean of both ends times the time between.

    Right for power that changes evenly, and unbiased for what jumps between samples, where holding a value errs to one
    side. A gap longer than `longest_gap_us` is not bridged: nothing is known of it.
    """
    good = [s for s in samples if 0 <= s.value * watts <= MOST_W]
    drawn = [
        Drawn(before.at_us, after.at_us, round((before.value + after.value) * watts * length / 2_000))
        for before, after in pairwise(good)
        if 0 < (length := after.at_us - before.at_us) <= longest_gap_us
    ]
    return Account(tuple(drawn), tuple((d.start_us, d.end_us) for d in drawn), len(good))


def means(samples: Sequence[Sample], *, watts: float, step_s: int) -> Account:
    """Millijoules of steps whose mean is told: each is of the time before its instant."""
    length = step_s * SECOND_US
    drawn = [
        Drawn(s.at_us - length, s.at_us, round(s.value * watts * step_s * 1000))
        for s in samples
        if 0 <= s.value * watts <= MOST_W
    ]
    return Account(tuple(drawn), tuple((d.start_us, d.end_us) for d in drawn), len(drawn))


def integral(series: Series, *, watts: float, longest_gap_us: int) -> Account:
    """Of samples as they were scraped, or of means over steps."""
    if series.step_s:
        return means(series.samples, watts=watts, step_s=series.step_s)
    return trapezia(series.samples, watts=watts, longest_gap_us=longest_gap_us)


def longest(replicas: Sequence[Series]) -> Series:
    """The replica that has most samples: two that saw the same gauge are not added."""
    return max(replicas, key=lambda one: (len(one.samples), one.samples))


def within(account: Account, spans: Sequence[tuple[int, int]]) -> Account:
    """What of it was drawn inside the spans, and seen there."""
    drawn: list[Drawn] = []
    for part in account.drawn:
        whole = part.end_us - part.start_us
        for start, end in spans:
            first, last = max(start, part.start_us) - part.start_us, min(end, part.end_us) - part.start_us
            if first < last:
                amount = part.amount * last // whole - part.amount * first // whole
                drawn.append(Drawn(part.start_us + first, part.start_us + last, amount))
    return Account(tuple(drawn), tuple((d.start_us, d.end_us) for d in drawn), account.samples)
