"""Admission by webhook, behind a real API server: the same table, and then what happens when certificates change or
nobody answers."""

from __future__ import annotations

import base64
import json
import logging
import statistics
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.clusters.kubernetes.admission import services
from cleanhours_plugins.clusters.kubernetes.admission.keeping import (
    CONFIGURATIONS,
    CertificateKeeper,
    papers_of,
)
from cleanhours_plugins.clusters.kubernetes.admission.noticing import GROUP
from cleanhours_plugins.clusters.kubernetes.api import Api, connect
from tests.integration.kubernetes.admission_cases import CASES, cron_job
from tests.integration.kubernetes.admission_door import (
    Answer,
    Door,
    named,
    prepared,
    values_of,
    wait_for_admission,
    wait_until,
)
from tests.integration.kubernetes.admission_hook import (
    Hook,
    Leads,
    hooked,
    keeping_of,
    pointed_at,
    settings_of,
    terms_of,
)
from tests.integration.kubernetes.admission_objects import LATER, Case, Object, job, kind
from tests.integration.kubernetes.chart import Helm, find
from tests.integration.kubernetes.control_plane import ControlPlane

pytestmark = pytest.mark.integration

AUTHORITY_AGE = timedelta(days=2440)
"""A little more than two thirds of its ten years."""


@pytest.fixture(scope="module")
def door(control_plane: ControlPlane) -> Iterator[Door]:
    with prepared(control_plane) as found:
        yield found


@pytest.fixture(scope="module")
def api(control_plane: ControlPlane) -> Api:
    return connect(control_plane.kubeconfig)


@pytest.fixture(scope="module")
def configuration(door: Door, helm3: Path, tmp_path_factory: pytest.TempPathFactory) -> Object:
    """What the chart renders, for the namespaces of this module."""
    values = {**values_of(door), "admission": {"mode": "webhook"}}
    options = [
        option for key, value in values.items() for option in ("--set-json", f"{key}={json.dumps(value)}")
    ]
    helm = Helm(helm3, tmp_path_factory.mktemp("helm"))
    return find(helm.render(*options), "MutatingWebhookConfiguration")


@pytest.fixture(scope="module")
def hook(door: Door, api: Api, configuration: Object) -> Iterator[Hook]:
    with hooked(door, api, configuration, settings_of(door, "cleanhours-table"), SystemClock()) as found:
        wait_for_admission(door)
        yield found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_becomes_what_the_table_says(hook: Hook, case: Case) -> None:
    assert ((), dict(case.after)) == hook.door.outcome(case)


def test_updates_are_not_looked_at(hook: Hook) -> None:
    namespace = hook.door.names[None, False]
    created = hook.door.create(named(job()), namespace, dry=False)
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{created.body['metadata']['name']}"
    wrong = {"metadata": {"annotations": {"cleanhours.dev/deadline": "soon", "cleanhours.dev/plan": "{}"}}}
    changed = hook.door.ask("PATCH", path, wrong)
    hook.door.ask("DELETE", path, propagationPolicy="Background")
    assert wrong["metadata"]["annotations"] == changed.body["metadata"]["annotations"]


def test_a_past_deadline_is_let_in_with_a_warning_at_the_users_terminal(hook: Hook) -> None:
    answer = hook.door.create(job({"deadline": "2020-01-01T00:00:00Z"}), hook.door.names[None, False])
    assert (201, "held") == (answer.status, answer.body["metadata"]["annotations"]["cleanhours.dev/state"])
    assert "cleanhours.dev/deadline has passed: the job runs now" in answer.warnings


def test_while_nobody_answers_only_what_opted_in_is_refused_and_at_once(hook: Hook) -> None:
    door = hook.door
    plain, enabled = door.names[None, False], door.names["true", False]
    hook.server.stop()
    try:
        refused = [
            door.create(job(LATER), plain),
            door.create(job(), enabled),
            door.create(kind("v1", "Pod", LATER, {}), plain),
        ]
        others = [
            door.create(job(), plain), door.create(cron_job({}), plain), door.create(cron_job({}), enabled),
            door.create(job({**LATER, "enabled": "false"}), enabled), door.create(job(LATER), door.names["shadow", False]),
            door.create(kind("v1", "Pod", {}, {"containers": [{"name": "a", "image": "b"}]}), enabled),
        ]  # fmt: skip
    finally:
        hook.server.start()
    assert [500, 500] == [answer.status for answer in refused[:2]]
    assert 'failed calling webhook "annotated.cleanhours.dev"' in refused[0].message
    assert 'failed calling webhook "enabled.cleanhours.dev"' in refused[1].message
    assert refused[2].status >= 400
    assert [201] * len(others) == [answer.status for answer in others]
    wait_until(lambda: door.create(job(LATER), plain).status == 201)


