"""Kubernetes keeps the promises of a cluster, on a real API server: its owners use kubectl, and seconds do for minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from cleanhours.domain.jobs import JobKey, JobState
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import format_duration
from cleanhours.testing.capacity_contract import CapacityContract
from cleanhours.testing.cluster_contract import ClusterContract
from cleanhours.testing.pausing_contract import PausingContract, RelocatingContract, StageOfTwoPlaces
from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.conftest import ControlPlane, control_plane
from tests.integration.kubernetes.worlds import World, a_world, wait

__all__ = ["control_plane"]

pytestmark = pytest.mark.integration


class _Owners:
    """A namespace of a real cluster as a stage of the suites."""

    here, elsewhere = "de", "fr"

    def __init__(self, world: World) -> None:
        self.world = world
        self.cluster = world.cluster
        self.clock = world.context.clock
        self.namespace = world.namespace
        self._names: dict[JobKey, str] = {}

    def submit(self, name: str, work: timedelta, exit_code: int, request: JobRequest) -> JobKey:
        wishes = {
            "duration": "" if request.duration is None else format_duration(request.duration),
            "max-delay": "" if request.max_delay is None else format_duration(request.max_delay),
            "interruptible": "true" if request.interruptible else "",
            "locations": ",".join(request.locations),
        }
        self.world.apply(name, format_duration(work), wishes, pod={"test/exit-code": str(exit_code)})
        key = self.world.until(name, JobState.HELD).key
        self._names[key] = name
        return key

    def cancel(self, key: JobKey) -> None:
        self.world.delete(self._names[key])
        wait(lambda: not self.world.knows(self._names[key]))

    def owner_pause(self, key: JobKey) -> None:
        """What is held he keeps by taking our mark away, what runs he suspends."""
        name = self._names[key]
        if self.world.find(name).state is JobState.HELD:
            self.world.change(name, {"metadata": {"annotations": {words.STATE: None}}})
        else:
            self.world.change(name, {"spec": {"suspend": True}})
        self.world.until(name, JobState.UNMANAGED)

    def owner_resume(self, key: JobKey) -> None:
        """The other way round: his mark on what never ran, his word for what did."""
        name = self._names[key]
        if words.STATE in self.world.annotations(name):
            self.world.change(name, {"spec": {"suspend": False}})
        else:
            self.world.change(name, {"metadata": {"annotations": {words.STATE: words.Mark.HELD.value}}})
        wait(lambda: self.world.find(name).state is not JobState.UNMANAGED)

    def wait(self, condition: Callable[[], bool]) -> None:
        wait(condition)

    def clear(self) -> None:
        """Leaves neither Jobs nor Pods."""
        self.world.plane.kubectl(
            "delete", "jobs", "--all", "-n", self.namespace, "--cascade=foreground", "--timeout=30s"
        )
        wait(lambda: not self.world.jobs())


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One adapter, at work in one namespace, for all of them."""
    control_plane.kubectl("create", "namespace", "contract")
    control_plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "contract", "--timeout=30s")
    try:
        with a_world(control_plane, "contract", tmp_path_factory.mktemp("contract")) as world:
            yield world
    finally:
        control_plane.kubectl("delete", "namespace", "contract", "--wait=false", check=False)


class TestKubernetesCluster(ClusterContract, PausingContract, RelocatingContract, CapacityContract):
    minute = timedelta(seconds=1)

    @pytest.fixture
    def stage(self, world: World) -> Iterator[StageOfTwoPlaces]:
        owners = _Owners(world)
        yield owners
        owners.clear()
