"""Siting: which nodes make up a location, and at which locations a job's Pods could run at all. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cleanhours.domain.locations import Location
from cleanhours_plugins.clusters.kubernetes.nodes import HOSTNAME, NodeRecord
from cleanhours_plugins.clusters.kubernetes.records import PodSet
from cleanhours_plugins.clusters.kubernetes.suiting import (
    Selector,
    asks_for_one_node,
    holds,
    matches,
    suits,
)
from cleanhours_plugins.clusters.kubernetes.topology import label_of

_REMEMBERED: Final = 10_000
_NO_VOLUMES: Final[Mapping[str, Selector]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Estate:
    """The nodes of a cluster, by location. Made anew when a node changes; answers about places are remembered in it."""

    labels: Mapping[str, tuple[str, str]]
    """By which node label, key and value, each location is known."""
    nodes: Mapping[str, Sequence[NodeRecord]]
    """All that wear the location's label, usable or not; empty where there is none now."""
    counted: Mapping[str, tuple[str, ...]]
    """The locations of each node that is room for jobs, by the node's name (a zone lies in a region)."""
    examples: Mapping[str, Sequence[NodeRecord]]
    """One node of each pool, for questions to which the others give the same answer."""
    _answers: dict[tuple[int, ...], tuple[object, frozenset[str]]] = field(default_factory=dict)

    def possible(
        self, pod_sets: Sequence[PodSet], volumes: Mapping[str, Selector] = _NO_VOLUMES
    ) -> frozenset[str]:
        """`possible_locations` of these nodes, remembered. Equal questions made of the same values are asked once."""
        used = [volumes[claim] for pods in pod_sets for claim in pods.claims if claim in volumes]
        key = (*map(id, pod_sets), *map(id, used))
        known = self._answers.get(key)
        if known is None:
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            answer = frozenset(name for name in self.labels if self._could(name, pod_sets, volumes))
            # what was asked is kept beside the answer: an id is a name only while its bearer lives
            known = self._answers[key] = ((tuple(pod_sets), used), answer)
        return known[1]

    def tied(self, volumes: Mapping[str, Selector]) -> frozenset[str] | None:
        """The locations that volumes alone leave, by claim as for `possible`; None where they leave all."""
        if not volumes:
            return None
        return frozenset(
            name for name in self.labels if all(self._lies_in(one, name) for one in volumes.values())
        )

    def _lies_in(self, volume: Selector, name: str) -> bool:
        if self.nodes[name]:
            return any(matches(volume, node) for node in self.nodes[name])
        return self._could_come_to((volume,), *self.labels[name])

    def _could(self, name: str, pod_sets: Sequence[PodSet], volumes: Mapping[str, Selector]) -> bool:
        keys = {key for key, _ in self.labels.values()}
        for pods in pod_sets:
            bound = tuple(volumes[claim] for claim in pods.claims if claim in volumes)
            if not pods.count:
                continue
            if not self.nodes[name]:
                if not self._could_come(pods, bound, *self.labels[name]):
                    return False
                continue
            asked = (self.nodes if asks_for_one_node(pods, *bound) else self.examples)[name]
            if not any(
                suits(pods, node, besides=keys) and all(matches(one, node) for one in bound) for node in asked
            ):
                return False
        return True

    def _could_come(self, pods: PodSet, bound: Sequence[Selector], key: str, value: str) -> bool:
        """Of a location without nodes we know its label only. Data that a node elsewhere can reach lies there."""
        required = (pods.affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
        if required is not None and _excludes(required, key, value):
            return False
        return self._could_come_to(bound, key, value)

    def _could_come_to(self, bound: Sequence[Selector], key: str, value: str) -> bool:
        if any(_excludes(one, key, value) for one in bound):
            return False
        everywhere = [node for nodes in self.nodes.values() for node in nodes]
        return not any(matches(one, node) for one in bound for node in everywhere)


def survey(nodes: Iterable[NodeRecord], labels: Mapping[str, tuple[str, str]]) -> Estate:
    """Sorts nodes into locations; `labels` are the locations', key and value by name (`Places.labels`)."""
    lying: dict[str, list[NodeRecord]] = {name: [] for name in labels}
    counted: dict[str, tuple[str, ...]] = {}
    examples: dict[str, dict[int, NodeRecord]] = {name: {} for name in labels}
    here: dict[int, tuple[str, ...]] = {}
    by_host = any(key == HOSTNAME for key, _ in labels.values())
    for node in nodes:
        pool = id(node.pool)
        names = None if by_host else here.get(pool)
        if names is None:
            names = here[pool] = tuple(
                name for name, (key, value) in labels.items() if node.label(key) == value
            )
        for name in names:
            lying[name].append(node)
            examples[name].setdefault(pool, node)
        if names and node.pool.counted:
            counted[node.name] = names
    return Estate(
        labels=labels,
        nodes=lying,
        counted=counted,
        examples={name: tuple(pools.values()) for name, pools in examples.items()},
    )


def possible_locations(
    pod_sets: Sequence[PodSet],
    nodes: Iterable[NodeRecord],
    locations: Mapping[str, Location],
    topology_label: str,
    volumes: Mapping[str, Selector] = _NO_VOLUMES,
) -> frozenset[str]:
    """The locations where every Pod set finds a node that could take one of its Pods, were it empty.

    nodeSelector entries of the locations' own labels do not count: placing overwrites them. `volumes` are the
    required node affinities of the PersistentVolumes behind claims, by claim. A location without nodes is possible
    (autoscalers start at none) unless its own label is excluded, or a volume is known to lie elsewhere.
    """
    labels = {name: label_of(location, topology_label) for name, location in locations.items()}
    return survey(nodes, labels).possible(pod_sets, volumes)


def allowed_values(selector: Selector, key: str) -> frozenset[str] | None:
    """The values of a label that a selector names in each of its terms (a zonal volume: its zones); None: any."""
    allowed: set[str] = set()
    for term in selector.get("nodeSelectorTerms") or ():
        named = [
            frozenset(one.get("values") or ())
            for one in term.get("matchExpressions") or ()
            if one["key"] == key and one.get("operator") == "In"
        ]
        if not named:
            return None
        allowed |= frozenset.intersection(*named)
    return frozenset(allowed)


def _excludes(selector: Selector, key: str, value: str) -> bool:
    """Whether no term can hold where `key` has that value, whatever the other labels are."""
    return all(
        any(one["key"] == key and not holds(one, value) for one in term.get("matchExpressions") or ())
        for term in selector.get("nodeSelectorTerms") or ()
    )