def test_a_follower_shows_the_leaders_certificate_and_writes_nothing(hook: Hook) -> None:
    shown: list[object] = []
    follower = CertificateKeeper(
        hook.keeping(), api=hook.api, leadership=Leads(False), clock=SystemClock(), use=shown.append
    )
    before = (hook.secret["metadata"]["resourceVersion"], hook.configuration["metadata"]["resourceVersion"])
    follower.beat()
    follower.beat()
    assert 1 == len(shown)
    assert before == (
        hook.secret["metadata"]["resourceVersion"],
        hook.configuration["metadata"]["resourceVersion"],
    )


def test_certificates_change_while_requests_flow_and_none_fails(
    door: Door, api: Api, configuration: Object
) -> None:
    """A year's certificate, then a new authority: trusted first, shown after. Then every connection is made anew."""
    now = SystemClock().now()
    clock = FakeClock(now - AUTHORITY_AGE)
    settings = settings_of(door, "cleanhours-rotation")
    with hooked(door, api, configuration, settings, clock) as hook:
        clock.set(now - timedelta(days=70))
        hook.keeper.beat()
        wait_until(lambda: 201 == door.create(job(LATER), door.names[None, False]).status)
        first = papers_of(hook.secret)
        with flowing(door) as answers:
            clock.set(now)
            hook.keeper.beat()
            wait_until(lambda: first.bundle != trusted(hook.configuration) and enough(answers))
            between = papers_of(hook.secret)
            hook.keeper.beat()
            wait_until(lambda: enough(answers))
            last = papers_of(hook.secret)
        assert {201} == {answer.status for answer in answers}, {answer.message for answer in answers}
        assert (first.server, True) == (between.server, between.bundle.startswith(first.bundle))
        assert (between.bundle, False) == (last.bundle, last.server == first.server)
        hook.server.stop()
        hook.server.start()
        # a server that ends takes its connections along, and the API server may try one of them first
        wait_until(lambda: 201 == door.create(job(LATER), door.names[None, False]).status)


class flowing:  # noqa: N801
    """Creations of Jobs that opt in, one after another, until the end of the block."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._stop = threading.Event()
        self._answers: list[Answer] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> list[Answer]:
        self._thread.start()
        return self._answers

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._answers.append(self._door.create(job(LATER), self._door.names[None, False]))


def enough(answers: list[Answer]) -> bool:
    """Twenty more than there were."""
    mark = len(answers) + 20
    wait_until(lambda: len(answers) >= mark)
    return True


def trusted(configuration: Object) -> bytes:
    return base64.b64decode(configuration["webhooks"][0]["clientConfig"].get("caBundle", ""))


def test_the_services_of_a_replica_serve_from_nothing(
    door: Door, api: Api, configuration: Object, caplog: pytest.LogCaptureFixture
) -> None:
    """As the controller starts them: certificate, Secret and caBundle come of themselves; the other mode is noticed."""
    settings = settings_of(door, "cleanhours-services")
    door.ask("POST", CONFIGURATIONS, pointed_at(configuration, settings))
    running = services(settings, api=api, leadership=Leads(), clock=SystemClock(), terms=terms_of(door))
    try:
        with caplog.at_level(logging.INFO):
            for service in running:
                service.start()
        wait_until(lambda: 201 == door.create(job(LATER), door.names[None, False]).status)
        held = door.create(job(LATER), door.names[None, False]).body
        policies = "mutatingadmissionpolicies" in str(door.ask("GET", GROUP).body)
        noticed = [line for line in caplog.messages if "MutatingAdmissionPolicy v1 now" in line]
    finally:
        door.ask("DELETE", f"{CONFIGURATIONS}/{settings.configuration}")
        for service in reversed(running):
            service.stop()
            service.stop()
    assert "held" == held["metadata"]["annotations"]["cleanhours.dev/state"]
    assert "kubernetes.io/tls" == door.ask("GET", keeping_of(settings).path).body["type"]
    assert (1 if policies else 0) == len(noticed)


def test_what_it_adds_to_a_creation_can_be_measured(
    hook: Hook, record_property: Callable[[str, object], None]
) -> None:
    """Figures for docs/benchmarks.md; no limit here, as this machine may be busy."""
    for name, milliseconds in added_latency(hook.door, 100).items():
        record_property(name, round(milliseconds, 2))


def added_latency(door: Door, rounds: int) -> dict[str, float]:
    """Milliseconds of creations that opt in and of others, by turns: median, 99th percentile, and what is added."""
    times: dict[str, list[float]] = {"asked": [], "not asked": []}
    for _ in range(rounds):
        for name, obj in (("asked", job(LATER)), ("not asked", job())):
            times[name].append(door.create(obj, door.names[None, False]).seconds * 1000)
    found = {}
    for name, row in times.items():
        found[f"{name} p50"] = statistics.median(row)
        found[f"{name} p99"] = statistics.quantiles(row, n=100)[98]
    return {**found, "added p50": found["asked p50"] - found["not asked p50"]}
