"""Slurm keeps the promises of a cluster, on a real one: its owners use its own commands, and seconds do for minutes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.jobs import Action, Applied, Decision, FinishedRun, Job
from cleanhours.domain.locations import Room
from cleanhours.testing.capacity_contract import CapacityContract
from cleanhours.testing.cluster_contract import ClusterContract
from cleanhours.testing.pausing_contract import PausingContract, RelocatingContract, StageOfTwoPlaces
from cleanhours_plugins.clusters.slurm.cluster import SlurmCluster
from tests.integration.slurm.site import started_site
from tests.integration.slurm.stages import AHEAD, Owners, a_cluster

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Decided:
    """The cluster, told what the core would decide: who is held, stopped or moved is to start later.

    The suite's plans start at once, whatever is decided; and what is due, Slurm starts by itself.
    """

    def __init__(self, cluster: SlurmCluster) -> None:
        self._cluster = cluster
        self.name, self.powers = cluster.name, cluster.powers

    def pending(self) -> Sequence[Job]:
        return self._cluster.pending()

    def running(self) -> Sequence[Job]:
        return self._cluster.running()

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        return self._cluster.finished(since)

    def capacity(self) -> Mapping[str, Room]:
        return self._cluster.capacity()

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Applied]:
        return self._cluster.apply([_later(decision) for decision in decisions])


def _later(decision: Decision) -> Decision:
    if decision.action not in {Action.HOLD, Action.SUSPEND, Action.RELOCATE}:
        return decision
    plan = decision.plan
    parts = tuple(replace(part, start=part.start + AHEAD, end=part.end + AHEAD) for part in plan.segments)
    return replace(decision, plan=replace(plan, start=plan.start + AHEAD, end=parts[-1].end, segments=parts))


@pytest.fixture(scope="module", autouse=True)
def own_records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the adapter notes of its requeues lies in a folder of these tests, not in the home of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLEANHOURS_STATE__FOLDER", str(tmp_path_factory.mktemp("records")))
        yield


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owners]:
    """One site, and one adapter at work, for all of them. Nobody accounts for its jobs but we."""
    with started_site() as site:
        cluster = a_cluster(site, tmp_path_factory.mktemp("state"))
        yield Owners(site, Decided(cluster), SystemClock())


@pytest.fixture(scope="module")
def accounted_owners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owners]:
    """The same with slurmdbd."""
    with started_site("-a") as site:
        cluster = a_cluster(site, tmp_path_factory.mktemp("accounted"), accounting="auto")
        yield Owners(site, Decided(cluster), SystemClock())


class TestSlurmCluster(ClusterContract, PausingContract, RelocatingContract, CapacityContract):
    minute = timedelta(seconds=1)

    @pytest.fixture
    def stage(self, owners: Owners) -> Iterator[StageOfTwoPlaces]:
        yield owners
        owners.clear()


class TestSlurmClusterWithAccounts(ClusterContract, RelocatingContract):
    minute = timedelta(seconds=1)

    @pytest.fixture
    def stage(self, accounted_owners: Owners) -> Iterator[StageOfTwoPlaces]:
        yield accounted_owners
        accounted_owners.clear()
