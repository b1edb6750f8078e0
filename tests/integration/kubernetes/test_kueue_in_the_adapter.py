"""Jobs of a Kueue queue through the whole adapter: gated, placed and let go in one write, paused at their Workload, moved.

On who plays Kueue, and on the real one where it is to be had (`actors/stage.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cleanhours.domain.jobs import Action, JobState
from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.actors.actor import is_true
from tests.integration.kubernetes.actors.queues import (
    GATED_BY,
    a_queue,
    flavor_of,
    nodes,
    queued_job,
    workload,
)
from tests.integration.kubernetes.actors.stage import KUEUE, PLAYED, REAL, Stage, stage, theatre
from tests.integration.kubernetes.worlds import World, a_world, wait

pytestmark = pytest.mark.integration

WISHES = {"max-delay": "12h", "duration": "1m", "locations": "de,fr,pl", "interruptible": "true"}


@dataclass
class Here:
    """A queue, and the adapter on its namespace."""

    on: Stage
    world: World

    def submit(self, name: str = "train", *, cpus: int = 1, run_for: str = "1h") -> str:
        """As admission leaves it: gated, and marked as held."""
        notes = {words.PREFIX + word: text for word, text in WISHES.items()}
        held = {**notes, words.STATE: words.Mark.HELD, GATED_BY: f"{words.GATE},example.org/budget"}
        path = queued_job(self.on, name, held, cpus=cpus, run_for=run_for)
        workload(self.on, name)
        self.on.server.patch(path, {"metadata": {"annotations": {GATED_BY: words.GATE}}})
        return path

    def told(self, action: Action, at: str) -> None:
        """Again while Pods stop and Kueue writes: a decision may have to wait for the next tick."""
        wait(lambda: not self.world.tell("train", action, at))


@pytest.fixture(params=[PLAYED, REAL])
def here(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Iterator[Here]:
    shared = lambda: request.getfixturevalue("control_plane")  # noqa: E731 - only where it is used
    with (
        theatre(KUEUE, request.param, shared, tmp_path_factory.mktemp("kueue")) as plane,
        stage(KUEUE, request.param, plane) as on,
        a_queue(on),
        a_world(plane, on.namespace, tmp_path, kinds=["jobs"]) as world,
    ):
        yield Here(on, world)


def test_it_is_held_released_where_its_plan_says_paused_moved_and_goes_on(here: Here) -> None:
    path = here.submit()
    here.world.until("train", JobState.HELD)
    assert [] == nodes(here.on)

    here.told(Action.RELEASE, "fr")
    here.world.until("train", JobState.RUNNING)
    wait(lambda: nodes(here.on) == ["fr-1"])
    assert "fr" == flavor_of(here.on)

    here.told(Action.RELOCATE, "pl")
    here.world.until("train", JobState.PAUSED)
    wait(lambda: is_true(workload(here.on)["status"], "Evicted"))
    assert here.on.server.get(path)["spec"]["suspend"]

    here.told(Action.RESUME, "pl")
    here.world.until("train", JobState.RUNNING)
    wait(lambda: nodes(here.on) == ["pl-1"])
    assert "pl" == flavor_of(here.on)
    assert ["fr", "pl"] == [part.location for part in here.world.find("train").segments]
    assert not is_true(workload(here.on)["status"], "Finished")


def test_it_is_paused_and_goes_on_where_it_was(here: Here) -> None:
    here.submit()
    here.world.until("train", JobState.HELD)
    here.told(Action.RELEASE, "fr")
    here.world.until("train", JobState.RUNNING)
    here.told(Action.SUSPEND, "fr")
    here.world.until("train", JobState.PAUSED)
    here.told(Action.RESUME, "fr")
    here.world.until("train", JobState.RUNNING)
    wait(lambda: nodes(here.on) == ["fr-1"])


def test_it_is_over_with_a_run_where_it_was(here: Here) -> None:
    here.submit(run_for="2s")
    here.world.until("train", JobState.HELD)
    here.told(Action.RELEASE, "pl")
    run = here.world.over("train")
    assert (JobState.SUCCEEDED, ["pl"]) == (run.state, [part.location for part in run.segments])


def test_what_does_not_fit_its_quota_waits_released_and_holds_nothing_up(here: Here) -> None:
    here.submit("big", cpus=4)
    here.submit()
    here.world.until("train", JobState.HELD)
    for name in ("big", "train"):
        wait(lambda name=name: not here.world.tell(name, Action.RELEASE, "fr"))  # type: ignore[misc]
        if name == "big":
            here.world.until("big", JobState.RUNNING)
    here.world.until("train", JobState.RELEASED)
    wait(lambda: is_true_or_false(here, "QuotaReserved") == "False")
    here.world.delete("big")
    here.world.until("train", JobState.RUNNING)


def is_true_or_false(here: Here, condition: str) -> str:
    conditions = (workload(here.on).get("status") or {}).get("conditions") or ()
    return next((c["status"] for c in conditions if c["type"] == condition), "")
