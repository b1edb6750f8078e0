"""Zones that nobody serves: one sentence with every location, and a few names that may be meant."""

from __future__ import annotations

import pytest

from cleanhours.domain.locations import Location
from cleanhours.domain.zones import NEAR, Unserved, hint_of, near_zones, say_unserved

SERVED = (
    "AT",
    "CA-ON",
    "DE",
    "DK-DK1",
    "DK-DK2",
    "EE",
    "FR",
    "GB",
    "GB:1",
    "SE-SE3",
    "SK",
    "US-CAL-CISO",
    "US-CAR-SC",
)


@pytest.mark.parametrize(
    ("zone", "near"),
    [
        ("DEE", ["DE", "EE"]),
        ("D", ["DE", "DK-DK1", "DK-DK2"]),
        ("dk", ["DK-DK1", "DK-DK2"]),
        ("SE_SE4", ["SE-SE3"]),
        ("US-CA", ["US-CAL-CISO", "US-CAR-SC"]),
        ("UK", ["GB", "GB:1"]),
        ("Germany", []),
    ],
)
def test_what_begins_so_comes_before_what_is_spelled_nearly_so(zone: str, near: list[str]) -> None:
    assert near == near_zones(zone, SERVED)


def test_there_are_few_of_them() -> None:
    many = [f"US-{number}" for number in range(50)]

    assert NEAR == len(near_zones("US", many))
    assert "did you mean US-0, US-1 or US-10?" == hint_of("US", many)


def test_where_none_is_near_some_are_named_and_where_none_is_listed_that_is_said() -> None:
    assert "served are AT, CA-ON, DE and 10 more" == hint_of("Germany", SERVED)
    assert "served are DE" == hint_of("Germany", ["DE"])
    assert "they cannot say which zones they serve" == hint_of("DEE", [])


def test_every_location_is_named_once_by_its_zone() -> None:
    places = [
        Location("munich", "DEE"),
        Location("lyon", "FRR"),
        Location("berlin", "DEE"),
        Location("oslo", "NO"),
    ]
    unserved = {
        "DEE": Unserved("DEE", ("neso", "climatology"), SERVED),
        "FRR": Unserved("FRR", ("tide",), ("FR",)),
        "XX": Unserved("XX", ("tide",)),
    }

    assert (
        "no forecast source serves zone 'DEE' of locations berlin, munich (asked: neso, climatology; did you mean DE or EE?)"
        " and zone 'FRR' of location lyon (asked: tide; did you mean FR?)"
    ) == say_unserved(unserved, places)
    assert "" == say_unserved(unserved, [Location("oslo", "NO")])
    assert (
        "no forecast source serves zone 'XX' (asked: tide; they cannot say which zones they serve)"
        == say_unserved(unserved, [Location("XX", "XX")])
    )
