"""The settings table of a local cluster: everything that is wrong is said at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cleanhours.domain.deadlines import Margins
from cleanhours.domain.errors import ConfigurationError
from cleanhours_plugins.clusters.local.settings import read_settings


def test_an_empty_table_has_a_slot_per_cpu_and_the_usual_margins() -> None:
    settings = read_settings({})
    assert ("local", "local", Margins()) == (settings.name, settings.location, settings.margins)
    assert settings.slots >= 1


def test_every_key_is_read() -> None:
    settings = read_settings(
        {
            "type": "local",
            "name": "desk",
            "slots": 3,
            "location": "attic",
            "safety": 1.5,
            "queue_margin": "2m",
            "grace": timedelta(seconds=1),
        }
    )
    assert ("desk", 3, "attic") == (settings.name, settings.slots, settings.location)
    assert Margins(1.5, timedelta(minutes=2)) == settings.margins
    assert timedelta(seconds=1) == settings.grace


def test_the_margins_of_planning_hold_unless_its_own_are_given() -> None:
    planning = Margins(1.3, timedelta(minutes=9))
    assert planning == read_settings({}, planning).margins
    assert Margins(1.3, timedelta(0)) == read_settings({"queue_margin": "0s"}, planning).margins


def test_an_unknown_key_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="unknown key 'slot'; did you mean 'slots'"):
        read_settings({"slot": 3})


def test_every_fault_is_named_at_once_with_the_value_found() -> None:
    table = {"slots": 0, "name": "a/b", "safety": 0.5, "queue_margin": "soon", "type": "slurm", "grace": 3}
    with pytest.raises(ConfigurationError) as refused:
        read_settings(table)
    for key, value in table.items():
        assert f"{key}: found {value!r}" in str(refused.value)


@pytest.mark.parametrize("value", [True, "2", 1.5, None, -1])
def test_slots_are_whole_and_positive(value: object) -> None:
    with pytest.raises(ConfigurationError, match="slots"):
        read_settings({"slots": value})


def test_without_a_location_it_lies_where_the_settings_begin() -> None:
    assert "site" == read_settings({}, locations=["site", "annex"]).location
    assert "local" == read_settings({}, locations=["site", "local"]).location


def test_a_location_that_is_not_configured_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match="location: found 'attic', accepted: annex, site"):
        read_settings({"location": "attic"}, locations=["site", "annex"])
