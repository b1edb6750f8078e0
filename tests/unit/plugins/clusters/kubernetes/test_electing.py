"""An election turn by turn, on clocks that the test moves: who may act, and that two never may at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours_plugins.clusters.kubernetes.electing import LeaseLeadership, Terms, new_identity, steady_s
from cleanhours_plugins.clusters.kubernetes.errors import ApiError, Unreachable
from tests.unit.plugins.clusters.kubernetes.servers import RESET, Answer, Server, status

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ours/leases"
LEASE = f"{LEASES}/controller"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class World:
    server: Server
    folder: Path
    steady: float = 5000.0
    wall: datetime = NOON

    def candidate(self, identity: str, terms: Terms | None = None) -> LeaseLeadership:
        return LeaseLeadership(
            self.server.api(self.folder),
            "ours",
            "controller",
            now=lambda: self.wall,
            terms=terms or Terms(),
            identity=identity,
            steady=lambda: self.steady,
        )

    def pass_s(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += timedelta(seconds=seconds)

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.objects[LEASE]["spec"]
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Server() as server:
        yield World(server, tmp_path)


def test_the_first_candidate_makes_the_lease_and_acts(world: World) -> None:
    a = world.candidate("a")
    assert not a.may_act()
    a.take_turn()
    assert a.may_act()
    assert {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-03-01T12:00:00.000000Z",
        "renewTime": "2026-03-01T12:00:00.000000Z",
        "leaseTransitions": 0,
    } == world.spec


def test_a_renewal_costs_one_request_and_keeps_the_time_of_acquisition(world: World) -> None:
    a = world.candidate("a")
    a.take_turn()
    world.pass_s(2)
    before = len(world.server.asked)
    a.take_turn()
    assert ["PUT"] == world.server.methods()[before:]
    assert "2026-03-01T12:00:00.000000Z" == world.spec["acquireTime"]
    assert "2026-03-01T12:00:02.000000Z" == world.spec["renewTime"]
    assert 0 == world.spec["leaseTransitions"]


def test_who_comes_second_waits(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    a.take_turn()
    b.take_turn()
    assert (True, False) == (a.may_act(), b.may_act())
    assert "a" == b.holder


def test_a_dead_holder_is_followed_when_his_lease_did_not_change_for_its_duration(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    a.take_turn()
    world.pass_s(3)
    b.take_turn()
    world.pass_s(14.9)
    b.take_turn()
    assert not b.may_act()
    world.pass_s(0.1)
    b.take_turn()
    assert b.may_act()
    assert ("b", 1) == (world.spec["holderIdentity"], world.spec["leaseTransitions"])


def test_the_holder_falls_silent_before_another_may_act(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    a.take_turn()
    b.take_turn()
    silent_at = led_at = 0.0
    for n in range(200):  # a is cut off: it takes no turn any more
        world.pass_s(0.1)
        b.take_turn()
        silent_at = silent_at or (n if not a.may_act() else 0)
        led_at = led_at or (n if b.may_act() else 0)
    assert (99, 149) == (silent_at, led_at)


def test_what_counts_is_when_a_renewal_was_asked_for_not_when_it_was_answered(world: World) -> None:
    a = world.candidate("a")

    def slow(_: Any) -> Answer | None:
        world.pass_s(4)
        return None

    world.server.script = [slow, slow]
    a.take_turn()  # its read took 4 s, and then its write
    world.pass_s(5.9)
    assert a.may_act()
    world.pass_s(0.1)
    assert not a.may_act()


def test_a_clock_that_steps_changes_nothing(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    a.take_turn()
    b.take_turn()
    world.wall += timedelta(days=400)
    world.steady += 2
    b.take_turn()
    assert (True, False) == (a.may_act(), b.may_act())
    world.wall -= timedelta(days=800)
    a.take_turn()
    b.take_turn()
    assert (True, False) == (a.may_act(), b.may_act())


def test_a_clock_that_stands_still_leaves_signs_of_life_all_the_same(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    for _ in range(20):
        a.take_turn()
        b.take_turn()
        world.steady += 2  # and the wall clock does not move
    stamps = {one.body["spec"]["renewTime"] for one in world.server.asked if one.method == "PUT"}
    assert 2 == len(stamps)
    assert (True, False) == (a.may_act(), b.may_act())


def test_a_leader_whose_lease_was_touched_by_somebody_reads_and_renews(world: World) -> None:
    a = world.candidate("a")
    a.take_turn()
    world.server.put(LEASE, world.server.objects[LEASE])
    world.pass_s(2)
    a.take_turn()
    world.pass_s(9)
    assert a.may_act()


def test_a_leader_who_finds_another_in_his_place_is_silent_at_once(world: World) -> None:
    a = world.candidate("a")
    a.take_turn()
    found = world.server.objects[LEASE]
    world.server.put(LEASE, {**found, "spec": {**found["spec"], "holderIdentity": "b"}})
    a.take_turn()
    assert not a.may_act()
    assert "b" == world.spec["holderIdentity"]


def test_a_leader_whose_lease_is_deleted_makes_it_again_and_goes_on(world: World) -> None:
    a = world.candidate("a")
    a.take_turn()
    world.server.objects.clear()
    world.pass_s(2)
    a.take_turn()
    assert a.may_act()
    assert "a" == world.spec["holderIdentity"]


def test_who_finds_a_known_lease_deleted_waits_until_its_holder_has_fallen_silent(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    a.take_turn()
    b.take_turn()
    world.server.objects.clear()
    b.take_turn()  # first to notice
    assert "b" == world.spec["holderIdentity"]
    for _ in range(99):
        world.pass_s(0.1)
        assert (True, False) == (a.may_act(), b.may_act())
    for _ in range(60):
        world.pass_s(0.1)
        b.take_turn()
        assert not a.may_act()
    assert b.may_act()


def test_who_lost_sight_for_long_and_finds_no_lease_does_not_act_at_once(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    a.take_turn()
    b.take_turn()
    world.pass_s(60)
    b.take_turn()
    assert b.may_act()
    world.server.objects.clear()
    a.take_turn()  # still believes that the last holder was a
    assert (False, True) == (a.may_act(), b.may_act())


def test_a_renewal_whose_answer_is_lost_is_no_loss(world: World) -> None:
    a = world.candidate("a")
    a.take_turn()
    world.pass_s(2)

    def done_but_unanswered(asked: Any) -> Answer:
        world.server.put(LEASE, asked.body)
        return RESET

    world.server.script = [done_but_unanswered]  # its repetition is refused, for the first was done
    a.take_turn()
    world.pass_s(9)
    assert a.may_act()


def test_an_api_that_is_gone_is_survived_until_the_deadline_and_taken_up_again(world: World) -> None:
    a = world.candidate("a")
    a.take_turn()
    for _ in range(6):
        world.pass_s(2)
        world.server.script = [Answer(500, status(500, "etcd is gone"))]
        with pytest.raises(Unreachable, match="etcd is gone"):
            a.take_turn()
    assert not a.may_act()
    a.take_turn()
    assert a.may_act()
    assert 0 == world.spec["leaseTransitions"]


def test_a_stop_leaves_the_lease_to_the_next_one(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    a.take_turn()
    b.take_turn()
    a.stop()
    a.stop()
    assert not a.may_act()
    assert ("", 1) == (world.spec["holderIdentity"], world.spec["leaseDurationSeconds"])
    b.take_turn()
    assert b.may_act()
    assert 1 == world.spec["leaseTransitions"]
    a.take_turn()
    assert "b" == world.spec["holderIdentity"]


def test_a_stop_that_finds_the_lease_touched_releases_it_nevertheless(world: World) -> None:
    a = world.candidate("a")
    a.take_turn()
    world.server.put(LEASE, world.server.objects[LEASE])
    a.stop()
    assert "" == world.spec["holderIdentity"]


def test_who_does_not_hold_the_lease_does_not_release_it(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    a.take_turn()
    b.take_turn()
    b.stop()
    assert "a" == world.spec["holderIdentity"]


def test_a_stop_without_an_api_says_nothing_but_the_truth(world: World) -> None:
    a = world.candidate("a")
    a.take_turn()
    world.server.script = [Answer(500, status(500))]
    a.stop()
    assert not a.may_act()
    assert "a" == world.spec["holderIdentity"]


@pytest.mark.parametrize("spec", [{}, None, {"holderIdentity": None, "leaseDurationSeconds": "soon"}])
def test_a_lease_that_somebody_emptied_is_free(world: World, spec: Any) -> None:
    world.server.put(LEASE, {"metadata": {"name": "controller"}, "spec": spec})
    a = world.candidate("a")
    a.take_turn()
    assert a.may_act()


@pytest.mark.parametrize(
    ("said", "waits"), [(10**9, 60), (30, 30), (1, 15), (None, 15), (-5, 15), (True, 15)]
)
def test_a_holder_is_waited_for_as_long_as_he_said_within_reason(
    world: World, said: Any, waits: float
) -> None:
    world.server.put(LEASE, {"spec": {"holderIdentity": "b", "leaseDurationSeconds": said}})
    a = world.candidate("a")
    a.take_turn()
    world.pass_s(waits - 0.1)
    a.take_turn()
    assert not a.may_act()
    world.pass_s(0.1)
    a.take_turn()
    assert a.may_act()


def test_a_refusal_is_the_callers_to_hear_but_not_the_threads_end(world: World) -> None:
    a = world.candidate("a", Terms(lease_s=5, renew_deadline_s=3, retry_s=0.3))
    world.server.script = [Answer(403, status(403, "no")), RESET, RESET, Answer(200, b"{")]
    with pytest.raises(ApiError):
        a.take_turn()
    a.start()
    a.start()
    while not a.may_act():  # the thread goes on through what is left of the script
        assert a._thread is not None
        a._thread.join(0.01)
        assert a._thread.is_alive()
    a.stop()
    assert "" == world.spec["holderIdentity"]


@pytest.mark.parametrize("terms", [(10, 10, 2), (15, 2, 2), (15, 10, 0), (5, 10, 2)])
def test_terms_that_leave_a_gap_are_refused(terms: tuple[float, float, float]) -> None:
    lease_s, renew_deadline_s, retry_s = terms
    with pytest.raises(ValueError, match="accepted: lease_s > renew_deadline_s"):
        Terms(lease_s=lease_s, renew_deadline_s=renew_deadline_s, retry_s=retry_s)


def test_an_identity_names_the_host_and_is_never_the_same() -> None:
    assert re.fullmatch(r".+_[0-9a-f]{8}", new_identity())
    assert new_identity() != new_identity()


def test_the_steady_clock_goes_forward() -> None:
    assert steady_s() <= steady_s()
