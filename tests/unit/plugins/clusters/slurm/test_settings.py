"""The table of a Slurm cluster: read once and completely, every fault named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.locations import Location
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings, read_settings
from tests.unit.plugins.clusters.slurm.made import BY_PARTITION

ELSEWHERE = Location("berlin", "DE", match={"label": "de-1"})


def read(**table: Any) -> SlurmSettings:
    return read_settings(table, BY_PARTITION)


def refusal(**table: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(**table)
    return str(caught.value)


def test_nothing_but_the_type_is_enough() -> None:
    found = read(type="slurm")

    assert SlurmSettings(places=found.places) == found
    assert ("slurm", "de", ["de", "fr", "pl"]) == (
        found.name,
        found.places.home,
        list(found.places.locations),
    )
    assert (False, timedelta(seconds=30), timedelta(minutes=2)) == (
        found.everybody,
        found.poll,
        found.queue_margin,
    )
    assert ("", True, None) == (found.warning, found.accounting, found.publish)


def test_all_is_read() -> None:
    found = read(
        type="slurm", name="prod", slurm_conf="~/slurm.conf", cluster="alpha", federation=True, location="fr", users="all",
        poll="1m", queue_margin="5m", changes_per_tick=50, maximum_pauses=3, warning="USR1", warning_time="2m",
        accounting="none", publish="/var/lib/cleanhours/slurm-plan",
        partitions={"gpu": {"max-delay": "6h", "interruptible": True, "locations": ["de", "fr"]}},
        qos={"urgent": {"deadline": "+1h"}},
    )  # fmt: skip

    assert ("prod", Path.home() / "slurm.conf", "alpha", True, "fr", True) == (
        found.name, found.slurm_conf, found.cluster, found.places.federated, found.places.home, found.everybody,
    )  # fmt: skip
    assert (timedelta(minutes=1), timedelta(minutes=5), 50, 3) == (
        found.poll, found.queue_margin, found.changes_per_tick, found.maximum_pauses,
    )  # fmt: skip
    assert ("USR1", timedelta(minutes=2), False, Path("/var/lib/cleanhours/slurm-plan")) == (
        found.warning, found.warning_time, found.accounting, found.publish,
    )  # fmt: skip
    assert {"max-delay": "6h", "interruptible": "true", "locations": "de,fr"} == found.by_partition["gpu"]
    assert {"deadline": "+1h"} == found.by_qos["urgent"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"pol": "30s"}, "unknown key 'pol'; did you mean 'poll'?"),
        ({"type": "kubernetes"}, "type: found 'kubernetes', accepted: 'slurm'"),
        ({"name": "a b"}, "name: found 'a b', accepted: 1 to 63 letters, digits, dots, dashes or underscores"),
        ({"name": 7}, "name: found 7"),
        ({"slurm_conf": ""}, "slurm_conf: found '', accepted: a text"),
        ({"cluster": "-M"}, "cluster: found '-M'"),
        ({"federation": "yes"}, "federation: found 'yes', accepted: true or false"),
        ({"location": "mars"}, "location: found 'mars', accepted: de, fr, pl"),
        ({"location": ["de"]}, "location: found ['de'], accepted: a text"),
        ({"users": "everybody"}, "users: found 'everybody', accepted: me or all"),
        ({"users": ["me"]}, "users: found ['me'], accepted: me or all"),
        ({"accounting": True}, "accounting: found True, accepted: auto (sacct, where Slurm has it) or none"),
        ({"accounting": {}}, "accounting: found {}"),
        ({"poll": "0s"}, "poll: found '0s', accepted: 1s or more"),
        ({"poll": 30}, "poll: found 30, accepted: a number with a unit"),
        ({"queue_margin": "-1m"}, "queue_margin: found '-1m'"),
        ({"changes_per_tick": 0}, "changes_per_tick: found 0, accepted: a whole number, 1 to 100000"),
        ({"changes_per_tick": True}, "changes_per_tick: found True"),
        ({"maximum_pauses": 1.5}, "maximum_pauses: found 1.5"),
        ({"warning": "usr1"}, "warning: found 'usr1', accepted: the name of a signal, such as USR1"),
        ({"warning": "USR1;rm"}, "warning: found 'USR1;rm'"),
        ({"warning_time": "soon"}, "warning_time: found 'soon'"),
        ({"publish": False}, "publish: found False, accepted: a text"),
        ({"partitions": ["gpu"]}, "partitions: found ['gpu'], accepted: a table of words per name"),
        ({"partitions": {"gpu": "6h"}}, "a table of words per name"),
        ({"partitions": {"gpu": {"max-delay": "soon"}}}, "partitions.gpu.max-delay: found 'soon'"),
        ({"partitions": {"gpu": {"locations": "mars"}}}, "partitions.gpu.locations: found 'mars'"),
        ({"qos": {"low": {"dedline": "+1h"}}}, "qos.low.dedline: found '+1h', accepted: did you mean 'deadline'?"),
    ],
)  # fmt: skip
def test_a_fault_names_key_value_and_what_would_be_right(table: dict[str, Any], said: str) -> None:
    found = refusal(**table)

    assert found.startswith("cluster of type slurm: ")
    assert said in found


def test_all_faults_are_named_at_once() -> None:
    found = refusal(pol="1s", users=7, location="mars", qos={"low": {"power": "6"}})

    assert all(part in found for part in ("'pol'", "users: found 7", "'mars'", "qos.low.power: found '6'"))


@pytest.mark.parametrize("signal", ["USR1", "SIGUSR2", "TERM", "RTMIN1", "10"])
def test_a_signal_has_a_name_or_a_number(signal: str) -> None:
    assert signal == read(warning=signal).warning


def test_two_locations_behind_one_partition_are_a_fault() -> None:
    twins = {**BY_PARTITION, "lyon": Location("lyon", "FR", match={"partition": "fr"})}

    with pytest.raises(
        ConfigurationError, match="locations: found 'lyon and fr', accepted: a partition each"
    ):
        read_settings({}, twins)


def test_of_the_locations_of_all_clusters_those_count_that_are_here() -> None:
    beta = Location("beta", "FR", match={"cluster": "beta"})
    locations = {"berlin": ELSEWHERE, "beta": beta, **BY_PARTITION}

    assert ["de", "fr", "pl"] == list(read_settings({"cluster": "alpha"}, locations).places.locations)
    assert ["beta", "de", "fr", "pl"] == list(read_settings({"cluster": "beta"}, locations).places.locations)
    assert ["beta", "de", "fr", "pl"] == list(read_settings({"name": "beta"}, locations).places.locations)
    assert "beta" == read_settings({"federation": True}, locations).places.home


def test_a_cluster_without_any_location_is_a_fault() -> None:
    with pytest.raises(ConfigurationError, match="location: found '', accepted: none is configured"):
        read_settings({}, {"berlin": ELSEWHERE})


def test_the_words_of_all_clusters_are_under_those_of_a_partition_and_these_under_a_qos_s() -> None:
    usual = {"max-delay": "12h", "checkpoint": "5m", "locations": "berlin, fr"}
    table = {
        "partitions": {"gpu": {"checkpoint": "1m", "interruptible": True}},
        "qos": {"urgent": {"deadline": "+2h"}},
    }
    found = read_settings(table, {"berlin": ELSEWHERE, **BY_PARTITION}, usual)

    assert {"max-delay": "12h", "checkpoint": "5m", "locations": "fr"} == found.usual_words("any", "normal")
    assert {"max-delay": "12h", "checkpoint": "1m", "interruptible": "true", "locations": "fr"} == (
        found.usual_words("gpu", "normal")
    )
    assert {"deadline": "+2h", "checkpoint": "1m", "interruptible": "true", "locations": "fr"} == (
        found.usual_words("gpu", "urgent")
    )


def test_usual_locations_that_are_all_elsewhere_offer_nothing_here() -> None:
    found = read_settings({}, {"berlin": ELSEWHERE, **BY_PARTITION}, {"locations": "berlin"})

    assert {} == found.words
