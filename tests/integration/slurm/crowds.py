"""Thousands of waiting jobs, and a controller of this very process over them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from cleanhours.adapters.clock import SystemClock
from cleanhours.adapters.settings import load_settings
from cleanhours.apps.wiring import Wiring
from cleanhours.control.reconciling import Reconciler
from cleanhours_plugins.clusters.slurm.cluster import SlurmCluster
from tests.integration.slurm.site import Site
from tests.integration.slurm.worlds import HOUR, now

_AT_ONCE = 4


def fill(site: Site, count: int) -> None:
    """Submitted by sbatch itself, tagged as the wrapper tags them."""
    begin = now() + 3 * HOUR

    def submit(number: int) -> None:
        tag = f"cleanhours:v1;submitted={now()};home=de;max-delay={6 + number % 18}h"
        words = ["-t", str(10 + number % 300), "-p", "de", f"--begin=uts{begin}", "--comment", tag]
        command = ["sbatch", *words, "--wrap", "true"]
        subprocess.run(command, check=True, capture_output=True, env=site.variables, cwd="/tmp")

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(submit, range(count)))


@contextmanager
def controlling(site: Site) -> Iterator[tuple[Reconciler, SlurmCluster]]:
    """Who leads there, with the user's settings and a state of his own."""
    settings = load_settings(
        config=site.home / "cleanhours.toml", flags={"state.folder": str(site.folder / "controller")}
    )
    world = Wiring(lambda: settings, SystemClock())
    cluster = world.cluster("slurm")
    assert isinstance(cluster, SlurmCluster)
    os.environ["SLURM_CONF"] = str(site.config)
    try:
        assert world.leadership.acquire()
        yield world.controller().reconciler, cluster
    finally:
        world.close()
        del os.environ["SLURM_CONF"]
