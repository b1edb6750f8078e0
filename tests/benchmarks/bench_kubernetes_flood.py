"""50,000 held Jobs on a real API server: does a controller survive them, and still release in time?"""

from __future__ import annotations

import os
from collections.abc import Iterable

from tests.benchmarks.bench_kubernetes import measure
from tests.benchmarks.figures import Figure
from tests.benchmarks.kubernetes_site import a_site
from tests.integration.kubernetes.control_plane import INSTALL

BY_NAME_ONLY = True
"""Too long for `make bench`: run as `python -m tests.benchmarks kubernetes_flood`."""
JOBS = int(os.environ.get("CLEANHOURS_BENCH_JOBS", "50000"))


def run() -> Iterable[Figure]:
    """The figures of `kubernetes`; their targets are those of a fifth of the Jobs, and so they tell what does not grow."""
    with a_site() as site:
        if site is None:
            yield Figure(f"kubernetes: no control plane ({INSTALL})", "", float("nan"), "", None)
            return
        for figure in measure(site, JOBS):
            yield Figure(figure.name, "", figure.value, figure.unit, None)
