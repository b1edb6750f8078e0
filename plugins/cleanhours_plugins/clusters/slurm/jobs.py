"""Jobs: what the core is told of a job that Slurm shows and that wears our tag. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.jobs import Job, JobKey, JobState, RunSegment
from cleanhours.domain.plans import Plan
from cleanhours.domain.progress import remaining_work
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Capacity
from cleanhours.domain.times import LONGEST, epoch, format_duration, instant_of
from cleanhours.domain.words import parse_words
from cleanhours_plugins.clusters.slurm.asking import Seen
from cleanhours_plugins.clusters.slurm.demands import demand_of, fitted
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.tagging import Tag, read, split_comment

OBJECT_NAME: Final = "object-name"
"""Label by which a job answers to the number that Slurm gave it."""
ENDED: Final[Mapping[str, JobState]] = {
    "COMPLETED": JobState.SUCCEEDED,
    "CANCELLED": JobState.CANCELLED,
    "DEADLINE": JobState.FAILED,
    "FAILED": JobState.FAILED,
    "TIMEOUT": JobState.FAILED,
    "NODE_FAIL": JobState.FAILED,
    "BOOT_FAIL": JobState.FAILED,
    "OUT_OF_MEMORY": JobState.FAILED,
    "PREEMPTED": JobState.FAILED,
    "REVOKED": JobState.CANCELLED,
}
"""States in which a job does not run again, and what they are to us."""
_WAITS: Final = frozenset({
    "PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT",
})  # fmt: skip
_OTHERS: Final = frozenset({"SUSPENDED", "STOPPED", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
"""Neither started nor stopped by us: its owner, or whoever runs the site, has the word."""
_SOON: Final = 2
"""Seconds by which a start may differ from the one that we wrote: Slurm keeps whole seconds."""
_REQUEUED: Final = "requeued"
"""In the reason of a job that a requeue left held: what its owner holds has another reason."""
_STOPS_WITHIN_S: Final = 300
"""Between the word to requeue and the end of the run: KillWait, and an epilog."""
_LONGEST_DELAY_S: Final = 600
"""A requeued job whose start lies no further ahead waits for Slurm's own delay, not for its owner's word."""


@dataclass(frozen=True, slots=True)
class Known:
    """A job of Slurm's and what we know of it. `fault` says why its tag cannot be read."""

    seen: Seen
    tag: Tag
    own: str
    """What its comment says besides."""
    fault: str = ""

    @property
    def uid(self) -> str:
        """Slurm gives its numbers anew after it lost its memory, or after the highest: the first submission tells which."""
        return f"{self.seen.id}-{self.tag.submitted}"

    @property
    def waits(self) -> bool:
        return self.seen.state in _WAITS

    @property
    def requeued(self) -> bool:
        """Whether the last of its requeues is ours. Slurm takes the end of the run for a new submission."""
        end = self.tag.runs[-1].end if self.tag.runs else None
        return end is not None and abs(self.seen.submitted - epoch(end)) <= _STOPS_WITHIN_S

    @property
    def left_held(self) -> bool:
        """Whether our own requeue left it held, and not yet released."""
        return self.waits and self.tag.paused and self.requeued and _REQUEUED in self.seen.reason


def known_of(seen: Seen, zones: Mapping[str, str]) -> Known | None:
    """A job that wears our tag; None for any other."""
    own, fields = split_comment(seen.comment)
    if fields is None:
        return None
    try:
        return Known(seen, read(fields, zones), own)
    except ValueError as fault:
        return Known(seen, Tag(submitted=seen.submitted), own, str(fault))


