"""Kueue as the adapter meets it: what it does with Jobs that others gate, switch, move and pause. No word of cleanhours.

Each rule is tested on who plays Kueue, and on the real one where it is to be had (`actors/stage.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.kubernetes.actors.actor import is_true
from tests.integration.kubernetes.actors.queues import (
    GATED_BY,
    KUEUE_API,
    REGION,
    a_queue,
    flavor_of,
    nodes,
    queued_job,
    reserved,
    until,
    workload,
)
from tests.integration.kubernetes.actors.server import Object
from tests.integration.kubernetes.actors.stage import (
    KUEUE,
    PLAYED,
    REAL,
    Play,
    Stage,
    stage,
    theatre,
    wait_for,
)
from tests.integration.kubernetes.control_plane import ControlPlane

pytestmark = pytest.mark.integration

GATE = "example.org/window"


@pytest.fixture(scope="module", params=[PLAYED, REAL])
def kueue_theatre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Play, str, ControlPlane]]:
    shared = lambda: request.getfixturevalue("control_plane")  # noqa: E731 - only where it is used
    with theatre(KUEUE, request.param, shared, tmp_path_factory.mktemp("kueue")) as plane:
        yield KUEUE, request.param, plane


@pytest.fixture
def queue(kueue_theatre: tuple[Play, str, ControlPlane]) -> Iterator[Stage]:
    with stage(*kueue_theatre) as on, a_queue(on):
        yield on


def submit(on: Stage, name: str, *, gate: str = GATE, cpus: int = 1, run_for: str = "60s") -> str:
    return queued_job(on, name, {GATED_BY: gate} if gate else {}, cpus=cpus, run_for=run_for)


def running(on: Stage, path: str) -> Object:
    """Once its Pods run."""
    return wait_for(lambda: found if (found := on.server.get(path))["status"].get("ready") else None)


def marker(region: str) -> Object:
    return {"key": "example.org/placement", "operator": "Equal", "value": region, "effect": "NoSchedule"}


def move(region: str, *, mark: bool = True) -> Object:
    place: dict[str, Any] = {"nodeSelector": {REGION: region}}
    return {"template": {"spec": {**place, **({"tolerations": [marker(region)]} if mark else {})}}}


UNGATED = {"metadata": {"annotations": {GATED_BY: None}}}


def test_a_gated_job_holds_no_quota_and_others_pass_by(queue: Stage) -> None:
    submit(queue, "train", cpus=4)
    found = until(queue, "QuotaReserved", "False")
    [told] = [c for c in found["status"]["conditions"] if c["type"] == "QuotaReserved"]
    assert "AdmissionGated" == told["reason"]
    running(queue, submit(queue, "other", gate="", cpus=4))
    assert not is_true(workload(queue)["status"], "QuotaReserved")
    assert ["de-1"] == nodes(queue)


def test_a_gate_can_be_taken_off_and_never_put_on(queue: Stage) -> None:
    path = submit(queue, "train", gate=f"{GATE},example.org/other")
    workload(queue)
    more = {"metadata": {"annotations": {GATED_BY: f"{GATE},example.org/third"}}}
    answer = wait_for(lambda: queue.refused(path, more))
    assert answer.status in (403, 422)
    assert queue.refused(path, {"metadata": {"annotations": {GATED_BY: GATE}}}) is None
    bare = submit(queue, "bare", gate="")
    workload(queue, "bare")
    assert queue.refused(bare, {"metadata": {"annotations": {GATED_BY: GATE}}}) is not None


def test_a_gated_job_that_somebody_starts_is_stopped_again(queue: Stage) -> None:
    path = submit(queue, "train")
    until(queue, "QuotaReserved", "False")
    queue.server.patch(path, {"spec": {"suspend": False}})
    wait_for(lambda: queue.server.get(path)["spec"]["suspend"])


def test_an_admitted_job_that_somebody_suspends_is_started_again(queue: Stage) -> None:
    path = submit(queue, "train", gate="")
    running(queue, path)
    queue.server.patch(path, {"spec": {"suspend": True}})
    wait_for(lambda: not queue.server.get(path)["spec"]["suspend"])
    assert not is_true(workload(queue)["status"], "Finished")


def test_a_new_selector_alone_ends_the_job_for_good(queue: Stage) -> None:
    path = submit(queue, "train")
    until(queue, "QuotaReserved", "False")
    queue.server.patch(path, {**UNGATED, "spec": move("fr", mark=False)})
    found = until(queue, "Finished")
    [told] = [c for c in found["status"]["conditions"] if c["type"] == "Finished"]
    assert "FailedToStart" == told["reason"]
    assert queue.server.get(path)["spec"]["suspend"]
    assert [] == nodes(queue)


def test_a_selector_with_a_marker_picks_the_flavor_in_the_write_that_takes_the_gate_off(queue: Stage) -> None:
    path = submit(queue, "train")
    before = until(queue, "QuotaReserved", "False")
    queue.server.patch(path, {**UNGATED, "spec": move("fr")})
    after = until(queue, "Admitted")
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    assert "fr" == flavor_of(queue)
    running(queue, path)
    assert ["fr-1"] == nodes(queue)


def test_a_workload_that_is_switched_off_stops_its_job_and_frees_its_quota(queue: Stage) -> None:
    path = submit(queue, "train", gate="", cpus=4)
    running(queue, path)
    wait_for(lambda: reserved(queue).get("de") == 4)
    queue.server.patch(
        queue.path(KUEUE_API, "workloads", workload(queue)["metadata"]["name"]), {"spec": {"active": False}}
    )
    until(queue, "Evicted")
    until(queue, "QuotaReserved", "False")
    assert is_true(queue.server.get(path)["status"], "Suspended")
    wait_for(lambda: not reserved(queue).get("de"))
    wait_for(lambda: REGION not in queue.server.get(path)["spec"]["template"]["spec"].get("nodeSelector", {}))


def test_a_paused_job_moves_with_the_marker_and_goes_on_there(queue: Stage) -> None:
    path = submit(queue, "train", gate="")
    running(queue, path)
    switch = queue.path(KUEUE_API, "workloads", workload(queue)["metadata"]["name"])
    queue.server.patch(switch, {"spec": {"active": False}})
    until(queue, "Evicted")
    until(queue, "QuotaReserved", "False")
    wait_for(lambda: not nodes(queue))
    wait_for(lambda: queue.refused(path, {"spec": move("pl")}) is None)
    queue.server.patch(path, {"spec": move("pl")})
    queue.server.patch(switch, {"spec": {"active": True}})
    wait_for(lambda: nodes(queue) == ["pl-1"])
    assert "pl" == flavor_of(queue)


def test_what_does_not_fit_waits_until_another_has_finished(queue: Stage) -> None:
    submit(queue, "first", gate="", cpus=4, run_for="5s")
    until(queue, "Admitted", name="first")
    path = submit(queue, "train", cpus=4)
    until(queue, "QuotaReserved", "False")
    queue.server.patch(path, {**UNGATED, "spec": move("de")})
    assert not is_true(workload(queue)["status"], "Admitted")
    running(queue, path)
    assert is_true(until(queue, "Finished", name="first")["status"], "Finished")
    assert ["de-1"] == [node for node in nodes(queue) if node][-1:]
