"""How often a controller writes to the API in the life of a Job whose plan changes, and of one that is paused."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cleanhours_plugins.clusters.kubernetes import words
from tests.benchmarks.figures import Figure
from tests.benchmarks.kubernetes_site import Site, Write, now, wait, wait_until
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
    paused = {
        name: _pauses_and_changes(site, name, lives[name]) for name in lives if name.startswith("paused")
    }
    changed = max(len(writes) for name, writes in lives.items() if name.startswith("changed"))
    yield Figure("API writes where the plan changes once, most", "≤ 6", changed, "", changed <= 6)
    allowed = {name: 5 + 4 * pauses + changes for name, (pauses, changes) in paused.items()}
    most = max(paused, key=lambda name: len(lives[name]) - allowed[name])
    count, (pauses, changes) = len(lives[most]), paused[most]
    what = f"API writes where it is paused ({pauses}) and its plan changes ({changes}), most"
    yield Figure(what, f"≤ {allowed[most]}", count, "", count <= allowed[most])


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


def _pauses_and_changes(site: Site, name: str, writes: Sequence[Write]) -> tuple[int, int]:
    """How often a Job was paused, as each pause and each start writes its spec, and how often it got another plan only."""
    starts_and_stops = int(site.server.ask("GET", jobs_of(SPACE, name))["metadata"]["generation"]) - 1
    patches = sum(one.verb == "patch" for one in writes)
    return (starts_and_stops - 1) // 2, max(patches - starts_and_stops - 1, 0)
