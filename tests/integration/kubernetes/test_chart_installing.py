"""The chart, installed by Helm 3 and Helm 4 into a real control plane that enforces PodSecurity `restricted`."""

from __future__ import annotations

import json

import pytest

from tests.integration.kubernetes.chart import (
    CHART,
    EVERYTHING,
    Helm,
    Object,
)
from tests.integration.kubernetes.control_plane import ControlPlane
from tests.integration.kubernetes.releases import (
    Release,
    helm_of_the_cluster,
    installed,
    lasting_release,
)

__all__ = ["helm_of_the_cluster", "lasting_release"]
pytestmark = pytest.mark.integration

FOREIGN = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
"""Kinds whose definitions come with the Prometheus operator."""
# -- what the server says -----------------------------------------------------------------------------------------------


def test_the_server_takes_everything_that_the_chart_can_make(
    control_plane: ControlPlane, helm: Helm, namespace: str
) -> None:
    objects = helm.render("--values", EVERYTHING, release="everything", namespace=namespace)
    known = [one for one in objects if one["kind"] not in FOREIGN]
    content = json.dumps({"apiVersion": "v1", "kind": "List", "items": known})
    said = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=content)

    assert len(known) == len(said.splitlines()), said


def test_admission_is_by_policy_where_the_server_serves_policies(release: Release) -> None:
    served = "mutatingadmissionpolicies" in release.plane.kubectl(
        "api-resources", "--api-group=admissionregistration.k8s.io", "-o", "name"
    )
    kinds = {one["kind"] for one in release.objects()}

    assert served == ("MutatingAdmissionPolicy" in kinds)
    assert served != ("MutatingWebhookConfiguration" in kinds)


# -- what it tells ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentences"),
    [
        (
            (),
            [
                "Admission: policy",
                "No locations are configured",
                "topologyLabel: topology.kubernetes.io/region",
            ],
        ),
        (("--set", "shadow=true"), ["Shadow mode: it plans and accounts, and touches nothing."]),
        (("--set", "persistence.enabled=false"), ["accounts end with the Pod"]),
        (("--set", "deadMan.enabled=false"), ["The dead-man is switched off"]),
        (("--set", "admission.mode=none"), ["Admission: none."]),
        (("--set", "uninstall.releaseAll=false"), ["run `cleanhours release-all` before you uninstall"]),
    ],
)
def test_the_notes_say_how_it_works_and_what_is_next(
    helm: Helm, options: tuple[str, ...], sentences: list[str]
) -> None:
    said = _notes(helm, *options)

    for sentence in sentences:
        assert sentence in said


def test_the_notes_say_nothing_of_places_that_are_known(helm: Helm) -> None:
    assert "No locations are configured" not in _notes(helm, "--set", "locations.paris.zone=FR")


def _notes(helm: Helm, *options: str) -> str:
    return helm.done("install", "cleanhours", str(CHART), "--dry-run=server", *options).partition("NOTES:")[2]


# -- Pods ---------------------------------------------------------------------------------------------------------------


def test_the_controllers_pods_are_admitted_and_run(release: Release) -> None:
    release.kubectl("rollout", "status", f"deployment/{release.controller}", "--timeout=60s")
    pods = release.plane.get("pods", "-n", release.namespace, "-l", "app.kubernetes.io/component=controller")[
        "items"
    ]

    assert ["Running"] == [pod["status"]["phase"] for pod in pods]
    assert [release.controller] == [pod["spec"]["serviceAccountName"] for pod in pods]


def test_the_dead_mans_pods_are_admitted_and_end(release: Release) -> None:
    release.kubectl("create", "job", "one-run", f"--from=cronjob/{release.controller}-release-overdue")
    release.kubectl("wait", "--for=condition=Complete", "job/one-run", "--timeout=60s")
    (pod,) = release.plane.get("pods", "-n", release.namespace, "-l", "batch.kubernetes.io/job-name=one-run")[
        "items"
    ]

    assert f"{release.controller}-release-overdue" == pod["spec"]["serviceAccountName"]


def test_pod_security_finds_nothing_to_refuse(release: Release) -> None:
    """The last line is what it would say: a Pod that does not care is refused here."""
    events = release.kubectl("get", "events", "-o", "json")
    shoddy = release.kubectl("run", "shoddy", "--image=x", check=False)

    assert "violates PodSecurity" not in events
    assert "violates PodSecurity" in shoddy


# -- changes, and the end -----------------------------------------------------------------------------------------------


def test_an_upgrade_brings_new_settings_to_new_pods(release: Release) -> None:
    def template() -> Object:
        found = release.plane.get("deployment", release.controller, "-n", release.namespace)
        return dict(found["spec"]["template"]["metadata"]["annotations"])

    before = template()
    change = ("--reuse-values", "--set", "planning.hysteresis_percent=3,locations.paris.zone=FR")
    release.helm.done("upgrade", release.name, str(CHART), "-n", release.namespace, *change)
    release.kubectl("rollout", "status", f"deployment/{release.controller}", "--timeout=60s")
    config = release.plane.get("configmap", f"{release.controller}-config", "-n", release.namespace)["data"]

    assert before["checksum/config"] != template()["checksum/config"]
    assert "hysteresis_percent = 3\n" in config["cleanhours.toml"]


def test_shadow_mode_takes_admission_away_and_brings_it_back(release: Release) -> None:
    def admission() -> set[str]:
        return {one for one in release.left() if "Admission" in one.partition("/")[0]}

    before = admission()
    for shadow in ("true", "false"):
        change = ("--reuse-values", "--set", f"shadow={shadow}")
        release.helm.done("upgrade", release.name, str(CHART), "-n", release.namespace, *change)

        assert (before if shadow == "false" else set()) == admission()
    assert before


def test_uninstalling_runs_the_last_release_and_leaves_the_accounts_only(
    control_plane: ControlPlane, helm: Helm
) -> None:
    with installed(control_plane, helm, "--set-string", "podAnnotations.test/run-for=1h") as release:
        last = f"{release.controller}-release-all"
        before = release.left()
        helm.done("uninstall", release.name, "-n", release.namespace)
        told = release.plane.get(
            "events", "-n", release.namespace, "--field-selector", f"involvedObject.name={last}"
        )
        release.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=60s", check=False)

        assert f"Deployment/{release.controller}" in before
        assert not {one for one in before if one.endswith(last)}
        assert {"SuccessfulCreate", "Completed"} <= {event["reason"] for event in told["items"]}
        assert {f"PersistentVolumeClaim/{release.controller}"} == release.left()


def test_a_new_installation_finds_the_accounts_of_the_old_one(
    control_plane: ControlPlane, helm: Helm
) -> None:
    with installed(control_plane, helm) as release:
        claim = release.plane.get("pvc", release.controller, "-n", release.namespace)["metadata"]["uid"]
        helm.done("uninstall", release.name, "-n", release.namespace)
        helm.done("install", release.name, str(CHART), "-n", release.namespace)

        assert (
            claim == release.plane.get("pvc", release.controller, "-n", release.namespace)["metadata"]["uid"]
        )
