"""Children of CronJobs under a real controller: they wait as long as the next run lets them, by concurrencyPolicy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.product import DIRTY, Product, Running, a_product, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = [pytest.mark.integration, pytest.mark.slow]

POLICIES = ("Forbid", "Replace", "Allow")
MINUTE = timedelta(minutes=1)
LENGTH_S, MARGIN_S = 4, 6


@pytest.fixture(scope="module")
def life(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Product, Running]]:
    """Three CronJobs that run every minute, on a grid that is cleaner every second: each run wants to wait for ever."""
    control_plane.kubectl("create", "namespace", "cron")
    control_plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "cron", "--timeout=30s")
    try:
        with a_product(
            control_plane, "cron", tmp_path_factory.mktemp("cron"), margin=f"{MARGIN_S}s"
        ) as product:
            falling = [DIRTY - 0.1 * second for second in range(4000)]
            write_grid(product.folder / "grid.csv", DE=falling, FR=[DIRTY])
            for policy in POLICIES:
                apply_cronjob(product, policy)
            yield product, product.start()
    finally:
        control_plane.kubectl("delete", "namespace", "cron", "--wait=false", check=False)


def apply_cronjob(product: Product, policy: str) -> None:
    """Its children are born as admission would leave them."""
    annotations = {
        words.PREFIX + "max-delay": "12h",
        words.PREFIX + "duration": f"{LENGTH_S}s",
        words.STATE: words.Mark.HELD.value,
    }
    template = {
        "metadata": {"annotations": {"test/run-for": f"{LENGTH_S}s"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]},
    }
    child = {"metadata": {"annotations": annotations}, "spec": {"suspend": True, "template": template}}
    product.owner.plane.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": policy.lower(), "namespace": product.owner.namespace},
            "spec": {
                "schedule": "* * * * *",
                "concurrencyPolicy": policy,
                "successfulJobsHistoryLimit": 10,
                "jobTemplate": child,
            },
        }
    )


def children(product: Product, policy: str) -> list[dict[str, Any]]:
    """Its Jobs, oldest first."""
    found = product.owner.plane.get("jobs", "-n", product.owner.namespace)["items"]
    owned = [one for one in found if one["metadata"]["ownerReferences"][0]["name"] == policy.lower()]
    return sorted(owned, key=lambda one: str(one["metadata"]["name"]))


def first_child(product: Product, policy: str) -> str:
    wait(lambda: bool(children(product, policy)), seconds=90)
    return str(children(product, policy)[0]["metadata"]["name"])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_waits_no_longer_than_the_next_one_lets_it(life: tuple[Product, Running], policy: str) -> None:
    product, _ = life
    name = first_child(product, policy)
    plan = product.planned(name)
    meta = product.object(name)["metadata"]
    due = parse_instant(meta["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"])
    left = timedelta(seconds=MARGIN_S + (0 if policy == "Allow" else LENGTH_S))
    assert due + MINUTE - left == plan.latest_start
    assert due + MINUTE - left - timedelta(seconds=3) <= plan.start <= plan.latest_start


@pytest.mark.parametrize("policy", POLICIES)
def test_no_run_is_skipped_or_deleted_because_the_one_before_waited(
    life: tuple[Product, Running], policy: str
) -> None:
    product, _ = life
    name = first_child(product, policy)
    wait(lambda: len(children(product, policy)) >= 2, seconds=90)
    one, other = children(product, policy)[:2]
    assert name == one["metadata"]["name"]
    assert MINUTE == _due(other) - _due(one)
    assert "Complete" in {condition["type"] for condition in product.finished(name)["status"]["conditions"]}


def test_a_child_is_explained_by_its_own_name(life: tuple[Product, Running]) -> None:
    product, _ = life
    name = first_child(product, "Forbid")
    told = product.shell("outside").run("explain", f"{product.owner.namespace}/{name}").stdout
    assert told.startswith("forbid ")


def _due(job: dict[str, Any]) -> Any:
    return parse_instant(job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"])
