"""What a cluster promises that knows the room it has. A suite, as `ClusterContract`."""

from __future__ import annotations

from typing import cast

from cleanhours.domain.resources import Capacity
from cleanhours.ports import HavingCapacity
from cleanhours.testing.cluster_contract import Stage, Suite


class CapacityContract(Suite):
    """The optional power `HavingCapacity`."""

    def test_it_says_that_it_knows_its_room(self, stage: Stage) -> None:
        assert isinstance(stage.cluster, HavingCapacity)

    def test_a_jobs_home_is_one_of_the_places_and_something_is_known_of_it(self, stage: Stage) -> None:
        key = self.submit(stage)
        rooms = _knowing(stage).capacity()
        room = rooms[self.find(stage, key).home]
        assert self.find(stage, key).home == room.location.name
        assert Capacity() != room.location.capacity

    def test_what_runs_of_ours_is_not_counted_as_others(self, stage: Stage) -> None:
        before = _knowing(stage).capacity()
        key = self.submit(stage)
        job = self.start(stage, key)
        after = _knowing(stage).capacity()
        assert before[job.home].others == after[job.home].others
        assert before[job.home].location.capacity == after[job.home].location.capacity


def _knowing(stage: Stage) -> HavingCapacity:
    return cast("HavingCapacity", stage.cluster)


__all__ = ["CapacityContract"]
