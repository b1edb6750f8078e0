"""Jobs: what the core is told of an object, from its record. Pure; where Pods and volumes matter, it asks `Surroundings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.jobs import FinishedRun, Job, JobKey, JobState, RunKey, RunSegment
from cleanhours.domain.progress import remaining_work
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import format_duration
from cleanhours.domain.words import parse_words
from cleanhours_plugins.clusters.kubernetes.placing import Places, bound_to, home_of, placed_at
from cleanhours_plugins.clusters.kubernetes.records import Outcome, Record
from cleanhours_plugins.clusters.kubernetes.settings import EVERYWHERE
from cleanhours_plugins.clusters.kubernetes.words import Mark
from cleanhours_plugins.clusters.tables import words_over

MOST_HANDLES: Final = 16
"""Pods that are named one by one; of more, the object's own UID stands for all."""
OBJECT_NAME: Final = "object-name"
"""Label of a job whose name is its work's, such as a CronJob's: what its own object is called."""
_STOPPED: Final = frozenset({Mark.PAUSED, Mark.MOVING})


class Surroundings(Protocol):
    """What an object does not say itself."""

    def feasible(self, record: Record) -> frozenset[str] | None:
        """The locations that its volumes and the nodes there are leave it; None is any."""

    def tied(self, record: Record) -> frozenset[str] | None:
        """Those that its volumes alone leave it: what its home depends on."""

    def narrowed(self, request: JobRequest, record: Record) -> JobRequest:
        """The request within the bounds of what made the object, such as a CronJob's next run."""

    def pods(self, record: Record) -> tuple[str, ...]:
        """UIDs of the Pods that ran or run for it, as far as known; a few too many where there were more than matter."""


