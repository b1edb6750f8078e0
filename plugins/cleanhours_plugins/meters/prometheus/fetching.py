"""Fetching of samples: as they were scraped where they are few, else one number a step, so that no answer is too large."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from cleanhours_plugins.meters.prometheus.asking import (
    Series,
    Window,
    one_of,
    one_of_alike,
    samples_of,
    shared_start,
    steps_of,
)
from cleanhours_plugins.meters.prometheus.pods import Pod
from cleanhours_plugins.meters.prometheus.server import Server, Unanswered

FEW: Final = 40_000
"""Samples that are asked for as they are: 1 MB of JSON, and 6 MB where a site scrapes six times as often as it says."""
MOST: Final = 200_000
"""Points of one answer in steps: 5.4 MB. Fifty Pods with three counters each, a week long, come every eight minutes."""
LONGEST_SERIES: Final = 10_000
"""Prometheus refuses more than 11,000 points a series."""
LOT_CHARACTERS: Final = 50 * 36
"""Of the Pods that are asked for at once, such as 50 UIDs: with three metrics they take 6 kB of the address, and proxies
allow 8."""
MOST_PODS: Final = 1_000


class Over(StrEnum):
    """What stands for all samples of a step."""

    LAST = "max_over_time"
    """Of a counter: its largest value is its last, but where it was reset."""
    MEAN = "avg_over_time"


def step_s(seconds: int, series: int) -> int:
    """Seconds from point to point, in whole minutes: so many that no more than MOST points come."""
    needed = max(seconds * series / MOST, seconds / LONGEST_SERIES)
    return 60 * (int(needed / 60) + 1)


def fetch(
    server: Server,
    metrics: Mapping[str, Over],
    matchers: Mapping[str, str],
    window: Window,
    *,
    series: int,
) -> list[Series]:
    """The series of all these metrics by one question, as they were scraped or in steps.

    `series` is how many are expected of them together. Raises as `Server.series`.
    """
    if window.seconds * series <= FEW * server.scrape_interval.total_seconds():
        try:
            return server.series(samples_of(tuple(metrics), matchers, window))
        except Unanswered as fault:
            if not fault.too_much:
                raise
    step = step_s(window.seconds, series)
    found = server.series(steps_of(metrics, matchers, window, step))
    return [replace(one, step_s=step) for one in found]


def named(found: Sequence[Pod]) -> Iterator[tuple[str, str, int]]:
    """Namespaces, regular expressions of the names of their Pods, and of how many each is: in lots that fit into a question.

    Pods of one Job begin alike: where their names are too long for one question, what they share is said once.
    """
    for namespace in dict.fromkeys(pod.namespace for pod in found):
        names = [pod.name for pod in found if pod.namespace == namespace]
        if len(lots(names)) == 1:
            yield namespace, one_of(names), len(names)
            continue
        shared = shared_start(names)
        for lot in lots([name.removeprefix(shared) for name in names]):
            yield namespace, one_of_alike([shared + rest for rest in lot]), len(lot)


def lots(values: Sequence[str]) -> list[list[str]]:
    """At most MOST_PODS of them, in lots that fit into a question; those left out lower the coverage."""
    found: list[list[str]] = []
    room = 0
    for value in values[:MOST_PODS]:
        if not found or room < len(value):
            found.append([])
            room = LOT_CHARACTERS
        found[-1].append(value)
        room -= len(value)
    return found
