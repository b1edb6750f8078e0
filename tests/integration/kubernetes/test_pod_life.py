"""The life of a bare Pod under a real controller: gated, explained, let go once at its place, finished and accounted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.product import CLEAN, CLEANER, DIRTY, Product, a_product, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = pytest.mark.integration

DIRTY_S = 30
OTHERS = "example.org/quota"
"""Somebody else's gate."""


@pytest.fixture
def product(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Product]:
    with a_product(control_plane, namespace, tmp_path) as product:
        yield product


def apply_pod(product: Product, name: str, wishes: dict[str, str], *gates: str) -> None:
    """A Pod as admission leaves it. It is owned by a ConfigMap: a pretended Pod without an owner runs for ever."""
    plane, namespace = product.owner.plane, product.owner.namespace
    plane.kubectl("create", "configmap", name, "-n", namespace)
    owner = {
        "apiVersion": "v1", "kind": "ConfigMap", "name": name,
        "uid": product.object(name, "configmap")["metadata"]["uid"],
    }  # fmt: skip
    annotations = {words.PREFIX + word: text for word, text in wishes.items()}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "ownerReferences": [owner],
            "annotations": {**annotations, words.STATE: words.Mark.HELD, "test/run-for": "4s"},
        },
        "spec": {
            "restartPolicy": "Never",
            "schedulingGates": [{"name": gate} for gate in (words.GATE, *gates)],
            "containers": [{"name": "c", "image": "none", "resources": {"requests": {"cpu": "1"}}}],
        },
    }
    plane.kubectl("create", "-f", "-", input=json.dumps(pod))


def gates(pod: dict[str, Any]) -> list[str]:
    return [gate["name"] for gate in pod["spec"].get("schedulingGates") or ()]


def test_a_gated_pod_runs_once_in_its_planned_place_and_is_accounted(product: Product) -> None:
    wishes = {"max-delay": "3m", "duration": "4s", "locations": "de,fr", "interruptible": "true"}
    apply_pod(product, "lone", wishes)
    begun = write_grid(
        product.folder / "grid.csv",
        DE=[DIRTY] * DIRTY_S + [CLEAN] * 20 + [DIRTY],
        FR=[DIRTY] * DIRTY_S + [CLEANER] * 20 + [DIRTY],
    )
    running = product.start()
    plan = product.planned("lone", "pod")
    assert ("fr", begun + timedelta(seconds=DIRTY_S), 1) == (plan.location, plan.start, len(plan.segments))
    assert ("Normal", plan.sentence) == product.told("lone", "Planned")
    assert [words.GATE] == gates(product.object("lone", "pod"))

    wait(lambda: product.object("lone", "pod")["status"]["phase"] == "Succeeded")
    pod = product.object("lone", "pod")
    assert "fr-1" == pod["spec"]["nodeName"]
    assert timedelta(0) <= parse_instant(pod["status"]["startTime"]) - plan.start <= timedelta(seconds=2)
    assert 0 == running.leave()
    row = product.settle()["lone"]
    assert ("succeeded", "de", "fr") == (row["state"], row["home"], row["location"])


def test_somebody_elses_gate_is_left_to_him(product: Product) -> None:
    write_grid(product.folder / "grid.csv", DE=[CLEAN], FR=[DIRTY])
    apply_pod(product, "shared", {"max-delay": "3m", "duration": "4s"}, OTHERS)
    product.start()
    wait(lambda: gates(product.object("shared", "pod")) == [OTHERS])
    assert "nodeName" not in product.object("shared", "pod")["spec"]
