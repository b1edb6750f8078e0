"""The fake and the real cluster keep the same promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.locations import Location, Room
from cleanhours.domain.resources import Capacity
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.cluster_contract import Actor, ClusterContract, Stage
from cleanhours.testing.clusters import FakeCluster
from cleanhours_plugins.clusters.local.cluster import LocalCluster
from tests.integration.local.worlds import FastClock, World


class _Pretence:
    """A fake cluster whose time passes at a word."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        room = Room(Location("here", "GB", capacity=Capacity(slots=2)))
        self.cluster = FakeCluster(self.clock, rooms={"here": room})

    def command(self, name: str, work: timedelta, exit_code: int) -> tuple[str, ...]:
        self.cluster.lasting[name], self.cluster.exits[name] = work, exit_code
        return ("true",)

    def wait(self, condition: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if condition():
                return
            self.clock.advance(timedelta(seconds=10))
        pytest.fail("waited in vain")


class _Reality:
    """The local cluster, and as much of its world as the suite needs."""

    def __init__(self, world: World) -> None:
        self.folder: Path = world.folder
        self.clock: FastClock = world.clock
        self.cluster: LocalCluster = world.local
        self.command = world.command
        self.wait = world.wait


class TestFakeCluster(ClusterContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Stage:
        return _Pretence(tmp_path)


class TestLocalCluster(ClusterContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Iterator[Stage]:
        world = World(tmp_path)
        yield _Reality(world)
        world.clear()


def test_both_are_what_the_suite_asks_for(tmp_path: Path) -> None:
    actors: list[Actor] = [FakeCluster(FakeClock()), World(tmp_path).local]
    assert ["fake", "local"] == [actor.name for actor in actors]
