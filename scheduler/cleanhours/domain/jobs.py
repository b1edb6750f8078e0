"""Jobs as clusters report them, what is decided for them, and what is left when they are gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from cleanhours.domain.errors import Complaint
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Demand


class JobState(StrEnum):
    """Where a job is in its life."""

    PENDING = "pending"
    HELD = "held"
    RELEASED = "released"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    MOVING = "moving"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNMANAGED = "unmanaged"


FINISHED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
WAITING = frozenset({JobState.PENDING, JobState.HELD, JobState.PAUSED})
AT_REST = WAITING | {JobState.UNMANAGED}
"""What a cluster reports as pending: it waits for us, or its owner holds it."""


class JobKey(NamedTuple):
    """Which job: the configured cluster's name and the cluster's own unique id."""

    cluster: str
    uid: str


class RunKey(NamedTuple):
    """Which run of which job; `attempt` counts from 1 where a cluster starts a job anew."""

    cluster: str
    uid: str
    attempt: int


@dataclass(frozen=True, slots=True)
class RunSegment:
    """One stretch of real running, [start, end) or until now, with what a meter needs to find it again.

    `handles` are Pod UIDs, a Slurm id and restart, or a pid.
    """

    start: datetime
    end: datetime | None
    location: str
    handles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job that has not finished, as its cluster reports it.

    `remaining` is running time still to do (None where the duration is unknown). `complaints` say why the request
    could not be read: such a job runs now. `home` is frozen at submission. `queue_margin` is how long a release may queue
    there (None: as the rules say). `movable`: once started it may go on elsewhere. `shadow`: it is planned, not touched.
    """

    key: JobKey
    name: str
    namespace: str
    state: JobState
    request: JobRequest
    home: str
    location: str | None = None
    remaining: timedelta | None = None
    plan: Plan | None = None
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    complaints: tuple[Complaint, ...] = ()
    started_at: datetime | None = None
    segments: tuple[RunSegment, ...] = ()
    attempt: int = 1
    queue_margin: timedelta | None = None
    movable: bool = False
    shadow: bool = False


class Action(StrEnum):
    """What a cluster is asked to do to a job."""

    HOLD = "hold"
    RELEASE = "release"
    SUSPEND = "suspend"
    RESUME = "resume"
    RELOCATE = "relocate"
    SCALE = "scale"
    REMARK = "remark"
    """Only write the plan; the job keeps doing what it does."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One action on one job, with the plan it carries out. `at` is the location to release or resume at."""

    key: JobKey
    action: Action
    plan: Plan
    reason: Reason

    @property
    def at(self) -> str:
        return self.plan.location


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a decision. `error` is empty when it was carried out, or had been before."""

    decision: Decision
    error: str = ""

    @property
    def done(self) -> bool:
        return not self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run that is over: all that a meter and a report need when the object is gone.

    `allocated` is what the run held. `cpu_seconds` and `memory_byte_seconds` are what its cluster accounted for it, per
    segment where it knows (same order as `segments`), None where it does not.
    """

    key: RunKey
    name: str
    namespace: str
    state: JobState
    request: JobRequest
    home: str
    segments: tuple[RunSegment, ...]
    finished_at: datetime
    allocated: Demand = Demand()
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    plan: Plan | None = None
    exit_code: int | None = None
    message: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)
    """What the cluster measured of the run, by name and unit: `cpu_seconds`, `gpu_joules`, ..."""

    @property
    def started_at(self) -> datetime | None:
        return self.segments[0].start if self.segments else None
