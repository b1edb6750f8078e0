"""50,000 held Jobs on a real API server: does a controller survive them, and still release in time?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import timedelta

from tests.benchmarks.bench_kubernetes import releases, start, ticks
from tests.benchmarks.figures import Figure
from tests.benchmarks.kubernetes_site import MIB, Site, a_site, now, wait_until
from tests.integration.kubernetes.control_plane import INSTALL

BY_NAME_ONLY = True
"""Too long for `make bench`: run as `python -m tests.benchmarks kubernetes_flood`."""
JOBS = int(os.environ.get("CLEANHOURS_BENCH_JOBS", "50000"))


def run() -> Iterable[Figure]:
    """Some figures of `kubernetes`, of a controller that plans so many Jobs while others fall due; their targets are those of
    a fifth of the Jobs, and so they tell what does not grow."""
    with a_site() as site:
        if site is None:
            yield Figure(f"kubernetes: no control plane ({INSTALL})", "", float("nan"), "", None)
            return
        for figure in _flood(site):
            bare = figure.target in ("0", "")
            yield figure if bare else Figure(figure.name, "", figure.value, figure.unit, None)


def _flood(site: Site) -> Iterator[Figure]:
    yield Figure(f"creation of {JOBS:,} held Jobs", "", site.fill(JOBS), "/s", None)
    with site.controller() as process:
        yield from start(process, f"{JOBS:,} Jobs that nobody planned yet")
        wait_until(now() + timedelta(minutes=3))
        yield from ticks("the longest tick of the first three minutes", process)
        yield from releases(site, process)
        in_all, peak = process.memory()
    yield Figure(f"{JOBS:,} Jobs, resident", "", in_all / MIB, "MiB", None)
    yield Figure("highest resident ever", "", peak / MIB, "MiB", None)
