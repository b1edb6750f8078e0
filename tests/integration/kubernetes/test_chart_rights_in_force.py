"""The chart's roles on a real API server: what is granted is allowed, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from tests.integration.kubernetes.chart import Helm, Row, find, granted_rows, is_hook
from tests.integration.kubernetes.control_plane import ControlPlane
from tests.integration.kubernetes.releases import (
    LASTING,
    Release,
    helm_of_the_cluster,
    installed,
    lasting_release,
    restricted_namespace,
)

__all__ = ["helm_of_the_cluster", "lasting_release"]
pytestmark = pytest.mark.integration


def may(plane: ControlPlane, home: str, rows: Iterable[Row]) -> dict[Row, bool]:
    """What the server says: may the account of namespace `home` do this? Everywhere is tried where nobody is."""
    rows = sorted(rows)
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{home}:{row.account}",
                "groups": [
                    "system:serviceaccounts",
                    f"system:serviceaccounts:{home}",
                    "system:authenticated",
                ],
                "resourceAttributes": {
                    "namespace": row.namespace,
                    "group": row.group,
                    "resource": row.resource.partition("/")[0],
                    "subresource": row.resource.partition("/")[2],
                    "name": row.name,
                    "verb": row.verb,
                },
            },
        }
        for row in rows
    ]
    content = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    answers = plane.kubectl("create", "-f", "-", "-o", 'jsonpath={.status.allowed}{"\\n"}', input=content)
    words = answers.split()

    assert len(rows) == len(words), answers
    return {row: word == "true" for row, word in zip(rows, words, strict=True)}


def test_every_granted_right_is_in_force(release: Release) -> None:
    objects = [one for one in release.objects() if not is_hook(one)]
    answers = may(release.plane, release.namespace, granted_rows(objects))

    assert answers
    assert set() == {row for row, allowed in answers.items() if not allowed}


def test_nothing_else_is_allowed(release: Release) -> None:
    home, other = release.namespace, "kube-system"
    controller, overdue = release.controller, f"{release.controller}-release-overdue"
    tried = [
        *(
            Row(who, other, "batch", "jobs", "", verb)
            for who in (controller, overdue)
            for verb in ("delete", "create")
        ),
        *(
            Row(who, home, "", "secrets", "", verb)
            for who in (controller, overdue)
            for verb in ("get", "list")
        ),
        *(Row(controller, other, "", "pods", "", verb) for verb in ("get", "patch", "create", "delete")),
        *(
            Row(controller, other, "coordination.k8s.io", "leases", "", verb)
            for verb in ("get", "update", "create")
        ),
        Row(controller, home, "coordination.k8s.io", "leases", "another", "update"),
        Row(controller, "", "", "nodes", "", "patch"),
        Row(controller, home, "", "configmaps", "", "get"),
        Row(controller, home, "batch", "cronjobs", "", "patch"),
        Row(overdue, home, "batch", "jobs", "", "watch"),
        Row(overdue, home, "coordination.k8s.io", "leases", controller, "get"),
        Row(overdue, home, "", "pods", "", "patch"),
        Row(overdue, "", "", "nodes", "", "list"),
        Row("default", home, "batch", "jobs", "", "list"),
    ]

    assert set() == {row for row, allowed in may(release.plane, home, tried).items() if allowed}


def test_rights_end_at_the_watched_namespaces(control_plane: ControlPlane, helm: Helm) -> None:
    with restricted_namespace(control_plane) as watched, restricted_namespace(control_plane) as other:
        options = (*LASTING, "--set", f"watchNamespaces={{{watched}}}")
        with installed(control_plane, helm, *options) as release:
            rows = {
                place: Row(release.controller, place, "batch", "jobs", "", "patch")
                for place in (watched, other, release.namespace)
            }
            answers = may(control_plane, release.namespace, rows.values())

            assert (True, False, False) == tuple(
                answers[rows[n]] for n in (watched, other, release.namespace)
            )


def test_the_last_release_may_do_its_work_and_no_more(release: Release) -> None:
    """Its rights are made after the deletion only: here by hand."""
    hooks = [one for one in release.objects() if is_hook(one) and one["kind"] != "Job"]
    account = find(hooks, "ServiceAccount")["metadata"]["name"]
    release.plane.apply(*hooks)
    try:
        answers = may(release.plane, release.namespace, granted_rows(hooks))
        refused = [
            Row(account, "kube-system", "batch", "jobs", "", verb) for verb in ("delete", "create", "watch")
        ]

        assert {account} == {row.account for row in answers}
        assert all(answers.values())
        assert not any(may(release.plane, release.namespace, refused).values())
    finally:
        content = json.dumps({"apiVersion": "v1", "kind": "List", "items": hooks})
        release.plane.kubectl("delete", "-f", "-", input=content)
