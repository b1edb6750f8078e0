"""A real API server as the tests of admission use it: namespaces of every sort, the kinds, creations that leave nothing."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import requests
from kubernetes import client, config

from tests.integration.kubernetes.admission_cases import CASES
from tests.integration.kubernetes.admission_objects import (
    DEFAULTS,
    LATER,
    LOCATIONS,
    Case,
    Object,
    differences,
    job,
)
from tests.integration.kubernetes.control_plane import ControlPlane

HANDS_OFF: Final = "false"
_SORTS: Final = (
    (None, False),
    ("true", False),
    ("shadow", False),
    ("false", False),
    ("maybe", False),
    (None, True),
    ("true", True),
)
_KINDS: Final = (
    ("jobset.x-k8s.io", "v1alpha2", "JobSet"), ("trainer.kubeflow.org", "v1alpha1", "TrainJob"), ("ray.io", "v1", "RayJob"),
    ("kubeflow.org", "v1", "PyTorchJob"), ("kubeflow.org", "v1", "TFJob"), ("kubeflow.org", "v1", "XGBoostJob"),
    ("kubeflow.org", "v1", "PaddleJob"), ("kubeflow.org", "v1", "JAXJob"), ("kubeflow.org", "v1", "MPIJob"),
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What the API server made of a creation."""

    status: int
    body: Object
    seconds: float = 0.0
    warnings: str = ""

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if self.status >= 400 else ""


