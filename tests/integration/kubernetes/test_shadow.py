"""Shadow: plans are made and their savings exported, and no object is touched, by flag and by namespace."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.product import CLEAN, DIRTY, Product, Running, a_product, write_grid
from tests.integration.kubernetes.worlds import World, wait

pytestmark = pytest.mark.integration

USUAL = {"max-delay": "3m", "duration": "4s", "power": "1000W"}
THEIRS = ("kube", "kwok")
"""How those are called who may write: the servers, kubectl, the pretended nodes."""


@pytest.fixture
def watched(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace whose label asks for a look, and nothing else."""
    name = f"shadow-{secrets.token_hex(4)}"
    meta = {"name": name, "labels": {words.ENABLED: "shadow"}}
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    control_plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false", check=False)


@pytest.fixture
def product(control_plane: ControlPlane, namespace: str, watched: str, tmp_path: Path) -> Iterator[Product]:
    with a_product(control_plane, namespace, tmp_path, also=[watched]) as product:
        soon_clean(product)
        yield product


def soon_clean(product: Product) -> None:
    """Dirt now, clean seconds in a minute: what waited would save nine tenths."""
    write_grid(product.folder / "grid.csv", DE=[DIRTY] * 60 + [CLEAN] * 60 + [DIRTY], FR=[DIRTY])


def writers(owner: World, kinds: str = "jobs,events") -> set[str]:
    """Who wrote such objects of a namespace, by the field managers that the server noted."""
    found: list[dict[str, Any]] = owner.plane.get(kinds, "-n", owner.namespace, "--show-managed-fields")[
        "items"
    ]
    return {entry["manager"] for one in found for entry in one["metadata"].get("managedFields") or ()}


def shadows(running: Running, namespace: str) -> tuple[float, float]:
    """What the plans would emit, and what running at once does, in grams."""
    labels = {"cluster": "k8s", "namespace": namespace}
    return (
        running.metric("cleanhours_shadow_emissions_grams_total", **labels),
        running.metric("cleanhours_shadow_baseline_grams_total", **labels),
    )


@pytest.mark.parametrize(
    ("flags", "more"), [(("--shadow",), ""), ((), "shadow = true")], ids=["flag", "setting"]
)
def test_a_controller_in_shadow_touches_no_job_and_says_what_it_would_save(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, flags: tuple[str, ...], more: str
) -> None:
    with a_product(control_plane, namespace, tmp_path, more=more) as product:
        owner = product.owner
        soon_clean(product)
        owner.apply("held", "4s", USUAL)
        wait(lambda: bool(owner.object("held")["status"].get("conditions")))
        before = owner.object("held")["metadata"]["resourceVersion"]
        running = product.start(*flags)
        owner.apply("runs", "4s", USUAL, mark=None, suspend=False)
        product.finished("runs")
        wait(lambda: saves(shadows(running, namespace)))
        assert before == owner.object("held")["metadata"]["resourceVersion"]
        assert not set(words.WRITTEN_BACK) & set(owner.annotations("runs"))
        assert all(name.startswith(THEIRS) for name in writers(owner, "jobs")), writers(owner)
        assert flags or all(name.startswith(THEIRS) for name in writers(owner)), writers(owner)


def saves(grams: tuple[float, float]) -> bool:
    return 0 < 5 * grams[0] < grams[1]


def test_a_namespace_in_shadow_is_planned_and_not_touched_beside_one_that_is_managed(
    product: Product, watched: str
) -> None:
    aside = World(product.owner.plane, watched, product.owner.context, product.owner.cluster)
    running = product.start()
    aside.apply("runs", "4s", USUAL, mark=None, suspend=False)
    aside.apply("held", "4s", USUAL)
    product.owner.apply("held", "4s", USUAL)
    assert "Normal" == product.told("held", "Planned")[0]
    wait(lambda: saves(shadows(running, watched)))
    assert (0.0, 0.0) == shadows(running, product.owner.namespace)
    assert aside.object("held")["spec"]["suspend"]
    assert all(name.startswith(THEIRS) for name in writers(aside)), writers(aside)
    assert not all(name.startswith(THEIRS) for name in writers(product.owner))
