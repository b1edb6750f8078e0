"""The chart as tests use it: rendered by real Helm, read as objects, its roles as rows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from cleanhours.adapters.settings import Settings, load_settings
from tests.conftest import REPOSITORY

CHART: Final = REPOSITORY / "helm" / "cleanhours"
POLICY_API: Final = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
"""What `admission.mode: auto` looks for."""
HOOK: Final = "helm.sh/hook"
CLUSTER_WIDE: Final = ""
GOLDENS: Final = Path(__file__).with_name("goldens")
EVERYTHING: Final = str(GOLDENS / "everything.values.yaml")
"""Values that switch on all that the chart can make."""
FOR_A_SERVER: Final = ("--kube-version", "1.36.0")
"""A Helm that was built from its module takes a server that it cannot ask for one of version 1.20."""
WITH_POLICIES: Final = ("--api-versions", POLICY_API)
ADMISSION: Final = frozenset(
    {
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    }
)

Object = dict[str, Any]


@dataclass(frozen=True)
class Helm:
    """A Helm of some version, with a home of its own, and a cluster if it is to speak to one."""

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What it says, whatever the outcome."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))
        }
        environment["HOME"] = str(self.home)
        if self.kubeconfig is not None:
            environment["KUBECONFIG"] = str(self.kubeconfig)
        return subprocess.run(
            [self.program, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        """What it prints; it must succeed."""
        done = self.run(*arguments)
        assert 0 == done.returncode, f"helm {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def render(
        self, *options: str, release: str = "cleanhours", namespace: str = "cleanhours"
    ) -> list[Object]:
        """The objects of a release, for a server of version 1.36 that serves no admission policies unless told so."""
        return objects_of(_rendered(self, release, namespace, options))

    def refusal(self, *options: str) -> str:
        """What it says against values that are wrong."""
        done = self.run("template", "cleanhours", str(CHART), *FOR_A_SERVER, *options)
        assert 0 != done.returncode, "the values were accepted"
        return done.stderr


@cache
def _rendered(helm: Helm, release: str, namespace: str, options: tuple[str, ...]) -> str:
    """The same question, asked once: Helm takes a second for an answer where the machine is busy."""
    return helm.done("template", release, str(CHART), "--namespace", namespace, *FOR_A_SERVER, *options)


@pytest.fixture(name="helm", scope="module", params=["helm3", "helm4"])
def either_helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm 3, then Helm 4, without a cluster."""
    return Helm(request.getfixturevalue(request.param), tmp_path_factory.mktemp(request.param))


def objects_of(text: str) -> list[Object]:
    return [one for one in yaml.safe_load_all(text) if one]


def find(objects: Iterable[Object], kind: str, name: str = "") -> Object:
    """The one object of a kind, or that of them with a name."""
    found = [one for one in objects if one["kind"] == kind and name in ("", one["metadata"]["name"])]
    assert 1 == len(found), [f"{one['kind']} {one['metadata']['name']}" for one in objects]
    return found[0]


def pod_templates(objects: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """Every Pod template of the chart, with the name of what holds it."""
    for one in objects:
        if one["kind"] in ("Deployment", "Job"):
            yield one["metadata"]["name"], one["spec"]["template"]
        elif one["kind"] == "CronJob":
            yield one["metadata"]["name"], one["spec"]["jobTemplate"]["spec"]["template"]


def environment_of(objects: Iterable[Object]) -> dict[str, Any]:
    """The controller's variables: a text each, or the key of a Secret."""
    (container,) = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {
        one["name"]: one["valueFrom"]["secretKeyRef"] if "valueFrom" in one else one["value"]
        for one in container["env"]
    }


def settings_of(objects: Iterable[Object], folder: Path) -> Settings:
    """The rendered file, read as the controller reads it, with what its environment adds."""
    objects = list(objects)
    file = folder / "cleanhours.toml"
    (text,) = (one["data"]["cleanhours.toml"] for one in objects if "cleanhours.toml" in one.get("data", {}))
    file.write_text(text, "utf-8")
    variables = [name for name in environment_of(objects) if name.startswith("CLEANHOURS_FORECASTS")]
    return load_settings(
        config=file, environment={"HOME": str(folder)} | dict.fromkeys(variables, "a-secret")
    )


def is_hook(one: Object) -> bool:
    return HOOK in one["metadata"].get("annotations", {})


@dataclass(frozen=True, order=True)
class Row:
    """One right: an account may do `verb` to `resource` (`jobs`, `jobs/status`) of `group` in `namespace`.

    `namespace` empty: everywhere. `name` empty: to any of them.
    """

    account: str
    namespace: str
    group: str
    resource: str
    name: str
    verb: str


def granted_rows(objects: Iterable[Object]) -> frozenset[Row]:
    """Every right that the rendered roles and bindings give: to be compared with what an audit log shows as used.

    `account` is the ServiceAccount's name. What is bound must be among the objects.
    """
    objects = list(objects)
    roles = {
        (one["kind"], one["metadata"].get("namespace", CLUSTER_WIDE), one["metadata"]["name"]): one["rules"]
        for one in objects
        if one["kind"] in ("Role", "ClusterRole")
    }
    rows: set[Row] = set()
    for binding in objects:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        where = binding["metadata"].get("namespace", CLUSTER_WIDE)
        kind, name = binding["roleRef"]["kind"], binding["roleRef"]["name"]
        rules = roles[kind, where if kind == "Role" else CLUSTER_WIDE, name]
        for subject in binding["subjects"]:
            for rule in rules:
                rows |= set(_rows(subject["name"], where, rule))
    return frozenset(rows)


def _rows(account: str, namespace: str, rule: Mapping[str, Any]) -> Iterator[Row]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for name in rule.get("resourceNames", [""]):
                for verb in rule["verbs"]:
                    yield Row(account, namespace, group, resource, name, verb)
