"""Jobs that may be interrupted run in the clean seconds and rest in between, under a real controller; their work is kept."""

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
from tests.integration.kubernetes.product import CLEAN, DIRTY, Product, a_product, now, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = pytest.mark.integration

FIRST_S, CLEAN_S, REST_S = 30, 10, 12
PARTS = 4
IN_PARTS = {"completions": PARTS, "parallelism": 1, "completionMode": "Indexed"}
"""Work that is really kept: an index that has completed does not run again."""
WISHES = {"max-delay": "3m", "duration": "16s", "interruptible": "true", "power": "1000W"}


@pytest.fixture
def product(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Product]:
    with a_product(control_plane, namespace, tmp_path) as product:
        yield product


def test_a_job_rests_through_the_dirty_seconds_and_keeps_what_it_did(product: Product) -> None:
    product.owner.apply("train", "4s", WISHES, spec=IN_PARTS)
    begun = write_grid(
        product.folder / "grid.csv",
        DE=[DIRTY] * FIRST_S + [CLEAN] * CLEAN_S + [DIRTY] * REST_S + [CLEAN] * CLEAN_S + [DIRTY],
        FR=[DIRTY],
    )
    running = product.start()
    first = begun + timedelta(seconds=FIRST_S)
    second = first + timedelta(seconds=CLEAN_S + REST_S)
    assert [first, second] == [part.start for part in product.planned("train").segments]

    wait(lambda: product.owner.annotations("train").get(words.STATE) == words.Mark.PAUSED.value)
    wait(lambda: not product.owner.regions("train"))
    paused = product.object("train")
    done = paused["status"]["succeeded"]
    assert 1 <= done < PARTS
    (run,) = json.loads(paused["metadata"]["annotations"][words.RUNS])
    assert timedelta(0) <= parse_instant(run["start"]) - first <= timedelta(seconds=2)
    assert timedelta(0) <= parse_instant(run["end"]) - (first + timedelta(seconds=CLEAN_S)) <= timedelta(seconds=2)  # fmt: skip
    assert "is paused because" in product.shell().run("explain", "train").stdout
    assert "Normal" == product.told("train", "Paused")[0]

    job = product.finished("train")
    assert second <= parse_instant(job["status"]["startTime"])
    assert "Normal" == product.told("train", "Resumed")[0]
    assert list(range(PARTS)) == sorted(completed(product, "train"))
    assert 0 == running.leave()
    row = product.settle()["train"]
    assert ("succeeded", 1, True) == (row["state"], row["pauses"], row["deadline_kept"])
    assert row["avoided_ug"] > 0


def completed(product: Product, name: str) -> list[int]:
    """The index of each Pod that succeeded."""
    return [
        int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])
        for pod in product.owner.pods(name)
        if pod["status"]["phase"] == "Succeeded"
    ]


def test_a_job_that_may_not_be_interrupted_is_not_paused(product: Product) -> None:
    write_grid(product.folder / "grid.csv", DE=[CLEAN] * 15 + [DIRTY] * 10 + [CLEAN] * 30 + [DIRTY], FR=[DIRTY])  # fmt: skip
    product.owner.apply("whole", "12s", {"duration": "12s", "max-delay": "5s"})
    product.start()
    product.finished("whole")
    assert 1 == len(product.owner.pods("whole"))
    assert words.RUNS not in product.owner.annotations("whole")


def test_what_its_owner_suspends_stays_suspended_until_he_resumes_it(product: Product) -> None:
    write_grid(product.folder / "grid.csv", DE=[CLEAN], FR=[DIRTY])
    product.owner.apply("mine", "4s", {**WISHES, "max-delay": "10s", "duration": "4s"})
    product.start()
    wait(lambda: bool(product.owner.regions("mine")))
    product.owner.change("mine", {"spec": {"suspend": True}})
    wait(lambda: not product.owner.regions("mine"))
    created = parse_instant(product.object("mine")["metadata"]["creationTimestamp"])
    past_its_latest_start = max(created + timedelta(seconds=15), now() + timedelta(seconds=4))
    wait(lambda: now() > past_its_latest_start)
    assert suspended(product.object("mine"))
    assert "its owner" in product.shell().run("explain", "mine").stdout
    product.owner.change("mine", {"spec": {"suspend": False}})
    product.finished("mine")


def suspended(job: dict[str, Any]) -> bool:
    return bool(job["spec"]["suspend"])
