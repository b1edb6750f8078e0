"""What locations hold by their nodes, and what of it is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.locations import Location, Room
from cleanhours.domain.resources import Booking, Capacity
from cleanhours.domain.times import format_instant
from cleanhours_plugins.clusters.kubernetes.nodes import read_node
from cleanhours_plugins.clusters.kubernetes.pods import PodRecord, read_pod
from cleanhours_plugins.clusters.kubernetes.rooms import EVER, Housing, rooms_of
from cleanhours_plugins.clusters.kubernetes.topology import REGION_LABEL, ZONE_LABEL
from tests.unit.plugins.clusters.kubernetes.test_siting import LOCATIONS, a_node

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
GI = 2**30


def a_pod(
    node: str = "de-1",
    *,
    uid: str = "p",
    owner: str = "",
    age: timedelta = timedelta(minutes=10),
    phase: str = "Running",
    restart: str = "Never",
    limit: int | None = None,
    labels: Mapping[str, str] | None = None,
    stopping: bool = False,
    cpu: str = "2",
) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "uid": uid,
        "name": uid,
        "namespace": "team",
        "creationTimestamp": format_instant(NOW - age),
        "labels": dict(labels or {}),
        "ownerReferences": [{"controller": True, "uid": owner, "kind": "Job", "name": "x"}] if owner else [],
    }
    if stopping:
        meta["deletionTimestamp"] = format_instant(NOW)
    spec: dict[str, Any] = {
        "nodeName": node,
        "restartPolicy": restart,
        "containers": [{"resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}],
    }
    if limit is not None:
        spec["activeDeadlineSeconds"] = limit
    return {
        "metadata": meta,
        "spec": spec,
        "status": {"phase": phase, "startTime": format_instant(NOW - age)},
    }


def records(pods: Iterable[Mapping[str, Any]]) -> list[PodRecord]:
    return [record for record in map(read_pod, pods) if record is not None]


def rooms(
    *pods: Mapping[str, Any],
    nodes: Iterable[Mapping[str, Any]] = (),
    ours: Iterable[str] = (),
    locations: Mapping[str, Location] = LOCATIONS,
    now: datetime = NOW,
) -> dict[str, Room]:
    return rooms_of(map(read_node, nodes), records(pods), ours, locations, REGION_LABEL, now)


def taken(room: Room, at: datetime = NOW) -> int:
    return sum(one.demand.cpu_millicores for one in room.others if one.start <= at < one.end)


def test_a_location_holds_what_its_ready_schedulable_nodes_offer() -> None:
    nodes = [
        a_node("de-1"),
        a_node("de-2", cpu="7500m", gpus="8"),
        a_node("de-3", cordoned=True),
        a_node("de-4", ready=False),
        a_node("fr-1", ready=False),
    ]
    found = rooms(nodes=nodes)
    assert Capacity(15_500, 64 * GI, 8, None) == found["de"].location.capacity
    assert Capacity(0, 0, 0, None) == found["fr"].location.capacity


def test_a_location_without_any_node_now_is_not_limited() -> None:
    assert Capacity() == rooms(nodes=[a_node("de-1")])["pl"].location.capacity


def test_servers_of_the_control_plane_are_no_room() -> None:
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    found = rooms(a_pod("de-1"), nodes=[a_node("de-1", taints=[taint]), a_node("de-2")])
    assert (8_000, 0) == (found["de"].location.capacity.cpu_millicores, taken(found["de"]))


def test_what_the_operator_says_of_a_location_stands() -> None:
    told = {"de": Location("de", "DE", capacity=Capacity(cpu_millicores=99_000, slots=4))}
    found = rooms(nodes=[a_node("de-1", gpus="2")], locations=told)
    assert Capacity(99_000, 32 * GI, 2, 4) == found["de"].location.capacity


def test_a_zone_and_the_region_around_it_both_count_its_nodes() -> None:
    both = {"de": LOCATIONS["de"], "de-a": Location("de-a", "DE", match={"label": f"{ZONE_LABEL}=de-a"})}
    found = rooms(a_pod("de-1"), nodes=[a_node("de-1", {ZONE_LABEL: "de-a"}), a_node("de-2")], locations=both)
    assert (16_000, 2_000) == (found["de"].location.capacity.cpu_millicores, taken(found["de"]))
    assert (8_000, 2_000) == (found["de-a"].location.capacity.cpu_millicores, taken(found["de-a"]))


def test_pods_of_ours_are_not_others() -> None:
    mine = [
        a_pod(uid="a", owner="our-job"),
        a_pod(uid="our-pod"),
        a_pod(uid="b", owner="child", labels={"jobset.sigs.k8s.io/jobset-name": "big"}),
    ]
    ours = {"our-job", "our-pod", "team/big"}
    assert () == rooms(*mine, nodes=[a_node("de-1")], ours=ours)["de"].others
    assert 6_000 == taken(rooms(*mine, nodes=[a_node("de-1")])["de"])


def test_pods_that_have_ended_or_have_no_node_hold_nothing() -> None:
    gone = [a_pod(phase="Succeeded"), a_pod(phase="Failed"), a_pod(node="")]
    assert [] == records(gone)


def test_pods_on_nodes_that_do_not_count_take_nothing_from_the_others() -> None:
    found = rooms(a_pod("de-2"), nodes=[a_node("de-1"), a_node("de-2", cordoned=True)])
    assert () == found["de"].others


def end_of(**pod: Any) -> datetime:
    (booking,) = rooms(a_pod(**pod), nodes=[a_node("de-1")])["de"].others
    assert isinstance(booking, Booking)
    return booking.end


def test_what_is_restarted_whenever_it_ends_stays() -> None:
    assert EVER == end_of(restart="Always")


def test_what_has_a_limit_stays_until_then() -> None:
    assert NOW + timedelta(hours=2) == end_of(limit=7_800)


def test_what_is_stopping_is_gone_soon() -> None:
    assert NOW + timedelta(minutes=15) == end_of(restart="Always", stopping=True)


def test_of_what_nobody_knows_it_stays_as_long_again() -> None:
    assert NOW + timedelta(minutes=60) == end_of(age=timedelta(minutes=5))
    assert NOW + timedelta(minutes=30) == end_of(age=timedelta(minutes=90))
    assert NOW + timedelta(hours=36) == end_of(age=timedelta(hours=34)), "64 hours, rounded up to 8"


@given(
    st.timedeltas(timedelta(), timedelta(days=60)),
    st.none() | st.integers(1, 10**6),
    st.booleans(),
)
def test_whoever_is_there_now_is_counted_now(age: timedelta, limit: int | None, stopping: bool) -> None:
    found = rooms(a_pod(age=age, limit=limit, stopping=stopping), nodes=[a_node("de-1")])["de"]
    assert 2_000 == taken(found)
    assert all(one.end > NOW for one in found.others)


def test_many_pods_are_few_bookings() -> None:
    pods = [
        a_pod(uid=str(number), age=timedelta(seconds=37 * number), limit=None if number % 3 else 90_000)
        for number in range(3_000)
    ]
    found = rooms(*pods, nodes=[a_node("de-1")])["de"]
    assert 6_000_000 == taken(found)
    assert len(found.others) < 200


def test_rooms_are_the_same_value_while_nothing_changes_and_no_end_has_come() -> None:
    housing = Housing(LOCATIONS, REGION_LABEL)
    nodes, pods = [read_node(a_node("de-1"))], records([a_pod()])

    def asked(
        now: datetime, pods_revision: int = 1, ours: frozenset[str] = frozenset()
    ) -> Mapping[str, Room]:
        return housing.rooms(nodes, pods, ours, now, nodes_revision=1, pods_revision=pods_revision)

    first = asked(NOW)
    assert first is asked(NOW + timedelta(minutes=59))
    assert first is not asked(NOW + timedelta(minutes=60))
    assert NOW + timedelta(minutes=120) == asked(NOW + timedelta(minutes=60))["de"].others[0].end
    later = NOW + timedelta(minutes=61)
    assert asked(later, pods_revision=2) == asked(later)
    assert () == asked(NOW, ours=frozenset({"p"}))["de"].others
