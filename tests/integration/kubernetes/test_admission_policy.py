"""Admission by CEL, in a real API server: the same table as the pure review, and nothing else is touched."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cleanhours_plugins.clusters.kubernetes.admission.judging import faults
from tests.integration.kubernetes.admission_cases import CASES
from tests.integration.kubernetes.admission_door import (
    Door,
    named,
    prepared,
    values_of,
    wait_for_admission,
    wait_until,
)
from tests.integration.kubernetes.admission_objects import LATER, LOCATIONS, Case, job
from tests.integration.kubernetes.admission_words import random_words
from tests.integration.kubernetes.chart import Helm
from tests.integration.kubernetes.control_plane import ControlPlane, give_up

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 1, tzinfo=UTC)

POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"


@pytest.fixture(scope="module")
def door(
    control_plane: ControlPlane, helm3: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    """With the chart's policies in force in the namespaces of this module."""
    with prepared(control_plane) as found:
        if found.ask("GET", POLICIES).status != 200:
            give_up("this server has no MutatingAdmissionPolicy v1", required=False)
        objects = policy_objects(Helm(helm3, tmp_path_factory.mktemp("helm")), found)
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        control_plane.kubectl("apply", "-f", "-", input=text)
        try:
            wait_for_admission(found)
            yield found
        finally:
            control_plane.kubectl("delete", "--wait=false", "-f", "-", input=text)


def policy_objects(helm: Helm, door: Door) -> list[dict[str, Any]]:
    """What the chart renders of admission."""
    values = {**values_of(door), "admission": {"mode": "policy"}}
    options = [
        option for key, value in values.items() for option in ("--set-json", f"{key}={json.dumps(value)}")
    ]
    return [one for one in helm.render(*options) if "AdmissionPolicy" in one["kind"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_becomes_what_the_table_says(door: Door, case: Case) -> None:
    assert ((), dict(case.after)) == door.outcome(case)


def test_words_at_random_are_judged_as_python_judges_them(door: Door) -> None:
    """Field by field: a thousand values, right, wrong and almost right."""
    for seed in range(150):
        words = random_words(random.Random(seed))
        answer = door.create(job(words), door.names[None, False])
        notes = {"cleanhours.dev/" + word: text for word, text in words.items()}
        expected = {fault.field for fault in faults(notes, now=NOW, locations=LOCATIONS)}
        assert expected == set(re.findall(r"(?:request: |; )([a-z-]+): found", answer.message)), words


def test_updates_are_not_looked_at(door: Door) -> None:
    namespace = door.names[None, False]
    created = door.create(named(job()), namespace, dry=False)
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{created.body['metadata']['name']}"
    wrong = {"metadata": {"annotations": {"cleanhours.dev/deadline": "soon", "cleanhours.dev/plan": "{}"}}}
    changed = door.ask("PATCH", path, wrong)
    door.ask("DELETE", path, propagationPolicy="Background")
    assert wrong["metadata"]["annotations"] == changed.body["metadata"]["annotations"]


def test_a_refusal_reads_well(door: Door) -> None:
    answer = door.create(job({"deadline": "soon", "duration": "0s"}), door.names[None, False])
    assert answer.message.endswith(
        "denied request: deadline: found 'soon', accepted: RFC 3339 with a zone, such as 2026-03-01T18:00:00Z, or +12h from "
        "submission; duration: found '0s', accepted: 1s to 366d"
    )


def test_a_job_really_created_is_suspended_before_any_pod_of_it_exists(door: Door) -> None:
    namespace = door.names[None, False]
    created = door.create(named(job(LATER)), namespace, dry=False)
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{created.body['metadata']['name']}"

    def noticed() -> bool:
        conditions = door.ask("GET", path).body["status"].get("conditions", [])
        return any(one["type"] == "Suspended" and one["status"] == "True" for one in conditions)

    wait_until(noticed)
    mine = "batch.kubernetes.io/controller-uid=" + created.body["metadata"]["uid"]
    pods = door.ask("GET", f"/api/v1/namespaces/{namespace}/pods", labelSelector=mine).body["items"]
    door.ask("DELETE", path, propagationPolicy="Background")
    assert [] == pods
