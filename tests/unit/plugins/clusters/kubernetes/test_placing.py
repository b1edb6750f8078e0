"""Where an object may run, where it would run unmodified, and the patch that puts it elsewhere."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

import pytest

from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.kinds.jobsets import JOB_SET
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD
from cleanhours_plugins.clusters.kubernetes.placing import (
    bound_to,
    difference,
    home_of,
    original_pods,
    placed_at,
    placement,
    write_original,
    written,
)
from cleanhours_plugins.clusters.kubernetes.reading import read
from tests.unit.plugins.clusters.kubernetes.made import (
    LOOSE,
    PLACES,
    REGION,
    a_job,
    merged_into,
    record_of,
)

ZONE = "topology.kubernetes.io/zone"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def requiring(*terms: dict[str, list[str]], operator: str = "In") -> dict[str, Any]:
    """Node affinity whose terms name labels and values."""
    return {
        "nodeAffinity": {
            REQUIRED: {
                "nodeSelectorTerms": [
                    {
                        "matchExpressions": [
                            {"key": key, "operator": operator, "values": values}
                            for key, values in term.items()
                        ]
                    }
                    for term in terms
                ]
            }
        }
    }


def placed(obj: dict[str, Any], to: str, places: Any = PLACES, among: tuple[str, ...] = ("de", "fr")) -> Any:
    """The Pod spec of a Job that was moved."""
    record = record_of(obj)
    whole = merged_into(obj, written(record, placement(record, places, to, among)))
    return whole["spec"]["template"]["spec"]


# -- home -----------------------------------------------------------------------------------------------------------


def test_home_is_where_the_node_selector_says_whatever_is_offered() -> None:
    record = record_of(a_job(nodeSelector={REGION: "pl"}))
    assert "pl" == home_of(record, PLACES, ("fr", "de"), None)


def test_home_is_where_required_affinity_binds_it() -> None:
    record = record_of(a_job(affinity=requiring({REGION: ["fr"]})))
    assert "fr" == home_of(record, PLACES, ("de",), None)


def test_of_several_bound_locations_home_is_the_first_configured() -> None:
    record = record_of(a_job(affinity=requiring({REGION: ["pl", "fr"]})))
    assert "fr" == home_of(record, PLACES, ("pl",), None)


def test_home_is_else_the_first_offered_else_the_default() -> None:
    record = record_of(a_job())
    assert "pl" == home_of(record, PLACES, ("pl", "fr"), None)
    assert "de" == home_of(record, PLACES, (), None)


def test_home_follows_a_zonal_volume() -> None:
    assert "fr" == home_of(record_of(a_job()), PLACES, ("pl", "de"), frozenset({"fr"}))


def test_a_placement_that_is_nowhere_here_leaves_the_default() -> None:
    assert "de" == home_of(record_of(a_job(nodeSelector={REGION: "mars"})), PLACES, (), None)


def test_home_stays_what_it_was_when_we_moved_the_job() -> None:
    before = record_of(a_job(nodeSelector={REGION: "pl"}))
    moved = a_job(
        nodeSelector={REGION: "fr"}, annotations={words.ORIGINAL: json.dumps(write_original(before))}
    )
    assert "pl" == home_of(record_of(moved), PLACES, ("fr",), None)
    assert "fr" == placed_at(record_of(moved), PLACES)


# -- what is allowed ------------------------------------------------------------------------------------------------


def test_a_selector_gives_way_where_its_owner_offers_others() -> None:
    record = record_of(a_job(nodeSelector={REGION: "pl"}))
    assert ("de", "fr", "pl") == bound_to(record, PLACES, offered=True)
    assert ("pl",) == bound_to(record, PLACES, offered=False)


@pytest.mark.parametrize(
    ("affinity", "expected"),
    [
        (requiring({REGION: ["fr", "pl"]}), ("fr", "pl")),
        (requiring({REGION: ["fr"]}, {REGION: ["de"]}), ("de", "fr")),
        (requiring({REGION: ["fr"]}, operator="NotIn"), ("de", "pl")),
        (requiring({REGION: []}, operator="DoesNotExist"), ()),
        (requiring({REGION: []}, operator="Exists"), ("de", "fr", "pl")),
        (requiring({ZONE: ["fr-1"]}), ("de", "fr", "pl")),
    ],
)
def test_required_affinity_never_gives_way(affinity: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert expected == bound_to(record_of(a_job(affinity=affinity)), PLACES, offered=True)


def test_nothing_can_be_taken_from_a_pod() -> None:
    pod = a_job(meta={"name": "train"})
    pod["spec"] = {
        "containers": [],
        "nodeSelector": {REGION: "pl"},
        "schedulingGates": [{"name": words.GATE}],
    }
    assert ("pl",) == bound_to(record_of(pod, POD), PLACES, offered=True)


# -- the patch ------------------------------------------------------------------------------------------------------


def test_a_job_is_bound_by_its_node_selector_and_keeps_the_rest_of_it() -> None:
    spec = placed(a_job(nodeSelector={"disk": "ssd", REGION: "pl"}), "fr")
    assert {"disk": "ssd", REGION: "fr"} == spec["nodeSelector"]


def test_where_it_is_already_nothing_changes() -> None:
    record = record_of(a_job(nodeSelector={REGION: "fr"}))
    assert {} == placement(record, PLACES, "fr", ("de", "fr"))


def test_it_is_drawn_to_several_locations_in_order_and_bound_to_them_together() -> None:
    spec = placed(a_job(nodeSelector={"disk": "ssd", REGION: "de"}), "pl", LOOSE, ("de", "fr", "pl"))
    assert {"disk": "ssd"} == spec["nodeSelector"]
    affinity = spec["affinity"]["nodeAffinity"]
    bound = {"key": REGION, "operator": "In", "values": ["de", "fr", "pl"]}
    assert {"nodeSelectorTerms": [{"matchExpressions": [bound]}]} == affinity[REQUIRED]
    assert [(100, ["pl"]), (67, ["de"]), (34, ["fr"])] == [
        (one["weight"], one["preference"]["matchExpressions"][0]["values"]) for one in affinity[PREFERRED]
    ]


def test_terms_are_ored_so_each_of_them_is_bound() -> None:
    obj = a_job(affinity=requiring({"gpu": ["a100"]}, {"gpu": ["h100"]}))
    terms = placed(obj, "fr", LOOSE)["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert [["gpu", REGION], ["gpu", REGION]] == [
        [one["key"] for one in term["matchExpressions"]] for term in terms
    ]


def test_where_it_was_drawn_to_is_read_back() -> None:
    obj = a_job()
    record = record_of(obj)
    moved = merged_into(obj, written(record, placement(record, LOOSE, "fr", ("de", "fr"))))
    moved["metadata"]["annotations"][words.ORIGINAL] = json.dumps(write_original(record))
    assert "fr" == placed_at(record_of(moved), LOOSE)


def test_a_second_move_starts_from_the_owners_placement() -> None:
    obj = a_job(nodeSelector={"disk": "ssd", REGION: "pl"}, affinity=requiring({"gpu": ["a100"]}))
    record = record_of(obj)
    moved = merged_into(obj, written(record, placement(record, LOOSE, "fr", ("de", "fr"))))
    moved["metadata"]["annotations"][words.ORIGINAL] = json.dumps(write_original(record))
    assert list(map(astuple, original_pods(record))) == list(map(astuple, original_pods(record_of(moved))))
    back = placed(moved, "pl", PLACES)
    assert {"disk": "ssd", REGION: "pl"} == back["nodeSelector"]
    assert requiring({"gpu": ["a100"]}) == back["affinity"]


def test_kueue_is_shown_a_toleration_that_names_the_place() -> None:
    obj = a_job(
        tolerations=[{"key": "dedicated", "operator": "Exists"}], meta={"labels": {words.KUEUE_QUEUE: "q"}}
    )
    own, marker = placed(obj, "fr")["tolerations"]
    assert {"key": "dedicated", "operator": "Exists"} == own
    assert ("fr", "NoSchedule") == (marker["value"], marker["effect"])
    assert words.PLACEMENT == marker["key"]


def test_templates_in_a_list_are_changed_in_the_whole_list() -> None:
    template = {"spec": {"containers": [{"name": "c"}], "nodeSelector": {"disk": "ssd"}}}
    obj = a_job()
    obj["spec"] = {
        "suspend": True,
        "replicatedJobs": [
            {"name": name, "replicas": 1, "template": {"spec": {"template": template}}} for name in ("a", "b")
        ],
    }
    record = read(JOB_SET, obj)
    assert record is not None
    patch = written(record, placement(record, PLACES, "fr", ("de", "fr")), obj)
    assert patch is not None
    whole = merged_into(obj, patch)
    for job in whole["spec"]["replicatedJobs"]:
        assert {"disk": "ssd", REGION: "fr"} == job["template"]["spec"]["template"]["spec"]["nodeSelector"]
    with pytest.raises(ValueError, match="whole object"):
        written(record, placement(record, PLACES, "fr", ("de", "fr")))


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {}, {"a": None}),
        ({}, {"a": 1}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
    ],
)
def test_a_difference_is_the_patch_from_one_to_the_other(old: Any, new: Any, patch: Any) -> None:
    assert patch == difference(old, new)
    assert new == merged_into(old, patch)
