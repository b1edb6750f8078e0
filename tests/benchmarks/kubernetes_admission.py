"""What admission by policies adds to the creation of a Job, as its creator waits for it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator

from tests.benchmarks.figures import Figure
from tests.benchmarks.kubernetes_site import Site, percentile
from tests.integration.kubernetes.admission_door import Door, prepared, wait_for_admission
from tests.integration.kubernetes.admission_objects import LATER, job
from tests.integration.kubernetes.chart import Helm
from tests.integration.kubernetes.control_plane import INSTALL, installed, program
from tests.integration.kubernetes.test_admission_policy import policy_objects

CREATIONS = 500


def admission_latency(site: Site) -> Iterator[Figure]:
    """Creations one after the other on one connection, up to but without being stored (`dryRun`)."""
    if not installed("-t"):
        yield Figure(f"admission: no Helm ({INSTALL})", "", float("nan"), "", None)
        return
    with prepared(site.plane) as door:
        plain = _milliseconds(door)
        home = site.folder / "helm"
        home.mkdir()
        _apply(site, Helm(program("helm3"), home), door)
        wait_for_admission(door)
        judged = _milliseconds(door)
    for name, times in (("without admission", plain), ("held by the policies", judged)):
        yield Figure(f"creation of a Job {name}, p50", "", statistics.median(times), "ms", None)
        yield Figure(f"creation of a Job {name}, p99", "", percentile(times, 99), "ms", None)
    added = statistics.median(judged) - statistics.median(plain)
    yield Figure("the policies add, p50", "", added, "ms", None)
    worst = percentile(judged, 99) - percentile(plain, 99)
    yield Figure("the policies add, p99", "", worst, "ms", None)


def _apply(site: Site, helm: Helm, door: Door) -> None:
    objects = policy_objects(helm, door)
    site.plane.kubectl(
        "apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )


def _milliseconds(door: Door) -> list[float]:
    namespace = door.names[None, False]
    obj = job(LATER)
    for _ in range(20):
        door.create(obj, namespace)
    answers = [door.create(obj, namespace) for _ in range(CREATIONS)]
    assert {201} == {answer.status for answer in answers}
    return [1000 * answer.seconds for answer in answers]
