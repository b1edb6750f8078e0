"""What jobs occupy, and arrays for which there is not room all at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.resources import Capacity
from cleanhours_plugins.clusters.slurm.asking import Seen
from cleanhours_plugins.clusters.slurm.demands import demand_of, fitted
from cleanhours_plugins.clusters.slurm.jobs import Reporting
from tests.unit.plugins.clusters.slurm.made import known, seen, settings, tag

limits = st.none() | st.integers(0, 64)
rooms = st.builds(
    lambda cpus, gpus, slots: Capacity(None if cpus is None else cpus * 1000, None, gpus, slots),
    limits,
    limits,
    limits,
)


def fits(one: Seen, room: Capacity) -> bool:
    pairs = zip(demand_of(one).amounts, room.limits(), strict=True)
    return all(limit is None or amount <= limit for amount, limit in pairs)


@given(
    st.integers(1, 500), st.integers(1, 9), st.integers(1, 8), st.integers(0, 2), st.lists(rooms, max_size=3)
)
def test_what_is_too_large_for_every_room_fits_into_one_and_does_all_its_work(
    tasks: int, rounds: int, cpus: int, gpus: int, places: list[Capacity]
) -> None:
    array = seen(tasks=tasks, rounds=rounds, cpus=cpus, gpus=gpus)
    single = seen(tasks=1, cpus=cpus, gpus=gpus)

    found = fitted(array, places)

    if (
        not places
        or any(fits(array, place) for place in places)
        or not any(fits(single, place) for place in places)
    ):
        assert array == found
    else:
        assert any(fits(found, place) for place in places)
        assert tasks * rounds <= found.tasks * found.rounds < tasks * rounds + found.tasks


@pytest.mark.parametrize(("tasks", "at_once", "rounds"), [(16, 16, 1), (17, 8, 3), (1000, 8, 125)])
def test_an_array_that_is_too_large_takes_half_of_the_largest_place_at_a_time(
    tasks: int, at_once: int, rounds: int
) -> None:
    has = {"de": Capacity(cpu_millicores=8000), "fr": Capacity(cpu_millicores=64_000), "pl": Capacity()}
    job = known(seen(tasks=tasks, cpus=4), tag(words={"max-delay": "200h", "locations": "de,fr"}))

    asked, _ = Reporting(settings(), capacities=has).request(job)

    assert at_once == asked.demand.slots
    assert rounds * timedelta(minutes=30) == asked.duration