@dataclass(frozen=True, slots=True)
class Reporting:
    """Makes jobs. `requeue_time` is how long a requeued job must wait; `queues` how long a start queues, by partition;
    `capacities` what locations have in all, as far as that is known; `away` are those where no node takes jobs now.
    """

    settings: SlurmSettings
    requeue_time: timedelta = timedelta(0)
    queues: Mapping[str, timedelta] = field(default_factory=dict)
    capacities: Mapping[str, Capacity] = field(default_factory=dict)
    away: frozenset[str] = frozenset()

    def job(self, known: Known, now: datetime, plan: Plan | None = None) -> Job | None:
        """The job; None of one that has ended. `plan` is one that is still to be written down."""
        seen, tag = known.seen, known.tag
        state = state_of(known, epoch(now))
        if state is None:
            return None
        request, complaints = self.request(known)
        home = tag.home if tag.home in self.settings.places.locations else self.settings.places.home
        segments = self.segments(known, now)
        stoppable = request.interruptible
        return Job(
            key=JobKey(self.settings.name, known.uid),
            name=seen.name,
            namespace=seen.account or seen.user,
            state=state,
            request=request,
            home=home,
            location=segments[-1].location if segments else None,
            remaining=remaining_work(request, segments, now),
            # one that a requeue left held has no plan in force: whatever is planned next lets it go
            plan=plan or (None if known.left_held else tag.plan),
            owner=seen.user,
            labels={OBJECT_NAME: seen.id, "partition": seen.partition},
            complaints=complaints,
            started_at=segments[0].start if segments else None,
            segments=segments,
            queue_margin=self.margin(seen.partition, stoppable=stoppable),
            movable=stoppable and len({home, *request.locations}) > 1,
        )

    def request(self, known: Known) -> tuple[JobRequest, tuple[Complaint, ...]]:
        """What its owner asked, within what he asked of Slurm; with complaints where that cannot be read."""
        tag, seen = known.tag, self._as_it_fits(known)
        created = instant_of(tag.submitted)
        demand = demand_of(seen)
        if known.fault:
            return JobRequest(submitted=created, demand=demand), (
                Complaint("comment", seen.comment, known.fault),
            )
        words = dict(tag.words)
        if "duration" not in words and seen.limit is not None and seen.limit >= timedelta(seconds=1):
            words["duration"] = format_duration(seen.limit)
        try:
            request = parse_words(
                words, created=created, locations=self.settings.places.locations, demand=demand
            )
            return self._within(request, replace(known, seen=seen)), ()
        except InvalidRequest as invalid:
            return JobRequest(submitted=created, demand=demand), invalid.complaints
        except OverflowError:
            accepted = f"at most {format_duration(LONGEST)} for all {seen.rounds} rounds of the array"
            return JobRequest(submitted=created, demand=demand), (
                Complaint("duration", words["duration"], accepted),
            )

    def _as_it_fits(self, known: Known) -> Seen:
        """An array, in the largest of the places where it may run."""
        places = {known.tag.home, *known.tag.words.get("locations", "").split(",")}
        return fitted(known.seen, [self.capacities[name] for name in places if name in self.capacities])

    def _within(self, request: JobRequest, known: Known) -> JobRequest:
        """Raises InvalidRequest: an array may take longer than anything may."""
        seen, tag = known.seen, known.tag
        earliest = request.earliest
        if tag.begin is not None:
            earliest = max(instant_of(tag.begin), earliest or instant_of(tag.begin))
        duration = request.duration * seen.rounds if request.duration is not None else None
        pauses = max(self.settings.maximum_pauses - len(tag.runs), 0)
        # Slurm's own deadline counts the whole limit again from each restart
        stoppable = tag.requeues and tag.killed_at is None and not seen.parts and pauses > 0
        # requeued in a federation, it is another job on another cluster, and its run there that of a cancelled one
        stoppable = stoppable and not self.settings.places.federated
        return replace(
            request,
            locations=self._open(request.locations) if known.waits else request.locations,
            earliest=earliest,
            duration=duration,
            deadline=_deadline(request.deadline, duration, known),
            interruptible=request.interruptible and stoppable,
            maximum_pauses=pauses,
            time_limit=seen.limit * seen.rounds if request.power_curve and seen.limit is not None else None,
        )

    def _open(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """What goes to a place that is away waits there for nodes, perhaps beyond its deadline."""
        return tuple(name for name in names if name not in self.away)

    def segments(self, known: Known, now: datetime) -> tuple[RunSegment, ...]:
        """What it ran before its requeues, and what it runs now. While it stops, Slurm says that it started just now."""
        seen, runs = known.seen, runs_of(known)
        stops = seen.state == "COMPLETING" and known.tag.paused
        if known.waits or stops or not seen.node_list or seen.start is None or seen.start > epoch(now):
            return runs
        start = instant_of(seen.start)
        place = self.settings.places.at(seen.partition, seen.features)
        # a run that we wrote down and then could not stop goes on
        before = (run for run in runs if run.start != start)
        return (*before, RunSegment(start, None, place, (seen.id,)))

    def margin(self, partition: str, *, stoppable: bool) -> timedelta:
        """How long a start may take: Slurm's queue, and after a requeue the time in which Slurm starts nothing.

        Of several partitions Slurm takes the one that is free first.
        """
        queues = (self.queues.get(name, timedelta(0)) for name in partition.split(","))
        queue = max(self.settings.queue_margin, min(queues))
        return queue + self.requeue_time if stoppable else queue


def runs_of(known: Known) -> tuple[RunSegment, ...]:
    """What it ran before our requeues. The last one ended when it had really stopped."""
    runs = tuple(replace(run, handles=(known.seen.id,)) for run in known.tag.runs)
    if not known.requeued:
        return runs
    last, stopped = runs[-1], instant_of(known.seen.submitted)
    return (*runs[:-1], replace(last, end=max(last.end or stopped, stopped)))


def _deadline(asked: datetime | None, duration: timedelta | None, known: Known) -> datetime | None:
    """The owner's, or an earlier one: Slurm destroys a job that begins later than its own deadline less its limit."""
    seen, tag = known.seen, known.tag
    if tag.killed_at is None or duration is None or seen.limit is None:
        return asked
    bound = instant_of(tag.killed_at) - seen.limit + duration
    return bound if asked is None else min(asked, bound)


def state_of(known: Known, now: int) -> JobState | None:
    """Where it is in its life; None once it has ended. What its owner holds, or moved himself, is his."""
    seen, tag = known.seen, known.tag
    if seen.state in ENDED:
        return None
    if seen.state in _OTHERS:
        return JobState.UNMANAGED
    if not known.waits:
        stops = seen.state == "COMPLETING" and tag.paused
        return JobState.PAUSING if stops else JobState.RUNNING
    if known.left_held:
        return JobState.PAUSED
    if "held" in seen.reason.lower():
        return JobState.UNMANAGED
    if tag.plan is None:
        return JobState.PENDING
    return _waiting(known, epoch(tag.plan.start), now)


def _waiting(known: Known, planned: int, now: int) -> JobState:
    """One that nobody holds, and that we planned. Of one that may start, Slurm tells a start that it only expects."""
    seen, tag = known.seen, known.tag
    resting = JobState.PAUSED if tag.paused else JobState.HELD
    dependent = "Dependency" in seen.reason
    if seen.start is None or seen.start <= now:
        # of one that waits for others too, Slurm may not tell the start before they have ended
        return resting if dependent and seen.start is None and planned > now else JobState.RELEASED
    if abs(seen.start - planned) <= _SOON:
        return resting
    requeued = seen.submitted > tag.submitted + _SOON
    if requeued and seen.start - seen.submitted <= _LONGEST_DELAY_S:
        return JobState.RELEASED
    moved = dependent or not {"BeginTime", "None"}.isdisjoint(seen.reason.split(","))
    return JobState.UNMANAGED if moved else JobState.RELEASED
