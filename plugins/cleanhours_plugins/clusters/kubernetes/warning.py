"""Warning: what an owner should hear of a job that runs already, though it asked to wait. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.jobs import Job, JobState
from cleanhours.domain.plans import Reason
from cleanhours_plugins.clusters.kubernetes.announcing import What
from cleanhours_plugins.clusters.kubernetes.records import Record

_GOES: Final = frozenset({JobState.RELEASED, JobState.RUNNING})
_RECENT: Final = timedelta(hours=1)
"""As long as a cluster keeps Events: what began earlier was told, or ran before anybody could have held it."""
NOT_HELD: Final = "It asks to wait for clean hours, but nothing held it when it was created, so it runs: is admission installed?"


def warnings_of(record: Record, job: Job, now: datetime) -> Iterator[tuple[What, str]]:
    """What is to be said of it, each once: the faults of its words, and that nobody held it."""
    if job.state not in _GOES or job.shadow or now - (job.started_at or record.created) > _RECENT:
        return
    known = record.plan is not None and record.plan.reason is Reason.INVALID_REQUEST
    if job.complaints and not known:
        yield What.INVALID_REQUEST, "; ".join(map(str, job.complaints))
    if record.mark is None:
        yield What.NOT_HELD, NOT_HELD
