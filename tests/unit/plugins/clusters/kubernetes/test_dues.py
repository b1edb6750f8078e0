"""When what we hold must be let go, read from the object alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cleanhours.domain.deadlines import Margins
from cleanhours.domain.plans import Plan
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.dues import due_of, is_held
from cleanhours_plugins.clusters.kubernetes.kinds import JOB
from cleanhours_plugins.clusters.kubernetes.reading import read_marked
from tests.unit.plugins.clusters.kubernetes.made import CREATED, a_job, a_plan, record_of, word

HOUR = timedelta(hours=1)
QUEUE = timedelta(minutes=2)
MARGINS = Margins(safety=1.5, queue=QUEUE)


def with_plan(plan: Plan, **more: str) -> dict[str, str]:
    return {words.PLAN: json.dumps(plan.to_json()), **more}


def test_by_words_a_deadline_leaves_room_for_the_work_its_safety_and_the_queue() -> None:
    record = record_of(a_job(annotations=word("max-delay", "20h") | word("deadline", "+10h")))
    assert CREATED + 10 * HOUR - 3 * HOUR - QUEUE == due_of(record, MARGINS).at
    wider = Margins(safety=2.0, queue=HOUR)
    assert CREATED + 5 * HOUR == due_of(record, wider).at


def test_by_words_a_delay_leaves_room_for_the_queue() -> None:
    assert CREATED + 12 * HOUR - QUEUE == due_of(record_of(a_job()), MARGINS).at


def test_the_limit_of_the_object_is_a_duration_too() -> None:
    job = a_job(annotations=word("deadline", "+10h"))
    del job["metadata"]["annotations"][words.PREFIX + "duration"]
    assert CREATED == due_of(record_of(job), MARGINS).at
    job["spec"]["activeDeadlineSeconds"] = 3600
    assert CREATED + 10 * HOUR - 1.5 * HOUR - QUEUE == due_of(record_of(job), MARGINS).at


@pytest.mark.parametrize(
    "words_of_owner",
    [word("duration", "soon"), word("deadlin", "+3h"), {words.PREFIX + "duration": ""}],
)
def test_words_that_cannot_be_read_make_it_due_at_once(words_of_owner: dict[str, str]) -> None:
    due = due_of(record_of(a_job(annotations=words_of_owner)), MARGINS)
    assert (CREATED, False) == (due.at, due.certain)
    assert "cannot be read" in due.why


def test_no_time_to_wait_is_due_at_once_unless_its_namespace_gives_some() -> None:
    job = a_job()
    del job["metadata"]["annotations"][words.PREFIX + "max-delay"]
    assert (CREATED, False) == due_of(record_of(job), MARGINS)[::2]
    assert CREATED + 3 * HOUR - QUEUE == due_of(record_of(job), MARGINS, {"max-delay": "3h"}).at


def test_never_before_the_earliest_start_that_its_owner_named() -> None:
    late = word("earliest", "+5h") | word("deadline", "+4h")
    assert CREATED + 5 * HOUR == due_of(record_of(a_job(annotations=late)), MARGINS).at


def test_its_plan_says_when() -> None:
    plan = a_plan()
    record = record_of(a_job(annotations=with_plan(plan)))
    assert plan.latest_start == due_of(record, MARGINS).at


def test_of_words_that_were_written_after_the_plan_the_earlier_counts() -> None:
    annotations = with_plan(a_plan(), **word("max-delay", "1h"))
    assert CREATED + HOUR - QUEUE == due_of(record_of(a_job(annotations=annotations)), MARGINS).at
    unknown = with_plan(a_plan(), **word("duration", "??"))
    assert a_plan().latest_start == due_of(record_of(a_job(annotations=unknown)), MARGINS).at


def test_a_plan_that_cannot_be_read_counts_for_nothing() -> None:
    record = record_of(a_job(annotations={words.PLAN: "{"}))
    assert CREATED + 12 * HOUR - QUEUE == due_of(record, MARGINS).at


def test_a_paused_one_has_its_work_behind_it() -> None:
    run = {
        "attempt": 1,
        "start": "2026-03-02T01:00:00Z",
        "end": "2026-03-02T02:00:00Z",
        "location": "de",
        "pods": [],
    }
    told = {words.RUNS: json.dumps([run])} | word("deadline", "+10h") | word("checkpoint", "10m")
    told |= word("max-delay", "300h")
    due = due_of(record_of(a_job("paused", annotations=told)), MARGINS)
    assert CREATED + 10 * HOUR - 1.5 * HOUR - timedelta(minutes=10) - QUEUE == due.at
    planned = replace(a_plan(), latest_start=CREATED + 8 * HOUR)
    assert (
        CREATED + 8 * HOUR
        == due_of(record_of(a_job("paused", annotations=with_plan(planned, **told))), MARGINS).at
    )


def test_an_object_that_cannot_be_read_is_due_at_once() -> None:
    record = read_marked(JOB, a_job(), "its template is a list")
    assert record is not None
    assert (CREATED, False) == due_of(record, MARGINS)[::2]


STARTED: dict[str, Any] = {"startTime": "2026-03-02T01:00:00Z", "active": 1}


@pytest.mark.parametrize(
    ("mark", "suspended", "status", "ours"),
    [
        ("held", True, {}, True),
        ("paused", True, {}, True),
        ("moving", True, STARTED, True),
        ("held", False, {}, False),
        ("released", True, {}, False),
        ("released", False, STARTED, False),
        (None, True, {}, False),
        ("held", True, {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": "2026-03-02T01:00:00Z"}]}, False),
    ],
)  # fmt: skip
def test_only_what_waits_because_of_us_is_held(
    mark: str | None, suspended: bool, status: dict[str, Any], ours: bool
) -> None:
    assert ours == is_held(record_of(a_job(mark, suspended=suspended, status=status)))
