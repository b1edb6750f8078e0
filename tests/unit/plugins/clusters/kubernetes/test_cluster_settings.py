"""The table of a Kubernetes cluster: read once and completely, every fault named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.locations import Location
from cleanhours_plugins.clusters.kubernetes.leading import lease_namespace
from cleanhours_plugins.clusters.kubernetes.settings import EVERYWHERE, read_settings
from cleanhours_plugins.clusters.tables import words_over

ZONE = "topology.kubernetes.io/zone"
PLACES = {
    "berlin": Location("berlin", "DE", match={"label": f"{ZONE}=de-1"}),
    "paris": Location("paris", "FR"),
    "desk": Location("desk", "DE", match={"partition": "desk"}),
}


def refusal(table: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(table, PLACES)
    return str(caught.value)


def test_nothing_but_the_type_is_enough() -> None:
    settings = read_settings({"type": "kubernetes"}, PLACES)
    assert {
        "berlin": (ZONE, "de-1"),
        "paris": ("topology.kubernetes.io/region", "paris"),
    } == settings.places.labels
    assert ("berlin", False, timedelta(minutes=2)) == (
        settings.places.default,
        settings.places.preferred,
        settings.queue_margin,
    )
    assert settings.admission is None


def test_all_is_read() -> None:
    table = {
        "type": "kubernetes",
        "name": "prod",
        "location": "paris",
        "placement": "preferred",
        "queue_margin": "5m",
        "watch_namespaces": ["a", "b", "a"],
        "kinds": ["jobs", "mpijobs"],
        "shadow": True,
        "qps": 5,
        "lease_namespace": "ops",
        "admission": {"mode": "webhook"},
        "namespaces": {"a": {"max-delay": "6h", "interruptible": True}},
    }
    settings = read_settings(table, PLACES)
    assert ("paris", True, ("a", "b"), True, 5.0, "ops") == (
        settings.places.default,
        settings.places.preferred,
        settings.namespaces,
        settings.shadow,
        settings.qps,
        settings.lease_namespace,
    )
    assert ["jobs", "mpijobs", "mpijobs"] == [kind.plural for kind in settings.kinds]
    assert {"max-delay": "6h", "interruptible": "true"} == settings.defaults["a"]
    assert {"mode": "webhook"} == settings.admission


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kube_config": "x"}, "unknown key 'kube_config'; did you mean 'kubeconfig'?"),
        ({"location": "desk"}, "location: found 'desk', accepted: berlin, paris"),
        ({"placement": "maybe"}, "placement: found 'maybe', accepted: required or preferred"),
        ({"queue_margin": "soon"}, "queue_margin: found 'soon'"),
        ({"qps": 0}, "qps: found 0, accepted: requests a second"),
        ({"burst": True}, "burst: found True"),
        ({"kinds": ["cronjobs"]}, "kinds: found ['cronjobs'], accepted: a list of jobs"),
        ({"watch_namespaces": "all"}, "watch_namespaces: found 'all', accepted: a list of namespaces"),
        ({"namespaces": {"a": {"max-delay": "x"}}}, "namespaces.a.max-delay: found 'x'"),
        ({"namespaces": ["a"]}, "a table of words per namespace"),
        ({"admission": "webhook"}, "admission: found 'webhook', accepted: a table"),
        ({"lease_namespace": "A B"}, "lease_namespace: found 'A B'"),
    ],
)
def test_a_fault_names_key_value_and_what_would_be_right(table: dict[str, Any], said: str) -> None:
    assert said in refusal({"type": "kubernetes", **table})


def test_all_faults_are_named_at_once() -> None:
    found = refusal({"type": "slurm", "qps": -1, "nope": 1})
    assert all(part in found for part in ("type: found 'slurm'", "qps: found -1", "unknown key 'nope'"))


def test_two_locations_behind_one_label_are_a_fault() -> None:
    twins = {**PLACES, "lyon": Location("lyon", "FR", match={"label": "paris"})}
    with pytest.raises(ConfigurationError, match="found 'lyon' and 'paris' with the label"):
        read_settings({"type": "kubernetes"}, twins)


def test_the_words_of_all_clusters_are_under_a_namespaces_own() -> None:
    usual = {"max-delay": "12h", "checkpoint": "5m", "locations": "desk, paris"}
    table = {"type": "kubernetes", "namespaces": {"a": {"deadline": "+2h"}, "b": {"checkpoint": "1m"}}}
    defaults = read_settings(table, PLACES, usual).defaults
    assert {"max-delay": "12h", "checkpoint": "5m", "locations": "paris"} == defaults[EVERYWHERE]
    assert {"deadline": "+2h", "checkpoint": "5m", "locations": "paris"} == defaults["a"]
    assert {"max-delay": "12h", "checkpoint": "1m", "locations": "paris"} == defaults["b"]


def test_usual_locations_that_are_all_elsewhere_offer_nothing_here() -> None:
    assert {} == read_settings({"type": "kubernetes"}, PLACES, {"locations": "desk"}).defaults[EVERYWHERE]


def test_a_word_about_time_takes_the_place_of_all_usual_ones() -> None:
    assert {"deadline": "+1h", "power": "1W"} == words_over(
        {"max-delay": "1h", "power": "1W"}, {"deadline": "+1h"}
    )
    assert {"max-delay": "1h", "power": "2W"} == words_over(
        {"max-delay": "1h", "power": "1W"}, {"power": "2W"}
    )


def test_the_lease_lies_where_it_is_told_else_with_the_pod_else_where_the_kubeconfig_points(
    tmp_path: Path,
) -> None:
    assert "told" == lease_namespace("told", "context", tmp_path)
    assert "context" == lease_namespace(None, "context", tmp_path)
    assert "default" == lease_namespace(None, "", tmp_path)
    (tmp_path / "namespace").write_text("pods-own\n", "utf-8")
    assert "pods-own" == lease_namespace(None, "context", tmp_path)
