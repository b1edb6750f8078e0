"""A decision is carried out by as few writes as it takes; one that the server refuses is tried as its rules allow, or told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.jobs import Action, JobKey
from cleanhours.domain.plans import Reason
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.announcing import What
from cleanhours_plugins.clusters.kubernetes.kinds import JOB
from tests.unit.plugins.clusters.kubernetes.hands_at_work import (
    CONFLICT,
    REFUSED,
    TRAIN,
    WORKLOAD,
    AtWork,
    a_workload,
    at_work,
)
from tests.unit.plugins.clusters.kubernetes.made import REGION, a_decision, a_job, offering, suspended_since
from tests.unit.plugins.clusters.kubernetes.servers import Answer

SIX = "2026-03-02T06:00:00Z"
RUNNING = {"active": 1, "startTime": SIX}
ANYWHERE = offering("de", "fr", "pl")
QUEUED = {"labels": {words.KUEUE_QUEUE: "research"}}


def place(one: AtWork) -> dict[str, Any]:
    selector: dict[str, Any] = one.train["spec"]["template"]["spec"].get("nodeSelector", {})
    return selector


def mark(one: AtWork) -> str:
    return str(one.train["metadata"]["annotations"][words.STATE])


# -- conflicts --------------------------------------------------------------------------------------------------------


def test_a_release_is_one_write_and_one_event(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job(annotations=ANYWHERE)) as one:
        assert "" == one.tell(Action.RELEASE, "fr")
        assert ["train"] == [path for path, _ in one.server.patches()]
        assert ({REGION: "fr"}, False, "released") == (place(one), one.train["spec"]["suspend"], mark(one))
        assert [What.RELEASED] == one.server.said()


def test_a_write_by_somebody_else_that_changes_nothing_for_us_costs_one_more_try(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job()) as one:
        one.behind_our_back({"metadata": {"labels": {"team": "b"}}})
        assert "" == one.tell(Action.RELEASE)
        assert ["PATCH", "GET", "PATCH", "POST"] == one.server.methods()


def test_what_somebody_else_let_go_meanwhile_is_done(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job()) as one:
        one.behind_our_back({"spec": {"suspend": False}})
        assert "" == one.tell(Action.RELEASE)
        assert "held" == mark(one)
        assert [] == one.server.said()


def test_what_its_owner_took_over_meanwhile_is_left_to_him(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job()) as one:
        one.behind_our_back({"metadata": {"annotations": {words.STATE: None}}})
        assert "its owner holds it" == one.tell(Action.RELEASE)
        assert one.train["spec"]["suspend"]


def test_a_decision_on_what_changed_in_its_essence_is_not_carried_out(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job("released", suspended=False, status=RUNNING)) as one:
        one.behind_our_back({"metadata": {"annotations": {words.KUEUE_GATES: "x/y"}}})
        assert "train changed meanwhile" == one.tell(Action.SUSPEND)


def test_two_conflicts_are_left_to_the_next_tick(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job()) as one:
        one.server.script += [CONFLICT, lambda _: None, CONFLICT]
        assert "modified" in one.tell(Action.RELEASE)
        assert "held" == mark(one)


def test_a_job_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job()) as one:
        del one.server.objects[TRAIN]
        assert "train is gone" == one.tell(Action.RELEASE)
        other = replace(a_decision(Action.RELEASE), key=JobKey("k8s", "u-2"))
        assert "no job u-2 that waits or runs" == one.hands.carry_out(other)


def test_an_answer_that_nobody_foresaw_fails_its_own_decision_only(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job()) as one:
        one.server.script.append(Answer(body={"metadata": 7}))
        assert "AttributeError" in one.tell(Action.RELEASE)
        assert ["failed"] == one.failures


def test_a_first_plan_is_told_of_what_waits_and_not_of_what_runs_anyway(tmp_path: Path) -> None:
    for job, said in ((a_job(), [What.PLANNED]), (a_job(None, suspended=False, status=RUNNING), [])):
        with at_work(tmp_path, job) as one:
            assert "" == one.tell(Action.REMARK)
            assert words.PLAN in one.train["metadata"]["annotations"]
            assert said == one.server.said()


# -- refused places ---------------------------------------------------------------------------------------------------


def moving() -> dict[str, Any]:
    """Stopped for a move, with its start still there."""
    return a_job("moving", annotations=ANYWHERE, status=suspended_since(SIX, startTime=SIX))


def test_where_a_started_job_cannot_be_placed_its_start_is_cleared_first(tmp_path: Path) -> None:
    with at_work(tmp_path, moving()) as one:
        one.server.script.append(REFUSED)
        assert "" == one.tell(Action.RESUME, "fr")
        assert ["train", "train/status", "train"] == [path for path, _ in one.server.patches()]
        assert ({REGION: "fr"}, False) == (place(one), one.train["spec"]["suspend"])
        assert one.hands.clears_first


def test_a_server_that_was_found_to_want_that_is_not_asked_in_vain_again(tmp_path: Path) -> None:
    with at_work(tmp_path, moving()) as one:
        one.hands.clears_first = True
        assert "" == one.tell(Action.RESUME, "fr")
        assert ["train/status", "train"] == [path for path, _ in one.server.patches()]


def test_a_job_that_was_never_started_waits_for_its_servers_mark(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job(annotations=ANYWHERE)) as one:
        one.server.script.append(REFUSED)
        assert "once it has marked it suspended" in one.tell(Action.RELEASE, "fr")
        assert "once it has marked it suspended" in one.tell(Action.RELEASE, "fr")
        assert 1 == len(one.server.patches())
        assert "held" == mark(one)


def test_after_three_refusals_it_runs_where_it_is_and_says_so(tmp_path: Path) -> None:
    job = a_job(annotations=ANYWHERE, status=suspended_since(SIX))
    with at_work(tmp_path, job) as one:
        for _ in range(2):
            one.server.script.append(REFUSED)
            assert "immutable" in one.tell(Action.RELEASE, "fr")
            assert one.train["spec"]["suspend"]
        one.server.script.append(REFUSED)
        assert "" == one.tell(Action.RELEASE, "fr")
        assert ({}, False) == (place(one), one.train["spec"]["suspend"])
        assert one.record.plan is not None
        assert ("de", "DE") == (one.record.plan.location, one.record.plan.zone)
        assert [What.RELEASED, What.NOT_MOVED] == one.server.said()


def test_when_it_is_time_one_refusal_is_enough(tmp_path: Path) -> None:
    with at_work(tmp_path, a_job(annotations=ANYWHERE)) as one:
        one.server.script.append(REFUSED)
        assert "" == one.tell(Action.RELEASE, "fr", Reason.DEADLINE_GUARD)
        assert not one.train["spec"]["suspend"]


def test_what_cannot_be_placed_yet_waits_for_it_but_never_past_its_time(tmp_path: Path) -> None:
    unplaceable = replace(JOB, place=lambda *_: None, clears_start_time=False)
    with at_work(tmp_path, a_job(annotations=ANYWHERE), unplaceable) as one:
        assert "cannot be placed yet" in one.tell(Action.RELEASE, "fr")
        assert one.train["spec"]["suspend"]
        assert "" == one.tell(Action.RELEASE, "fr", Reason.DEADLINE_GUARD)
        assert ({}, False) == (place(one), one.train["spec"]["suspend"])


# -- what Kueue manages -----------------------------------------------------------------------------------------------


def queued(state: str, **options: Any) -> dict[str, Any]:
    return a_job(state, meta=QUEUED, **{"annotations": ANYWHERE, **options})


def paused() -> dict[str, Any]:
    runs = f'[{{"attempt":1,"start":"{SIX}","end":"2026-03-02T07:00:00Z","location":"de","pods":["p"]}}]'
    return queued("paused", annotations={**ANYWHERE, words.RUNS: runs}, status=suspended_since(SIX))


def test_a_queued_job_is_marked_and_then_stopped_at_its_workload(tmp_path: Path) -> None:
    with at_work(tmp_path, queued("released", suspended=False, status=RUNNING)) as one:
        one.server.put(WORKLOAD, a_workload())
        assert "" == one.tell(Action.SUSPEND)
        paths = [path.rpartition("/")[2] for path, _ in one.server.patches()]
        assert ["train", "job-train"] == paths
        assert ("paused", False) == (mark(one), one.train["spec"]["suspend"])
        assert one.server.objects[WORKLOAD]["spec"]["active"] is False


def test_a_queued_job_without_a_workload_runs_on_as_it_was(tmp_path: Path) -> None:
    with at_work(tmp_path, queued("released", suspended=False, status=RUNNING)) as one:
        one.server.put(WORKLOAD, a_workload(uid="another"))
        assert "no Workload of train yet" in one.tell(Action.RELOCATE, "fr")
        assert "released" == mark(one)
        assert words.RUNS not in one.train["metadata"]["annotations"]
        assert [] == one.server.said()


def test_without_a_kueue_its_jobs_are_not_touched(tmp_path: Path) -> None:
    with at_work(tmp_path, queued("released", suspended=False, status=RUNNING)) as one:
        assert "no Kueue is served" in one.tell(Action.SUSPEND)
        assert "released" == mark(one)


def test_a_workload_that_kueue_writes_meanwhile_is_switched_all_the_same(tmp_path: Path) -> None:
    with at_work(tmp_path, queued("released", suspended=False, status=RUNNING)) as one:
        one.server.put(WORKLOAD, a_workload())
        one.server.script += [lambda _: None, lambda _: None, CONFLICT]
        assert "" == one.tell(Action.SUSPEND)
        assert one.server.objects[WORKLOAD]["spec"]["active"] is False
        paths = [path.rpartition("/")[2] for path, _ in one.server.patches()]
        assert ["train", "job-train", "job-train"] == paths


def test_a_queued_job_is_placed_then_started_then_marked(tmp_path: Path) -> None:
    with at_work(tmp_path, paused()) as one:
        one.server.put(WORKLOAD, a_workload(active=False))
        assert "" == one.tell(Action.RESUME, "fr")
        first, switch, last = (body for _, body in one.server.patches())
        spec = first["spec"]["template"]["spec"]
        assert {REGION: "fr"} == spec["nodeSelector"]
        assert [(words.PLACEMENT, "fr")] == [(own["key"], own["value"]) for own in spec["tolerations"]]
        assert words.STATE not in first["metadata"]["annotations"]
        assert {"active": True} == switch["spec"]
        assert "released" == last["metadata"]["annotations"][words.STATE]
        assert "spec" not in last
        assert one.train["spec"]["suspend"]


def test_a_queued_job_whose_workload_cannot_be_switched_stays_paused(tmp_path: Path) -> None:
    with at_work(tmp_path, paused()) as one:
        one.server.put(WORKLOAD, a_workload(active=False))
        one.server.script += [lambda _: None, lambda _: None, Answer(500, {"message": "down"})]
        assert "down" in one.tell(Action.RESUME, "fr")
        assert "paused" == mark(one)
        assert "" == one.tell(Action.RESUME, "fr")
        assert "released" == mark(one)


def test_a_gated_job_is_placed_and_ungated_in_one_write(tmp_path: Path) -> None:
    gates = {**ANYWHERE, words.KUEUE_GATES: f"{words.GATE},example.org/other"}
    with at_work(tmp_path, queued("held", annotations=gates)) as one:
        assert "" == one.tell(Action.RELEASE, "fr")
        [(_, body)] = one.server.patches()
        assert "example.org/other" == body["metadata"]["annotations"][words.KUEUE_GATES]
        assert {"template"} == set(body["spec"])


@pytest.mark.parametrize("started", [SIX, "2026-03-02T07:30:00Z"])
def test_a_queued_job_is_stopping_while_it_runs_what_was_written_as_stopped(
    tmp_path: Path, started: str
) -> None:
    job = paused()
    job["spec"]["suspend"] = False
    job["status"] = {"active": 1, "startTime": started}
    with at_work(tmp_path, job) as one:
        error = one.tell(Action.RESUME, "de")
        assert ("its Pods are still stopping" == error) is (started == SIX)
