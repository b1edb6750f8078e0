"""Uninstalled, nothing stays held: `release-all`, alone with a real API server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.api import connect
from cleanhours_plugins.clusters.kubernetes.electing import LeaseLeadership
from cleanhours_plugins.clusters.kubernetes.releasing import find_held
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.letting_go import Place, wait

pytestmark = pytest.mark.integration

HELD, RELEASED, PAUSED = words.Mark.HELD, words.Mark.RELEASED, words.Mark.PAUSED


@pytest.fixture
def place(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Place:
    return Place(control_plane, namespace, tmp_path)


def test_everything_held_or_paused_is_let_go_and_nothing_else(place: Place) -> None:
    place.held("held")
    place.held("paused", mark=PAUSED)
    place.held("moving", mark=words.Mark.MOVING)
    place.held("its-owners", mark=None)
    result = place.all()
    assert 0 == result.exit_code, result.output
    for name in ("held", "paused", "moving"):
        assert (RELEASED, False) == place.state(f"job/{name}")
        assert f"released: Job {place.namespace}/{name} (" in result.output
    assert (None, True) == place.state("job/its-owners")
    assert () == find_held(connect(place.plane.kubeconfig), [place.namespace]).records


def test_where_nothing_is_held_nothing_is_done(place: Place) -> None:
    assert (0, "") == (place.all().exit_code, place.all().output)


def test_it_takes_the_lease_and_gives_it_back(place: Place) -> None:
    place.held()
    assert 0 == place.all().exit_code
    lease = place.object("lease/cleanhours")
    assert "" == lease["spec"].get("holderIdentity", "")


def test_a_controller_that_leads_is_waited_for_and_then_it_is_done_all_the_same(place: Place) -> None:
    place.held()
    api = connect(place.plane.kubeconfig)
    other = LeaseLeadership(api, place.namespace, "cleanhours", now=SystemClock().now, identity="other")
    other.start()
    try:
        wait(other.may_act)
        result = place.all("--wait-lease", "1s")
    finally:
        other.stop()
    assert 0 == result.exit_code
    assert "other has it" in result.output
    assert (RELEASED, False) == place.state()


def test_it_says_so_in_json(place: Place) -> None:
    place.held()
    told = json.loads(place.all("--json").output)
    assert (["train"], []) == ([row["name"] for row in told["released"]], told["left"])


def test_what_stays_held_is_named(place: Place) -> None:
    """A server that refuses: an admission policy of others that lets no Job of this namespace be changed."""
    place.held()
    name = f"frozen-{place.namespace}"
    rule = {
        "apiGroups": ["batch"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["jobs"],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}
    api = "admissionregistration.k8s.io/v1"
    place.plane.apply(
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [rule], "namespaceSelector": selector},
                "validations": [{"expression": "false", "message": "frozen for the holidays"}],
            },
        },
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    )
    try:
        frozen = ("label", "job", "train", "-n", place.namespace, "--dry-run=server", "a=b")
        wait(lambda: "frozen" in place.plane.kubectl(*frozen, check=False))
        result = place.all()
    finally:
        place.plane.kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)
    assert 1 == result.exit_code
    assert f"not released: Job {place.namespace}/train" in result.output
    assert "frozen for the holidays" in result.output
    assert (HELD, True) == place.state()
