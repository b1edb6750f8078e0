"""A namespace of a real cluster as jobs' owners and the adapter see it: Jobs are applied by kubectl, decisions by the port."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cleanhours.adapters.clock import SystemClock
from cleanhours.adapters.telemetry import Silent
from cleanhours.domain.jobs import Action, Decision, FinishedRun, Job, JobState
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.rules import Rules
from cleanhours.ports import Clock, Cluster, Telemetry
from cleanhours.testing.cluster_contract import LONG_AGO
from cleanhours_plugins.clusters.kubernetes import build, words
from cleanhours_plugins.clusters.kubernetes.cluster import KubernetesCluster
from tests.integration.kubernetes.control_plane import ControlPlane

PATIENCE_S = 60.0


@dataclass
class Surroundings:
    """A context whose locations are the pretended regions."""

    state_folder: Path
    clock: Clock = field(default_factory=SystemClock)
    telemetry: Telemetry = field(default_factory=Silent)
    rules: Rules = field(default_factory=Rules)
    default_words: Mapping[str, str] = field(default_factory=dict)
    locations: Mapping[str, Location] = field(
        default_factory=lambda: {name: Location(name, name.upper()) for name in ("de", "fr", "pl")}
    )

    def plan(
        self, request: JobRequest, *, home: str | None = None, queue_margin: timedelta | None = None
    ) -> Plan:
        raise AssertionError("the adapter plans nothing")

    def cluster(self, name: str) -> Cluster:
        raise AssertionError("the adapter asks for no other")


@dataclass
class World:
    """One namespace, and the cluster that watches it alone."""

    plane: ControlPlane
    namespace: str
    context: Surroundings
    cluster: KubernetesCluster

    # -- what owners do ---------------------------------------------------------------------------------------------

    def apply(
        self,
        name: str,
        run_for: str = "1s",
        wishes: Mapping[str, str] = MappingProxyType({}),
        *,
        mark: str | None = words.Mark.HELD,
        suspend: bool = True,
        pod: Mapping[str, str] | None = None,
        pod_spec: Mapping[str, Any] | None = None,
        spec: Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Creates a Job as admission leaves it: held, unless told otherwise. `wishes` are its words, over the usual."""
        asked = {"max-delay": "12h", "duration": "1m", **wishes}
        annotations = {words.PREFIX + word: text for word, text in asked.items() if text}
        if mark is not None:
            annotations[words.STATE] = mark
        container = {"name": "c", "image": "none", "resources": {"requests": {"cpu": "1"}}}
        template = {
            "metadata": {"annotations": {"test/run-for": run_for, **(pod or {})}},
            "spec": {"restartPolicy": "Never", "containers": [container], **(pod_spec or {})},
        }
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "annotations": annotations,
                **(meta or {}),
            },
            "spec": {
                "suspend": suspend,
                "podReplacementPolicy": "Failed",
                "backoffLimit": 0,
                "template": template,
                **(spec or {}),
            },
        }
        self.plane.kubectl("create", "-f", "-", input=json.dumps(job))

    def change(self, name: str, patch: Mapping[str, Any]) -> None:
        """A merge patch of a Job, as administrator."""
        self.plane.kubectl(
            "patch", "job", name, "-n", self.namespace, "--type=merge", "-p", json.dumps(patch)
        )

    def delete(self, name: str) -> None:
        self.plane.kubectl("delete", "job", name, "-n", self.namespace)

    def object(self, name: str) -> dict[str, Any]:
        """The Job as it is."""
        return self.plane.get("job", name, "-n", self.namespace)

    def annotations(self, name: str) -> dict[str, str]:
        found: dict[str, str] = self.object(name)["metadata"]["annotations"]
        return found

    def pods(self, name: str) -> list[dict[str, Any]]:
        found = self.plane.get("pods", "-n", self.namespace, "-l", f"job-name={name}")["items"]
        return list(found)

    def regions(self, name: str) -> set[str]:
        """Where Pods of a Job are that have not ended: the nodes are called after their regions."""
        return {
            pod["spec"].get("nodeName", "none").partition("-")[0]
            for pod in self.pods(name)
            if pod["status"]["phase"] not in ("Succeeded", "Failed")
        }

    def events(self, name: str) -> list[tuple[str, str, str]]:
        """Type, reason and note of our Events on a Job, once they are posted, in order of time."""
        self.cluster.quiesce()
        items = self.plane.get("events.v1.events.k8s.io", "-n", self.namespace)["items"]
        ours = [
            one
            for one in items
            if one["regarding"]["name"] == name and one["reportingController"].startswith("cleanhours.dev/")
        ]
        ours.sort(key=lambda one: one["eventTime"])
        return [(one["type"], one["reason"], one["note"]) for one in ours]

    # -- what the core does -----------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        return [*self.cluster.pending(), *self.cluster.running()]

    def find(self, name: str) -> Job:
        """A job that has not finished. Two questions: one that changes sides between them is in neither answer."""
        for _ in range(3):
            for job in self.jobs():
                if job.name == name:
                    return job
        raise LookupError(name)

    def knows(self, name: str) -> bool:
        return any(job.name == name for job in self.jobs())

    def plan(self, at: str, reason: Reason = Reason.LOWEST_WINDOW) -> Plan:
        """A plan that starts now, there."""
        now = self.context.clock.now().replace(microsecond=0)
        end = now + timedelta(minutes=1)
        zone = at.upper()
        return Plan(
            location=at,
            zone=zone,
            start=now,
            end=end,
            segments=(Segment(now, end, at, zone),),
            latest_start=now + timedelta(hours=9),
            reason=reason,
        )

    def tell(self, name: str, action: Action, at: str, reason: Reason = Reason.LOWEST_WINDOW) -> str:
        """Decides one thing; returns what went wrong."""
        decision = Decision(self.find(name).key, action, self.plan(at, reason), reason)
        (applied,) = self.cluster.apply([decision])
        return applied.error

    def until(self, name: str, *states: JobState) -> Job:
        wait(lambda: self.knows(name) and self.find(name).state in states)
        return self.find(name)

    def over(self, name: str) -> FinishedRun:
        def runs() -> list[FinishedRun]:
            return [run for run in self.cluster.finished(LONG_AGO) if run.name == name]

        wait(lambda: bool(runs()))
        return runs()[0]


@contextmanager
def a_world(plane: ControlPlane, namespace: str, folder: Path, **settings: Any) -> Iterator[World]:
    """The adapter on one namespace, started as in a controller."""
    context = Surroundings(folder)
    table = {
        "type": "kubernetes",
        "name": "k8s",
        "kubeconfig": str(plane.kubeconfig),
        "watch_namespaces": [namespace],
        "lease_namespace": namespace,
        "kinds": ["jobs", "pods"],
        **settings,
    }
    cluster = build(table, context)
    cluster.start()
    try:
        wait(cluster.leadership().may_act)
        yield World(plane, namespace, context, cluster)
    finally:
        cluster.stop()


def wait(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Looks again and again, generously long: only a broken promise takes so long."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.05)
