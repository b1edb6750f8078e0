"""The fake and the local cluster keep the same promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.locations import Location, Room
from cleanhours.domain.resources import Capacity
from cleanhours.testing.capacity_contract import CapacityContract
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.cluster_contract import ClusterContract
from cleanhours.testing.clusters import FakeCluster
from cleanhours.testing.pausing_contract import PausingContract, RelocatingContract, StageOfTwoPlaces
from cleanhours.testing.queue_contract import Actor, QueueContract, QueueStage
from tests.integration.local.worlds import World


class _Pretence(QueueStage):
    """A fake cluster whose time passes at a word."""

    here, elsewhere = "here", "there"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock: FakeClock = FakeClock()
        rooms = {
            name: Room(Location(name, "GB", capacity=Capacity(slots=2)))
            for name in (self.here, self.elsewhere)
        }
        self.cluster: FakeCluster = FakeCluster(self.clock, rooms=rooms)

    def command(self, name: str, work: timedelta, exit_code: int) -> tuple[str, ...]:
        self.cluster.lasting[name], self.cluster.exits[name] = work, exit_code
        return ("true",)

    def wait(self, condition: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if condition():
                return
            self.clock.advance(timedelta(seconds=10))
        pytest.fail("waited in vain")


class _Reality(QueueStage):
    """The local cluster, and as much of its world as the suite needs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.folder = world.folder
        self.clock = world.clock
        self.cluster = world.local

    def command(self, name: str, work: timedelta, exit_code: int) -> tuple[str, ...]:
        return self.world.command(name, work, exit_code)

    def wait(self, condition: Callable[[], bool]) -> None:
        self.world.wait(condition)


class TestFakeCluster(ClusterContract, PausingContract, RelocatingContract, CapacityContract, QueueContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> StageOfTwoPlaces:
        return _Pretence(tmp_path)


class TestLocalCluster(ClusterContract, PausingContract, CapacityContract, QueueContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Iterator[QueueStage]:
        world = World(tmp_path)
        yield _Reality(world)
        world.clear()


def test_both_are_what_the_suites_ask_for(tmp_path: Path) -> None:
    actors: list[Actor] = [FakeCluster(FakeClock()), World(tmp_path).local]
    assert ["fake", "local"] == [actor.name for actor in actors]
