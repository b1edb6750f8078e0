"""Bare Pods: gated, released once, ended with their last container."""

from typing import Any

from cleanhours.domain.jobs import JobState
from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD
from cleanhours_plugins.clusters.kubernetes.reading import read
from cleanhours_plugins.clusters.kubernetes.switching import letting_go
from cleanhours_plugins.clusters.kubernetes.words import GATE
from tests.unit.plugins.clusters.kubernetes.objects_of_kinds import (
    ENDED,
    RESUMED,
    STOPPED,
    an_object,
    pod_template,
    says,
)


def pod(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return an_object({**pod_template("2", gpus=1)["spec"], **spec}, status)


def test_it_is_its_own_template() -> None:
    record = read(POD, pod(nodeSelector={"disk": "fast"}))
    assert record is not None
    assert (2_000, 1) == (record.demand.cpu_millicores, record.demand.gpus)
    assert {"disk": "fast"} == record.pod_sets[0].selector


def test_only_our_gate_is_taken_off() -> None:
    record = read(POD, pod(schedulingGates=[{"name": "example.org/quota"}, {"name": GATE}]))
    assert record is not None
    assert record.gated
    assert {"spec": {"schedulingGates": [{"name": "example.org/quota"}]}} == letting_go(record)


def test_it_runs_once_its_node_took_it_on() -> None:
    waiting = POD.activity(pod({"phase": "Pending"}, nodeName="n"))
    running = POD.activity(pod({"phase": "Running", "startTime": RESUMED}, nodeName="n"))
    assert (0, None) == (waiting.active, waiting.started_at)
    assert (1, parse_instant(RESUMED)) == (running.active, running.started_at)


def test_one_that_is_deleted_stops() -> None:
    obj = pod({"phase": "Running", "startTime": RESUMED}, nodeName="n")
    obj["metadata"]["deletionTimestamp"] = STOPPED
    assert (0, 1) == POD.activity(obj)[:2]


def test_it_ended_with_its_last_container() -> None:
    ends = [{"state": {"terminated": {"finishedAt": at}}} for at in (ENDED, STOPPED)]
    outcome = POD.activity(pod({"phase": "Succeeded", "containerStatuses": ends}, nodeName="n")).outcome
    assert (JobState.SUCCEEDED, parse_instant(ENDED), "") == outcome


def test_one_that_was_evicted_ended_with_its_last_condition() -> None:
    status = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "low on memory",
        "conditions": [says("Ready", ENDED, "False")],
    }
    outcome = POD.activity(pod(status, nodeName="n")).outcome
    assert (JobState.FAILED, parse_instant(ENDED), "Evicted: low on memory") == outcome


def test_kueue_gates_its_pods_itself() -> None:
    obj = pod()
    obj["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "research"}
    assert read(POD, obj) is None
