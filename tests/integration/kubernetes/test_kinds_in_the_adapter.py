"""Every kind through the whole adapter: held, released where the plan says, stopped, moved, over, with a run for each place.

JobSet, TrainJob and RayJob on who plays their controllers, or on the real ones (`actors/stage.py`); Kubeflow's jobs on
their training operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.jobs import Action, JobState
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.kinds.jobsets import JOB_SET
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind
from cleanhours_plugins.clusters.kubernetes.kinds.kubeflow import MPI_JOB_V1, PYTORCH_JOB, TF_JOB
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD
from cleanhours_plugins.clusters.kubernetes.kinds.rayjobs import RAY_JOB
from cleanhours_plugins.clusters.kubernetes.kinds.trainjobs import TRAIN_JOB
from tests.integration.kubernetes.actors.server import Object, Server
from tests.integration.kubernetes.actors.stage import (
    JOBSET,
    KUBERAY,
    PLAYED,
    REAL,
    TRAINER,
    Play,
    stage,
    theatre,
)
from tests.integration.kubernetes.control_plane import ControlPlane
from tests.integration.kubernetes.worlds import World, a_world, wait

pytestmark = pytest.mark.integration

WISHES = {"max-delay": "12h", "duration": "1m", "locations": "de,fr,pl", "interruptible": "true"}


@dataclass(frozen=True)
class Case:
    """A kind, how its object asks for Pods that run so long, and how many Pods it has."""

    kind: Kind
    spec: Callable[[str], Object]
    pods: int
    play: Play | None = None
    besides: Callable[[str], Mapping[str, Object]] = lambda _: {}
    """Objects that it needs, by collection."""


def template(run_for: str, container: str = "main") -> Object:
    resources = {"requests": {"cpu": "1"}}
    return {
        "metadata": {"annotations": {"test/run-for": run_for}},
        "spec": {"containers": [{"name": container, "image": "none", "resources": resources}]},
    }


def replicated(run_for: str, **replicas: int) -> list[Object]:
    pod = template(run_for)
    pod["spec"]["restartPolicy"] = "Never"
    return [
        {"name": name, "replicas": count, "template": {"spec": {"template": pod}}}
        for name, count in replicas.items()
    ]


def roles(field: str, container: str, *names: str) -> Callable[[str], Object]:
    def spec(run_for: str) -> Object:
        pods = {name: {"replicas": 1, "template": template(run_for, container)} for name in names}
        return {"runPolicy": {"suspend": True}, field: pods}

    return spec


def ray_spec(run_for: str) -> Object:
    worker = {"groupName": "w", "replicas": 1, "template": template(run_for)}
    cluster = {"headGroupSpec": {"template": template(run_for)}, "workerGroupSpecs": [worker]}
    return {"suspend": True, "shutdownAfterJobFinishes": True, "rayClusterSpec": cluster}


def runtime(run_for: str) -> dict[str, Object]:
    """What describes a TrainJob's Pods."""
    body = {
        "apiVersion": TRAIN_JOB.api_version,
        "kind": "TrainingRuntime",
        "metadata": {"name": "torch"},
        "spec": {"template": {"spec": {"replicatedJobs": replicated(run_for, node=1)}}},
    }
    return {"trainingruntimes": body}


CASES = [
    Case(
        JOB_SET,
        lambda run_for: {"suspend": True, "replicatedJobs": replicated(run_for, driver=1, w=2)},
        3,
        JOBSET,
    ),
    Case(
        TRAIN_JOB,
        lambda _: {
            "suspend": True,
            "runtimeRef": {"name": "torch", "kind": "TrainingRuntime"},
            "trainer": {"numNodes": 3, "resourcesPerNode": {"requests": {"cpu": "1"}}},
        },
        3,
        TRAINER,
        runtime,
    ),
    Case(RAY_JOB, ray_spec, 2, KUBERAY),
    Case(PYTORCH_JOB, roles("pytorchReplicaSpecs", "pytorch", "Master", "Worker"), 2),
    Case(TF_JOB, roles("tfReplicaSpecs", "tensorflow", "Chief", "Worker"), 2),
    Case(MPI_JOB_V1, roles("mpiReplicaSpecs", "mpi", "Launcher", "Worker"), 2),
]
MODES = [(case, mode) for case in CASES for mode in ((PLAYED, REAL) if case.play else (REAL,))]


@dataclass
class Here:
    """A case's object named `train` in a world of its own."""

    case: Case
    world: World
    server: Server

    @property
    def path(self) -> str:
        return f"{self.case.kind.collection(self.world.namespace)}/train"

    def create(self, run_for: str = "1h") -> None:
        kind = self.case.kind
        for plural, body in self.case.besides(run_for).items():
            root = kind.collection(self.world.namespace).rpartition("/")[0]
            self.server.create(f"{root}/{plural}", body)
        notes = {words.PREFIX + word: text for word, text in WISHES.items()}
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": "train", "annotations": {**notes, words.STATE: words.Mark.HELD}},
            "spec": self.case.spec(run_for),
        }
        self.server.create(kind.collection(self.world.namespace), body)

    def regions(self) -> list[str]:
        """Of its Pods that have not ended: the nodes are called after their regions."""
        pods = self.server.items(f"/api/v1/namespaces/{self.world.namespace}/pods")
        alive = [pod for pod in pods if pod["status"].get("phase") not in ("Succeeded", "Failed")]
        return [pod["spec"].get("nodeName", "nowhere").partition("-")[0] for pod in alive]