@dataclass(frozen=True)
class Door:
    """Asks an API server as its administrator. `names` are the namespaces by label and whether they are `team`'s."""

    server: str
    session: requests.Session
    names: dict[tuple[str | None, bool], str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Object | None = None, **query: str) -> Answer:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        begun = time.perf_counter()
        said = self.session.request(
            method, self.server + path, data=None if body is None else json.dumps(body), params=query,
            headers={"Content-Type": kind}, timeout=60,
        )  # fmt: skip
        took = time.perf_counter() - begun
        plain = "json" not in said.headers.get("Content-Type", "")  # as of a kind that is not served
        body = {"message": said.text} if plain else said.json()
        return Answer(said.status_code, body, took, said.headers.get("Warning", ""))

    def create(self, obj: Object, namespace: str, *, dry: bool = True) -> Answer:
        """Create an object; `dry`: only to see what it would become."""
        version = obj["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        query = {"dryRun": "All"} if dry else {}
        return self.ask("POST", f"{root}/namespaces/{namespace}/{obj['kind'].lower()}s", obj, **query)

    def namespace(self, case: Case) -> str:
        return self.names[case.label, case.team]

    def outcome(self, case: Case) -> tuple[tuple[str, ...], dict[Any, Any]]:
        """The faults it should have named and did not, or ("accepted",); else what differs from where nobody looks."""
        answer = self.create(case.obj, self.namespace(case))
        if case.denied:
            return missing(case.denied, answer), {}
        assert 201 == answer.status, answer.message
        plain = self.create(case.obj, self.names[HANDS_OFF, False])
        assert 201 == plain.status, plain.message
        return (), differences(lasting(plain.body), lasting(answer.body))


def named(obj: Object) -> Object:
    """The same object under a name of its own, for one that is really created."""
    return {**obj, "metadata": {**obj["metadata"], "name": f"train-{secrets.token_hex(4)}"}}


def missing(faults: Iterable[str], answer: Answer) -> tuple[str, ...]:
    """Which faults a refusal does not name. CEL writes values between quotes as they are, Python escapes what cannot be
    seen, so of such a value its beginning counts."""
    if answer.status != 422:
        return (f"answered {answer.status}: {answer.message}",)
    return tuple(fault for fault in faults if fault.partition("\\")[0].rstrip("'\"") not in answer.message)


def lasting(obj: Object) -> Object:
    """Without what every creation makes anew, and what follows from a gate. Kubernetes' labels of a Job tell its UID."""
    meta = {key: value for key, value in obj["metadata"].items()
            if key not in ("uid", "name", "namespace", "creationTimestamp", "managedFields", "resourceVersion", "generation")}  # fmt: skip
    text = json.dumps({**obj, "metadata": meta, "status": {}}).replace(obj["metadata"].get("uid", "-"), "UID")
    return dict(json.loads(text.replace(obj["metadata"]["name"], "NAME")))


def door_of(kubeconfig: Path) -> Door:
    library: Any = config
    found: Any = client.Configuration()
    library.load_kube_config(config_file=str(kubeconfig), client_configuration=found)
    session = requests.Session()
    session.trust_env = False
    session.verify = found.ssl_ca_cert or True
    if found.cert_file:
        session.cert = (found.cert_file, found.key_file)
    token = found.api_key.get("BearerToken") or found.api_key.get("authorization")
    if token:
        session.headers["Authorization"] = token
    return Door(found.host, session)


@contextmanager
def prepared(plane: ControlPlane) -> Iterator[Door]:
    """Namespaces of every sort, and every kind of workload; what was made here goes away again."""
    door = door_of(plane.kubeconfig)
    made = make_kinds(door)
    suffix = secrets.token_hex(3)
    try:
        for label, team in _SORTS:
            name = f"admission-{suffix}-{label or 'plain'}{'-team' if team else ''}"
            door.names[label, team] = name
            labels = {} if label is None else {"cleanhours.dev/enabled": label}
            answer = door.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
            assert 201 == answer.status, answer.message
        wait_until(lambda: all(_has_account(door, name) for name in door.names.values()))
        yield door
    finally:
        for name in door.names.values():
            door.ask("DELETE", f"/api/v1/namespaces/{name}")
        for name in made:
            door.ask("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")


def _has_account(door: Door, namespace: str) -> bool:
    return door.ask("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default").status == 200


def make_kinds(door: Door) -> list[str]:
    """A CustomResourceDefinition for each kind that is not served; returns the names of those made here."""
    made: list[str] = []
    for group, version, kind in _KINDS:
        plural = kind.lower() + "s"
        name = f"{plural}.{group}"
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        spec = {
            "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        }  # fmt: skip
        definition = {"metadata": {"name": name}, "spec": spec}
        wait_until(partial(_defined, door, definition, made))
    for group, version, kind in _KINDS:
        wait_until(partial(_answers, door, f"/apis/{group}/{version}/{kind.lower()}s"))
    return made


def _defined(door: Door, definition: Object, made: list[str]) -> bool:
    """Whether it is there to stay; one of an earlier test may be on its way out."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    answer = door.ask("POST", path, definition)
    name = definition["metadata"]["name"]
    if answer.status == 201:
        made.append(name)
        return True
    assert 409 == answer.status, answer.message
    found = door.ask("GET", f"{path}/{name}")
    return found.status == 200 and "deletionTimestamp" not in found.body["metadata"]


def _answers(door: Door, path: str) -> bool:
    return door.ask("GET", path).status == 200


def values_of(door: Door) -> Object:
    """Values of the chart for these namespaces, and for nobody else's."""
    return {
        "watchNamespaces": sorted(door.names.values()),
        "kinds": {"pods": True},
        "locations": {name: {"zone": "DE", "match": {"label": name.partition(":")[0]}} for name in LOCATIONS},
        "namespaces": {name: DEFAULTS["team"] for (_, team), name in door.names.items() if team},
    }


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to be in time"
        time.sleep(0.05)


def wait_for_admission(door: Door) -> None:
    """Until the server has heard of everything that admission is made of: it does so after the objects exist."""
    probes = [case for case in CASES if case.name in (
        "a deadline holds", "a namespace opts its Jobs in", "defaults make pausable", "a RayJob", "a PyTorchJob", "a JobSet",
        "a TrainJob", "locations that are not configured, each of them", "an MPIJob", "a JAXJob",
    )]  # fmt: skip

    def active() -> bool:
        for case in probes:
            answer = door.create(case.obj, door.namespace(case))
            if answer.status != (422 if case.denied else 201):
                return False
            if case.denied and missing(case.denied, answer):
                return False
            notes = answer.body.get("metadata", {}).get("annotations", {})
            if not case.denied and notes.get("cleanhours.dev/state") != "held":
                return False
        return True

    wait_until(active)
    assert 201 == door.create(job(LATER), door.names[None, False]).status
