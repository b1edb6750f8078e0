"""Jobs as a reflector sees them in these tests, and an ear for all that it tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.unit.plugins.clusters.kubernetes.servers import Answer

JOBS = "/apis/batch/v1/jobs"
Slim = tuple[str, str]
Change = tuple[Slim | None, Slim | None]


def a_job(uid: str, word: str = "held", version: str = "1") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": uid, "resourceVersion": version}, "spec": {"word": word}}


def slim(item: dict[str, Any]) -> Slim | None:
    word = item["spec"]["word"]
    return (item["metadata"]["uid"], word) if word else None


def event(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": item}


def a_list(*items: dict[str, Any], version: str = "10") -> Answer:
    return Answer(body={"metadata": {"resourceVersion": version}, "items": list(items)})


@dataclass
class Ear:
    changes: list[Change] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)

    def change(self, before: Slim | None, after: Slim | None) -> None:
        self.changes.append((before, after))

    def count(self, name: str, /, **labels: str) -> None:
        assert "jobs" == labels["kind"]
        self.counted.append((name, labels.get("reason", "")))
