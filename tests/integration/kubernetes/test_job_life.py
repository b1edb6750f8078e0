"""The life of Jobs under a real controller: held, explained, started where and when it was planned, finished, accounted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from cleanhours.domain.plans import Reason
from cleanhours.domain.times import format_instant, parse_instant
from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.product import (
    CLEAN,
    CLEANER,
    DIRTY,
    Product,
    Running,
    a_product,
    write_grid,
)

pytestmark = pytest.mark.integration

DIRTY_S = 35
"""Until the clean seconds begin: time enough for a controller to start on a busy machine."""
CURVES = """
[power_curves.net]
points = [{ limit_w = 300, time_s = 100, energy_j = 100000 }, { limit_w = 250, time_s = 104, energy_j = 84000 }]
"""
USUAL = {"max-delay": "5m", "duration": "5s", "power": "2400W"}


@pytest.fixture(scope="module")
def life(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Product, Running, datetime]]:
    """All Jobs of this page at once, under one controller; with the instant at which clean seconds begin."""
    control_plane.kubectl("create", "namespace", "life")
    control_plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "life", "--timeout=30s")
    try:
        with a_product(control_plane, "life", tmp_path_factory.mktemp("life")) as product:
            product.settings += CURVES
            apply_all(product)
            begun = write_grid(
                product.folder / "grid.csv",
                DE=[DIRTY] * DIRTY_S + [CLEAN] * 30 + [DIRTY],
                FR=[DIRTY] * DIRTY_S + [CLEANER] * 30 + [DIRTY],
            )
            yield product, product.start(), begun + timedelta(seconds=DIRTY_S)
    finally:
        control_plane.kubectl("delete", "namespace", "life", "--wait=false", check=False)


def apply_all(product: Product) -> None:
    owner = product.owner
    owner.apply("waits", "5s", USUAL)
    owner.apply("travels", "5s", {**USUAL, "locations": "de,fr"})
    owner.apply("capped", "5s", {**USUAL, "duration": "20s", "power-curve": "net"})
    owner.apply("unknown", "2s", {"max-delay": "5m", "duration": ""})
    owner.apply("limited", "5s", {"max-delay": "5m", "duration": ""}, spec={"activeDeadlineSeconds": 8})
    owner.apply("garbled", "2s", {"max-delay": "soon", "duration": "-3h"})
    owner.apply("late", "2s", {"max-delay": "", "deadline": "+10s", "duration": "1h"})
    owner.apply("broken", "2s", USUAL, pod={"test/exit-code": "3"})
    owner.apply("kept", "2s", USUAL, mark=None)
    owner.apply("loose", "2s", USUAL, mark=None, suspend=False)


def started(job: dict[str, Any]) -> datetime:
    return parse_instant(job["status"]["startTime"])


def test_a_held_job_wears_its_plan_and_says_it_in_one_sentence(
    life: tuple[Product, Running, datetime],
) -> None:
    product, _, clean = life
    plan = product.planned("waits")
    assert (Reason.LOWEST_WINDOW, clean, "de") == (plan.reason, plan.start, plan.location)
    assert ("Normal", plan.sentence) == product.told("waits", "Planned")
    assert plan.sentence.startswith(f"Start {clean:%a} {format_instant(clean)} in de (DE)")


def test_a_held_job_has_no_pod_before_its_plan_begins(life: tuple[Product, Running, datetime]) -> None:
    product, _, clean = life
    product.planned("waits")
    pods = [parse_instant(pod["metadata"]["creationTimestamp"]) for pod in product.owner.pods("waits")]
    assert all(clean <= created for created in pods)


def test_a_job_of_unknown_length_is_released_in_the_first_tick(
    life: tuple[Product, Running, datetime],
) -> None:
    product, _, clean = life
    job = product.finished("unknown")
    assert Reason.NO_DURATION == product.planned("unknown").reason
    assert started(job) < clean


def test_a_jobs_own_limit_is_its_duration(life: tuple[Product, Running, datetime]) -> None:
    product, _, clean = life
    plan = product.planned("limited")
    assert (clean, clean + timedelta(seconds=8)) == (plan.start, plan.end)


def test_a_job_whose_words_are_wrong_runs_with_a_warning_that_names_every_fault(
    life: tuple[Product, Running, datetime],
) -> None:
    product, _, clean = life
    assert started(product.finished("garbled")) < clean
    kind, note = product.told("garbled", "InvalidRequest")
    assert "Warning" == kind
    assert "max-delay: found 'soon'" in note
    assert "duration: found '-3h'" in note
    assert Reason.INVALID_REQUEST == product.planned("garbled").reason


def test_a_deadline_that_cannot_be_kept_holds_nothing(life: tuple[Product, Running, datetime]) -> None:
    product, _, clean = life
    assert started(product.finished("late")) < clean
    assert Reason.NO_SLACK == product.planned("late").reason


def test_a_job_starts_within_two_seconds_of_its_plan(life: tuple[Product, Running, datetime]) -> None:
    product, _, clean = life
    assert timedelta(0) <= started(product.finished("waits")) - clean <= timedelta(seconds=2)
    assert timedelta(0) <= started(product.finished("travels")) - clean <= timedelta(seconds=2)


def test_a_job_starts_where_the_grid_is_cleanest_of_the_places_it_offers(
    life: tuple[Product, Running, datetime],
) -> None:
    product, _, _ = life
    assert ("fr", "FR") == (product.planned("travels").location, product.planned("travels").zone)
    product.finished("travels")
    assert {"fr-1"} == {pod["spec"]["nodeName"] for pod in product.owner.pods("travels")}


def test_a_job_with_a_power_curve_tells_its_pods_their_cap(life: tuple[Product, Running, datetime]) -> None:
    product, _, _ = life
    plan = product.planned("capped")
    assert plan.cap is not None
    assert (250.0, 2400 - 1000 + 84_000 / 104) == pytest.approx((plan.cap.limit_w, plan.power_w), abs=0.01)
    assert "capped at 250 W, 4.0 % longer" in product.told("capped", "Planned")[1]
    finished = product.finished("capped")
    assert "250" == finished["metadata"]["annotations"][words.POWER_CAP]
    told = {pod["metadata"]["annotations"][words.POWER_CAP] for pod in product.owner.pods("capped")}
    assert {"250"} == told
    assert words.POWER_CAP not in product.finished("waits")["metadata"]["annotations"]


def test_describe_tells_the_whole_story(life: tuple[Product, Running, datetime]) -> None:
    product, _, _ = life
    product.finished("waits")
    _, planned = product.told("waits", "Planned")
    _, released = product.told("waits", "Released")
    story = product.owner.plane.kubectl("describe", "job", "waits", "-n", product.owner.namespace)
    assert f"{words.STATE}: released" in story
    events = story[story.index("Events:") :]
    assert "90.0 % less" in planned
    assert planned == released
    assert events.index("Planned") < events.index("Released") < events.index("Job completed")


def test_what_its_owner_suspends_and_what_he_runs_is_left_alone(
    life: tuple[Product, Running, datetime],
) -> None:
    product, _, _ = life
    product.finished("waits")
    product.finished("loose")
    kept = product.object("kept")
    assert kept["spec"]["suspend"]
    for name in ("kept", "loose"):
        assert not set(words.WRITTEN_BACK) - {words.PLAN} & set(product.owner.annotations(name))
        assert [] == [one for one in product.owner.events(name) if one[0] == "Normal"]


def test_what_has_run_is_accounted_and_explained(life: tuple[Product, Running, datetime]) -> None:
    """Last: the controller that ran is asked to leave first."""
    product, running, _ = life
    for name, condition in (("waits", "Complete"), ("travels", "Complete"), ("broken", "Failed")):
        product.finished(name, condition)
    shell = product.shell()
    assert "waits succeeded" in shell.run("explain", f"k8s:{product.owner.namespace}/waits").stdout
    assert 0 == running.leave()
    rows = product.settle()
    waits, travels = rows["waits"], rows["travels"]
    assert ("succeeded", "de", "de") == (waits["state"], waits["home"], waits["location"])
    assert 5 <= waits["running_s"] <= 60
    assert 2400 * waits["running_s"] * 1000 == waits["energy_mj"]
    assert waits["baseline_ug"] > 5 * waits["emissions_ug"] > 0
    assert ("de", "fr", True) == (travels["home"], travels["location"], travels["deadline_kept"])
    assert travels["avoided_relocated_ug"] > 0
    assert "failed" == rows["broken"]["state"]
    assert "loose" not in rows or not rows["loose"]["avoided_ug"]
