"""Where a job could run at all, before it is told to go there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cleanhours.domain.locations import Location
from cleanhours_plugins.clusters.slurm.fitting import fitting
from cleanhours_plugins.clusters.slurm.places import Places
from tests.unit.plugins.clusters.slurm.made import seen

ROWS = ["any*|infinite|de,gpu|4", "de|1-00:00:00|de,gpu|4", "fr|1:00:00|fr|8"]
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
    assert expected == fitting(("de", "fr"), job, PLACES, answer)


def _lines() -> str:
    return "\n".join("\x1f".join(row.split("|")) for row in ROWS)


def test_nobody_answers_and_nothing_fits() -> None:
    assert () == fitting(("de",), seen(), PLACES, "garbage\n")
