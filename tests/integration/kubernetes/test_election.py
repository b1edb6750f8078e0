"""Two candidates and one Lease on a real API server: never two who may act, whatever happens to the way between."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours_plugins.clusters.kubernetes.api import Api, connect
from cleanhours_plugins.clusters.kubernetes.electing import LeaseLeadership, Terms, steady_s
from cleanhours_plugins.clusters.kubernetes.errors import Fenced
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.fault_proxy import FaultProxy

pytestmark = pytest.mark.integration
PATIENCE_S = 60.0
SHORT = Terms(lease_s=6.0, renew_deadline_s=4.0, retry_s=0.8)
"""Two fifths of what is usual, in the same proportions."""
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """A wall clock that may step, on a steady one that may not."""

    offset: timedelta = timedelta()

    def now(self) -> datetime:
        return NOW + timedelta(seconds=steady_s()) + self.offset


@dataclass
class Candidate:
    name: str
    proxy: FaultProxy
    api: Api
    clock: Clock
    lease: LeaseLeadership

    def may_act(self) -> bool:
        return self.lease.may_act()


@dataclass
class Witness:
    """Asks everybody all the time whether he may act, and writes down who may, and who may together."""

    candidates: list[Candidate]
    timeline: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        orders = itertools.cycle((1, -1))
        while not self._stopped.wait(0.002):
            # asked in turns in either order, so that a hand-over between two questions is not seen as an overlap
            # in one direction only; two who both say yes, twice, did so at one instant in between
            acting = [one for one in self.candidates[:: next(orders)] if one.may_act()]
            acting = [one for one in acting if one.may_act()] if len(acting) > 1 else acting
            names = tuple(sorted(one.name for one in acting))
            if not self.timeline or self.timeline[-1][1] != names:
                self.timeline.append((time.monotonic(), names))

    def stop(self) -> list[tuple[str, ...]]:
        self._stopped.set()
        self._thread.join()
        return [names for _, names in self.timeline]


@dataclass
class World:
    plane: ControlPlane
    namespace: str
    candidates: list[Candidate]
    witness: Witness

    @property
    def path(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/controller"

    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.plane.kubectl("get", "--raw", self.path))["spec"]
        return found

    def leader(self) -> Candidate:
        wait_for(lambda: any(one.may_act() for one in self.candidates))
        return next(one for one in self.candidates if one.may_act())

    def other(self, candidate: Candidate) -> Candidate:
        return next(one for one in self.candidates if one is not candidate)

    def leaders(self) -> list[str]:
        """Who might act, one after the other; asserts that two never might together.

        A leader who falls silent for a moment and goes on (this machine may be busy) is told once.
        """
        history = self.witness.stop()
        assert [] == [names for names in history if len(names) > 1], self.witness.timeline
        return [name for name, _ in itertools.groupby(names[0] for names in history if names)]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        candidates = []
        for name in ("a", "b"):
            proxy = stack.enter_context(FaultProxy(control_plane.kubeconfig))
            api = connect(proxy.kubeconfig(tmp_path / name))
            stack.callback(api.close)
            clock = Clock()
            lease = LeaseLeadership(api, namespace, "controller", now=clock.now, terms=SHORT, identity=name)
            stack.callback(lease.stop)
            candidates.append(Candidate(name, proxy, api, clock, lease))
        witness = Witness(candidates)
        stack.callback(witness.stop)
        candidates[0].lease.start()
        wait_for(candidates[0].may_act)
        candidates[1].lease.start()
        wait_for(lambda: candidates[1].lease.holder == "a")
        yield World(control_plane, namespace, candidates, witness)


def test_one_leads_and_renews_and_the_other_waits(world: World) -> None:
    a, b = world.candidates
    first = world.spec()
    wait_for(lambda: len(a.proxy.writes("leases")) >= 5)
    spec = world.spec()
    assert ("a", 6, 0) == (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"])
    assert first["acquireTime"] == spec["acquireTime"]
    assert first["renewTime"] < spec["renewTime"]
    assert [] == b.proxy.writes("leases")
    assert ["a"] == world.leaders()


@pytest.mark.parametrize("how", ["reset", "swallow"])
def test_a_leader_who_is_cut_off_falls_silent_before_another_acts(world: World, how: str) -> None:
    a, b = world.candidates
    a.proxy.cut(how)
    wait_for(b.may_act)
    a.proxy.heal()
    wait_for(lambda: a.lease.holder == "b")
    assert ["a", "b"] == world.leaders()
    assert ("b", 1) == (world.spec()["holderIdentity"], world.spec()["leaseTransitions"])


def test_a_leader_whose_renewals_are_done_but_never_confirmed_falls_silent_all_the_same(world: World) -> None:
    a, b = world.candidates
    a.proxy.swallow(times=1000, method="PUT", pattern="leases", after=True)
    wait_for(lambda: not a.may_act())
    a.proxy.heal()
    wait_for(lambda: a.may_act() or b.may_act())
    assert "a" == world.leaders()[0]


@pytest.mark.parametrize("status", [409, 429, 500])
def test_a_refusal_or_two_costs_nobody_the_lead(world: World, status: int) -> None:
    a, _ = world.candidates
    a.proxy.answer(status, times=2, pattern="leases", retry_after_s=1 if status == 429 else None)
    renewed = world.spec()["renewTime"]
    wait_for(lambda: world.spec()["renewTime"] > renewed)
    assert ["a"] == world.leaders()


def test_a_stop_hands_over_within_a_turn_and_not_after_an_expiry(world: World) -> None:
    a, b = world.candidates
    before = len(b.proxy.asked("GET", "leases"))
    a.lease.stop()
    wait_for(b.may_act)
    turns = len(b.proxy.asked("GET", "leases")) - before
    assert 2 >= turns
    assert {"PUT"} == {one.method for one in b.proxy.writes("leases")}
    wait_for(lambda: ("b",) in {names for _, names in world.witness.timeline})
    assert ["a", "b"] == world.leaders()


def test_a_deleted_lease_does_not_make_two_leaders(world: World) -> None:
    for _ in range(3):
        wait_for(lambda: "holderIdentity" in world.plane.kubectl("get", "--raw", world.path, check=False))
        world.leader()
        world.plane.kubectl("delete", "--raw", world.path)
    world.leader()
    assert {"a", "b"} >= set(world.leaders())


def test_a_clock_that_steps_changes_nothing(world: World) -> None:
    a, b = world.candidates
    for offset in (timedelta(days=30), timedelta(days=-30)):
        for one in (a, b):
            one.clock.offset = offset
            writes = len(a.proxy.writes("leases"))
            wait_for(lambda writes=writes: len(a.proxy.writes("leases")) > writes + 2)  # type: ignore[misc]
    assert ["a"] == world.leaders()


def test_a_writer_is_fenced_when_his_leader_is_cut_off(world: World) -> None:
    """The cut is between the leader and the Lease only: his other writes would still go through."""
    a, b = world.candidates
    path = f"/api/v1/namespaces/{world.namespace}/configmaps"
    writers = [one.api.through(fence=one.may_act) for one in (a, b)]
    named = itertools.count()

    def write(writer: Api) -> bool:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"map-{next(named)}"}}
        try:
            writer.create(path, body)
        except Fenced:
            return False
        return True

    assert (True, False) == (write(writers[0]), write(writers[1]))
    a.proxy.swallow(times=1000, pattern="leases")
    wait_for(lambda: write(writers[1]))
    assert not write(writers[0])
    last_of_a = a.proxy.writes("configmaps")[-1].at_s
    first_of_b = b.proxy.writes("configmaps")[0].at_s
    assert last_of_a < first_of_b
    assert ["a", "b"] == world.leaders()
