"""A Job goes where its plan says: before its first Pod, and from one region to another with its work behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cleanhours.domain.jobs import Action, JobState
from tests.integration.kubernetes.conftest import ControlPlane, started_control_plane
from tests.integration.kubernetes.worlds import World, a_world, wait

pytestmark = pytest.mark.integration

OLD_RULES = "MutableSchedulingDirectivesForSuspendedJobs=false,MutablePodResourcesForSuspendedJobs=false"
REGION = "topology.kubernetes.io/region"
ANYWHERE = {"locations": "de,fr,pl", "interruptible": "true"}


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    with a_world(control_plane, namespace, tmp_path) as world:
        yield world


def test_a_job_starts_in_its_planned_region_in_one_write(world: World) -> None:
    world.apply("job", "1h", ANYWHERE)
    world.until("job", JobState.HELD)
    before = world.object("job")["metadata"]["resourceVersion"]
    assert "" == world.tell("job", Action.RELEASE, "fr")
    world.until("job", JobState.RUNNING)
    wait(lambda: world.regions("job") == {"fr"})
    assert before != world.object("job")["metadata"]["resourceVersion"]
    assert "fr" == world.find("job").location


def test_a_running_job_stops_and_goes_on_elsewhere(world: World) -> None:
    moves_twice(world)
    assert not world.cluster.server_clears_first


def test_a_server_of_the_old_rules_lets_it_move_after_its_start_is_cleared(tmp_path: Path) -> None:
    with started_control_plane(tmp_path, "-q", "500", "-F", OLD_RULES) as plane:
        plane.kubectl("create", "namespace", "old")
        plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "old", "--timeout=30s")
        with a_world(plane, "old", tmp_path) as world:
            moves_twice(world)
            assert world.cluster.server_clears_first


def moves_twice(world: World) -> None:
    """From fr to pl and to de, with a run of at least a second in each."""
    world.apply("job", "1h", ANYWHERE)
    world.until("job", JobState.HELD)
    world.tell("job", Action.RELEASE, "fr")
    for to in ("pl", "de"):
        world.until("job", JobState.RUNNING)
        assert "" == world.tell("job", Action.RELOCATE, to)
        paused = world.until("job", JobState.PAUSED)
        assert paused.segments[-1].end is not None
        assert "" == world.tell("job", Action.RESUME, to)
        world.until("job", JobState.RUNNING)
        wait(lambda to=to: world.regions("job") == {to})  # type: ignore[misc]
    assert ["fr", "pl", "de"] == [part.location for part in world.find("job").segments]
