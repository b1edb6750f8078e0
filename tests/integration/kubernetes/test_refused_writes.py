"""Writes that a real API server refuses, or whose answer is lost: each ends as if there had been one clean write, or is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cleanhours.domain.jobs import Action, JobState
from cleanhours.domain.plans import Reason
from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.fault_proxy import FaultProxy
from tests.integration.kubernetes.worlds import World, a_world, wait

pytestmark = pytest.mark.integration

ANYWHERE = {"locations": "de,fr,pl", "interruptible": "true"}
JOB = "/jobs/job$|/jobs/job\\?"


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(control_plane.kubeconfig) as proxy:
        yield proxy


@pytest.fixture
def world(control_plane: ControlPlane, proxy: FaultProxy, namespace: str, tmp_path: Path) -> Iterator[World]:
    with a_world(
        control_plane, namespace, tmp_path, kubeconfig=str(proxy.kubeconfig(tmp_path / "config"))
    ) as world:
        yield world


def held(world: World) -> None:
    world.apply("job", "1h", ANYWHERE)
    world.until("job", JobState.HELD)


def writes(proxy: FaultProxy) -> list[int]:
    """Statuses of what was written on the Job, 0 where the answer was lost."""
    return [one.status for one in proxy.writes(JOB)]


def test_a_conflict_is_read_again_and_written_once(world: World, proxy: FaultProxy) -> None:
    held(world)
    proxy.answer(409, 1, "PATCH", JOB)
    assert "" == world.tell("job", Action.RELEASE, "fr")
    assert [409, 200] == writes(proxy)
    world.until("job", JobState.RUNNING)
    wait(lambda: world.regions("job") == {"fr"})


def test_a_real_conflict_with_its_owners_write_is_overcome(world: World, proxy: FaultProxy) -> None:
    held(world)
    with proxy.away():
        world.change("job", {"metadata": {"labels": {"team": "b"}}})
    assert "" == world.tell("job", Action.RELEASE, "fr")
    assert 200 == writes(proxy)[-1]
    assert "b" == world.object("job")["metadata"]["labels"]["team"]


def test_a_release_whose_answer_was_lost_is_no_second_release(world: World, proxy: FaultProxy) -> None:
    held(world)
    proxy.reset(1, "PATCH", JOB, after=True)
    assert "" == world.tell("job", Action.RELEASE, "fr")
    world.until("job", JobState.RUNNING)
    assert 1 == len(world.pods("job"))
    assert 0 == writes(proxy)[0]
    assert 1 >= writes(proxy).count(200), "one at most: where the lost answer was a conflict"


def test_a_refused_place_is_tried_three_times_and_then_it_runs_at_home(
    world: World, proxy: FaultProxy
) -> None:
    held(world)
    wait(lambda: any(c["type"] == "Suspended" for c in world.object("job")["status"].get("conditions", ())))
    proxy.answer(422, 3, "PATCH", JOB)
    errors: list[str] = []
    while not errors or errors[-1]:
        errors.append(world.tell("job", Action.RELEASE, "fr"))
    assert 3 == len(errors)
    world.until("job", JobState.RUNNING)
    assert words.ORIGINAL not in world.annotations("job")
    assert [("Warning", "NotMoved")] == [
        (kind, reason) for kind, reason, _ in world.events("job") if reason == "NotMoved"
    ]


def test_at_its_latest_start_one_refusal_is_enough(world: World, proxy: FaultProxy) -> None:
    held(world)
    proxy.answer(422, 1, "PATCH", JOB)
    assert "" == world.tell("job", Action.RELEASE, "fr", Reason.DEADLINE_GUARD)
    # a conflict between them is the server's own Job controller, which wrote its status meanwhile
    assert [422, 200] == [status for status in writes(proxy) if status != 409]
    world.until("job", JobState.RUNNING)
