"""Crowds of Jobs: made by raw requests of a few threads, for kubectl takes a tenth of a second for each; and what became of them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from kubernetes import client, config
from urllib3.util import Retry

from cleanhours.domain.times import format_instant, parse_instant
from cleanhours_plugins.clusters.kubernetes import words

Object = dict[str, Any]
DONE: Final = ("Complete", "Failed")
_PAGE: Final = 500
_MERGE: Final = "application/merge-patch+json"
_PATIENCE: Final = Retry(
    10, read=0, status_forcelist=(429, 503), allowed_methods=None, backoff_factor=0.2, raise_on_status=False
)
"""A server that just came back fills its caches and refuses before it looked at a request: 429, as to any client."""


class Server:
    """The API server of a kubeconfig, as its user; any thread may ask."""

    def __init__(self, kubeconfig: Path, threads: int = 8) -> None:
        library: Any = config
        found: Any = client.Configuration()
        library.load_kube_config(config_file=str(kubeconfig), client_configuration=found)
        found.connection_pool_maxsize = threads
        self._url = found.host
        self._pool: Any = client.ApiClient(found).rest_client.pool_manager
        self._headers = {"Authorization": str(found.api_key.get("BearerToken") or "")}

    def ask(
        self, method: str, path: str, body: Object | None = None, *, kind: str = "application/json"
    ) -> Object:
        """The answer; fails the test where that is a refusal."""
        text = None if body is None else json.dumps(body)
        headers = {**self._headers, "Content-Type": kind}
        answer = self._pool.request(
            method, self._url + path, body=text, headers=headers, timeout=60.0, retries=_PATIENCE
        )
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.data[:500]!r}"
        found: Object = json.loads(answer.data)
        return found

    def patch(self, path: str, body: Object) -> Object:
        """A merge patch."""
        return self.ask("PATCH", path, body, kind=_MERGE)

    def items(self, path: str) -> Iterator[Object]:
        """A whole collection, in pages."""
        after = ""
        while True:
            page = self.ask("GET", f"{path}?limit={_PAGE}{after}")
            yield from page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return
            after = f"&continue={token}"

    def create_all(self, namespace: str, jobs: Sequence[Object], threads: int = 8) -> float:
        """Creates Jobs, in any order; returns the seconds that took."""
        path = jobs_of(namespace)
        begun = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda job: self.ask("POST", path, job), jobs):
                pass
        return time.perf_counter() - begun


def jobs_of(namespace: str, name: str = "") -> str:
    """The path of a namespace's Jobs, or of one."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs" + (f"/{name}" if name else "")


def held_job(name: str, wishes: Mapping[str, str], *, run_for: str = "1s", cpu: str = "10m") -> Object:
    """A Job as admission leaves it, with its owner's words."""
    container: Object = {"name": "c", "image": "none", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "annotations": {words.STATE: words.Mark.HELD.value, **{words.PREFIX + key: text for key, text in wishes.items()}},
        },
        "spec": {
            "suspend": True,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": {"annotations": {"test/run-for": run_for}},
                "spec": {"restartPolicy": "Never", "containers": [container]},
            },
        },
    }  # fmt: skip


def due_at(start: datetime, run: timedelta, margin: timedelta) -> dict[str, str]:
    """The words of a job whose last safe start is `start`, and which waits for it whatever the grid does."""
    return {
        "deadline": format_instant(start + run + margin),
        "duration": f"{run.total_seconds():.0f}s",
        "policy": "deadline-only",
    }


@dataclass(frozen=True)
class Life:
    """What became of a Job. `spec_changes`: how often its spec was written since it was made; a release is one."""

    name: str
    spec_changes: int
    end: str
    started: datetime | None
    completed: datetime | None
    deadline: datetime | None
    pods: int
    releases: int
    """How often it was told that it was released: not at all where its controller died before."""

    @property
    def faults(self) -> list[str]:
        """How it differs from a Job that was released once, ran once, and finished in time; a line each."""
        found = []
        if self.end != "Complete":
            found.append(f"{self.name}: ended {self.end or 'never'}")
        if self.spec_changes != 1:
            found.append(f"{self.name}: its spec was written {self.spec_changes} times")
        if self.pods != 1:
            found.append(f"{self.name}: {self.pods} Pods")
        if self.releases > 1:
            found.append(f"{self.name}: released {self.releases} times, by its Events")
        if self.completed and self.deadline and self.completed > self.deadline:
            found.append(f"{self.name}: completed {self.completed}, due {self.deadline}")
        return found


def lives_of(server: Server, namespace: str) -> dict[str, Life]:
    """All Jobs of a namespace."""
    pods = Counter(_job_of(pod) for pod in server.items(f"/api/v1/namespaces/{namespace}/pods"))
    told: Counter[str] = Counter(
        one["regarding"]["name"]
        for one in server.items(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
        if one["reason"] == "Released" and one["reportingController"].startswith(words.PREFIX)
    )
    lives = (_life(job, pods, told) for job in server.items(jobs_of(namespace)))
    return {life.name: life for life in lives}


def _job_of(pod: Object) -> str:
    return str(pod["metadata"]["labels"].get("batch.kubernetes.io/job-name", ""))


def _life(job: Object, pods: Mapping[str, int], told: Mapping[str, int]) -> Life:
    name, status = job["metadata"]["name"], job["status"]
    conditions = {one["type"] for one in status.get("conditions") or () if one["status"] == "True"}
    deadline = job["metadata"]["annotations"].get(words.PREFIX + "deadline")
    return Life(
        name=name,
        spec_changes=job["metadata"]["generation"] - 1,
        end=next((one for one in DONE if one in conditions), ""),
        started=_instant(status.get("startTime")),
        completed=_instant(status.get("completionTime")),
        deadline=_instant(deadline),
        pods=pods.get(name, 0),
        releases=told.get(name, 0),
    )


def _instant(text: str | None) -> datetime | None:
    return None if not text else parse_instant(text)


def all_over(lives: Iterable[Life]) -> bool:
    return all(life.end for life in lives)
