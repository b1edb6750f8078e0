"""Meters on Prometheus: how many questions each asks of its server for one run that ended. Counted, not timed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.figures import Figure
from tests.unit.meters.questions import PER_RUN, SITES


def run() -> Iterator[Figure]:
    """Of Jobs of one Pod and of a hundred: once the site is known, the first of all, and one that nobody knows."""
    for site in SITES:
        for pods in (1, 100):
            asked = site.asked(pods)
            about = f"{site.name}; {pods} Pod{'s' if pods > 1 else ''}"
            yield Figure(about, f"<= {PER_RUN}", asked.warm, "", asked.warm <= PER_RUN)
            yield Figure(f"{about}; the first", "", asked.cold, "", None)
            yield Figure(f"{about}; not known", "", asked.unknown, "", None)