class Nowhere:
    """Nothing is known besides."""

    def feasible(self, record: Record) -> frozenset[str] | None:
        return None

    def tied(self, record: Record) -> frozenset[str] | None:
        return None

    def narrowed(self, request: JobRequest, record: Record) -> JobRequest:
        return request

    def pods(self, record: Record) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What its owner asks for, and the faults of it; `locations` are those he offers that are here."""

    request: JobRequest
    complaints: tuple[Complaint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """How records become jobs of the cluster `name`."""

    name: str
    places: Places
    defaults: Mapping[str, Mapping[str, str]]
    queue_margin: timedelta
    shadow: bool = False
    around: Surroundings = Nowhere()  # noqa: RUF009 - it has no state

    def job(self, record: Record, now: datetime) -> Job | None:
        """The job of an object that has not finished; None of one that has."""
        state = state_of(record)
        if state is None:
            return None
        wishes = self.wishes(record)
        offered = wishes.request.locations
        home = home_of(record, self.places, offered, self.around.tied(record))
        allowed = self.allowed(record, offered)
        ours = is_ours(record)
        stoppable = ours and record.kind.suspend is not None and wishes.request.interruptible
        request = _limited(
            wishes.request,
            allowed if ours or state is JobState.UNMANAGED or record.shadow else (),
            interruptible=stoppable or (record.shadow and wishes.request.interruptible),
        )
        segments = segments_of(record, self.places, home, self.around.pods(record))
        return Job(
            key=JobKey(self.name, record.uid),
            name=work_of(record),
            namespace=record.namespace,
            state=state,
            request=request,
            home=home,
            location=segments[-1].location if segments else None,
            remaining=remaining_work(request, segments, now),
            plan=record.plan,
            owner="" if record.owner is None else "/".join(record.owner[:2]),
            labels=labels_of(record),
            complaints=wishes.complaints,
            started_at=segments[0].start if segments else None,
            segments=segments,
            queue_margin=self.queue_margin,
            movable=stoppable and len({home, *allowed}) > 1,
            shadow=self.shadow or record.shadow,
        )

    def run(self, record: Record) -> FinishedRun | None:
        """The run of an object that has finished."""
        outcome = record.activity.outcome
        return None if outcome is None else self.ended(record, outcome)

    def ended(self, record: Record, outcome: Outcome) -> FinishedRun:
        """The run of an object that ended so, whatever its status says."""
        wishes = self.wishes(record)
        home = home_of(record, self.places, wishes.request.locations, self.around.tied(record))
        segments = segments_of(record, self.places, home, self.around.pods(record), until=outcome.at)
        return FinishedRun(
            key=RunKey(self.name, record.uid, 1),
            name=work_of(record),
            namespace=record.namespace,
            state=outcome.state,
            request=wishes.request,
            home=home,
            segments=segments,
            finished_at=outcome.at,
            allocated=record.demand,
            owner="" if record.owner is None else "/".join(record.owner[:2]),
            labels=labels_of(record),
            plan=record.plan,
            message=outcome.message,
        )

    def wishes(self, record: Record) -> Wishes:
        """Its words over its namespace's. A word of its own about time takes the place of all the namespace's about it."""
        if record.fault:
            fault = Complaint("the object", record.fault, "one that can be read")
            return Wishes(JobRequest(submitted=record.created), (fault,))
        usual = self.defaults.get(record.namespace, self.defaults.get(EVERYWHERE, {}))
        words = words_over(usual, dict(record.words))
        if "duration" not in words and record.limit is not None:
            words["duration"] = format_duration(record.limit)
        try:
            request = parse_words(
                words, created=record.created, locations=self.places.labels, demand=record.demand
            )
        except InvalidRequest as invalid:
            return Wishes(JobRequest(submitted=record.created, demand=record.demand), invalid.complaints)
        if request.power_curve and record.limit is not None:
            request = replace(request, time_limit=record.limit)
        return Wishes(self.around.narrowed(request, record))

    def allowed(self, record: Record, offered: tuple[str, ...]) -> tuple[str, ...]:
        """Of the locations that its owner offers, those where it can run, in his order."""
        if not offered:
            return ()
        free = set(bound_to(record, self.places, offered=True))
        feasible = self.around.feasible(record)
        if feasible is not None:
            free &= feasible
        return tuple(name for name in offered if name in free)


def _limited(request: JobRequest, locations: tuple[str, ...], *, interruptible: bool) -> JobRequest:
    """The same value where nothing changes: each new one is checked again, and kept."""
    if request.locations == locations and request.interruptible == interruptible:
        return request
    return replace(request, locations=locations, interruptible=interruptible)


def is_ours(record: Record) -> bool:
    """Whether we hold, held or stopped it, and nobody else has his hand on it since."""
    return record.mark is Mark.RELEASED or (record.mark is not None and holds(record))


def holds(record: Record) -> bool:
    """Whether something keeps it from running: its switch, or our gate.

    What Kueue manages is stopped at its Workload, a moment after it was marked: until then it is as good as stopped.
    """
    if record.kind.suspend is None or (record.queue and record.mark not in _STOPPED):
        return record.gated
    return record.suspended or (record.queue != "" and runs_on(record))


def runs_on(record: Record) -> bool:
    """Whether what it runs, or ran, is the very run that was written down as stopped."""
    started = record.activity.started_at
    return started is not None and bool(record.runs) and record.runs[-1].start == started


def state_of(record: Record) -> JobState | None:
    """Where it is in its life; None once it has finished.

    Ours is only what admission marked: what its owner suspends, he resumes; what he lets go, runs.
    """
    activity, mark = record.activity, record.mark
    if activity.outcome is not None:
        return None
    moving = JobState.RUNNING if activity.active else JobState.RELEASED
    if not holds(record):
        return moving
    match mark:
        case Mark.HELD if activity.started_at is None:
            return JobState.HELD
        case Mark.PAUSED | Mark.MOVING if is_quiet(record):
            return JobState.PAUSED
        case Mark.PAUSED:
            return JobState.PAUSING
        case Mark.MOVING:
            return JobState.MOVING
    return JobState.UNMANAGED


def is_quiet(record: Record) -> bool:
    """Whether its controller saw that it is suspended, and no Pod of it runs or is still stopping."""
    return record.activity.quiet and record.activity.stopped_at is not None


def segments_of(
    record: Record,
    places: Places,
    home: str,
    pods: tuple[str, ...] = (),
    until: datetime | None = None,
) -> tuple[RunSegment, ...]:
    """What it ran before its pauses, and what it runs now (up to `until`, once it is over).

    A pause was written with the time at which we stopped it. It ends when its controller saw that, where that is known:
    its Pods may take their grace period longer, which serves no work.
    """
    runs = record.runs
    activity = record.activity
    # it ended before it could be stopped
    if until is not None and runs_on(record) and activity.stopped_at is None:
        return (*runs[:-1], replace(runs[-1], end=_not_before(runs[-1].start, until)))
    if holds(record):
        if runs and record.mark in _STOPPED and activity.stopped_at is not None:
            return (
                *runs[:-1],
                replace(runs[-1], end=max(runs[-1].end or runs[-1].start, activity.stopped_at)),
            )
        if record.mark in _STOPPED or activity.stopped_at is not None or runs_on(record):
            return runs
    # suspended by others, it runs on until its controller sees that
    if activity.started_at is None:
        return runs
    earlier = {handle for run in runs for handle in run.handles}
    own = tuple(pod for pod in pods if pod not in earlier)
    handles = own if 0 < len(own) <= MOST_HANDLES else (record.uid,)
    place = placed_at(record, places) or home
    return (*runs, RunSegment(activity.started_at, _not_before(activity.started_at, until), place, handles))


def _not_before(start: datetime, end: datetime | None) -> datetime | None:
    return None if end is None else max(start, end)


def work_of(record: Record) -> str:
    """What it is called where runs of the same work are compared: a CronJob's children have its name."""
    return record.owner[1] if record.owner is not None and record.owner[0] == "CronJob" else record.name


def labels_of(record: Record) -> dict[str, str]:
    """Its owner's labels, and its own name where it goes by another."""
    labels = dict(record.labels)
    if work_of(record) != record.name:
        labels[OBJECT_NAME] = record.name
    return labels
