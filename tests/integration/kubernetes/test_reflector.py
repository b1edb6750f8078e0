"""A reflector on a real API server, straight, through a proxy that does harm, and while the server dies and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cleanhours_plugins.clusters.kubernetes.api import PAGE_OBJECTS, Api, connect
from cleanhours_plugins.clusters.kubernetes.errors import Gone
from cleanhours_plugins.clusters.kubernetes.sighting import Sight
from cleanhours_plugins.clusters.kubernetes.watching import Reflector, Timing
from tests.integration.kubernetes.conftest import ControlPlane, started_control_plane
from tests.integration.kubernetes.fault_proxy import FaultProxy

pytestmark = pytest.mark.integration
PATIENCE_S = 60.0
SHORT = Timing(watch_s=(2, 4), grace_s=1, unserved_pause_s=0.2)
ROOT = "kube-root-ca.crt"


@dataclass
class Watched:
    """A reflector of ConfigMaps' names, and all that it told."""

    reflector: Reflector[str]
    told: list[tuple[str | None, str | None]] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)

    def names(self) -> list[str]:
        return sorted(set(self.reflector.records()) - {ROOT})

    def until(self, *names: str) -> None:
        wait_for(lambda: self.names() == sorted(names), lambda: (self.names(), self.counted))

    def count(self, name: str, reason: str = "") -> int:
        return self.counted.count((name, reason))


def wait_for(condition: Callable[[], bool], found: Callable[[], Any] = lambda: None) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, found()
        time.sleep(0.02)


