"""The Slurm wrapper beside bare sbatch, and ticks over 5,000 waiting jobs, on a real Slurm."""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.adapters.settings import load_settings
from cleanhours.apps.wiring import Wiring
from cleanhours.control.reconciling import Outcome
from cleanhours_plugins.clusters.slurm.cluster import SlurmCluster
from tests.benchmarks.figures import Figure
from tests.conftest import REPOSITORY
from tests.integration.slurm.site import INSTALL, Site, started_site
from tests.integration.slurm.worlds import HOUR, dirty_at_first, now, write_settings

SUBMISSIONS = 40
JOBS = 5_000
SUBMITTING = 4
"""Submissions at once, to fill the queue."""


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
    _fill(site)
    settings = load_settings(
        config=site.home / "cleanhours.toml", flags={"state.folder": str(site.folder / "controller")}
    )
    world = Wiring(lambda: settings, SystemClock())
    cluster = world.cluster("slurm")
    assert isinstance(cluster, SlurmCluster)
    os.environ["SLURM_CONF"] = str(site.config)
    try:
        world.leadership.acquire()
        reconciler = world.controller().reconciler
        spent, done, calls = _tick(reconciler.tick, cluster)
        yield Figure(f"first tick over {JOBS:,} waiting jobs, {done} of them told", "", spent, "s", None)
        yield Figure("commands of Slurm for each of these", "", calls / max(done, 1), "", None)
        while done:
            _, done, _ = _tick(reconciler.tick, cluster)
        spent, done, calls = _tick(reconciler.tick, cluster)
        name = f"a tick over {JOBS:,} waiting jobs whose plans are written, {done} told"
        yield Figure(name, "≤ 1 s", spent, "s", spent <= 1)
        yield Figure("commands of Slurm in it, besides", "≤ 1", calls - done, "", calls - done <= 1)
    finally:
        world.close()
        del os.environ["SLURM_CONF"]


def _tick(act: Callable[[], Outcome], cluster: SlurmCluster) -> tuple[float, int, int]:
    """Seconds, decisions carried out, commands run; after a pause in which the last look has grown old."""
    time.sleep(1.1)
    before = sum(cluster.calls.values())
    begun = time.perf_counter()
    outcome = act()
    return time.perf_counter() - begun, len(outcome.applied), sum(cluster.calls.values()) - before


def _fill(site: Site) -> None:
    """Submitted by sbatch itself, tagged as the wrapper tags them."""
    begin = now() + 3 * HOUR

    def submit(number: int) -> None:
        tag = f"cleanhours:v1;submitted={now()};home=de;max-delay={6 + number % 18}h"
        words = ["-t", str(10 + number % 300), "-p", "de", f"--begin=uts{begin}", "--comment", tag]
        subprocess.run(
            ["sbatch", *words, "--wrap", "true"],
            check=True,
            capture_output=True,
            env=site.variables,
            cwd="/tmp",
        )

    with ThreadPoolExecutor(SUBMITTING) as threads:
        list(threads.map(submit, range(JOBS)))
