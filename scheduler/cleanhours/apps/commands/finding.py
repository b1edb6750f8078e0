"""Which job is meant by `[cluster:][namespace/]name-or-id`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.jobs import FinishedRun, Job
from cleanhours.ports import Cluster

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
OBJECT_NAME: Final = "object-name"
"""Label of a job that is called after its work, such as a CronJob's: the name of its own object."""


def find_unfinished(clusters: Mapping[str, Cluster], text: str) -> tuple[Cluster, Job]:
    """The one unfinished job that `text` names. Raises InvalidRequest when none or several match."""
    found = _unfinished(clusters, text) or _unfinished(clusters, text)
    return _only(found, text, [f"{c.name}:{job.namespace}/{job.key.uid} ({_shown(job)})" for c, job in found])


def find_finished(clusters: Mapping[str, Cluster], text: str) -> FinishedRun | None:
    """The latest finished run that `text` names."""
    found = [
        run
        for cluster in _asked(clusters, text)
        for run in cluster.finished(EVER)
        if _matches(text, cluster.name, run.namespace, _names(run))
    ]
    return max(found, key=lambda run: run.finished_at, default=None)


def _unfinished(clusters: Mapping[str, Cluster], text: str) -> list[tuple[Cluster, Job]]:
    """What waits and runs are two questions: a job that changes sides between them is in neither answer."""
    found = {
        job.key: (cluster, job)
        for cluster in _asked(clusters, text)
        for job in [*cluster.pending(), *cluster.running()]
        if _matches(text, cluster.name, job.namespace, _names(job))
    }
    return list(found.values())


def _asked(clusters: Mapping[str, Cluster], text: str) -> Sequence[Cluster]:
    name, colon, _ = text.partition(":")
    return [clusters[name]] if colon and name in clusters else list(clusters.values())


def _names(one: Job | FinishedRun) -> tuple[str, ...]:
    """What it answers to: its work's name, its own object's, its id."""
    return (one.name, one.labels.get(OBJECT_NAME, one.name), one.key.uid)


def _shown(job: Job) -> str:
    return job.labels.get(OBJECT_NAME, job.name)


def _matches(text: str, cluster: str, namespace: str, names: tuple[str, ...]) -> bool:
    return any(
        text in {name, f"{namespace}/{name}", f"{cluster}:{name}", f"{cluster}:{namespace}/{name}"}
        for name in names
    )


def _only(found: list[tuple[Cluster, Job]], text: str, shown: Sequence[str]) -> tuple[Cluster, Job]:
    if len(found) == 1:
        return found[0]
    accepted = (
        "one of " + ", ".join(shown[:8]) if found else "a job that waits or runs (see `cleanhours jobs`)"
    )
    raise InvalidRequest([Complaint("job", text, accepted)])