def collection(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def a_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def name_of(item: dict[str, Any]) -> str:
    return str(item["metadata"]["name"])


@contextmanager
def watched(api: Api, path: str, timing: Timing | None = None) -> Iterator[Watched]:
    told: list[tuple[str | None, str | None]] = []
    counted: list[tuple[str, str]] = []

    def count(name: str, /, **labels: str) -> None:
        counted.append((name, labels.get("reason", "")))

    reflector = Reflector(
        api,
        path,
        name_of,
        kind="maps",
        changed=lambda old, new: told.append((old, new)),
        count=count,
        timing=timing,
    )
    reflector.start()
    try:
        assert reflector.wait_synced(PATIENCE_S)
        yield Watched(reflector, told, counted)
    finally:
        reflector.stop()
        thread = reflector._thread
        assert thread is not None
        thread.join(10)  # this machine may be busy
        api.close()
        assert not thread.is_alive()


@pytest.fixture
def api(control_plane: ControlPlane) -> Iterator[Api]:
    """Straight to the server, behind the back of whoever watches."""
    api = connect(control_plane.kubeconfig)
    yield api
    api.close()


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(control_plane.kubeconfig) as proxy:
        yield proxy


@pytest.fixture
def harmed(proxy: FaultProxy, tmp_path: Path) -> Api:
    return connect(proxy.kubeconfig(tmp_path / "kubeconfig")).through(timeout_s=5)


def test_what_is_and_what_becomes_is_seen(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    api.create(collection(namespace), a_map("before"))
    with watched(connect(control_plane.kubeconfig), collection(namespace)) as eye:
        assert ["before"] == eye.names()
        api.create(collection(namespace), a_map("after"))
        eye.until("after", "before")
        control_plane.kubectl("delete", "configmap", "before", "-n", namespace)
        eye.until("after")
        assert ("before", None) == eye.told[-1]
        age = eye.reflector.age_s
        assert age is not None
        assert Sight.LIVE is eye.reflector.sight


def test_watches_that_end_in_their_time_follow_one_another_without_a_list(
    harmed: Api, proxy: FaultProxy, api: Api, namespace: str
) -> None:
    with watched(harmed, collection(namespace), SHORT) as eye:
        wait_for(lambda: len(proxy.asked(pattern="watch=true")) >= 3)
        api.create(collection(namespace), a_map("late"))
        eye.until("late")
        assert 1 == len(proxy.asked(pattern=f"limit={PAGE_OBJECTS}"))
        assert 0 == len([one for one in eye.counted if "errors" in one[0]])


def test_a_version_that_is_too_old_is_answered_by_a_new_list(
    harmed: Api, proxy: FaultProxy, api: Api, control_plane: ControlPlane, namespace: str
) -> None:
    for name in ("stays", "goes"):
        api.create(collection(namespace), a_map(name))
    with watched(harmed, collection(namespace)) as eye:
        eye.until("goes", "stays")
        error = {
            "kind": "Status",
            "code": 410,
            "reason": "Expired",
            "message": "too old resource version: 1 (2)",
        }
        with proxy.away():
            proxy.drop()
            control_plane.kubectl("delete", "configmap", "goes", "-n", namespace)
            api.create(collection(namespace), a_map("comes"))
        proxy.script([{"type": "ERROR", "object": error}], pattern="configmaps")
        eye.until("comes", "stays")
        assert {("goes", None), (None, "comes")} == set(eye.told[-2:])
        assert 1 == eye.count("watch_errors_total", "gone")
        assert 2 == eye.count("watch_relists_total")


def test_what_happens_while_the_way_is_cut_is_seen_afterwards_and_nobody_lists_again(
    harmed: Api, proxy: FaultProxy, api: Api, control_plane: ControlPlane, namespace: str
) -> None:
    api.create(collection(namespace), a_map("goes"))
    with watched(harmed, collection(namespace)) as eye:
        wait_for(lambda: bool(proxy.asked(pattern="watch=true")))
        with proxy.away():
            wait_for(lambda: eye.reflector.sight is Sight.FAILING)
            assert ["goes"] == eye.names()  # what was known is kept
            control_plane.kubectl("delete", "configmap", "goes", "-n", namespace)
            api.create(collection(namespace), a_map("comes"))
        eye.until("comes")
        wait_for(lambda: eye.reflector.sight is Sight.LIVE)
        assert 1 == eye.count("watch_relists_total")


def test_a_watch_that_fell_silent_is_noticed_and_replaced(
    harmed: Api, proxy: FaultProxy, api: Api, namespace: str
) -> None:
    with watched(harmed, collection(namespace), SHORT) as eye:
        wait_for(lambda: bool(proxy.asked(pattern="watch=true")))
        proxy.freeze("watch=true")
        api.create(collection(namespace), a_map("unseen"))
        eye.until("unseen")
        assert eye.count("watch_errors_total", "unreachable") >= 1


def test_a_server_in_trouble_is_not_hurried(harmed: Api, proxy: FaultProxy, api: Api, namespace: str) -> None:
    with watched(harmed, collection(namespace)) as eye:
        proxy.answer(500, times=3, pattern="watch=true")
        proxy.drop("watch=true")
        wait_for(lambda: [500] * 3 == [one.status for one in proxy.asked(pattern="watch=true")][-4:-1])
        asked = [one.at_s for one in proxy.asked(pattern="watch=true")][-4:]
        pauses = [after - before for before, after in pairwise(asked)]
        assert all(pause > least for pause, least in zip(pauses, (0.37, 0.74, 1.49), strict=True)), pauses
        api.create(collection(namespace), a_map("late"))
        eye.until("late")


@pytest.mark.parametrize("through", ["TLS", "the proxy"])
def test_a_stop_ends_a_silent_watch(
    harmed: Api, proxy: FaultProxy, control_plane: ControlPlane, namespace: str, through: str
) -> None:
    api = harmed if through == "the proxy" else connect(control_plane.kubeconfig)
    with watched(api, collection(namespace)) as eye:
        wait_for(lambda: eye.reflector._watch is not None)
        eye.reflector.stop()
        eye.reflector.stop()


def test_a_kind_is_picked_up_when_its_definition_appears_and_let_go_with_it(
    control_plane: ControlPlane, namespace: str
) -> None:
    group = f"{namespace}.example.com"
    path = f"/apis/{group}/v1/dreams"
    with watched(connect(control_plane.kubeconfig), path, SHORT) as eye:
        assert Sight.UNSERVED is eye.reflector.sight
        control_plane.apply(a_definition(group))
        control_plane.kubectl("wait", "--for=condition=Established", f"crd/dreams.{group}", "--timeout=30s")
        control_plane.apply(
            {
                "apiVersion": f"{group}/v1",
                "kind": "Dream",
                "metadata": {"name": "nice", "namespace": namespace},
            }
        )
        eye.until("nice")
        control_plane.kubectl("delete", "crd", f"dreams.{group}")
        eye.until()
        wait_for(lambda: eye.reflector.sight is Sight.UNSERVED)


def a_definition(group: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"dreams.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "dreams", "singular": "dream", "kind": "Dream"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }


def test_a_server_that_is_killed_and_started_again_is_followed(tmp_path: Path) -> None:
    with started_control_plane(tmp_path) as plane:
        api = connect(plane.kubeconfig)
        path = collection("default")
        early = api.get(path)["metadata"]["resourceVersion"]
        api.create(path, a_map("goes"))
        with watched(connect(plane.kubeconfig), path) as eye:
            eye.until("goes")
            plane.stop("kube-apiserver", "KILL")
            wait_for(lambda: eye.reflector.sight is Sight.FAILING)
            plane.start("kube-apiserver")
            plane.kubectl("delete", "configmap", "goes")
            api.create(path, a_map("comes"))
            eye.until("comes")
            wait_for(lambda: eye.reflector.sight is Sight.LIVE)
        # its memory of changes begins with its own life: what a watch asks for of before is too old
        with pytest.raises(Gone, match=f"WATCH {path} ended with 410: too old resource version"):
            list(api.watch(path, str(int(early) - 1), 5))
        api.close()
