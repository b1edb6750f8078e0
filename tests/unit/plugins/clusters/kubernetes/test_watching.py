"""A reflector against a server in this process: what it keeps, whom it tells, and that it neither gives up nor hurries."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.errors import Denied, Unreachable
from cleanhours_plugins.clusters.kubernetes.sighting import Sight
from cleanhours_plugins.clusters.kubernetes.watching import Reflector, Timing
from tests.unit.plugins.clusters.kubernetes.changes import JOBS, Ear, Slim, a_job, a_list, event, slim
from tests.unit.plugins.clusters.kubernetes.servers import RESET, Answer, Server, status

# --- a single look --------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Iterator[Api]:
    api = server.api(tmp_path)
    yield api
    api.close()


def test_a_single_look_lists_without_a_thread(api: Api, server: Server) -> None:
    server.script = [a_list(a_job("a"), a_job("b", "")), a_list(a_job("b"))]
    reflector = Reflector(api, JOBS, slim, kind="jobs")
    assert (False, None, Sight.STARTING) == (reflector.synced, reflector.age_s, reflector.sight)
    reflector.once()
    assert [("a", "held")] == reflector.records()
    assert (True, Sight.LIVE) == (reflector.synced, reflector.sight)
    assert reflector.age_s is not None
    reflector.once()
    assert [("b", "held")] == reflector.records()
    assert None is reflector.get("a")


def test_a_single_look_raises_what_went_wrong_but_a_kind_that_is_not_served_is_empty(
    api: Api, server: Server
) -> None:
    server.script = [Answer(500, status(500)), Answer(401, status(401))]
    reflector = Reflector(api, JOBS, slim, kind="jobs")
    with pytest.raises(Unreachable):
        reflector.once()
    with pytest.raises(Denied):
        reflector.once()
    assert not reflector.synced
    reflector.once()
    assert (True, Sight.UNSERVED, []) == (reflector.synced, reflector.sight, reflector.records())


# --- list and watch -------------------------------------------------------------------------------------------------


@dataclass
class Watched:
    """A reflector that runs, its steps chosen by the test."""

    server: Server
    reflector: Reflector[Slim]
    ear: Ear
    held: threading.Event

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, (self.server.asked, self.ear)
            time.sleep(0.005)

    def sees(self, sight: Sight) -> bool:
        return self.reflector.sight is sight

    def watches(self) -> list[str]:
        """The resourceVersions that watches began from, so far."""
        return [one.query["resourceVersion"] for one in self.server.asked if "watch" in one.query]

    def lists(self) -> int:
        return sum("watch" not in one.query for one in self.server.asked)

    def watch(self, *events: dict[str, Any], open_ended: bool = False) -> Answer:
        return Answer(lines=events, held=self.held if open_ended else None)


@pytest.fixture
def watched(api: Api, server: Server) -> Iterator[Watched]:
    ear = Ear()
    timing = Timing(unserved_pause_s=0.05, jitter=lambda: 1.0)
    reflector = Reflector(api, JOBS, slim, kind="jobs", changed=ear.change, count=ear.count, timing=timing)
    watched = Watched(server, reflector, ear, threading.Event())
    yield watched
    watched.held.set()
    reflector.stop()


def test_after_the_list_come_the_events_and_each_watch_goes_on_where_the_last_one_ended(
    watched: Watched,
) -> None:
    watched.server.script = [
        a_list(a_job("a"), version="10"),
        watched.watch(event("ADDED", a_job("b", version="11")), event("DELETED", a_job("a", version="12"))),
        watched.watch(event("BOOKMARK", {"metadata": {"resourceVersion": "20"}})),
        watched.watch(event("MODIFIED", a_job("b", "released", version="21")), open_ended=True),
    ]
    watched.reflector.start()
    assert watched.reflector.wait_synced(10)
    watched.until(lambda: watched.reflector.get("b") == ("b", "released"))
    assert ["10", "12", "20"] == watched.watches()
    assert 1 == watched.lists()
    assert [("b", "released")] == watched.reflector.records()
    assert [
        (None, ("a", "held")),
        (None, ("b", "held")),
        (("a", "held"), None),
        (("b", "held"), ("b", "released")),
    ] == watched.ear.changes
    assert [("watch_relists_total", "")] == watched.ear.counted


def test_an_error_event_lists_again_and_what_vanished_meanwhile_is_told(watched: Watched) -> None:
    watched.server.script = [
        a_list(a_job("a"), a_job("b"), version="10"),
        watched.watch(event("ERROR", status(410, "too old"))),
        a_list(a_job("b"), a_job("c"), version="30"),
        watched.watch(open_ended=True),
    ]
    watched.reflector.start()
    watched.until(lambda: watched.watches() == ["10", "30"])
    assert [(None, ("c", "held")), (("a", "held"), None)] == watched.ear.changes[2:]
    assert ("watch_errors_total", "gone") in watched.ear.counted
    assert watched.sees(Sight.LIVE)


def test_any_other_failure_goes_on_from_where_it_was(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watched.server.script = [
        a_list(a_job("a"), version="10"),
        Answer(500, status(500, "etcd is gone")),
        RESET,
        watched.watch(event("BOOKMARK", {"metadata": {"resourceVersion": "11"}})),
        watched.watch(open_ended=True),
    ]
    watched.reflector.start()
    watched.until(lambda: watched.watches() == ["10", "10", "10", "11"])
    assert 1 == watched.lists()
    assert [("a", "held")] == watched.reflector.records()
    told = [one for one in caplog.messages if "jobs" in one]
    assert [f"lost sight of jobs: WATCH {JOBS} answered 500: etcd is gone"] == told[:1]
    assert told[1].startswith("sees jobs again, after ")
    assert 2 == len(told)


def test_a_server_that_says_410_for_ever_is_not_hurried(watched: Watched) -> None:
    refusal = event("ERROR", status(410, "too old"))
    watched.server.script = [a_list(), watched.watch(refusal)] * 3
    began = time.monotonic()
    watched.reflector.start()
    watched.until(lambda: len(watched.watches()) == 3)
    # 0.375 s, then 0.75 s: a quarter of each pause was left to chance
    assert time.monotonic() - began > 1.1


def test_a_server_that_ends_every_watch_at_once_is_not_hurried_either(watched: Watched) -> None:
    watched.server.script = [a_list(version="10"), *[watched.watch()] * 3]
    began = time.monotonic()
    watched.reflector.start()
    watched.until(lambda: watched.watches() == ["10", "10", "10"])
    assert time.monotonic() - began > 1.1
    assert 1 == watched.lists()


def test_a_server_that_asks_for_a_pause_gets_it(watched: Watched) -> None:
    watched.server.script = [
        Answer(429, status(429), {"Retry-After": "1"}),
        a_list(),
        watched.watch(open_ended=True),
    ]
    began = time.monotonic()
    watched.reflector.start()
    assert watched.reflector.wait_synced(10)
    assert time.monotonic() - began > 0.95


def test_a_kind_that_is_not_served_is_no_failure_and_is_found_when_it_appears(watched: Watched) -> None:
    watched.reflector.start()
    assert watched.reflector.wait_synced(10)
    assert watched.sees(Sight.UNSERVED)
    watched.until(lambda: watched.lists() > 2)
    watched.server.script = [a_list(a_job("a")), watched.watch(open_ended=True)]
    watched.until(lambda: watched.reflector.records() == [("a", "held")])
    assert watched.sees(Sight.LIVE)
    assert [] == [name for name, _ in watched.ear.counted if "errors" in name]


def test_a_server_that_forgets_a_kind_for_a_moment_takes_nobodys_jobs_away(watched: Watched) -> None:
    watched.server.script = [
        a_list(a_job("a"), version="10"),
        Answer(404, status(404)),  # the watch
        Answer(404, status(404)),  # the list
        a_list(a_job("a"), version="12"),
        watched.watch(open_ended=True),
    ]
    watched.reflector.start()
    watched.until(lambda: watched.watches() == ["10", "12"])
    assert [(None, ("a", "held"))] == watched.ear.changes


def test_a_kind_that_is_no_longer_served_has_no_objects(watched: Watched) -> None:
    watched.server.script = [a_list(a_job("a"), version="10")]
    watched.reflector.start()
    watched.until(lambda: watched.sees(Sight.UNSERVED))
    assert [(None, ("a", "held")), (("a", "held"), None)] == watched.ear.changes


def test_an_event_that_makes_no_sense_lists_again(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.server.script = [
        a_list(a_job("a"), version="10"),
        watched.watch(event("ADDED", {"metadata": {}})),
        a_list(a_job("a"), a_job("b"), version="11"),
        watched.watch(open_ended=True),
    ]
    watched.reflector.start()
    watched.until(lambda: watched.watches() == ["10", "11"])
    assert ("watch_errors_total", "internal") in watched.ear.counted
    assert 2 == len(watched.reflector.records())


def test_a_stop_ends_a_silent_watch_at_once_and_nothing_is_told_after_it(watched: Watched) -> None:
    watched.server.script = [a_list(a_job("a")), watched.watch(event("ADDED", a_job("b")), open_ended=True)]
    watched.reflector.start()
    watched.until(lambda: len(watched.reflector.records()) == 2)
    watched.reflector.stop()
    watched.reflector.stop()
    thread = watched.reflector._thread
    assert thread is not None
    assert not thread.is_alive()
    watched.reflector.start()
    assert not thread.is_alive()
    assert 2 == len(watched.server.asked)


def test_a_stop_before_the_start_is_a_stop(watched: Watched) -> None:
    watched.reflector.stop()
    watched.reflector.start()
    assert [] == watched.server.asked


def test_a_part_is_looked_at_again_when_somebody_asks_for_it_and_the_watch_goes_on(watched: Watched) -> None:
    watched.server.script = [
        a_list(a_job("a", ""), version="10"),
        watched.watch(event("BOOKMARK", {"metadata": {"resourceVersion": "11"}}), open_ended=True),
        a_list(a_job("a"), version="20"),
        watched.watch(open_ended=True),
    ]
    watched.reflector.start()
    watched.until(lambda: watched.watches() == ["10"] and watched.reflector._resource_version == "11")
    watched.reflector.look_again("/apis/batch/v1/namespaces/ours/jobs")
    watched.until(lambda: watched.watches() == ["10", "11"])
    assert [("a", "held")] == watched.reflector.records()
    assert "/apis/batch/v1/namespaces/ours/jobs" == watched.server.asked[-2].path


def test_a_collection_that_we_may_not_see_is_an_answer_too_until_we_may(watched: Watched) -> None:
    watched.server.script = [
        Answer(401, status(401, "Unauthorized")),
        a_list(a_job("a")),
        watched.watch(open_ended=True),
    ]
    watched.reflector.start()
    assert watched.reflector.wait_answered(10)
    assert watched.reflector.wait_synced(10)
    assert watched.reflector.barred is None
    assert ("watch_errors_total", "denied") in watched.ear.counted
