"""Where every job of ours goes through Kueue, a room is no larger than its quota."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cleanhours.domain.locations import Location, Room
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours_plugins.clusters.kubernetes.quotas import within

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROOM = Room(
    Location("de", "DE", capacity=Capacity(32_000, 64, slots=5)),
    (Booking(NOW - HOUR, NOW + HOUR, Demand(4_000)), Booking(NOW + HOUR, NOW + 2 * HOUR, Demand(9_000))),
)


def room(left: Capacity, *ours: tuple[str, Demand]) -> Room:
    return within({"de": ROOM}, {"de": left}, ours, NOW)["de"]


def test_what_is_free_now_is_what_the_quota_leaves() -> None:
    found = room(Capacity(6_000))
    assert Capacity(10_000, 64, slots=5) == found.location.capacity
    assert ROOM.others == found.others


def test_what_our_own_jobs_reserved_is_ours() -> None:
    assert (
        13_000
        == room(Capacity(6_000), ("de", Demand(3_000)), ("fr", Demand(1))).location.capacity.cpu_millicores
    )


def test_a_quota_beyond_the_nodes_adds_none() -> None:
    assert ROOM == room(Capacity(90_000, 100))


def test_a_quota_bounds_what_nothing_else_bounds() -> None:
    assert 2 == room(Capacity(gpus=2)).location.capacity.gpus


def test_a_location_without_quota_is_as_it_was() -> None:
    assert {"de": ROOM} == within({"de": ROOM}, {"fr": Capacity(0)}, (), NOW)
