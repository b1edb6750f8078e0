"""One instant of the whole system, for everyone who shows it: one snapshot, many views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import WAITING, Job, JobState
from cleanhours.domain.locations import Room


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the controller knew at `now`.

    `jobs` are unfinished and wear their newest plan. `series` is, per grid zone, the best forecast known; `issued` is
    provider and time of issue of the last one that had such a time, also where typical values stand in for it now.
    """

    now: datetime
    leader: bool = True
    jobs: tuple[Job, ...] = ()
    rooms: Mapping[str, Room] = field(default_factory=dict)
    series: Mapping[str, IntensitySeries] = field(default_factory=dict)
    issued: Mapping[str, tuple[str, datetime]] = field(default_factory=dict)


def at_risk(job: Job, now: datetime) -> bool:
    """Whether the job can hardly keep its deadline: it waits past its latest safe start, or runs too long to finish in time."""
    if job.plan is None or job.state is JobState.UNMANAGED:
        return False
    if job.state in WAITING:
        return job.plan.latest_start < now
    deadline = job.request.deadline
    return deadline is not None and job.remaining is not None and now + job.remaining > deadline
