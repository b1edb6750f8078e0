"""The chart as it is when it is installed: releases by real Helm, in namespaces that enforce PodSecurity `restricted`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.chart import CHART, Helm, Object, objects_of
from tests.integration.kubernetes.control_plane import ControlPlane
from tests.integration.kubernetes.worlds import wait

LASTING: Final = ("--set", "persistence.enabled=false", "--set-string", "podAnnotations.test/run-for=1h")
"""A pretended Pod of a Deployment would end after a second otherwise, and a claim would never be bound."""
EVERY_KIND: Final = (
    "all,configmaps,secrets,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,persistentvolumeclaims,"
    "poddisruptionbudgets,networkpolicies,mutatingwebhookconfigurations,validatingwebhookconfigurations,"
    "mutatingadmissionpolicies,mutatingadmissionpolicybindings,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings"
)


@dataclass(frozen=True)
class Release:
    """An installed chart."""

    plane: ControlPlane
    helm: Helm
    name: str
    namespace: str

    def objects(self, *options: str) -> list[Object]:
        """What it was made of; hooks too, which are made later."""
        self.helm.done("status", self.name, "-n", self.namespace)
        told = [
            self.helm.done("get", part, self.name, "-n", self.namespace, *options)
            for part in ("manifest", "hooks")
        ]
        return [one for text in told for one in objects_of(text)]

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        return self.plane.kubectl(*arguments, "-n", self.namespace, check=check)

    @property
    def controller(self) -> str:
        """The name of the Deployment, and of what belongs to it."""
        return f"{self.name}-cleanhours"

    def left(self) -> set[str]:
        """What in the whole cluster still wears its label, as kind/name."""
        found = self.plane.get(EVERY_KIND, "-A", "-l", f"app.kubernetes.io/instance={self.name}")
        return {f"{one['kind']}/{one['metadata']['name']}" for one in found["items"]}


@contextmanager
def restricted_namespace(plane: ControlPlane) -> Iterator[str]:
    name = f"chart-{secrets.token_hex(4)}"
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": levels}})
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
    try:
        yield name
    finally:
        plane.kubectl("delete", "namespace", name, "--wait=false", check=False)


@contextmanager
def installed(plane: ControlPlane, helm: Helm, *options: str) -> Iterator[Release]:
    with restricted_namespace(plane) as namespace:
        release = Release(plane, helm, f"r{secrets.token_hex(3)}", namespace)
        try:
            helm.done("install", release.name, str(CHART), "-n", namespace, *options)
            yield release
        finally:
            helm.run("uninstall", release.name, "-n", namespace, "--no-hooks", "--ignore-not-found")
            wait(lambda: policies_left(plane) or not admission_of(plane, namespace))


def policies_left(plane: ControlPlane) -> bool:
    """Whether another release's admission is there, and may be at work."""
    return bool(plane.get("mutatingadmissionpolicies,validatingadmissionpolicies")["items"])


def admission_of(plane: ControlPlane, namespace: str) -> set[str]:
    """What is done at once to Jobs of a namespace. A server hears of policies some time after they were made, or taken away."""

    def created(delay: str) -> str:
        wishes = {words.PREFIX + "max-delay": delay}
        pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]}
        job = {
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe", "annotations": wishes},
            "spec": {"template": {"spec": pod}},
        }  # fmt: skip
        flags = ("--dry-run=server", "-o", "json", "-n", namespace)
        return plane.kubectl("create", "-f", "-", *flags, input=json.dumps(job), check=False)

    held, refused = words.STATE in created("1h"), "max-delay: found 'soon'" in created("soon")
    return {name for name, so in (("held", held), ("refused", refused)) if so}


@pytest.fixture(name="helm", scope="module", params=["helm3", "helm4"])
def helm_of_the_cluster(
    request: pytest.FixtureRequest, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Helm:
    program = request.getfixturevalue(request.param)
    return Helm(program, tmp_path_factory.mktemp(request.param), control_plane.kubeconfig)


@pytest.fixture(name="release", scope="module")
def lasting_release(control_plane: ControlPlane, helm: Helm) -> Iterator[Release]:
    with installed(control_plane, helm, *LASTING) as release:
        yield release
