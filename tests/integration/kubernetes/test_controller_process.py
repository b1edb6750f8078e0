"""The controller as a process: it leaves the lead when it is asked to go, and the next one knows everything from the API."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.times import format_instant
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.product import CLEAN, DIRTY, Product, a_product, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = pytest.mark.integration

USUAL = {"max-delay": "30m", "duration": "4s", "power": "1000W"}


@pytest.fixture
def product(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Product]:
    with a_product(control_plane, namespace, tmp_path) as product:
        yield product


def holder(product: Product) -> str:
    """Who leads, by the Lease; empty when nobody does."""
    return str(product.object("cleanhours", "lease")["spec"].get("holderIdentity") or "")


def test_a_second_controller_takes_over_at_once_and_knows_plans_and_runs(product: Product) -> None:
    owner = product.owner
    clean_s = 60
    begun = write_grid(
        product.folder / "grid.csv", DE=[CLEAN] * 20 + [DIRTY] * (clean_s - 20) + [CLEAN] * 60, FR=[DIRTY]
    )
    owner.apply("waits", "4s", {**USUAL, "duration": "40s"})
    owner.apply("runs", "45s", {**USUAL, "duration": "5s"})
    first = product.start(name="first")
    plan = product.planned("waits")
    assert begun + timedelta(seconds=clean_s) == plan.start
    wait(lambda: bool(owner.regions("runs")))
    led = holder(product)
    second = product.start(name="second")
    assert led == holder(product)
    assert (1.0, 0.0) == (first.metric("cleanhours_leader"), second.metric("cleanhours_leader"))

    assert 0 == first.leave()
    assert led != holder(product)
    wait(lambda: second.metric("cleanhours_leader") == 1.0)
    assert holder(product) not in ("", led)
    seen = {row["name"]: row for row in product.shell("second").json("jobs")}
    assert ("held", plan.to_json()) == (seen["waits"]["state"], seen["waits"]["plan"])
    assert "running" == seen["runs"]["state"]

    job = product.finished("waits")
    assert format_instant(plan.start) <= job["status"]["startTime"]
    assert ["Planned", "Released"] == [what for _, what, _ in owner.events("waits")]
    product.finished("runs")
    assert 1 == len(owner.pods("runs"))
    assert 0 == second.leave()
    rows = product.settle("second")
    assert {"waits", "runs"} == set(rows)


def test_jobs_and_explanations_are_there_for_anybody_with_a_kubeconfig(product: Product) -> None:
    begun = write_grid(product.folder / "grid.csv", DE=[DIRTY] * 600 + [CLEAN] * 60 + [DIRTY], FR=[DIRTY])
    namespace = product.owner.namespace
    product.owner.apply("waits", "4s", USUAL)
    running = product.start()
    plan = product.planned("waits")
    assert begun + timedelta(seconds=600) == plan.start
    outside = product.shell("outside")
    (row,) = outside.json("jobs")
    assert ("waits", namespace, "held") == (row["name"], row["namespace"], row["state"])
    assert plan.to_json() == row["plan"]
    for name in ("waits", f"{namespace}/waits", f"k8s:{namespace}/waits", row["id"]):
        told = outside.run("explain", name).stdout
        assert "waits waits because" in told
        assert plan.sentence in told
        assert f"It starts by {format_instant(plan.latest_start)} at the latest" in told
    refused = outside.run("explain", "elsewhere/waits", code=2).stderr
    assert "elsewhere/waits" in refused
    assert 0 == running.leave()
    assert "waits waits because" in outside.run("explain", "waits").stdout


def test_a_controller_that_may_not_lead_touches_nothing(product: Product) -> None:
    write_grid(product.folder / "grid.csv", DE=[CLEAN], FR=[DIRTY])
    first = product.start(name="first")
    assert holder(product)
    first.process.send_signal(signal.SIGSTOP)
    try:
        product.owner.apply("job", "1s", {**USUAL, "max-delay": "0s"})
        once = json.loads(product.shell("second").run("controller", "--once", "--json").stdout)
        assert (1, []) == (once["unfinished"], once["done"])
        assert product.object("job")["spec"]["suspend"]
    finally:
        first.process.send_signal(signal.SIGCONT)
    product.finished("job")
