"""If no controller lives, jobs still start in time: `release-overdue`, alone with a real API server."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.api import connect
from cleanhours_plugins.clusters.kubernetes.kinds import JOB
from cleanhours_plugins.clusters.kubernetes.reading import read
from cleanhours_plugins.clusters.kubernetes.releasing import Releaser
from tests.integration.kubernetes.actors.stage import KUEUE, PLAYED, stage, theatre, wait_for
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.letting_go import Place, planned, wait

pytestmark = pytest.mark.integration

HELD, RELEASED, PAUSED = words.Mark.HELD, words.Mark.RELEASED, words.Mark.PAUSED
BY_THEN = timedelta(hours=12)


@pytest.fixture
def place(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Place:
    return Place(control_plane, namespace, tmp_path)


def test_what_is_not_due_is_not_touched(place: Place) -> None:
    place.held()
    before = place.object()["metadata"]["resourceVersion"]
    result = place.overdue()
    assert (0, "") == (result.exit_code, result.output)
    assert before == place.object()["metadata"]["resourceVersion"]


def test_what_falls_due_by_its_words_is_let_go_and_says_why(place: Place) -> None:
    place.held()
    result = place.overdue(later=BY_THEN)
    assert (0, True) == (result.exit_code, f"released: Job {place.namespace}/train" in result.output)
    assert (RELEASED, False) == place.state()
    wait(lambda: len(place.pods()) == 1)
    (event,) = place.events()
    assert ("Released", True) == (event[0], "latest start by its words" in event[1])


def test_it_looks_ahead_to_its_next_run_and_a_minute(place: Place) -> None:
    now = SystemClock().now()
    place.held("soon", plan=planned(now + timedelta(minutes=10, seconds=30)))
    place.held("later", plan=planned(now + timedelta(minutes=13)))
    assert 0 == place.overdue("--every", "10m").exit_code
    assert (RELEASED, False) == place.state("job/soon")
    assert (HELD, True) == place.state("job/later")


def test_who_never_says_how_long_it_runs_is_let_go_after_a_grace(place: Place) -> None:
    place.held(max_delay="12h")
    assert "" == place.overdue("--grace", "1h").output
    assert (HELD, True) == place.state()
    place.overdue("--grace", "0s")
    assert (RELEASED, False) == place.state()


def test_words_that_cannot_be_read_hold_nothing(place: Place) -> None:
    place.held(max_delay="12h", duration="a while")
    place.overdue("--grace", "0s")
    assert (RELEASED, False) == place.state()


def test_what_its_owner_suspended_stays_so(place: Place) -> None:
    place.held("never-ours", mark=None)
    place.held("let-go-by-us", mark=RELEASED)
    result = place.overdue(later=timedelta(days=300))
    assert (0, "") == (result.exit_code, result.output)
    assert (None, True) == place.state("job/never-ours")
    assert (RELEASED, True) == place.state("job/let-go-by-us")


def test_run_twice_it_does_nothing_more(place: Place) -> None:
    place.held()
    place.overdue(later=BY_THEN)
    before = place.object()["metadata"]["annotations"]
    assert "" == place.overdue(later=BY_THEN).output
    assert before == place.object()["metadata"]["annotations"]


def test_it_says_so_in_json(place: Place) -> None:
    place.held()
    told = json.loads(place.overdue("--json", later=BY_THEN).output)
    assert ["train"] == [row["name"] for row in told["released"]]
    assert ([], []) == (told["failed"], told["faults"])


def paused(place: Place, **job: Any) -> None:
    """A Job that ran, was paused by us, and whose Pod takes its time to stop."""
    place.held(suspend=False, mark=RELEASED, **job)
    wait(lambda: [pod["status"]["phase"] for pod in place.pods()] == ["Running"])
    place.change("job/train", {"metadata": {"annotations": {words.STATE: PAUSED}}, "spec": {"suspend": True}})
    wait(lambda: any(pod["metadata"].get("deletionTimestamp") for pod in place.pods()))


def test_a_paused_job_goes_on_when_its_pods_have_stopped_never_two_at_once(place: Place) -> None:
    paused(place, stop_for="20s", max_delay="30m", duration="1h")
    (old,) = place.pods()
    assert 0 == place.overdue("--every", "40m").exit_code
    assert (RELEASED, False) == place.state()
    assert old["metadata"]["uid"] not in [pod["metadata"]["uid"] for pod in place.pods()]


def test_where_the_job_controller_waits_itself_it_is_not_waited_for(place: Place) -> None:
    paused(place, stop_for="60s", replacement="Failed", max_delay="30m", duration="1h")
    assert 0 == place.overdue("--every", "40m").exit_code
    assert (RELEASED, False) == place.state()
    (old,) = place.pods()
    assert old["metadata"]["deletionTimestamp"]


def test_pods_that_do_not_stop_do_not_cost_a_deadline(place: Place) -> None:
    paused(place, stop_for="60s", max_delay="30m", duration="1h")
    place.overdue(later=timedelta(hours=2))
    assert (RELEASED, False) == place.state()


def test_a_gated_pod_loses_our_gate_only(place: Place) -> None:
    annotations = {
        words.STATE: HELD,
        words.PREFIX + "max-delay": "12h",
        words.PREFIX + "duration": "1h",
    }
    gates = [{"name": words.GATE}, {"name": "example.org/quota"}]
    spec = {
        "containers": [{"name": "c", "image": "none"}],
        "restartPolicy": "Never",
        "schedulingGates": gates,
    }
    place.create("v1", "Pod", "alone", spec, annotations)
    assert 0 == place.overdue(later=BY_THEN).exit_code
    found = place.object("pod/alone")
    assert [{"name": "example.org/quota"}] == found["spec"]["schedulingGates"]
    assert RELEASED == found["metadata"]["annotations"][words.STATE]


def test_a_pytorchjob_is_let_go_by_its_own_switch(training_operator: ControlPlane, place: Place) -> None:
    container = {"name": "pytorch", "image": "none"}
    worker = {
        "replicas": 1,
        "restartPolicy": "Never",
        "template": {"spec": {"containers": [container]}},
    }
    spec = {"runPolicy": {"suspend": True}, "pytorchReplicaSpecs": {"Worker": worker}}
    annotations = {
        words.STATE: HELD,
        words.PREFIX + "max-delay": "12h",
        words.PREFIX + "duration": "1h",
    }
    place.create("kubeflow.org/v1", "PyTorchJob", "train", spec, annotations)
    assert 0 == place.overdue(later=BY_THEN).exit_code
    found = place.object("pytorchjob/train")
    assert (RELEASED, False) == (
        found["metadata"]["annotations"][words.STATE],
        found["spec"]["runPolicy"]["suspend"],
    )


def test_who_was_faster_is_respected(place: Place) -> None:
    """A record that is older than the object: read again, and judged again."""
    place.held("changed")
    place.held("taken-over")
    api = connect(place.plane.kubeconfig)
    records = {}
    for name in ("changed", "taken-over"):
        records[name] = read(JOB, api.get(f"/apis/batch/v1/namespaces/{place.namespace}/jobs/{name}"))
    place.change("job/changed", {"metadata": {"labels": {"any": "thing"}}})
    place.change("job/taken-over", {"metadata": {"annotations": {words.STATE: None}}})
    releaser = Releaser(api, SystemClock().now, sleep=lambda _: None)
    changed, taken_over = records["changed"], records["taken-over"]
    assert changed is not None
    assert taken_over is not None
    released = releaser.release(changed, "for a test")
    assert released is not None
    assert "" == released.error
    assert releaser.release(taken_over, "for a test") is None
    assert (RELEASED, False) == place.state("job/changed")
    assert (None, True) == place.state("job/taken-over")


def test_one_that_may_not_be_written_is_named_and_the_others_are_let_go(place: Place) -> None:
    rules = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list"]}]
    meta = {"name": "reader", "namespace": place.namespace}
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": place.namespace}
    place.plane.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reader"},
            "subjects": [subject],
        },
    )
    place.held()
    account = place.plane.kubeconfig_for("reader", place.namespace)
    result = place.overdue(later=BY_THEN, account=account)
    assert 1 == result.exit_code
    assert f"not released: Job {place.namespace}/train" in result.output
    assert "cannot look at pods" in result.output
    assert (HELD, True) == place.state()


def test_what_was_paused_at_its_kueue_workload_is_woken_there(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    def shared() -> ControlPlane:
        plane: ControlPlane = request.getfixturevalue("control_plane")
        return plane

    with theatre(KUEUE, PLAYED, shared, tmp_path) as plane, stage(KUEUE, PLAYED, plane) as on:
        place = Place(plane, on.namespace, tmp_path)
        kueue = "kueue.x-k8s.io/v1beta2"
        quota = {"name": on.namespace, "resources": [{"name": "cpu", "nominalQuota": "4"}]}
        groups = [{"coveredResources": ["cpu"], "flavors": [quota]}]
        plane.apply(
            {"apiVersion": kueue, "kind": "ResourceFlavor", "metadata": {"name": on.namespace}, "spec": {}},
            {
                "apiVersion": kueue,
                "kind": "ClusterQueue",
                "metadata": {"name": on.namespace},
                "spec": {"namespaceSelector": {}, "resourceGroups": groups},
            },
        )
        place.create(kueue, "LocalQueue", "research", {"clusterQueue": on.namespace})
        held_in_queue(place)
        assert 0 == place.overdue(later=BY_THEN).exit_code
        annotations = place.object()["metadata"]["annotations"]
        assert (RELEASED, None) == (annotations[words.STATE], annotations.get(words.KUEUE_GATES))
        wait_for(lambda: place.state()[1] is False)
        name = place.plane.get("workloads", "-n", on.namespace)["items"][0]["metadata"]["name"]
        place.change("job/train", {"metadata": {"annotations": {words.STATE: PAUSED}}})
        place.change(f"workload/{name}", {"spec": {"active": False}})
        wait_for(lambda: place.state()[1] is True and not place.pods())
        assert 0 == place.overdue(later=BY_THEN).exit_code
        wait_for(lambda: place.state() == (RELEASED, False))
        assert place.object(f"workload/{name}")["spec"]["active"] is True


def held_in_queue(place: Place) -> None:
    annotations = {
        words.STATE: HELD,
        words.KUEUE_GATES: words.GATE,
        words.PREFIX + "max-delay": "12h",
        words.PREFIX + "duration": "1h",
    }
    container = {"name": "c", "image": "none", "resources": {"requests": {"cpu": "1"}}}
    template = {
        "metadata": {"annotations": {"test/run-for": "1h"}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    labels = {words.KUEUE_QUEUE: "research"}
    place.create("batch/v1", "Job", "train", {"suspend": True, "template": template}, annotations, labels)
