"""Every case of admission, through the pure review."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.words import parse_words
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.admission.reviewing import Terms, review
from cleanhours_plugins.clusters.kubernetes.kinds import KINDS
from cleanhours_plugins.clusters.kubernetes.reading import read
from cleanhours_plugins.clusters.kubernetes.switching import letting_go
from cleanhours_plugins.clusters.kubernetes.words import words_of
from tests.integration.kubernetes.admission_cases import CASES
from tests.integration.kubernetes.admission_objects import (
    DEFAULTS,
    LATER,
    LOCATIONS,
    STATE,
    Case,
    differences,
    job,
    patched,
)
from tests.integration.kubernetes.admission_words import WORDS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMS = Terms(defaults=DEFAULTS, locations=LOCATIONS)


def version_of(case: Case) -> str:
    return str(case.obj["apiVersion"]).rpartition("/")[2]


def asked(
    obj: dict[str, Any], group: str, kind: str, namespace: str = "work", version: str = "v1"
) -> dict[str, Any]:
    request = {
        "uid": "r-1", "kind": {"group": group, "version": version, "kind": kind}, "operation": "CREATE",
        "namespace": namespace, "object": obj,
    }  # fmt: skip
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def answer(obj: dict[str, Any], group: str = "batch", kind: str = "Job", **more: Any) -> dict[str, Any]:
    enabled = more.pop("enabled", False)
    body = review(asked(obj, group, kind, **more), enabled=enabled, terms=TERMS, now=NOW)
    response: dict[str, Any] = body["response"]
    return response


def operations(response: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(base64.b64decode(response.get("patch", "W10=")))
    return found


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.label not in ("shadow", "false")], ids=lambda case: case.name
)
def test_each_case_becomes_what_the_table_says(case: Case) -> None:
    namespace = "team" if case.team else "work"
    response = answer(
        case.obj,
        case.group,
        case.kind,
        namespace=namespace,
        version=version_of(case),
        enabled=case.label == "true",
    )
    message = response.get("status", {}).get("message", "")
    assert (bool(case.denied), [fault for fault in case.denied if fault not in message]) == (
        not response["allowed"],
        [],
    )
    if not case.denied:
        assert case.after == differences(case.obj, patched(case.obj, operations(response)))


@pytest.mark.parametrize("case", [case for case in CASES if not case.denied], ids=lambda case: case.name)
def test_asked_again_it_changes_nothing_more(case: Case) -> None:
    namespace = "team" if case.team else "work"
    enabled = case.label == "true"
    first = patched(
        case.obj,
        operations(
            answer(
                case.obj,
                case.group,
                case.kind,
                namespace=namespace,
                version=version_of(case),
                enabled=enabled,
            )
        ),
    )
    again = answer(
        first, case.group, case.kind, namespace=namespace, version=version_of(case), enabled=enabled
    )
    assert {} == differences(first, patched(first, operations(again)))


@pytest.mark.parametrize(
    "case", [case for case in WORDS if len(str(case.obj)) < 1000], ids=lambda case: case.name
)
def test_the_table_says_what_every_other_door_says(case: Case) -> None:
    told = words_of(case.obj["metadata"]["annotations"])
    try:
        parse_words(told, created=NOW, locations=LOCATIONS)
    except InvalidRequest:
        assert case.denied or case.obj["metadata"]["annotations"].get("cleanhours.dev/enabled")
    else:
        over_long = any(len(text) > 100 for text in told.values())
        assert not case.denied or over_long or "enabled" in case.name


def test_a_past_deadline_is_let_in_with_a_warning() -> None:
    response = answer(job({"deadline": "2026-03-01T11:59:59Z"}))
    assert (True, ["cleanhours.dev/deadline has passed: the job runs now"]) == (
        response["allowed"],
        response["warnings"],
    )


def test_the_fault_of_a_cron_jobs_job_is_told_as_a_warning() -> None:
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "x", "uid": "u", "controller": True}
    child = job({"power": "lots", **LATER})
    child["metadata"]["ownerReferences"] = [owner]
    response = answer(child)
    assert response["allowed"]
    assert "power: found 'lots'" in response["warnings"][0]


def test_a_refusal_says_422_and_which_review_it_answers() -> None:
    response = answer(job({"deadline": "soon"}))
    assert ("r-1", False, 422) == (response["uid"], response["allowed"], response["status"]["code"])


def test_a_misspelt_word_is_told_the_nearest() -> None:
    assert "did you mean 'deadline'?" in answer(job({"dedline": "+1h"}))["status"]["message"]


def test_updates_are_let_in_as_they_are() -> None:
    body = asked(job({"deadline": "soon"}), "batch", "Job")
    body["request"]["operation"] = "UPDATE"
    assert {"uid": "r-1", "allowed": True} == review(body, enabled=True, terms=TERMS, now=NOW)["response"]


@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"request": {}}, {"request": {"uid": 1}}, {"apiVersion": "admission.k8s.io/v1beta1", "request": {"uid": "u"}},
     {"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "operation": "CREATE"}}],
)  # fmt: skip
def test_what_is_no_review_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match="accepted"):
        review(body, enabled=False, terms=TERMS, now=NOW)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.after.get(STATE) == "held"], ids=lambda case: case.name
)
def test_what_is_held_is_what_the_controller_reads_and_lets_go(case: Case) -> None:
    """Held by admission and not managed by the controller would be held for ever."""
    response = answer(case.obj, case.group, case.kind, enabled=case.label == "true", version=version_of(case))
    held = patched(case.obj, operations(response))
    held["metadata"] |= {
        "uid": "u",
        "name": "train",
        "namespace": "work",
        "resourceVersion": "1",
        "creationTimestamp": "2026-03-01T00:00:00Z",
    }
    kind = next(one for one in KINDS if (one.api_version, one.name) == (case.obj["apiVersion"], case.kind))
    record = read(kind, held)
    assert record is not None
    assert words.Mark.HELD == record.mark
    assert {} != letting_go(record)


def test_a_kind_that_cannot_be_held_is_let_in() -> None:
    assert {"uid": "r-1", "allowed": True} == answer(
        {**job(LATER), "kind": "Deployment"}, "apps", "Deployment"
    )
