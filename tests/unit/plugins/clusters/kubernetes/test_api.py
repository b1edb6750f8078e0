"""The API server's door against a server in this process: what is asked, what is repeated, what is said of a refusal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours import __version__
from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.errors import (
    ApiError,
    Fenced,
    Gone,
    Missing,
    Unreachable,
)
from cleanhours_plugins.clusters.kubernetes.pacing import Pace, Stopped
from tests.unit.plugins.clusters.kubernetes.servers import RESET, TOKEN, Answer, Server, status

JOBS = "/apis/batch/v1/jobs"
JOB = "/apis/batch/v1/namespaces/ours/jobs/train"
VERSIONED = {"metadata": {"resourceVersion": "1"}, "spec": {"suspend": False}}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Iterator[Api]:
    api = server.api(tmp_path)
    yield api
    api.close()


# --- what is asked --------------------------------------------------------------------------------------------------


def test_a_request_says_who_asks_and_with_what_right(api: Api, server: Server) -> None:
    server.script = [Answer(body={"kind": "Job"})]
    assert {"kind": "Job"} == api.get(JOB, {"labelSelector": "a=b,c"})
    asked = server.asked[0]
    assert ("GET", JOB, {"labelSelector": "a=b,c"}) == (asked.method, asked.path, dict(asked.query))
    assert f"cleanhours/{__version__}" == asked.headers["user-agent"]
    assert f"Bearer {TOKEN}" == asked.headers["authorization"]


def test_a_patch_is_a_merge_patch_and_answers_with_the_object_as_it_is_now(api: Api, server: Server) -> None:
    server.put(JOB, {"spec": {"suspend": True}})
    assert "102" == api.patch(JOB, {"spec": {"suspend": False}})["metadata"]["resourceVersion"]
    assert "application/merge-patch+json" == server.asked[0].headers["content-type"]
    assert {"spec": {"suspend": False}} == server.asked[0].body


def test_an_object_is_created_and_replaced(api: Api, server: Server) -> None:
    made = api.create(JOBS, {"metadata": {"name": "train"}})
    api.replace(f"{JOBS}/train", {**made, "spec": {"suspend": True}})
    assert ["POST", "PUT"] == server.methods()
    assert {"suspend": True} == server.objects[f"{JOBS}/train"]["spec"]


@pytest.mark.parametrize(("said", "minor"), [("36", 36), ("36+", 36), ("9", 9)])
def test_a_servers_version_is_asked_once_however_it_is_written(
    api: Api, server: Server, said: str, minor: int
) -> None:
    server.script = [Answer(body={"major": "1", "minor": said})]
    assert [minor, minor] == [api.minor, api.minor]
    assert 1 == len(server.asked)


def test_a_server_that_tells_no_version_is_no_api_server(api: Api, server: Server) -> None:
    server.script = [Answer(body={"hello": "world"})]
    with pytest.raises(Unreachable, match="found minor '', accepted: a number"):
        _ = api.minor


def test_what_a_group_serves_is_told_and_nothing_where_there_is_no_such_group(
    api: Api, server: Server
) -> None:
    server.script = [Answer(body={"resources": [{"name": "jobs"}, {"name": "jobs/status"}]})]
    assert {"jobs", "jobs/status"} == api.serves("batch", "v1")
    assert frozenset() == api.serves("kueue.x-k8s.io", "v1beta1")
    api.serves("", "v1")
    assert ["/apis/batch/v1", "/apis/kueue.x-k8s.io/v1beta1", "/api/v1"] == [one.path for one in server.asked]


# --- what is repeated -----------------------------------------------------------------------------------------------


def test_a_read_is_repeated_once_when_the_connection_breaks(api: Api, server: Server) -> None:
    server.put(JOB, {"spec": {}})
    server.script = [RESET]
    assert {} == api.get(JOB)["spec"]
    server.script = [RESET, RESET]
    with pytest.raises(Unreachable, match=f"GET {JOB}: no answer from 127.0.0.1:"):
        api.get(JOB)
    assert 4 == len(server.asked)


def test_a_patch_that_names_its_version_is_repeated_for_the_second_one_does_no_harm(
    api: Api, server: Server
) -> None:
    found = server.put(JOB, {"spec": {"suspend": True}})
    patch = {
        "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
        "spec": {"suspend": False},
    }
    server.script = [RESET]
    assert {"suspend": False} == api.patch(JOB, patch)["spec"]
    assert ["PATCH", "PATCH"] == server.methods()


@pytest.mark.parametrize(
    ("verb", "body"),
    [("create", VERSIONED), ("create", {"spec": {}}), ("patch", {"spec": {}}), ("replace", {"spec": {}})],
)
def test_no_other_write_is_ever_repeated(
    api: Api, server: Server, verb: str, body: dict[str, object]
) -> None:
    server.script = [RESET]
    with pytest.raises(Unreachable):
        getattr(api, verb)(JOB, body)
    assert 1 == len(server.asked)


@pytest.mark.parametrize("code", [400, 403, 404, 409, 422, 500, 503])
def test_an_answer_is_an_answer_nothing_is_repeated(api: Api, server: Server, code: int) -> None:
    server.script = [Answer(code, status(code, "no"))]
    with pytest.raises(ApiError):
        api.patch(JOB, VERSIONED)
    assert 1 == len(server.asked)


def test_a_server_that_asks_for_a_pause_gets_it_from_everybody_and_the_read_is_asked_again(
    api: Api, server: Server
) -> None:
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> bool:
        slept.append(seconds)
        now[0] += seconds
        return False

    server.put(JOB, {"spec": {}})
    server.script = [Answer(429, status(429, "slowly"), {"Retry-After": "3"})]
    paced = api.through(pace=Pace(20, 40, monotonic=lambda: now[0], sleep=sleep))
    assert {} == paced.get(JOB)["spec"]
    assert [3] == slept
    server.script = [Answer(429, status(429), {"Retry-After": "4"})] * 3
    with pytest.raises(Unreachable) as refusal:
        paced.get(JOB)
    assert timedelta(seconds=4) == refusal.value.delay
    assert [3, 4, 4] == slept
    paced.patch(JOB, {"spec": {}})
    assert [3, 4, 4, 4] == slept


def test_a_write_that_is_answered_429_is_its_callers_to_repeat(api: Api, server: Server) -> None:
    pace = Pace()
    server.script = [Answer(429, status(429, "slowly"), {"Retry-After": "1"})]
    with pytest.raises(Unreachable, match="answered 429: slowly"):
        api.through(pace=pace).patch(JOB, VERSIONED)
    assert 1 == len(server.asked)
    assert pace.wait_out() > 0


def test_who_may_not_act_any_more_sends_nothing_though_he_might_when_he_began_to_wait(
    api: Api, server: Server
) -> None:
    leads = [True]

    def sleep(_: float) -> bool:
        leads[0] = False
        now[0] += 100
        return False

    now = [0.0]
    pace = Pace(1, 1, monotonic=lambda: now[0], sleep=sleep)
    fenced = api.through(pace=pace, fence=lambda: leads[0])
    server.put(JOB, {"spec": {}})
    fenced.patch(JOB, {"spec": {}})
    with pytest.raises(Fenced, match="not sent"):
        fenced.patch(JOB, {"spec": {}})
    assert 1 == len(server.asked)
    assert {} == fenced.get(JOB)["spec"]


def test_a_repetition_asks_again_whether_it_may(api: Api, server: Server) -> None:
    answers = [True, False]
    server.script = [RESET]
    with pytest.raises(Fenced):
        api.through(fence=lambda: answers.pop(0)).patch(JOB, VERSIONED)
    assert 1 == len(server.asked)


def test_a_stop_refuses_those_who_wait(api: Api, server: Server) -> None:
    pace = Pace()
    pace.stop()
    with pytest.raises(Stopped):
        api.through(pace=pace).patch(JOB, VERSIONED)
    assert [] == server.asked


# --- pages ----------------------------------------------------------------------------------------------------------


def test_a_collection_comes_in_pages(api: Api, server: Server) -> None:
    for n in range(7):
        server.put(f"{JOBS}/{n}", {"spec": n})
    pages = [
        ([one["spec"] for one in page.items], page.resource_version, page.fresh)
        for page in api.pages(JOBS, {"labelSelector": "a"}, limit=3)
    ]
    assert [([0, 1, 2], "107", True), ([3, 4, 5], "107", False), ([6], "107", False)] == pages
    assert {"labelSelector": "a", "limit": "3", "continue": "6"} == dict(server.asked[2].query)


def test_a_list_whose_token_is_too_old_begins_anew(api: Api, server: Server) -> None:
    for n in range(4):
        server.put(f"{JOBS}/{n}", {"spec": n})
    pages = api.pages(JOBS, limit=3)
    assert 3 == len(list(next(pages).items))
    server.script = [Answer(410, status(410, "too old", "Expired"))]
    assert [(True, 3), (False, 1)] == [(page.fresh, len(list(page.items))) for page in pages]


def test_a_list_that_always_is_too_old_is_given_up(api: Api, server: Server) -> None:
    for n in range(4):
        server.put(f"{JOBS}/{n}", {"spec": n})
    pages = api.pages(JOBS, limit=3)

    def always(_: object) -> Answer | None:
        server.script.append(always)
        old = "continue" in server.asked[-1].query
        return Answer(410, status(410, "too old")) if old else None

    server.script = [always]
    with pytest.raises(Gone, match="too old"):
        list(pages)
    assert 6 == len(server.asked)


# --- watches --------------------------------------------------------------------------------------------------------


def event(kind: str, version: str) -> dict[str, object]:
    return {"type": kind, "object": {"metadata": {"uid": "u", "resourceVersion": version}}}


def test_a_watch_asks_for_bookmarks_and_yields_what_comes_line_by_line(api: Api, server: Server) -> None:
    torn = b'{"type":"MODIFIED","object":{"metadata":{"uid":"\xc3'
    rest = b'\xa9"}}}\n\n{"type":"DELETED","object":{}}\n{"type":"ADDED","obj'
    server.script = [Answer(lines=[event("ADDED", "5"), event("BOOKMARK", "6"), torn, rest])]
    events = list(api.watch(JOBS, "4", 300, {"fieldSelector": "a"}))
    assert ["ADDED", "BOOKMARK", "MODIFIED", "DELETED"] == [one["type"] for one in events]
    assert "é" == events[2]["object"]["metadata"]["uid"]
    assert {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "4",
        "timeoutSeconds": "300",
        "fieldSelector": "a",
    } == dict(server.asked[0].query)


def test_an_error_in_a_watch_means_to_list_again(api: Api, server: Server) -> None:
    error = {"type": "ERROR", "object": status(410, "too old resource version: 1 (9)", "Expired")}
    server.script = [Answer(lines=[event("ADDED", "5"), error])]
    watch = iter(api.watch(JOBS, "1", 300))
    assert "ADDED" == next(watch)["type"]
    with pytest.raises(Gone, match=f"WATCH {JOBS} ended with 410: too old resource version"):
        next(watch)


@pytest.mark.parametrize(
    "line", [b"hello\n", b"[1]\n", b'{"type":"ADDED"}\n', b'{"type":"ADDED","object":1}\n']
)
def test_a_line_that_is_no_event_ends_the_watch(api: Api, server: Server, line: bytes) -> None:
    server.script = [Answer(lines=[line])]
    with pytest.raises(Unreachable, match="no JSON object"):
        list(api.watch(JOBS, "1", 300))


def test_a_watch_that_is_refused_says_so_before_it_begins(api: Api, server: Server) -> None:
    server.script = [Answer(410, status(410, "too old"))]
    with pytest.raises(Gone):
        api.watch(JOBS, "1", 300)
    with pytest.raises(Missing, match=f"WATCH {JOBS} answered 404"):
        api.watch(JOBS, "1", 300)


def test_a_watch_that_is_silent_for_too_long_is_dead(api: Api, server: Server) -> None:
    held = threading.Event()
    server.script = [Answer(lines=[event("ADDED", "5")], held=held)]
    watch = iter(api.watch(JOBS, "1", 0.1, grace_s=0.2))
    assert "ADDED" == next(watch)["type"]
    with pytest.raises(Unreachable, match="timed out"):
        next(watch)
    held.set()


def test_a_watch_that_is_closed_from_another_thread_ends_quietly(api: Api, server: Server) -> None:
    held, first = threading.Event(), threading.Event()
    server.script = [Answer(lines=[event("ADDED", "5")], held=held)]
    watch = api.watch(JOBS, "1", 300)
    events: list[object] = []

    def follow() -> None:
        for one in watch:
            events.append(one)
            first.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert first.wait(10)
    watch.close()
    watch.close()
    thread.join(10)
    assert not thread.is_alive()
    assert 1 == len(events)
    held.set()


def test_a_watch_that_was_closed_before_it_began_yields_nothing(api: Api, server: Server) -> None:
    server.script = [Answer(lines=[event("ADDED", "5")])]
    watch = api.watch(JOBS, "1", 300)
    watch.close()
    assert [] == list(watch)
