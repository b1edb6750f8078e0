"""Objects of each kind as an API server tells them: only the fields that matter."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from cleanhours_plugins.clusters.kubernetes import words

CREATED = "2026-03-01T00:00:00Z"
RESUMED = "2026-03-01T04:00:00Z"
STOPPED = "2026-03-01T05:00:00Z"
ENDED = "2026-03-01T06:00:00Z"


def pod_template(cpu: str = "1", gpus: int = 0, **spec: Any) -> dict[str, Any]:
    """A Pod template of one container."""
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    container = {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}, "limits": limits}}
    return {"metadata": {}, "spec": {"containers": [container], **spec}}


def an_object(
    spec: Mapping[str, Any], status: Mapping[str, Any] | None = None, **meta: Any
) -> dict[str, Any]:
    """An opted-in object named `train`."""
    return {
        "metadata": {
            "name": "train",
            "namespace": "team",
            "uid": "u-1",
            "resourceVersion": "7",
            "creationTimestamp": CREATED,
            "annotations": {words.PREFIX + "max-delay": "12h"},
            **meta,
        },
        "spec": copy.deepcopy(dict(spec)),
        "status": copy.deepcopy(dict(status or {})),
    }


def says(type_: str, at: str, status: str = "True", **more: str) -> dict[str, str]:
    """A condition."""
    return {"type": type_, "status": status, "lastTransitionTime": at, **more}
