"""Where Pods could run: the scheduler's hard rules, against one that tries every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.domain.locations import Location
from cleanhours_plugins.clusters.kubernetes.nodes import NodeRecord, read_node
from cleanhours_plugins.clusters.kubernetes.records import PodSet, pod_set_of
from cleanhours_plugins.clusters.kubernetes.siting import allowed_values, possible_locations, survey
from cleanhours_plugins.clusters.kubernetes.topology import REGION_LABEL, ZONE_LABEL, label_of

LOCATIONS = {name: Location(name, name.upper()) for name in ("de", "fr", "pl")}


def a_node(
    name: str,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    cpu: str = "8",
    ready: bool = True,
    cordoned: bool = False,
    gpus: str = "0",
) -> dict[str, Any]:
    region = name.partition("-")[0]
    return {
        "metadata": {
            "name": name,
            "labels": {REGION_LABEL: region, "kubernetes.io/hostname": f"host-{name}", **(labels or {})},
        },
        "spec": {"taints": list(taints), "unschedulable": cordoned},
        "status": {
            "allocatable": {"cpu": cpu, "memory": "32Gi", "nvidia.com/gpu": gpus},
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def pods(cpu: str = "1", count: int = 1, gpus: str = "0", **spec: Any) -> PodSet:
    container = {"resources": {"requests": {"cpu": cpu, "nvidia.com/gpu": gpus}}}
    return pod_set_of(("spec", "template"), count, {"spec": {"containers": [container], **spec}})


def required(*terms: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    }


def where(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def possible(*sets: PodSet, nodes: Sequence[Mapping[str, Any]], **options: Any) -> set[str]:
    read = [read_node(node) for node in nodes]
    return set(possible_locations(sets, read, LOCATIONS, REGION_LABEL, **options))


DE, FR = a_node("de-1"), a_node("fr-1", {"disk": "fast", "level": "7"})


def test_a_location_is_called_in_the_cluster_what_it_is_called_here_unless_told() -> None:
    assert (REGION_LABEL, "de") == label_of(LOCATIONS["de"], REGION_LABEL)
    assert (REGION_LABEL, "eu-1") == label_of(Location("de", "DE", match={"label": "eu-1"}), REGION_LABEL)
    assert ("site", "b") == label_of(Location("de", "DE", match={"label": "site=b"}), REGION_LABEL)


def test_a_location_without_nodes_is_possible() -> None:
    assert {"de", "fr", "pl"} == possible(pods(), nodes=[])
    assert {"de", "fr", "pl"} == possible(pods(), nodes=[DE, FR])


@pytest.mark.parametrize(
    ("spec", "there"),
    [
        ({"nodeSelector": {"disk": "fast"}}, {"fr"}),
        ({"nodeSelector": {"disk": "slow"}}, set()),
        ({"nodeSelector": {REGION_LABEL: "mars"}}, {"de", "fr"}),
        ({"affinity": required(where("disk", "In", "fast", "nvme"))}, {"fr"}),
        ({"affinity": required(where("disk", "NotIn", "fast"))}, {"de"}),
        ({"affinity": required(where("disk", "Exists"))}, {"fr"}),
        ({"affinity": required(where("disk", "DoesNotExist"))}, {"de"}),
        ({"affinity": required(where("level", "Gt", "6"))}, {"fr"}),
        ({"affinity": required(where("level", "Gt", "7"))}, set()),
        ({"affinity": required(where("level", "Lt", "8"))}, {"fr"}),
        ({"affinity": required(where("level", "Lt", "often"))}, set()),
        ({"affinity": required(where("disk", "Exists"), where(REGION_LABEL, "In", "de"))}, {"de", "fr"}),
        ({"affinity": required({"matchExpressions": [
            {"key": "disk", "operator": "Exists"}, {"key": REGION_LABEL, "operator": "In", "values": ["de"]}]})}, set()),
        ({"affinity": required({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["fr-1"]}]})}, {"fr"}),
        ({"affinity": required({})}, set()),
        ({"nodeSelector": {"kubernetes.io/hostname": "host-de-1"}}, {"de"}),
    ],
)  # fmt: skip
def test_selectors_and_affinity_narrow(spec: dict[str, Any], there: set[str]) -> None:
    assert there == possible(pods(**spec), nodes=[DE, FR]) - {"pl"}


def test_a_location_without_nodes_may_be_excluded_by_its_own_label() -> None:
    assert {"de"} == possible(pods(affinity=required(where(REGION_LABEL, "In", "de"))), nodes=[DE, FR])


@pytest.mark.parametrize(
    ("toleration", "comes"),
    [
        (None, False),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "no"}, False),
        ({"key": "gpu", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "yes", "effect": "NoExecute"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_a_taint_keeps_away_who_does_not_tolerate_it(toleration: dict[str, str] | None, comes: bool) -> None:
    tainted = a_node("de-1", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
    asked = pods(tolerations=[toleration] if toleration else [])
    assert comes == ("de" in possible(asked, nodes=[tainted]))


def test_a_taint_that_only_discourages_keeps_nobody_away() -> None:
    assert "de" in possible(
        pods(), nodes=[a_node("de-1", taints=[{"key": "k", "effect": "PreferNoSchedule"}])]
    )


def test_a_pod_must_fit_an_empty_node() -> None:
    assert {"fr", "pl"} == possible(pods(cpu="9"), nodes=[a_node("de-1"), a_node("fr-1", cpu="9")])
    assert {"fr", "pl"} == possible(pods(gpus="4"), nodes=[a_node("de-1"), a_node("fr-1", gpus="4")])


def test_nodes_that_are_cordoned_or_unready_are_none_to_run_on() -> None:
    assert {"pl"} == possible(pods(), nodes=[a_node("de-1", ready=False), a_node("fr-1", cordoned=True)])
    tolerant = pods(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert {"fr", "pl"} == possible(
        tolerant, nodes=[a_node("de-1", ready=False), a_node("fr-1", cordoned=True)]
    )


def test_every_set_of_pods_finds_its_own_node() -> None:
    nodes = [a_node("de-1"), a_node("de-2", gpus="8"), a_node("fr-1")]
    assert {"de", "pl"} == possible(pods(), pods(gpus="8"), nodes=nodes)
    assert {"de", "fr", "pl"} == possible(pods(), pods(gpus="8", count=0), nodes=nodes)


ZONAL = {"nodeSelectorTerms": [where(ZONE_LABEL, "In", "de-a")]}


def test_a_zonal_volume_ties_to_the_region_that_its_zone_lies_in() -> None:
    claimed = pods(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    nodes = [a_node("de-1", {ZONE_LABEL: "de-a"}), a_node("fr-1", {ZONE_LABEL: "fr-a"})]
    assert {"de"} == possible(claimed, nodes=nodes, volumes={"data": ZONAL})
    assert {"de", "fr", "pl"} == possible(claimed, nodes=nodes, volumes={"other": ZONAL})


def test_a_volume_whose_zone_has_no_nodes_now_may_lie_in_any_location_without() -> None:
    estate = survey([read_node(FR)], {name: (REGION_LABEL, name) for name in LOCATIONS})
    assert frozenset({"de", "pl"}) == estate.tied({"data": ZONAL})
    assert estate.tied({}) is None


def test_a_volume_says_which_values_it_allows() -> None:
    assert frozenset({"de-a"}) == allowed_values(ZONAL, ZONE_LABEL)
    assert allowed_values(ZONAL, REGION_LABEL) is None


# -- against one that tries everything ------------------------------------------------------------------------------

KEYS, VALUES = ["a", "b", REGION_LABEL], ["1", "2", "de", "fr"]
expressions = st.builds(
    lambda key, operator, values: {"key": key, "operator": operator, "values": values},
    st.sampled_from(KEYS),
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
    st.lists(st.sampled_from(VALUES), min_size=1, max_size=2),
)
terms = st.builds(lambda rows: {"matchExpressions": rows}, st.lists(expressions, max_size=2))
taints = st.builds(
    lambda key, effect: {"key": key, "value": "v", "effect": effect},
    st.sampled_from(["t", "u"]),
    st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
)
nodes_made = st.lists(
    st.builds(
        lambda region, labels, marks, cpu, ready: (region, labels, marks, cpu, ready),
        st.sampled_from(["de", "fr"]),
        st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"])),
        st.lists(taints, max_size=1),
        st.sampled_from(["1", "2", "4"]),
        st.booleans(),
    ),
    max_size=4,
)


@given(
    nodes_made,
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=1),
    st.none() | st.lists(terms, min_size=1, max_size=2),
    st.lists(st.sampled_from(["t", "u", ""]), max_size=1),
    st.sampled_from(["1", "2", "3"]),
)
def test_it_is_where_somebody_who_tries_every_node_finds_one(
    made: list[Any],
    selector: dict[str, str],
    affinity: list[dict[str, Any]] | None,
    tolerated: list[str],
    cpu: str,
) -> None:
    nodes = [
        a_node(f"{region}-{number}", labels, marks, size, ready)
        for number, (region, labels, marks, size, ready) in enumerate(made)
    ]
    spec: dict[str, Any] = {
        "nodeSelector": selector,
        "tolerations": [{"key": key, "operator": "Exists"} for key in tolerated],
    }
    if affinity is not None:
        spec["affinity"] = required(*affinity)
    there = {node["metadata"]["labels"][REGION_LABEL] for node in nodes}
    wanted = {
        node["metadata"]["labels"][REGION_LABEL]
        for node in nodes
        if takes(node, selector, affinity, tolerated, cpu)
    }
    assert wanted == possible(pods(cpu=cpu, **spec), nodes=nodes) & there


def takes(
    node: Mapping[str, Any],
    selector: Mapping[str, str],
    affinity: list[dict[str, Any]] | None,
    tolerated: list[str],
    cpu: str,
) -> bool:
    """Said again, naively: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/"""
    labels = node["metadata"]["labels"]

    def one(row: Mapping[str, Any]) -> bool:
        has, value, values = row["key"] in labels, labels.get(row["key"]), row["values"]
        match row["operator"]:
            case "In":
                return has and value in values
            case "NotIn":
                return not (has and value in values)
            case "Exists":
                return has
            case "DoesNotExist":
                return not has
        if not has or len(values) != 1 or not (value.isdigit() and values[0].isdigit()):
            return False
        return int(value) > int(values[0]) if row["operator"] == "Gt" else int(value) < int(values[0])

    return (
        node["status"]["conditions"][0]["status"] == "True"
        and int(node["status"]["allocatable"]["cpu"]) >= int(cpu)
        and all(labels.get(key) == value for key, value in selector.items() if key != REGION_LABEL)
        and (
            affinity is None
            or any(
                term["matchExpressions"] and all(one(row) for row in term["matchExpressions"])
                for term in affinity
            )
        )
        and all(
            "" in tolerated or taint["key"] in tolerated
            for taint in node["spec"]["taints"]
            if taint["effect"] != "PreferNoSchedule"
        )
    )


def test_nodes_of_one_pool_share_what_they_have_in_common() -> None:
    first, second = (read_node(a_node(f"de-{number}")) for number in (1, 2))
    assert first.pool is second.pool
    assert ("host-de-1", "host-de-2") == (
        first.label("kubernetes.io/hostname"),
        second.label("kubernetes.io/hostname"),
    )
    assert isinstance(first, NodeRecord)
