"""CronJobs on the real API: what a held child does to the next run, and that we know when that comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.api import connect
from cleanhours_plugins.clusters.kubernetes.crontab import parse_crontab
from cleanhours_plugins.clusters.kubernetes.kinds import JOB
from cleanhours_plugins.clusters.kubernetes.reading import read
from cleanhours_plugins.clusters.kubernetes.schedules import (
    Concurrency,
    CronJobs,
    narrowed,
    next_schedule,
    read_scheduled,
    scheduled_at,
)
from tests.integration.kubernetes.actors.stage import wait_for
from tests.integration.kubernetes.conftest import ControlPlane
from tests.unit.plugins.clusters.kubernetes.test_crontab import ANSWERED

pytestmark = pytest.mark.integration

EVERY_MINUTE = "* * * * *"
PATIENCE_S = 150


def a_cronjob(
    name: str, namespace: str, schedule: str = EVERY_MINUTE, zone: str = "", policy: str = "Allow"
) -> dict[str, Any]:
    """Whose children are held, as admission would."""
    annotations = {
        words.STATE: words.Mark.HELD,
        words.PREFIX + "max-delay": "12h",
        words.PREFIX + "duration": "10s",
    }
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]}}
    spec: dict[str, Any] = {
        "schedule": schedule,
        "concurrencyPolicy": policy,
        "jobTemplate": {
            "metadata": {"annotations": annotations},
            "spec": {"suspend": True, "template": template},
        },
    }
    if zone:
        spec["timeZone"] = zone
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": spec}


def children(plane: ControlPlane, namespace: str, cron: str) -> list[dict[str, Any]]:
    """Oldest first."""
    found = plane.get("jobs", "-n", namespace)["items"]
    mine = [job for job in found if job["metadata"]["ownerReferences"][0]["name"] == cron]
    return sorted(mine, key=read_scheduled)


@pytest.mark.slow
def test_each_policy_does_to_a_held_child_what_its_cap_is_for(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Two schedules long. Forbid skips runs while the child waits, Replace deletes it, Allow piles up held ones."""
    policies = list(Concurrency)
    control_plane.apply(*(a_cronjob(one.lower(), namespace, policy=one.value) for one in policies))

    def of(policy: Concurrency) -> list[dict[str, Any]]:
        return children(control_plane, namespace, policy.lower())

    wait_for(lambda: all(of(policy) for policy in policies), PATIENCE_S)
    first = {policy: of(policy)[0] for policy in policies}
    wait_for(lambda: len(of(Concurrency.ALLOW)) > 1, PATIENCE_S)
    old, new = of(Concurrency.ALLOW)[:2]
    replaced = first[Concurrency.REPLACE]["metadata"]["uid"]
    wait_for(lambda: replaced not in uids(of(Concurrency.REPLACE)), PATIENCE_S)
    assert uids([first[Concurrency.FORBID]]) == uids(of(Concurrency.FORBID))

    def skipped() -> set[str]:
        selected = ("-n", namespace, "--field-selector=reason=JobAlreadyActive")
        return {event["involvedObject"]["name"] for event in control_plane.get("events", *selected)["items"]}

    assert {"forbid"} == wait_for(skipped)
    known_before(control_plane, namespace, old, new)
    capped(control_plane, namespace, first)


def uids(jobs: list[dict[str, Any]]) -> list[str]:
    return [job["metadata"]["uid"] for job in jobs]


def known_before(plane: ControlPlane, namespace: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """From the first child alone it was known when the second would come."""
    cron = CronJobs(connect(plane.kubeconfig)).find(namespace, "allow", SystemClock().now())
    assert cron is not None
    assert read_scheduled(new) == next_schedule(cron, read_scheduled(old))
    created = parse_instant(old["metadata"]["creationTimestamp"])
    assert read_scheduled(old) == scheduled_at(old["metadata"]["name"], "allow", created)


def capped(plane: ControlPlane, namespace: str, first: dict[Concurrency, dict[str, Any]]) -> None:
    crons = CronJobs(connect(plane.kubeconfig))
    for policy, child in first.items():
        record = read(JOB, child)
        assert record is not None
        assert ("CronJob", policy.lower()) == (record.owner or ())[:2]
        cron = crons.find(namespace, policy.lower(), SystemClock().now())
        assert cron is not None
        due = read_scheduled(child)
        request = JobRequest(submitted=record.created, deadline=record.created.replace(year=2100))
        held = narrowed(request, cron, due)
        if policy is Concurrency.ALLOW:
            assert held.max_delay is not None
            assert next_schedule(cron, due) == max(record.created + held.max_delay, record.created)
        else:
            assert next_schedule(cron, due) == held.deadline


def test_the_server_takes_the_schedules_that_we_can_read_and_no_others(
    control_plane: ControlPlane, namespace: str
) -> None:
    rows = {f"cron-{number}": row for number, row in enumerate(ANSWERED)}
    crons = [a_cronjob(name, namespace, schedule, zone) for name, (schedule, zone, *_) in rows.items()]
    content = {"apiVersion": "v1", "kind": "List", "items": crons}
    told = control_plane.kubectl(
        "create", "--dry-run=server", "-o", "name", "-f", "-", input=json.dumps(content), check=False
    )
    taken = {line.partition("/")[2] for line in told.splitlines() if line.startswith("cronjob.batch/")}
    assert {name for name, (*_, answers) in rows.items() if answers != "refused"} == taken


def test_an_old_zone_in_a_schedule_is_taken_by_the_server_no_more(
    control_plane: ControlPlane, namespace: str
) -> None:
    old = a_cronjob("old", namespace, "TZ=Asia/Tokyo 0 0 * * *")
    assert "cannot use TZ" in control_plane.apply(old, check=False)
    assert parse_crontab("TZ=Asia/Tokyo 0 0 * * *") == parse_crontab("0 0 * * *", "Asia/Tokyo")
