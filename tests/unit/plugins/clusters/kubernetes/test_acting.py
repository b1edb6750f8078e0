"""A decision becomes one patch, or a reason why not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cleanhours.domain.caps import Cap
from cleanhours.domain.jobs import Action, JobState
from cleanhours.domain.plans import Plan
from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.acting import (
    Refusal,
    as_wanted,
    changes,
    remark,
    same_situation,
    start,
    stayed,
    stop,
)
from cleanhours_plugins.clusters.kubernetes.jobs import state_of
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD
from cleanhours_plugins.clusters.kubernetes.placing import written
from tests.unit.plugins.clusters.kubernetes.made import (
    REGION,
    a_decision,
    a_job,
    a_plan,
    merged_into,
    offering,
    record_of,
    reporting,
    suspended_since,
)

SIX = "2026-03-02T06:00:00Z"
SEVEN = parse_instant("2026-03-02T07:00:00Z")
RUNNING = {"active": 1, "startTime": SIX}
QUIET = suspended_since("2026-03-02T07:00:05Z")


def started(obj: dict[str, Any], plan: Plan, **written_over: Any) -> dict[str, Any]:
    """The object after the patch that releases it where the plan says."""
    record = record_of(obj)
    place = written(record, changes(record, plan.location, reporting()), obj)
    assert place is not None
    after: dict[str, Any] = merged_into(obj, start(record, plan, reporting(), place))
    return {**after, **written_over}


def stopped(obj: dict[str, Any], plan: Plan, *, to_move: bool = False) -> dict[str, Any]:
    """The object after the patch that stops it at seven."""
    patch = stop(record_of(obj), plan, reporting(), SEVEN, to_move=to_move)
    after: dict[str, Any] = merged_into(obj, patch)
    return after


def test_a_release_is_one_patch_on_the_version_that_was_read() -> None:
    obj = a_job(annotations=offering("de", "fr"))
    record = record_of(obj)
    place = written(record, changes(record, "fr", reporting())) or {}
    patch = start(record, a_plan("fr"), reporting(), place)
    assert "7" == patch["metadata"]["resourceVersion"]
    after = merged_into(obj, patch)
    assert (False, {REGION: "fr"}) == (
        after["spec"]["suspend"],
        after["spec"]["template"]["spec"]["nodeSelector"],
    )
    read_back = record_of(after)
    assert (words.Mark.RELEASED, JobState.RELEASED) == (read_back.mark, state_of(read_back))
    assert read_back.plan is not None
    assert not read_back.plan.changed_from(a_plan("fr"))
    assert {
        "spec/template": {"nodeSelector": {}, "nodeAffinity": None, "tolerations": []}
    } == read_back.original


def test_a_job_whose_owner_offers_no_choice_is_left_as_he_wrote_it() -> None:
    after = started(a_job(), a_plan("de"))
    assert "nodeSelector" not in after["spec"]["template"]["spec"]
    assert words.ORIGINAL not in after["metadata"]["annotations"]


def test_a_power_cap_is_told_on_the_job_and_its_pods_and_taken_back() -> None:
    cap = Cap(250, 1.1, 800, 1000)
    capped = started(a_job(), replace(a_plan("de"), cap=cap))
    for meta in (capped["metadata"], capped["spec"]["template"]["metadata"]):
        assert "250" == meta["annotations"][words.POWER_CAP]
    assert cap == (record_of(capped).plan or pytest.fail("no plan")).cap
    assert "power-cap" not in words.words_of(capped["metadata"]["annotations"])
    capped["spec"]["suspend"] = True
    again = started(capped, a_plan("de"))
    for meta in (again["metadata"], again["spec"]["template"]["metadata"]):
        assert words.POWER_CAP not in meta["annotations"]


def test_a_template_that_is_not_ours_to_annotate_is_left_alone() -> None:
    capped = replace(a_plan("de"), cap=Cap(250, 1.1, 800, 1000))
    queued = started(a_job(meta={"labels": {words.KUEUE_QUEUE: "main"}}), capped)
    assert "250" == queued["metadata"]["annotations"][words.POWER_CAP]
    assert words.POWER_CAP not in queued["spec"]["template"].get("metadata", {}).get("annotations", {})


def test_the_original_is_saved_once() -> None:
    moved = started(a_job("moving", annotations=offering("de", "fr"), status=QUIET), a_plan("fr"))
    moved["spec"]["suspend"] = True
    moved["metadata"]["annotations"][words.STATE] = "moving"
    again = started(moved, a_plan("de"))
    assert {REGION: "de"} == again["spec"]["template"]["spec"]["nodeSelector"]
    original = json.loads(again["metadata"]["annotations"][words.ORIGINAL])
    assert {} == original["spec/template"]["nodeSelector"]


def test_a_pause_keeps_the_run_so_far_and_a_resume_its_true_end() -> None:
    running = a_job("released", suspended=False, status=RUNNING, nodeSelector={REGION: "pl"})
    paused = stopped(running, a_plan("fr"))
    assert (True, "paused") == (paused["spec"]["suspend"], paused["metadata"]["annotations"][words.STATE])
    (run,) = record_of(paused).runs
    assert (parse_instant(SIX), SEVEN, "pl", ("u-1",)) == (run.start, run.end, run.location, run.handles)
    resumed = started({**paused, "status": QUIET}, a_plan("de"), status=RUNNING)
    (run,) = record_of(resumed).runs
    assert SEVEN + timedelta(seconds=5) == run.end


def test_to_relocate_is_to_stop_with_another_mark() -> None:
    running = a_job("released", suspended=False, status=RUNNING)
    assert words.Mark.MOVING is record_of(stopped(running, a_plan("fr"), to_move=True)).mark


def test_a_remark_writes_the_plan_alone() -> None:
    patch = remark(record_of(a_job()), a_plan("fr"))
    assert ["metadata"] == list(patch)
    assert [words.PLAN] == list(patch["metadata"]["annotations"])


@pytest.mark.parametrize(
    ("action", "obj"),
    [
        (Action.RELEASE, a_job("released", suspended=False)),
        (Action.RESUME, a_job("released", suspended=False, status=RUNNING)),
        (Action.SUSPEND, a_job("paused", status=QUIET)),
        (Action.SUSPEND, a_job("held")),
        (Action.RELOCATE, a_job("moving", status=RUNNING)),
        (Action.RELOCATE, a_job("released", suspended=False, status=RUNNING, nodeSelector={REGION: "de"})),
    ],
)
def test_what_was_done_is_not_done_again(action: Action, obj: dict[str, Any]) -> None:
    assert as_wanted(record_of(obj), a_decision(action), reporting())


@pytest.mark.parametrize("action", [Action.HOLD, Action.REMARK])
def test_a_plan_that_did_not_change_is_not_written_again(action: Action) -> None:
    obj = a_job()
    assert not as_wanted(record_of(obj), a_decision(action), reporting())
    planned = merged_into(obj, remark(record_of(obj), a_decision(action).plan))
    assert as_wanted(record_of(planned), a_decision(action), reporting())
    assert not as_wanted(record_of(planned), a_decision(action, at="fr"), reporting())


@pytest.mark.parametrize(
    ("action", "obj", "why"),
    [
        (Action.RELEASE, a_job("released", suspended=True), "its owner holds it"),
        (Action.RELEASE, a_job(None), "its owner holds it"),
        (Action.RESUME, a_job("paused", status=RUNNING), "still stopping"),
        (Action.RESUME, a_job("moving", status=suspended_since(SIX, terminating=1)), "still stopping"),
        (Action.HOLD, a_job("released", suspended=False, status=RUNNING), "suspend it"),
        (Action.SUSPEND, a_job(None, suspended=False, status=RUNNING), "its owner let it go"),
        (Action.SUSPEND, a_job("held", suspended=False, status=RUNNING), "its owner let it go"),
        (Action.SCALE, a_job(), "scale"),
    ],
)
def test_what_must_not_be_done_is_refused_with_the_reason(
    action: Action, obj: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refusal, match=why):
        as_wanted(record_of(obj), a_decision(action), reporting())


def test_a_place_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match="'atlantis': it has de, fr, pl"):
        as_wanted(record_of(a_job()), a_decision(Action.RELEASE, at="atlantis"), reporting())


def test_nothing_in_shadow_is_touched() -> None:
    for record, shadow in ((record_of(a_job(), shadow=True), False), (record_of(a_job()), True)):
        with pytest.raises(Refusal, match="shadow"):
            as_wanted(record, a_decision(Action.RELEASE), reporting(shadow=shadow))


def test_a_pod_cannot_be_paused() -> None:
    pod = a_job("released")
    pod["spec"] = {"containers": []}
    with pytest.raises(Refusal, match="pods cannot be paused"):
        as_wanted(record_of(pod, POD), a_decision(Action.SUSPEND), reporting())


@pytest.mark.parametrize(
    ("after", "same"),
    [
        (a_job(annotations={words.PLAN: "{}"}), True),
        (a_job(status={"active": 0}, meta={"resourceVersion": "8"}), True),
        (a_job(suspended=False), False),
        (a_job("released"), False),
        (a_job("held", annotations={words.KUEUE_GATES: "x/y"}), False),
    ],
)
def test_only_what_others_did_to_hold_or_start_it_changes_the_situation(
    after: dict[str, Any], same: bool
) -> None:
    assert same is same_situation(record_of(a_job()), record_of(after))


def test_a_plan_of_a_job_that_could_not_move_says_so_and_expects_nothing() -> None:
    plan = stayed(a_plan("fr"), "de", "DE", "could not be moved to fr")
    assert ("de", "DE", None) == (plan.location, plan.segments[0].zone, plan.expected_g)
    assert "could not be moved to fr" in plan.sentence
