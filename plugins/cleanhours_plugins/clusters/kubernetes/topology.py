"""Topology: by which node label a location is known in a cluster. One reading for placing, capacity and volumes."""

from __future__ import annotations

from typing import Final

from cleanhours.domain.locations import Location

REGION_LABEL: Final = "topology.kubernetes.io/region"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"


def label_of(location: Location, topology_label: str) -> tuple[str, str]:
    """The label that its nodes wear, key and value: `match.label` is `key=value`, or a value of the cluster's own key.

    A location without such a word is called in the cluster what it is called here.
    """
    told = location.match.get("label", "") or location.name
    key, equals, value = told.partition("=")
    return (key.strip(), value.strip()) if equals else (topology_label, told.strip())
