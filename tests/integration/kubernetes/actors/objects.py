"""Pods and what has them, as the tests of actors make and find them."""

from __future__ import annotations

from typing import Any, Final

from tests.integration.kubernetes.actors.server import Object
from tests.integration.kubernetes.actors.stage import Stage, wait_for

REGION: Final = "topology.kubernetes.io/region"


def pod_template(run_for: str = "60s", **spec: Any) -> Object:
    container = {"name": "node", "image": "none", "resources": {"requests": {"cpu": "1"}}}
    notes = {"annotations": {"test/run-for": run_for}}
    return {"metadata": notes, "spec": {"containers": [container], **spec}}


def replicated(name: str, run_for: str = "60s", replicas: int = 1) -> Object:
    template = pod_template(run_for, restartPolicy="Never")
    return {
        "name": name,
        "replicas": replicas,
        "template": {"spec": {"backoffLimit": 0, "template": template}},
    }


def pods_of(on: Stage, **labels: str) -> list[Object]:
    return on.server.items(on.path("v1", "pods"), labels)


def job(on: Stage, name: str) -> Object:
    return wait_for(lambda: on.server.find(on.path("batch/v1", "jobs", name)))


def running_job(on: Stage, name: str) -> Object:
    """Once its Pods run."""
    return wait_for(lambda: found if (found := job(on, name))["status"].get("ready") else None)


def tried(on: Stage, path: str, patch: Object) -> bool:
    """Done, unless the server will not have it yet."""
    return on.refused(path, patch) is None and bool(on.server.patch(path, patch))
