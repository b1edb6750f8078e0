"""The Slurm wrapper beside bare sbatch, and ticks over 5,000 waiting jobs, on a real Slurm."""

from __future__ import annotations

import compileall
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest

from cleanhours.control.reconciling import Outcome
from cleanhours_plugins.clusters.slurm.cluster import SlurmCluster
from tests.benchmarks.figures import Figure
from tests.conftest import REPOSITORY
from tests.integration.slurm.crowds import controlling, fill
from tests.integration.slurm.site import INSTALL, Site, started_site
from tests.integration.slurm.worlds import dirty_at_first, write_settings

SUBMISSIONS = 40
JOBS = 5_000


def run() -> Iterable[Figure]:
    """About two minutes. One line that says why where Slurm is not installed."""
    try:
        with started_site() as site:
            write_settings(site, dirty_at_first)
            yield from overhead(site)
        with started_site() as site:
            write_settings(site, dirty_at_first, 'users = "all"\nchanges_per_tick = 1000')
            yield from ticks(site)
    except pytest.skip.Exception:
        yield Figure(f"slurm: not installed ({INSTALL})", "", float("nan"), "", None)


def overhead(site: Site) -> Iterator[Figure]:
    """One submission after the other, in turns, so that whatever else the machine does meets both."""
    for source in ("scheduler", "plugins"):  # as an installation does; the user cannot write there
        compileall.compile_dir(REPOSITORY / source, quiet=1)
    wrapper = site.words("cleanhours.apps.sbatch", "main")
    work = ("-t", "30", "-p", "de", "--wrap", "true")
    ways: Mapping[str, tuple[str, ...]] = {
        "bare": ("sbatch", "--begin=now+1hour", *work),
        "planned": (*wrapper, "--carbon", "max-delay=12h", *work),
        "not asked for": (*wrapper, "--begin=now+1hour", *work),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(SUBMISSIONS + 2):
        for name, command in ways.items():
            begun = time.perf_counter()
            site.run(*command)
            if turn >= 2:  # settings are compiled, and the forecast is kept, at the first
                times[name].append((time.perf_counter() - begun) * 1000)
    bare = statistics.median(times["bare"])
    yield Figure("bare sbatch, p50", "", bare, "ms", None)
    added = statistics.median(times["planned"]) - bare
    yield Figure("the wrapper adds, with a plan, p50", "≤ 150 ms", added, "ms", added <= 150)
    p95 = statistics.quantiles(times["planned"], n=20)[18] - bare
    yield Figure("the wrapper adds, with a plan, p95", "", p95, "ms", None)
    added = statistics.median(times["not asked for"]) - bare
    yield Figure("the wrapper adds to a job without words, p50", "", added, "ms", None)
    yield from start_up()


def start_up() -> Iterator[Figure]:
    """What Python and our imports take until sbatch is started."""
    for name, code in (
        ("Python alone", "pass"),
        ("Python and numpy", "import numpy"),
        ("Python and what runs before sbatch", _before_sbatch()),
    ):
        times = []
        for _ in range(20):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append((time.perf_counter() - begun) * 1000)
        yield Figure(f"start-up: {name}", "", statistics.median(times), "ms", None)


def _before_sbatch() -> str:
    modules = "cleanhours.apps.sbatch, cleanhours_plugins.clusters.slurm.submitting"
    return f"import {modules}"


def ticks(site: Site) -> Iterator[Figure]:
    """A controller's own ticks, in this process, over jobs that wait for their hour: until all plans are written, and after."""
    fill(site, JOBS)
    with controlling(site) as (reconciler, cluster):
        spent, done, calls = _tick(reconciler.tick, cluster)
        yield Figure(f"first tick over {JOBS:,} waiting jobs, {done} of them told", "", spent, "s", None)
        yield Figure("commands of Slurm for each of these", "", calls / max(done, 1), "", None)
        while done:
            _, done, _ = _tick(reconciler.tick, cluster)
        spent, done, calls = _tick(reconciler.tick, cluster)
        name = f"a tick over {JOBS:,} waiting jobs whose plans are written, {done} told"
        yield Figure(name, "≤ 1 s", spent, "s", spent <= 1)
        yield Figure("commands of Slurm in it, besides", "≤ 1", calls - done, "", calls - done <= 1)


def _tick(act: Callable[[], Outcome], cluster: SlurmCluster) -> tuple[float, int, int]:
    """Seconds, decisions carried out, commands run; after a pause in which the last look has grown old."""
    time.sleep(1.1)
    before = sum(cluster.calls.values())
    begun = time.perf_counter()
    outcome = act()
    return time.perf_counter() - begun, len(outcome.applied), sum(cluster.calls.values()) - before
