"""Claims tie Pods to where their volumes lie; what cannot be read is asked again, and said once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cleanhours.domain.errors import CleanhoursError
from cleanhours_plugins.clusters.kubernetes.errors import Denied, Missing, Unreachable
from cleanhours_plugins.clusters.kubernetes.looking import MOST_LOOKS
from cleanhours_plugins.clusters.kubernetes.schedules import Concurrency, CronJobs
from cleanhours_plugins.clusters.kubernetes.volumes import BOUND, UNBOUND, Volumes, affinity_of, volume_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ZONAL = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["de-a"]}]}]}
CLAIM = "/api/v1/namespaces/team/persistentvolumeclaims/data"
VOLUME = "/api/v1/persistentvolumes/pv-1"


class Server:
    """Answers what it was given, and counts what it was asked."""

    def __init__(self) -> None:
        self.objects: dict[str, Mapping[str, Any] | CleanhoursError] = {}
        self.asked: list[str] = []

    def get(self, path: str) -> Mapping[str, Any]:
        self.asked.append(path)
        found = self.objects.get(path, Missing(f"GET {path} answered 404", status=404))
        if isinstance(found, CleanhoursError):
            raise found
        return found


def claim(volume: str = "pv-1", phase: str = "Bound") -> dict[str, Any]:
    return {"spec": {"volumeName": volume}, "status": {"phase": phase}}


def volume(required: Any = ZONAL) -> dict[str, Any]:
    return {"spec": {"nodeAffinity": {"required": required}} if required else {}}


@pytest.fixture
def server() -> Server:
    server = Server()
    server.objects = {CLAIM: claim(), VOLUME: volume()}
    return server


def test_a_bound_claim_ties_to_where_its_volume_lies(server: Server) -> None:
    assert ({"data": ZONAL}, True) == Volumes(server).ties("team", ["data"], NOW)


def test_a_claim_that_is_not_bound_yet_ties_nothing() -> None:
    assert "" == volume_of({"spec": {}, "status": {"phase": "Pending"}})
    assert "" == volume_of(claim(phase="Lost"))
    assert affinity_of(volume(None)) is None


def test_a_bound_claim_is_not_asked_about_again_for_a_while(server: Server) -> None:
    volumes = Volumes(server)
    for minutes in range(10):
        volumes.ties("team", ["data"], NOW + timedelta(minutes=minutes))
    assert [CLAIM, VOLUME] == server.asked
    volumes.ties("team", ["data"], NOW + BOUND)
    assert [CLAIM, VOLUME] * 2 == server.asked


def test_one_that_waits_for_its_first_consumer_is_seen_when_it_is_bound(server: Server) -> None:
    volumes = Volumes(server)
    server.objects[CLAIM] = claim("", "Pending")
    assert ({}, True) == volumes.ties("team", ["data"], NOW)
    server.objects[CLAIM] = claim()
    assert ({"data": ZONAL}, True) == volumes.ties("team", ["data"], NOW + UNBOUND)


def test_a_claim_that_is_not_there_ties_nothing_and_is_said_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    volumes = Volumes(server)
    with caplog.at_level(logging.WARNING):
        for hours in range(3):
            assert ({}, True) == volumes.ties("team", ["lost"], NOW + timedelta(hours=hours))
    assert 1 == len(caplog.records)
    assert "persistentvolumeclaims/lost" in caplog.text


def test_who_may_not_look_is_not_tied(server: Server) -> None:
    server.objects[VOLUME] = Denied("cannot get resource persistentvolumes", status=403)
    assert ({}, True) == Volumes(server).ties("team", ["data"], NOW)


def test_while_the_server_does_not_answer_what_was_known_stays(server: Server) -> None:
    volumes = Volumes(server)
    volumes.ties("team", ["data"], NOW)
    server.objects = {CLAIM: Unreachable("no answer"), VOLUME: Unreachable("no answer")}
    assert ({"data": ZONAL}, True) == volumes.ties("team", ["data"], NOW + BOUND)
    server.objects["/api/v1/namespaces/team/persistentvolumeclaims/other"] = Unreachable("no answer")
    assert ({}, False) == Volumes(server).ties("team", ["other"], NOW)


def test_ten_thousand_claims_are_looked_at_in_turns(server: Server) -> None:
    volumes = Volumes(server)
    many = [f"data-{number}" for number in range(MOST_LOOKS + 50)]
    assert not volumes.ties("team", many, NOW).known
    assert MOST_LOOKS == len(server.asked)
    assert volumes.ties("team", many, NOW + timedelta(seconds=10)).known
    assert MOST_LOOKS + 50 == len(server.asked)


def test_what_nobody_asks_for_any_more_is_forgotten(server: Server) -> None:
    volumes = Volumes(server)
    volumes.ties("team", ["data"], NOW)
    volumes.forget_old(NOW + timedelta(hours=2))
    volumes.ties("team", ["data"], NOW)
    assert [CLAIM, VOLUME] * 2 == server.asked


def test_a_cronjob_with_an_unreadable_schedule_is_found_and_said_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/apis/batch/v1/namespaces/team/cronjobs/nightly"
    server.objects[path] = {"spec": {"schedule": "at night", "concurrencyPolicy": "Forbid"}}
    crons = CronJobs(server)
    with caplog.at_level(logging.WARNING):
        for hours in range(3):
            cron = crons.find("team", "nightly", NOW + timedelta(hours=hours))
            assert cron is not None
            assert Concurrency.FORBID is cron.policy
    assert 1 == len(caplog.records)
    assert "at night" in caplog.text
    assert crons.find("team", "gone", NOW) is None
