"""The commands that owners are told: kubectl, on the right kind, with the right switch."""

from __future__ import annotations

from typing import Any

import pytest

from cleanhours_plugins.clusters.kubernetes.advising import advise
from cleanhours_plugins.clusters.kubernetes.kinds import KINDS
from cleanhours_plugins.clusters.kubernetes.kinds.pods import POD
from tests.unit.plugins.clusters.kubernetes.made import a_job, record_of

STARTED = {"startTime": "2026-03-02T01:00:00Z", "active": 1}
HELD: dict[str, Any] = {"mark": "held", "suspended": True}
RUNS: dict[str, Any] = {"mark": "released", "suspended": False, "status": STARTED}
KEPT: dict[str, Any] = {"mark": None, "suspended": True}
STOPPED: dict[str, Any] = {"mark": "released", "suspended": True, "status": STARTED}


@pytest.mark.parametrize(
    ("command", "verb", "job"),
    [
        ("kubectl delete job -n team train", "cancel", HELD),
        ("kubectl annotate job -n team train cleanhours.dev/state-", "pause", HELD),
        (
            'kubectl patch job -n team train --type=merge -p \'{"spec":{"suspend":true}}\'',
            "pause",
            RUNS,
        ),
        ("kubectl annotate job -n team train cleanhours.dev/state=held", "resume", KEPT),
        (
            'kubectl patch job -n team train --type=merge -p \'{"spec":{"suspend":false}}\'',
            "resume",
            STOPPED,
        ),
    ],
    ids=["cancel", "keep", "stop", "give back", "let go on"],
)
def test_an_owner_is_told_what_to_type(command: str, verb: str, job: dict[str, Any]) -> None:
    assert command == advise(record_of(a_job(**job)), verb)


def test_other_kinds_are_named_with_their_group_and_their_own_switch() -> None:
    (kind,) = (one for one in KINDS if one.plural == "pytorchjobs")
    obj = a_job("released", suspended=False)
    obj["spec"] = {"runPolicy": {"suspend": False}, "pytorchReplicaSpecs": {}}
    assert (
        "kubectl patch pytorchjobs.kubeflow.org -n team train --type=merge "
        '-p \'{"spec":{"runPolicy":{"suspend":true}}}\''
    ) == advise(record_of(obj, kind), "pause")


def test_what_kueue_manages_is_stopped_at_its_workload() -> None:
    obj = a_job("released", suspended=False, status=STARTED)
    obj["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "queue"}
    told = advise(record_of(obj), "pause")
    assert "$(kubectl get workloads -n team -l kueue.x-k8s.io/job-uid=u-1 -o name)" in told
    assert '{"spec":{"active":false}}' in told


def test_a_running_pod_can_only_be_cancelled() -> None:
    obj = a_job("released")
    obj["spec"] = {"nodeName": "de-1", "containers": []}
    record = record_of(obj, POD)
    assert "kubectl delete pod -n team train" == advise(record, "cancel")
    assert ("", "") == (advise(record, "pause"), advise(record, "resume"))
