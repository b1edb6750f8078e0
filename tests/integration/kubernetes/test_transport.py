"""The door to a real API server, straight and through a proxy that does harm."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours import __version__
from cleanhours_plugins.clusters.kubernetes.api import PAGE_OBJECTS, Api, connect
from cleanhours_plugins.clusters.kubernetes.errors import (
    Conflict,
    Denied,
    Gone,
    Missing,
    Refused,
    Unreachable,
)
from cleanhours_plugins.clusters.kubernetes.pacing import Pace
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.fault_proxy import FaultProxy

pytestmark = pytest.mark.integration
MANY = 1_200


@pytest.fixture
def api(control_plane: ControlPlane) -> Iterator[Api]:
    api = connect(control_plane.kubeconfig)
    yield api
    api.close()


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(control_plane.kubeconfig) as proxy:
        yield proxy


@pytest.fixture
def harmed(proxy: FaultProxy, tmp_path: Path) -> Iterator[Api]:
    api = connect(proxy.kubeconfig(tmp_path / "kubeconfig")).through(timeout_s=5)
    yield api
    api.close()


def collection(namespace: str, plural: str = "configmaps") -> str:
    return f"/api/v1/namespaces/{namespace}/{plural}"


def a_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


# --- straight -------------------------------------------------------------------------------------------------------


def test_a_real_server_tells_its_version_and_what_it_serves(api: Api, control_plane: ControlPlane) -> None:
    version = json.loads(control_plane.kubectl("get", "--raw", "/version"))
    assert version["minor"].rstrip("+") == str(api.minor)
    assert {"jobs", "jobs/status", "cronjobs"} <= api.serves("batch", "v1")
    assert {"nodes", "pods"} <= api.serves("", "v1")
    assert frozenset() == api.serves("nobody.example.com", "v1")


def test_an_object_is_written_only_as_it_was_read(api: Api, namespace: str) -> None:
    path = f"{collection(namespace)}/words"
    made = api.create(collection(namespace), a_map("words", a="1"))
    with pytest.raises(Conflict, match=f"POST {collection(namespace)} answered 409: .*already exists"):
        api.create(collection(namespace), a_map("words"))
    version = made["metadata"]["resourceVersion"]
    changed = api.patch(path, {"metadata": {"resourceVersion": version}, "data": {"b": "2"}})
    assert {"a": "1", "b": "2"} == changed["data"] == api.get(path)["data"]
    with pytest.raises(Conflict, match="has been modified"):
        api.patch(path, {"metadata": {"resourceVersion": version}, "data": {"b": "3"}})
    with pytest.raises(Conflict):
        api.replace(path, {**made, "data": {}})
    with pytest.raises(Refused, match=r"PATCH .* answered 422: .*invalid"):
        api.patch(path, {"metadata": {"labels": {"a/b/c": "no"}}})
    with pytest.raises(Missing, match='configmaps "nothing" not found'):
        api.get(f"{collection(namespace)}/nothing")


def test_a_long_list_comes_in_pages_each_object_once(api: Api, namespace: str) -> None:
    def create(begin: int) -> None:
        for n in range(begin, MANY, 4):
            api.create(collection(namespace), a_map(f"map-{n}", filler="x" * 200))

    threads = [threading.Thread(target=create, args=(begin,)) for begin in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pages, versions = [], set()
    for page in api.pages(collection(namespace)):
        pages.append([item["metadata"]["name"] for item in page.items])
        versions.add(page.resource_version)
    names = [name for page in pages for name in page]
    assert {f"map-{n}" for n in range(MANY)} | {"kube-root-ca.crt"} == set(names)
    assert len(names) == len(set(names))
    assert [PAGE_OBJECTS] * 4 + [201] == [len(page) for page in pages]
    assert 1 == len(versions)


def test_a_watch_shows_what_happens_and_bookmarks_where_nothing_does(api: Api, namespace: str) -> None:
    path = collection(namespace)
    begin = api.get(path)["metadata"]["resourceVersion"]
    api.create(path, a_map("one"))
    api.patch(f"{path}/one", {"data": {"a": "1"}})
    events = []
    for one in api.watch(path, begin, 10):
        events.append((one["type"], one["object"]["metadata"].get("name")))
        if one["type"] == "BOOKMARK":
            begin = one["object"]["metadata"]["resourceVersion"]
            break
    assert [("ADDED", "one"), ("MODIFIED", "one"), ("BOOKMARK", None)] == events
    assert {"BOOKMARK"} >= {one["type"] for one in api.watch(path, begin, 1)}


def test_an_account_without_rights_is_told_which_one_is_missing(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    api = connect(control_plane.kubeconfig_for("nobody", namespace))
    who = f"system:serviceaccount:{namespace}:nobody"
    with pytest.raises(
        Denied, match=f'GET /apis/batch/v1/jobs answered 403: .*User "{who}" cannot list resource "jobs"'
    ):
        list(api.pages("/apis/batch/v1/jobs"))
    with pytest.raises(Denied, match='cannot patch resource "configmaps" in API group "" in the namespace'):
        api.patch(f"{collection(namespace)}/x", {})
    with pytest.raises(Denied, match='cannot watch resource "nodes"'):
        api.watch("/api/v1/nodes", "1", 5)
    api.close()


def test_a_token_that_nobody_knows_is_denied_and_not_shown(proxy: FaultProxy, tmp_path: Path) -> None:
    api = connect(proxy.kubeconfig(tmp_path / "kubeconfig", token="a-wr0ng-t0ken"))
    with pytest.raises(Denied, match="GET /version/x answered 401: Unauthorized") as refusal:
        api.get("/version/x")
    assert "wr0ng" not in str(refusal.value)
    api.close()


def test_a_server_with_an_unknown_certificate_is_not_trusted(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    told = json.loads(control_plane.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    for cluster in told["clusters"]:
        cluster["cluster"] = {"server": cluster["cluster"]["server"]}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(told), "utf-8")
    api = connect(path)
    with pytest.raises(Denied, match=r"the certificate of .* is not trusted, check certificate-authority"):
        api.get("/version")
    api.close()


# --- through harm ---------------------------------------------------------------------------------------------------


def test_the_server_learns_who_asks(harmed: Api, proxy: FaultProxy) -> None:
    harmed.get("/api/v1/nodes", {"limit": 1})
    assert [f"cleanhours/{__version__}"] == [one.user_agent for one in proxy.asked("GET", "nodes")]


def test_a_connection_that_breaks_is_no_trouble_for_a_read(harmed: Api, proxy: FaultProxy) -> None:
    proxy.reset(pattern="nodes")
    harmed.get("/api/v1/nodes", {"limit": 1})
    assert ["reset", ""] == [one.fault for one in proxy.asked(pattern="nodes")]


def test_a_write_whose_answer_is_lost_was_done_once(harmed: Api, proxy: FaultProxy, namespace: str) -> None:
    path = f"{collection(namespace)}/words"
    proxy.reset(method="POST", after=True)
    with pytest.raises(Unreachable):
        harmed.create(collection(namespace), a_map("words"))
    found = harmed.get(path)
    proxy.reset(method="PATCH", after=True)
    patch = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "data": {"a": "1"}}
    with pytest.raises(Conflict):
        harmed.patch(path, patch)
    assert {"a": "1"} == harmed.get(path)["data"]
    assert ["POST", "PATCH", "PATCH"] == [one.method for one in proxy.writes()]


def test_a_server_that_never_answers_is_given_up(harmed: Api, proxy: FaultProxy) -> None:
    proxy.swallow(pattern="nodes")
    with pytest.raises(Unreachable, match=r"GET /api/v1/nodes: no answer from .*timed out"):
        harmed.through(timeout_s=0.3).get("/api/v1/nodes")
    assert 1 == len(proxy.asked(pattern="nodes"))


def test_a_server_that_is_away_comes_back(harmed: Api, proxy: FaultProxy) -> None:
    harmed.get("/version")
    with proxy.away(), pytest.raises(Unreachable):
        harmed.get("/version")
    with proxy.away("swallow"), pytest.raises(Unreachable):
        harmed.through(timeout_s=0.3).get("/version")
    assert "gitVersion" in harmed.get("/version")


def test_a_server_that_asks_for_patience_gets_it(harmed: Api, proxy: FaultProxy) -> None:
    paced = harmed.through(pace=Pace())
    proxy.answer(429, pattern="nodes", retry_after_s=1)
    began = [one.at_s for one in proxy.asked()]
    paced.get("/api/v1/nodes", {"limit": 1})
    first, second = [one.at_s for one in proxy.asked(pattern="nodes")][len(began) :]
    assert second - first >= 0.99
    proxy.answer(429, method="PATCH", retry_after_s=7)
    with pytest.raises(Unreachable) as refusal:
        harmed.patch("/api/v1/nodes/de-1", {})
    assert timedelta(seconds=7) == refusal.value.delay


@pytest.mark.parametrize(("status", "kind"), [(409, Conflict), (410, Gone), (500, Unreachable)])
def test_a_scripted_refusal_is_what_it_says(
    harmed: Api, proxy: FaultProxy, status: int, kind: type[Exception]
) -> None:
    proxy.answer(status, method="PATCH")
    with pytest.raises(kind, match=f"answered {status}: a fault of the test"):
        harmed.patch("/api/v1/nodes/nobody", {})
    assert [status] == [one.status for one in proxy.writes()]


def test_a_list_goes_on_where_a_token_became_too_old(harmed: Api, proxy: FaultProxy, namespace: str) -> None:
    for n in range(5):
        harmed.create(collection(namespace), a_map(f"map-{n}"))
    proxy.answer(410, pattern="continue=")
    fresh = [(page.fresh, len(list(page.items))) for page in harmed.pages(collection(namespace), limit=4)]
    assert [(True, 4), (True, 4), (False, 2)] == fresh


def test_a_watch_that_falls_silent_is_noticed(harmed: Api, proxy: FaultProxy, namespace: str) -> None:
    path = collection(namespace)
    version = harmed.get(path)["metadata"]["resourceVersion"]
    watch = iter(harmed.watch(path, version, 2, grace_s=0.5))
    harmed.create(path, a_map("one"))
    assert "ADDED" == next(watch)["type"]
    proxy.freeze("watch=true")
    harmed.create(path, a_map("two"))
    with pytest.raises(Unreachable, match="timed out"):
        next(watch)


def test_latency_is_only_latency(harmed: Api, proxy: FaultProxy) -> None:
    proxy.latency_s = 0.3
    assert "gitVersion" in harmed.get("/version")
