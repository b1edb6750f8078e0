"""Kubeflow's jobs on its real training operator: held, placed and released in one write, paused, moved, done.

By the pure functions alone; the whole adapter has tests of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind
from cleanhours_plugins.clusters.kubernetes.kinds.kubeflow import MPI_JOB_V1, PYTORCH_JOB, TF_JOB
from cleanhours_plugins.clusters.kubernetes.placing import Places, placed_at, placement, written
from cleanhours_plugins.clusters.kubernetes.reading import read
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.switching import letting_go, marking, merged, stopping
from tests.integration.kubernetes.actors.server import Object, Refused, Server
from tests.integration.kubernetes.actors.stage import wait_for
from tests.integration.kubernetes.control_plane import ControlPlane

pytestmark = pytest.mark.integration

REGION = "topology.kubernetes.io/region"
PLACES = Places({name: (REGION, name) for name in ("de", "fr", "pl")}, "de")


@dataclass(frozen=True)
class Case:
    """A kind, its roles with their Pods, and how the operator wants the container called."""

    kind: Kind
    field: str
    roles: dict[str, int]
    container: str

    @property
    def pods(self) -> int:
        return sum(self.roles.values())


CASES = [
    Case(PYTORCH_JOB, "pytorchReplicaSpecs", {"Master": 1, "Worker": 2}, "pytorch"),
    Case(TF_JOB, "tfReplicaSpecs", {"Chief": 1, "Worker": 2}, "tensorflow"),
    Case(MPI_JOB_V1, "mpiReplicaSpecs", {"Launcher": 1, "Worker": 2}, "mpi"),
]


class Held:
    """A job that was created as admission would leave it: suspended, and marked as held by us."""

    def __init__(self, case: Case, server: Server, namespace: str, stop_for: str = "0s") -> None:
        self.case = case
        self._server = server
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self.path = f"{case.kind.collection(namespace)}/train"
        container = {"name": case.container, "image": "none", "resources": {"requests": {"cpu": "1"}}}
        notes = {"test/run-for": "10m", "test/stop-for": stop_for}
        template = {"metadata": {"annotations": notes}, "spec": {"containers": [container]}}
        roles = {role: {"replicas": count, "template": template} for role, count in case.roles.items()}
        annotations = {words.PREFIX + "max-delay": "12h", words.STATE: words.Mark.HELD}
        server.create(
            case.kind.collection(namespace),
            {
                "apiVersion": case.kind.api_version,
                "kind": case.kind.name,
                "metadata": {"name": "train", "annotations": annotations},
                "spec": {"runPolicy": {"suspend": True}, case.field: roles},
            },
        )

    @property
    def record(self) -> Record:
        found = read(self.case.kind, self._server.get(self.path))
        assert found is not None
        return found

    def write(self, patch: Callable[[Record], dict[str, Any]], mark: words.Mark) -> None:
        """On what is there now; the operator may have written meanwhile."""

        def tried() -> bool:
            record = self.record
            whole = merged(marking(record, {words.STATE: mark}), patch(record))
            try:
                self._server.patch(self.path, whole)
            except Refused as refused:
                if refused.status != 409:
                    raise
                return False
            return True

        wait_for(tried)

    def release(self, location: str) -> None:
        self.write(lambda record: _released(record, location), words.Mark.RELEASED)

    def pause(self) -> None:
        self.write(stopping, words.Mark.PAUSED)

    def finish_soon(self) -> None:
        """Its owner's hand: from now on its Pods run for a second."""
        short = {"template": {"metadata": {"annotations": {"test/run-for": "1s"}}}}
        self._server.patch(self.path, {"spec": {self.case.field: dict.fromkeys(self.case.roles, short)}})

    def pods(self) -> list[Object]:
        return self._server.items(self._pods, self.case.kind.pods(self._server.get(self.path)))

    def nodes(self) -> list[str]:
        return sorted(pod["spec"].get("nodeName", "") for pod in self.pods())

    def until(self, look: Callable[[Record], object]) -> Record:
        def seen() -> Record | None:
            record = self.record
            return record if look(record) else None

        return wait_for(seen)


def _released(record: Record, location: str) -> dict[str, Any]:
    place = written(record, placement(record, PLACES, location, [location]))
    assert place is not None
    return merged(place, letting_go(record))


@pytest.fixture
def server(training_operator: ControlPlane) -> Server:
    """With disks on its nodes: MPIJob's launcher gets an init container that asks for some."""
    found = Server(training_operator.kubeconfig)
    for node in found.items("/api/v1/nodes"):
        if "ephemeral-storage" not in node["status"]["allocatable"]:
            disk = {"ephemeral-storage": "100Gi"}
            status = {"status": {"allocatable": disk, "capacity": disk}}
            found.patch(f"/api/v1/nodes/{node['metadata']['name']}/status", status)
    return found


@pytest.fixture(params=CASES, ids=lambda case: case.kind.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_it_is_held_placed_released_paused_moved_and_done(case: Case, server: Server, namespace: str) -> None:
    job = Held(case, server, namespace)

    held = job.until(lambda record: record.activity.stopped_at)
    assert held.suspended
    assert held.activity.started_at is None
    assert [] == job.pods()

    job.release("fr")
    wait_for(lambda: job.nodes() == ["fr-1"] * case.pods)
    running = job.until(lambda record: record.activity.active == case.pods)
    assert "fr" == placed_at(running, PLACES)
    assert running.activity.started_at is not None
    assert running.activity.stopped_at is None

    job.pause()
    wait_for(lambda: not job.pods())
    paused = job.until(lambda record: record.activity.quiet and record.activity.stopped_at)
    assert paused.activity.started_at is None

    job.finish_soon()
    job.release("pl")
    wait_for(lambda: set(job.nodes()) == {"pl-1"})
    done = job.until(lambda record: record.activity.outcome)
    assert done.activity.outcome is not None
    assert JobState.SUCCEEDED == done.activity.outcome.state
    assert "pl" == placed_at(done, PLACES)


def test_its_status_says_that_nothing_is_active_while_its_pods_still_stop(
    case: Case, server: Server, namespace: str
) -> None:
    job = Held(case, server, namespace, stop_for="20s")
    job.release("fr")
    wait_for(lambda: job.nodes() == ["fr-1"] * case.pods)
    job.until(lambda record: record.activity.active == case.pods)
    job.pause()
    job.until(lambda record: record.activity.quiet and record.activity.stopped_at)
    assert job.pods()
    assert not case.kind.counts_stopping
