"""The API server and its etcd are killed and started again under a controller: it goes on, and no Job is late or runs twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.conftest import ControlPlane, started_control_plane
from tests.integration.kubernetes.crowds import Server, all_over, due_at, held_job, jobs_of, lives_of
from tests.integration.kubernetes.product import CLEAN, a_product, now, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RUN, MARGIN = timedelta(seconds=1), timedelta(seconds=90)
"""A server that is killed, started again and waited for costs half a minute of a busy machine, and this is done twice."""
JOBS, EVERY_S = 12, 2
NAMESPACE = "work"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """One's own: others would not like to see it die."""
    with started_control_plane(tmp_path, "-q", "500") as plane:
        plane.kubectl("create", "namespace", NAMESPACE)
        plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", NAMESPACE, "--timeout=30s")
        yield plane


def test_a_controller_outlives_the_api_server_and_etcd(plane: ControlPlane, tmp_path: Path) -> None:
    write_grid(tmp_path / "grid.csv", DE=[CLEAN], FR=[CLEAN])
    server = Server(plane.kubeconfig)
    margin = f"{MARGIN.total_seconds():.0f}s"
    with a_product(plane, NAMESPACE, tmp_path, margin=margin) as product:
        running = product.start()
        begun = now() + timedelta(seconds=6)
        dues = [begun + number * timedelta(seconds=EVERY_S) for number in range(JOBS)]
        jobs = [held_job(f"job-{number}", due_at(due, RUN, MARGIN)) for number, due in enumerate(dues)]
        server.create_all(NAMESPACE, jobs)
        for number in range(JOBS):
            product.planned(f"job-{number}")

        for name in ("kube-apiserver", "etcd"):
            plane.stop(name, "KILL")
            dead_until = now() + timedelta(seconds=2 * EVERY_S)
            wait(lambda until=dead_until: now() >= until)  # type: ignore[misc]
            plane.start(name)
            # whole: a server whose etcd is away lists each part that is ok
            wait(lambda: "ok" == plane.kubectl("get", "--raw", "/readyz", check=False).strip())

        wait(lambda: any(due > now() for due in dues) or all_over(lives_of(server, NAMESPACE).values()), 120)
        late = [held_job("late", due_at(now() + timedelta(seconds=4), RUN, MARGIN))]
        server.create_all(NAMESPACE, late)
        wait(lambda: all_over(lives_of(server, NAMESPACE).values()), 120)

        assert running.process.poll() is None
        assert "Traceback" not in running.said
        lives = lives_of(server, NAMESPACE)
        assert JOBS + 1 == len(lives)
        assert [] == [fault for life in lives.values() for fault in life.faults]
        for job in server.items(jobs_of(NAMESPACE)):
            assert words.Mark.RELEASED.value == job["metadata"]["annotations"][words.STATE]
            reason = json.loads(job["metadata"]["annotations"][words.PLAN])["reason"]
            # who fell due while nobody answered was late to start, not late to finish
            assert reason in {"deadline-only", "no-slack"}
