"""The chart, rendered by Helm 3 and Helm 4: what it makes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.integration.kubernetes.chart import (
    ADMISSION,
    CHART,
    EVERYTHING,
    GOLDENS,
    WITH_POLICIES,
    Helm,
    Object,
    either_helm,
    environment_of,
    find,
    is_hook,
    pod_templates,
)

__all__ = ["either_helm"]
pytestmark = pytest.mark.integration


SUPPORTED = ("1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
OTHERS = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "Certificate", "Issuer"}
"""Kinds of other projects, which the schemas of Kubernetes do not know."""
# -- what it makes ----------------------------------------------------------------------------------------------------


def test_lint_has_nothing_to_say(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm.done("lint", "--strict", str(CHART))
    assert "0 chart(s) failed" in helm.done("lint", "--strict", str(CHART), "--values", EVERYTHING)


@pytest.mark.parametrize("name", ["defaults", "everything"])
def test_it_makes_what_the_golden_shows(helm: Helm, name: str) -> None:
    """CLEANHOURS_WRITE_GOLDENS=1 writes them anew. Admission has tests of its own, and is left out."""
    values = GOLDENS / f"{name}.values.yaml"
    golden = GOLDENS / f"{name}.yaml"
    options = (*WITH_POLICIES, *(("--values", str(values)) if values.exists() else ()))
    text = yaml.dump_all(_plain(helm.render(*options)), Dumper=_Readable, sort_keys=True, width=110)
    if os.environ.get("CLEANHOURS_WRITE_GOLDENS") == "1":
        golden.write_text(text, "utf-8")

    assert golden.read_text("utf-8") == text


class _Readable(yaml.SafeDumper):
    """Texts of several lines stay readable."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Readable.add_representer(str, _Readable.represent_str)


def _plain(objects: list[Object]) -> Iterator[Object]:
    """Without what all of them wear, what is as long as a book, and what others answer for."""
    for one in sorted(objects, key=lambda one: (one["kind"], one["metadata"]["name"])):
        if one["kind"] == "PrometheusRule":
            one["spec"] = {"groups": [group["name"] for group in one["spec"]["groups"]]}
        if one["kind"] not in ADMISSION:
            yield _without_labels(one)


def _without_labels(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_labels(inner) for key, inner in value.items() if not _usual(key)}
        return {key: "…" if key.endswith(".json") else inner for key, inner in kept.items() if inner != {}}
    return [_without_labels(one) for one in value] if isinstance(value, list) else value


def _usual(key: str) -> bool:
    return key.startswith(("app.kubernetes.io/", "helm.sh/chart", "checksum/"))


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize("options", [(), WITH_POLICIES, ("--values", EVERYTHING)], ids=str)
def test_every_supported_server_knows_each_field(helm: Helm, version: str, options: tuple[str, ...]) -> None:
    policies = options == WITH_POLICIES and version in ("1.36", "1.37")
    if options == WITH_POLICIES and not policies:
        options = ()
    for one in helm.render(*options):
        if one["kind"] not in OTHERS:
            kubernetes_validate.validate(one, version, strict=True)


def test_each_object_tells_what_it_belongs_to(helm: Helm) -> None:
    for one in helm.render("--values", EVERYTHING):
        labels = one["metadata"]["labels"]

        assert ("cleanhours", "cleanhours", "Helm", "cleanhours", "platform") == (
            labels["app.kubernetes.io/name"],
            labels["app.kubernetes.io/instance"],
            labels["app.kubernetes.io/managed-by"],
            labels["app.kubernetes.io/part-of"],
            labels["team"],
        )


def test_a_long_release_name_leaves_room_for_every_suffix(helm: Helm) -> None:
    for one in helm.render("--values", EVERYTHING, release="a" * 53):
        assert len(one["metadata"]["name"]) <= (52 if one["kind"] == "CronJob" else 63)


def test_every_pod_is_as_restricted_as_can_be(helm: Helm) -> None:
    templates = dict(pod_templates(helm.render("--values", EVERYTHING)))

    assert {"cleanhours", "cleanhours-release-overdue", "cleanhours-release-all"} == templates.keys()
    for template in templates.values():
        pod = template["spec"]
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert (False, True, True, 65532) == (
            pod["enableServiceLinks"],
            pod["automountServiceAccountToken"],
            pod["securityContext"]["runAsNonRoot"],
            pod["securityContext"]["runAsUser"],
        )
        assert (False, True, ["ALL"]) == (
            security["allowPrivilegeEscalation"],
            security["readOnlyRootFilesystem"],
            security["capabilities"]["drop"],
        )
        assert {"memory"} <= container["resources"]["limits"].keys()
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


# -- one controller, or more ------------------------------------------------------------------------------------------


def test_one_controller_with_a_volume_is_never_two_at_once(helm: Helm) -> None:
    objects = helm.render()

    assert {"type": "Recreate"} == find(objects, "Deployment")["spec"]["strategy"]
    assert {"claimName": "cleanhours"} == _state_volume(objects)["persistentVolumeClaim"]
    claim = find(objects, "PersistentVolumeClaim")
    assert "keep" == claim["metadata"]["annotations"]["helm.sh/resource-policy"]
    assert not [one for one in objects if one["kind"] == "PodDisruptionBudget"]


def test_two_controllers_share_a_database_and_a_budget(helm: Helm) -> None:
    objects = helm.render("--set", "replicaCount=2,ledger.existingSecret.name=ledger")
    deployment = find(objects, "Deployment")["spec"]

    assert "RollingUpdate" == deployment["strategy"]["type"]
    assert {} == _state_volume(objects)["emptyDir"]
    assert {"name": "ledger", "key": "url"} == environment_of(objects)["CLEANHOURS_LEDGER__URL"]
    assert "AlwaysAllow" == find(objects, "PodDisruptionBudget")["spec"]["unhealthyPodEvictionPolicy"]
    assert deployment["template"]["spec"]["topologySpreadConstraints"]
    assert not [one for one in objects if one["kind"] == "PersistentVolumeClaim"]


def _state_volume(objects: list[Object]) -> Object:
    volumes = find(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    return next(dict(volume) for volume in volumes if volume["name"] == "state")


# -- safety -----------------------------------------------------------------------------------------------------------


def test_the_dead_man_runs_as_often_as_it_says(helm: Helm) -> None:
    job = find(helm.render("--set", "deadMan.everyMinutes=10"), "CronJob")["spec"]
    (container,) = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]

    assert ("*/10 * * * *", "Forbid") == (job["schedule"], job["concurrencyPolicy"])
    assert ["release-overdue", "--every", "10m"] == container["args"][-3:]
    assert {"cleanhours.dev/enabled": "false"} == job["jobTemplate"]["metadata"]["annotations"]


def test_the_last_release_comes_after_everything_else_is_gone_and_brings_its_rights(helm: Helm) -> None:
    hooks = [one for one in helm.render() if is_hook(one)]

    assert {"post-delete"} == {one["metadata"]["annotations"]["helm.sh/hook"] for one in hooks}
    weights = {one["kind"]: int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in hooks}
    assert weights.pop("Job") > max(weights.values())
    assert {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"} == weights.keys()
    pod = find(hooks, "Job")["spec"]["template"]["spec"]
    assert ["release-all"] == pod["containers"][0]["args"]
    assert ["tmp"] == [volume["name"] for volume in pod["volumes"]]
