"""The hands on an API server in this process that merges patches as a real one does, with one Job `train` in `team`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cleanhours.adapters.clock import StoppedClock
from cleanhours.domain.jobs import Action
from cleanhours.domain.plans import Reason
from cleanhours_plugins.clusters.kubernetes import words
from cleanhours_plugins.clusters.kubernetes.announcing import Announcer, What
from cleanhours_plugins.clusters.kubernetes.hands import Hands
from cleanhours_plugins.clusters.kubernetes.kinds import JOB
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind
from cleanhours_plugins.clusters.kubernetes.mirror import Mirror
from cleanhours_plugins.clusters.kubernetes.namespaces import Namespaces
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.workloads import Workloads
from tests.unit.plugins.clusters.kubernetes.made import a_decision, merged_into, reporting
from tests.unit.plugins.clusters.kubernetes.servers import Answer, Asked, Server

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
TRAIN = "/apis/batch/v1/namespaces/team/jobs/train"
WORKLOAD = "/apis/kueue.x-k8s.io/v1beta2/namespaces/team/workloads/job-train"


class Merging(Server):
    """Merge patches are merged; a patch of `status` is one of the object."""

    def _object(self, asked: Asked) -> Answer:
        path = asked.path.removesuffix("/status")
        if asked.method == "PATCH" and path in self.objects:
            body = {
                **asked.body,
                "metadata": {**self.objects[path]["metadata"], **asked.body.get("metadata", {})},
            }
            plain = Asked(
                "PATCH", path, asked.query, asked.headers, merged_into(self.objects[path], asked.body)
            )
            wanted = body["metadata"]["resourceVersion"]
            plain.body["metadata"]["resourceVersion"] = wanted
            return super()._object(plain)
        return super()._object(asked)

    def patches(self) -> list[tuple[str, dict[str, Any]]]:
        """What was written on objects, in order: the end of the path, and the body."""
        return [
            (one.path.removeprefix(TRAIN.rpartition("/")[0]).lstrip("/"), one.body)
            for one in self.asked
            if one.method == "PATCH"
        ]

    def said(self) -> list[str]:
        """Reasons of the Events that were posted."""
        return [one.body["reason"] for one in self.asked if one.path.endswith("/events")]


@dataclass
class AtWork:
    """`tell` decides one thing on `train` as it was last seen."""

    server: Merging
    mirror: Mirror
    hands: Hands
    announcer: Announcer
    failures: list[str] = field(default_factory=list)

    def tell(self, action: Action, at: str = "de", reason: Reason = Reason.LOWEST_WINDOW) -> str:
        error = self.hands.carry_out(a_decision(action, at, reason))
        self.announcer.wait(5)
        return error

    @property
    def train(self) -> dict[str, Any]:
        return self.server.objects[TRAIN]

    @property
    def record(self) -> Record:
        found = self.mirror.get("u-1")
        assert found is not None
        return found

    def behind_our_back(self, change: Mapping[str, Any]) -> None:
        self.server.put(TRAIN, merged_into(self.train, change))


@contextmanager
def at_work(folder: Path, job: Mapping[str, Any], kind: Kind = JOB) -> Iterator[AtWork]:
    """The hands, and what they see: the Job as it was made."""
    with Merging() as server:
        server.put(TRAIN, job)
        api = server.api(folder)
        namespaces = Namespaces(api)
        mirror = Mirror(api, (kind,), ("team",), namespaces, now=lambda: NOW)
        announcer = Announcer(api)
        failures: list[str] = []
        hands = Hands(
            api,
            mirror,
            reporting(),
            announcer,
            Workloads(api, ("team",)),
            StoppedClock(NOW),
            {"de": "DE", "fr": "FR", "pl": "PL"},
            failed=lambda: failures.append("failed"),
        )
        mirror.look()
        server.asked.clear()
        yield AtWork(server, mirror, hands, announcer, failures)


def a_workload(*, active: bool = True, uid: str = "u-1") -> dict[str, Any]:
    """What Kueue made of `train`."""
    return {
        "metadata": {
            "name": "job-train",
            "namespace": "team",
            "ownerReferences": [{"kind": "Job", "name": "train", "uid": uid, "controller": True}],
        },
        "spec": {"active": active},
        "status": {},
    }


REFUSED = Answer(422, {"kind": "Status", "code": 422, "reason": "Invalid", "message": "field is immutable"})
CONFLICT = Answer(
    409, {"kind": "Status", "code": 409, "reason": "Conflict", "message": "the object has been modified"}
)
__all__ = [
    "CONFLICT",
    "NOW",
    "REFUSED",
    "TRAIN",
    "WORKLOAD",
    "AtWork",
    "What",
    "a_workload",
    "at_work",
    "words",
]
