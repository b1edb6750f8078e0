"""Where a job could run at all, before it is told to go there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cleanhours.domain.locations import Location
from cleanhours_plugins.clusters.slurm.fitting import fitting
from cleanhours_plugins.clusters.slurm.places import Places
from tests.unit.plugins.clusters.slurm.made import seen

ROWS = [
    "any*|infinite|de,gpu|4|idle",
    "de|1-00:00:00|de,gpu|4|idle",
    "fr|1:00:00|fr|8|mixed",
    "fr|1:00:00|fr|4|drained*",
]
PLACES = Places(
    {
        "de": Location("de", "DE", match={"partition": "de"}),
        "fr": Location("fr", "FR", match={"partition": "fr"}),
    },
    "de",
)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ("de", "fr")),
        ({"limit": timedelta(hours=1)}, ("de", "fr")),
        ({"limit": timedelta(hours=2)}, ("de",)),
        ({"limit": None}, ()),
        ({"features": "gpu"}, ("de",)),
        ({"features": "gpu|fr"}, ("de", "fr")),
        ({"cpus": 8}, ("fr",)),
        ({"cpus": 8, "nodes": 2}, ("de", "fr")),
        ({"cpus": 9}, ()),
    ],
)
def test_what_it_asks_for_must_be_there(asked: dict[str, object], expected: tuple[str, ...]) -> None:
    job = seen(
        **{"partition": "any", "features": "", "limit": timedelta(minutes=30), "cpus": 1, "nodes": 1, **asked}
    )

    answer = _lines()
    assert dict.fromkeys(expected, True) == fitting(("de", "fr"), job, PLACES, answer)


@pytest.mark.parametrize("state", ["down*", "drained", "draining", "unknown"])
def test_a_place_where_none_of_those_nodes_takes_jobs_is_told_apart(state: str) -> None:
    answer = _lines().replace("mixed", state)

    assert {"de": True, "fr": False} == fitting(
        ("de", "fr"), seen(partition="any", features="", cpus=1), PLACES, answer
    )


def _lines() -> str:
    return "\n".join("\x1f".join(row.split("|")) for row in ROWS)


def test_nobody_answers_and_nothing_fits() -> None:
    assert {} == fitting(("de",), seen(), PLACES, "garbage\n")
