"""Who may do what: the rendered roles, right by right."""

from __future__ import annotations

import pytest

from tests.integration.kubernetes.chart import (
    CLUSTER_WIDE,
    EVERYTHING,
    WITH_POLICIES,
    Helm,
    Object,
    Row,
    either_helm,
    granted_rows,
)

__all__ = ["either_helm"]
pytestmark = pytest.mark.integration


def _rights(objects: list[Object], account: str) -> frozenset[tuple[str, str, str]]:
    return frozenset(
        (row.group, row.resource, row.verb) for row in granted_rows(objects) if row.account == account
    )


def test_nobody_may_delete_and_only_events_leases_and_the_certificate_are_made(helm: Helm) -> None:
    rows = granted_rows(helm.render("--values", EVERYTHING))

    assert {"get", "list", "watch", "patch", "create", "update"} == {row.verb for row in rows}
    assert {"events", "leases", "secrets"} == {row.resource for row in rows if row.verb == "create"}
    assert "*" not in {row.resource for row in rows} | {row.group for row in rows}


def test_a_secret_is_seen_only_where_it_is_the_webhooks(helm: Helm) -> None:
    def secrets(mode: str, *options: str) -> set[tuple[str, str]]:
        certificates = f"admission.mode=webhook,admission.webhook.certificates.mode={mode}"
        rows = granted_rows(helm.render("--set", certificates, *options))
        return {(row.name, row.verb) for row in rows if row.resource == "secrets"}

    own = "cleanhours-webhook-tls"
    existing = ("--set", "admission.webhook.certificates.existingSecret=mine")
    assert {("", "create"), (own, "get"), (own, "update")} == secrets("self")
    assert {(own, "get")} == secrets("certManager")
    assert {("mine", "get")} == secrets("existingSecret", *existing)
    assert not [row for row in granted_rows(helm.render(*WITH_POLICIES)) if row.resource == "secrets"]


def test_only_who_makes_the_certificate_may_say_that_it_is_trusted(helm: Helm) -> None:
    patch = ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "patch")
    given = "admission.mode=webhook,admission.webhook.certificates.mode=certManager"

    assert patch in _rights(helm.render("--set", "admission.mode=webhook"), "cleanhours")
    for options in (WITH_POLICIES, ("--set", given)):
        assert patch not in _rights(helm.render(*options), "cleanhours")


@pytest.mark.parametrize(
    ("kind", "group", "resource"),
    [
        ("jobset", "jobset.x-k8s.io", "jobsets"),
        ("kubeflow", "kubeflow.org", "pytorchjobs"),
        ("mpi", "kubeflow.org", "mpijobs"),
        ("trainjob", "trainer.kubeflow.org", "trainjobs"),
        ("rayjob", "ray.io", "rayjobs"),
        ("kueue", "kueue.x-k8s.io", "workloads"),
        ("pods", "", "pods"),
    ],
)
def test_a_kind_is_a_row_for_all_three_accounts(helm: Helm, kind: str, group: str, resource: str) -> None:
    patch = (group, resource, "patch")
    for account in ("cleanhours", "cleanhours-release-overdue", "cleanhours-release-all"):
        assert patch in _rights(helm.render("--set", f"kinds.{kind}=true"), account)
        assert patch not in _rights(helm.render("--set", f"kinds.{kind}=false"), account)


def test_the_release_commands_can_only_find_and_release(helm: Helm) -> None:
    objects = helm.render()
    overdue, everything = (_rights(objects, f"cleanhours-release-{name}") for name in ("overdue", "all"))
    lease = {("coordination.k8s.io", "leases", verb) for verb in ("create", "get", "update")}

    assert {("batch", "jobs", verb) for verb in ("get", "list", "patch")} <= overdue
    assert {"get", "list", "patch", "create"} == {verb for _, _, verb in overdue}
    assert {"events"} == {resource for _, resource, verb in overdue if verb == "create"}
    assert lease == everything - overdue
    assert overdue <= everything


def test_rights_stay_in_the_watched_namespaces(helm: Helm) -> None:
    rows = granted_rows(helm.render("--set", "watchNamespaces={team-a}"))
    everywhere = {(row.resource, row.verb) for row in rows if row.namespace == CLUSTER_WIDE}

    assert {"team-a"} == {row.namespace for row in rows if row.resource == "jobs"}
    assert {"patch"} >= {verb for resource, verb in everywhere if resource not in _OF_THE_CLUSTER}
    assert _OF_THE_CLUSTER >= {resource for resource, _ in everywhere}


_OF_THE_CLUSTER = {
    "nodes",
    "namespaces",
    "persistentvolumes",
    "clusterqueues",
    "resourceflavors",
    "mutatingwebhookconfigurations",
}


def test_the_lease_is_one_by_name(helm: Helm) -> None:
    rows = {row for row in granted_rows(helm.render()) if row.resource == "leases" and row.verb != "create"}

    assert Row("cleanhours", "cleanhours", "coordination.k8s.io", "leases", "cleanhours", "update") in rows
    assert {"cleanhours"} == {row.name for row in rows}
