"""How often a controller writes to the API in the life of a Job whose plan changes, and of one that is paused."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cleanhours_plugins.clusters.kubernetes import words
from tests.benchmarks.figures import Figure
from tests.benchmarks.kubernetes_site import Site, now, wait, wait_until
from tests.integration.kubernetes.crowds import Object, all_over, held_job, jobs_of, lives_of
from tests.integration.kubernetes.product import CLEAN, DIRTY, Product, a_product, write_grid

SPACE = "lives"
EACH = 10
FIRST_S, CLEAN_S, REST_S, PARTS = 30, 10, 12, 4
PAUSED = {"max-delay": "3m", "duration": "16s", "interruptible": "true"}
CHANGED = {"max-delay": "90s", "duration": "1s", "policy": "deadline-only"}
SOONER = "50s"


def writes_of_lives(site: Site) -> Iterator[Figure]:
    """Of a few Jobs, under a grid that is clean twice for seconds."""
    site.namespace(SPACE)
    clean, dirty = [CLEAN] * CLEAN_S, [DIRTY] * REST_S
    with tempfile.TemporaryDirectory(dir=site.folder) as name:
        folder = Path(name)
        grid = [DIRTY] * FIRST_S + clean + dirty + clean + [DIRTY]
        with a_product(site.plane, SPACE, folder) as product:
            settings = product.settings.replace(str(site.plane.kubeconfig), str(site.kubeconfig))
            own = replace(product, settings=settings)
            write_grid(folder / "grid.csv", DE=grid, FR=[DIRTY])
            own.start()
            _live(site, own)
    lives = site.writes_by_job(SPACE)
    pauses = {name: _pauses(site, name) for name in lives if name.startswith("paused")}
    changed = max(len(writes) for name, writes in lives.items() if name.startswith("changed"))
    yield Figure("API writes where the plan changes once, most", "≤ 6", changed, "", changed <= 6)
    most = max(pauses, key=lambda name: len(lives[name]) - 4 * pauses[name])
    allowed = 5 + 4 * pauses[most]
    count = len(lives[most])
    yield Figure(
        f"API writes where it is paused ({pauses[most]}), most", f"≤ {allowed}", count, "", count <= allowed
    )


def _live(site: Site, product: Product) -> None:
    """Some that rest in the dirt between, and some whose owner cannot wait so long after all."""
    paused = [in_parts(held_job(f"paused-{number}", PAUSED, run_for="4s")) for number in range(EACH)]
    changed = [held_job(f"changed-{number}", CHANGED) for number in range(EACH)]
    site.server.create_all(SPACE, [*paused, *changed])
    for number in range(EACH):
        product.planned(f"changed-{number}")
    wait_until(now() + timedelta(seconds=5))  # Events are written beside
    for number in range(EACH):
        sooner: Mapping[str, Any] = {"metadata": {"annotations": {words.PREFIX + "max-delay": SOONER}}}
        site.server.patch(jobs_of(SPACE, f"changed-{number}"), dict(sooner))
    wait(lambda: all_over(lives_of(site.server, SPACE).values()), 240)
    wait_until(now() + timedelta(seconds=5))


def in_parts(job: Object) -> Object:
    """Work that is really kept: an index that has completed does not run again."""
    return {
        **job,
        "spec": {**job["spec"], "completions": PARTS, "parallelism": 1, "completionMode": "Indexed"},
    }


def _pauses(site: Site, name: str) -> int:
    """How often a Job was paused: each pause and each start writes its spec."""
    generation = int(site.server.ask("GET", jobs_of(SPACE, name))["metadata"]["generation"])
    return (generation - 2) // 2