@pytest.fixture(params=MODES, ids=lambda mode: f"{mode[0].kind.name}-{mode[1]}")
def here(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Iterator[Here]:
    case, mode = request.param
    with (
        _world_of(case, mode, request, tmp_path_factory) as (plane, namespace),
        a_world(plane, namespace, tmp_path, kinds=[case.kind.plural]) as world,
    ):
        yield Here(case, world, Server(plane.kubeconfig))


@contextmanager
def _world_of(
    case: Case, mode: str, request: pytest.FixtureRequest, folders: pytest.TempPathFactory
) -> Iterator[tuple[ControlPlane, str]]:
    if case.play is None:
        plane = request.getfixturevalue("training_operator")
        _give_disks(Server(plane.kubeconfig))
        yield plane, request.getfixturevalue("namespace")
        return
    shared = lambda: request.getfixturevalue("control_plane")  # noqa: E731 - only where it is used
    with (
        theatre(case.play, mode, shared, folders.mktemp(case.play.name)) as plane,
        stage(case.play, mode, plane) as on,
    ):
        yield plane, on.namespace


def _give_disks(server: Server) -> None:
    """MPIJob's launcher gets an init container that asks for some."""
    for node in server.items("/api/v1/nodes"):
        if "ephemeral-storage" not in node["status"]["allocatable"]:
            disk = {"ephemeral-storage": "100Gi"}
            status = {"status": {"allocatable": disk, "capacity": disk}}
            server.patch(f"/api/v1/nodes/{node['metadata']['name']}/status", status)


def test_it_is_held_released_stopped_and_goes_on_elsewhere(here: Here) -> None:
    here.create()
    held = here.world.until("train", JobState.HELD)
    assert () == held.segments
    assert [] == here.regions()

    assert "" == _told(here, Action.RELEASE, "fr")
    running = here.world.until("train", JobState.RUNNING)
    _wait_for_pods_in(here, "fr")
    assert "fr" == running.location

    assert "" == _told(here, Action.RELOCATE, "pl")
    paused = here.world.until("train", JobState.PAUSED)
    assert ["fr"] == [part.location for part in paused.segments]
    assert paused.segments[-1].end is not None

    assert "" == _told(here, Action.RESUME, "pl")
    here.world.until("train", JobState.RUNNING)
    _wait_for_pods_in(here, "pl")
    assert ["fr", "pl"] == [part.location for part in here.world.find("train").segments]


def test_it_is_over_with_a_run_where_it_was(here: Here) -> None:
    here.create("3s")
    here.world.until("train", JobState.HELD)
    assert "" == _told(here, Action.RELEASE, "fr")
    run = here.world.over("train")
    assert (JobState.SUCCEEDED, ["fr"]) == (run.state, [part.location for part in run.segments])
    assert here.case.pods * 1000 == run.allocated.cpu_millicores


def _wait_for_pods_in(here: Here, region: str) -> None:
    """All of them; else the objects are shown, for it happened once in a loaded run and nobody could say why."""
    try:
        wait(lambda: here.regions() == [region] * here.case.pods)
    except AssertionError:
        pods = here.server.items(f"/api/v1/namespaces/{here.world.namespace}/pods")
        jobs = here.server.items(f"/apis/batch/v1/namespaces/{here.world.namespace}/jobs")
        pytest.fail(f"not all in {region}: {here.server.get(here.path)}\n{jobs}\n{pods}", pytrace=False)


def _told(here: Here, action: Action, at: str) -> str:
    """Told until it is done: while Pods stop, and controllers write, a decision may have to wait for the next tick."""
    errors = [""]

    def done() -> bool:
        errors[0] = here.world.tell("train", action, at)
        return not errors[0]

    try:
        wait(done)
    except AssertionError:
        return errors[0]
    return ""


def test_a_gated_pod_is_released_once_where_its_plan_says(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    server = Server(control_plane.kubeconfig)
    with a_world(control_plane, namespace, tmp_path, kinds=["pods"]) as world:
        notes = {words.PREFIX + word: text for word, text in WISHES.items()}
        spec: dict[str, Any] = {**template("1h")["spec"], "schedulingGates": [{"name": words.GATE}]}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "train", "annotations": {**notes, words.STATE: words.Mark.HELD}},
            "spec": spec,
        }
        server.create(POD.collection(namespace), body)
        held = world.until("train", JobState.HELD)
        assert not held.request.interruptible
        assert "" == world.tell("train", Action.RELEASE, "fr")
        running = world.until("train", JobState.RUNNING)
        assert "fr" == running.location
        assert "fr-1" == server.get(f"{POD.collection(namespace)}/train")["spec"]["nodeName"]
