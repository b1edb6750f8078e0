"""What locations are to Slurm: which of them a job names, may go to, and how Slurm is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cleanhours.domain.locations import Location
from cleanhours_plugins.clusters.slurm.places import Asked, Places, faults_of, here
from tests.unit.plugins.clusters.slurm.made import BY_FEATURE, BY_PARTITION

PARTITIONS = Places(BY_PARTITION, "de")
FEATURES = Places(BY_FEATURE, "de")
BOTH = Places(
    {name: Location(name, name.upper(), match={"partition": name, "feature": name}) for name in BY_PARTITION},
    "de",
)
MIXED = Places({"de": BY_PARTITION["de"], "fr": BY_FEATURE["fr"], "pl": BY_FEATURE["pl"]}, "de")
ALL = ("fr", "de", "pl")


@pytest.mark.parametrize(
    ("places", "asked", "home"),
    [
        (PARTITIONS, Asked(), "de"),
        (PARTITIONS, Asked("fr"), "fr"),
        (PARTITIONS, Asked("gpu,pl,fr"), "pl"),
        (PARTITIONS, Asked("any", "fr"), "de"),
        (FEATURES, Asked("any"), "de"),
        (FEATURES, Asked("any", "fr"), "fr"),
        (FEATURES, Asked("any", "gpu&pl"), "pl"),
        (FEATURES, Asked("any", "[fr|de]"), "fr"),
        (FEATURES, Asked("any", "(pl|fr)&gpu"), "pl"),
        (FEATURES, Asked("fr", "french"), "de"),
    ],
)
def test_home_is_the_first_place_that_it_names_else_the_usual_one(
    places: Places, asked: Asked, home: str
) -> None:
    assert home == places.home_of(asked)


def test_a_place_named_twice_is_one() -> None:
    assert ["fr", "de"] == FEATURES.named(Asked("", "fr|de|fr"))


@pytest.mark.parametrize(
    ("places", "asked", "allowed"),
    [
        (PARTITIONS, Asked(), ALL),
        (PARTITIONS, Asked("any"), ALL),
        (PARTITIONS, Asked("de"), ("de",)),
        (PARTITIONS, Asked("de,fr"), ("fr", "de")),
        (PARTITIONS, Asked("gpu,fr"), ("fr",)),
        # a partition that is no place was chosen for what it has
        (PARTITIONS, Asked("gpu"), ()),
        # where no place is a feature, features stay as they are
        (PARTITIONS, Asked("any", "gpu*2"), ALL),
        (PARTITIONS, Asked("any", "(a100|h100)&ib"), ALL),
        (FEATURES, Asked("gpu"), ALL),
        (FEATURES, Asked("any", "gpu"), ALL),
        (FEATURES, Asked("any", "de"), ("de",)),
        (FEATURES, Asked("any", "de|fr"), ("fr", "de")),
        (FEATURES, Asked("any", "[de|fr]"), ("fr", "de")),
        (FEATURES, Asked("any", "pl|de|fr"), ALL),
        (FEATURES, Asked("any", "gpu&de"), ("de",)),
        (FEATURES, Asked("any", "gpu,de"), ("de",)),
        (FEATURES, Asked("any", "gpu*2"), ()),
        (FEATURES, Asked("any", "(de|fr)&gpu"), ()),
        (FEATURES, Asked("any", "gpu|de"), ()),
        (FEATURES, Asked("any", "[de*2&fr*2]"), ()),
        # nodes of two places at once are neither's
        (FEATURES, Asked("any", "de&fr"), ()),
        (FEATURES, Asked("any", "gpu&de,fr"), ()),
        # partitions and features narrow each by itself
        (BOTH, Asked("de,fr"), ("fr", "de")),
        (BOTH, Asked("any", "de|fr"), ("fr", "de")),
        (BOTH, Asked("de", "fr"), ()),
        (BOTH, Asked("de,pl", "fr|pl"), ("pl",)),
        (BOTH, Asked("gpu", "fr"), ()),
        (BOTH, Asked("gpu,fr", "gpu"), ("fr",)),
        (MIXED, Asked("de"), ("de",)),
        (MIXED, Asked("gpu"), ("fr", "pl")),
        (MIXED, Asked("gpu", "fr|pl"), ("fr", "pl")),
        (MIXED, Asked("any", "fr"), ("fr",)),
        (MIXED, Asked("de", "fr"), ()),
        (FEATURES, Asked("any", "", bound=True), ()),
        (PARTITIONS, Asked("de", "", bound=True), ()),
    ],
)
def test_what_it_asked_of_slurm_narrows_what_its_owner_offers(
    places: Places, asked: Asked, allowed: tuple[str, ...]
) -> None:
    assert allowed == places.allowed(asked, ALL, usual_partition="any")


def test_the_partition_that_everybody_gets_names_nothing() -> None:
    assert ALL == PARTITIONS.allowed(Asked("de"), ALL, usual_partition="de")
    assert ("de",) == PARTITIONS.allowed(Asked("de"), ALL, usual_partition="any")


def test_who_offers_nothing_is_allowed_nothing_and_unknown_places_are_left_out() -> None:
    assert () == PARTITIONS.allowed(Asked("de"), ())
    assert ("de",) == PARTITIONS.allowed(Asked(), ("atlantis", "de"))


@pytest.mark.parametrize(
    ("places", "asked", "told"),
    [
        (PARTITIONS, Asked("de"), {"Partition": "fr"}),
        (PARTITIONS, Asked("de,fr", "gpu&ib"), {"Partition": "fr"}),
        (FEATURES, Asked("any"), {"Features": "fr"}),
        (FEATURES, Asked("any", "de"), {"Features": "fr"}),
        (FEATURES, Asked("any", "[de|fr]"), {"Features": "fr"}),
        (FEATURES, Asked("any", "gpu&de"), {"Features": "gpu&fr"}),
        (FEATURES, Asked("any", "de,gpu,2080ti,2023"), {"Features": "gpu&2080ti&2023&fr"}),
        # what cannot be said with another place in it stays as it is
        (FEATURES, Asked("any", "gpu*2"), {"Features": "gpu*2"}),
        (FEATURES, Asked("any", "(de|pl)&gpu"), {"Features": "(de|pl)&gpu"}),
    ],
)
def test_to_move_a_job_is_to_say_the_new_place_and_to_keep_all_else(
    places: Places, asked: Asked, told: dict[str, str]
) -> None:
    assert told == places.where("fr", asked)


def test_a_place_that_is_nothing_to_slurm_is_where_the_job_was_submitted() -> None:
    places = Places({**BY_PARTITION, "home": Location("home", "DE")}, "home")

    assert {"Partition": "any"} == places.where("home", Asked("any", "gpu"))


def test_partitions_and_features_may_be_places_side_by_side() -> None:
    places = Places({"de": BY_PARTITION["de"], "fr": BY_FEATURE["fr"]}, "de")

    assert {"Partition": "de", "Features": "gpu"} == places.where("de", Asked("any", "gpu&fr"))
    assert {"Partition": "any", "Features": "gpu&fr"} == places.where("fr", Asked("any", "gpu"))


@pytest.mark.parametrize(("federated", "told"), [(True, {"ClusterFeatures": "beta"}), (False, {})])
def test_a_cluster_is_a_place_in_a_federation(federated: bool, told: dict[str, str]) -> None:
    beta = Location("fr", "FR", match={"cluster": "beta"})

    assert told == Places({"fr": beta}, "fr", federated).where("fr", Asked())


def test_where_a_job_is_slurm_tells() -> None:
    assert "fr" == PARTITIONS.at("fr", "")
    assert "pl" == FEATURES.at("any", "gpu&pl")
    assert "de" == FEATURES.at("any", "")


def test_places_have_the_zones_of_their_locations() -> None:
    assert {"de": "DE", "fr": "FR", "pl": "PL"} == PARTITIONS.zones


def test_places_of_other_clusters_are_none_of_this_one() -> None:
    locations = {
        **BY_PARTITION,
        "alpha": Location("alpha", "DE", match={"cluster": "alpha"}),
        "beta": Location("beta", "FR", match={"cluster": "beta"}),
        "berlin": Location("berlin", "DE", match={"label": "de-1"}),
        "local": Location("local", "DE"),
    }

    assert ["de", "fr", "pl", "alpha", "local"] == list(here(locations, "alpha", federated=False))
    assert ["de", "fr", "pl", "alpha", "beta", "local"] == list(here(locations, "alpha", federated=True))


def test_two_locations_behind_one_word_are_a_fault_that_names_them() -> None:
    twins = {
        **BY_PARTITION,
        "lyon": replace(BY_PARTITION["fr"], name="lyon"),
        "paris": Location("paris", "FR", match={"feature": "fr"}),
    }

    (fault,) = faults_of(twins)
    assert "locations: found 'lyon and fr', accepted: a partition each, not both fr" == str(fault)
    assert [] == faults_of({**BY_PARTITION, "paris": twins["paris"]})
