"""A cluster in memory: jobs that run as long as a fake clock says, without a process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from cleanhours.domain.errors import CleanhoursError, Complaint, InvalidRequest
from cleanhours.domain.jobs import (
    AT_REST,
    FINISHED,
    Action,
    Applied,
    Decision,
    FinishedRun,
    Job,
    JobKey,
    JobState,
    RunKey,
    RunSegment,
)
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import FORCED
from cleanhours.domain.progress import ran, remaining_work
from cleanhours.domain.resources import Capacity
from cleanhours.ports import Clock, Submission


@dataclass(slots=True)
class _Kept:
    """What the fake remembers of a job: `work` is the running time it really takes (not what its owner believes)."""

    job: Job
    work: timedelta
    exit_code: int = 0
    owner_paused: bool = False
    segments: list[RunSegment] = field(default_factory=list)
    finished_at: datetime | None = None
    message: str = ""


class FakeCluster:
    """Keeps the promises of `ports.Cluster` and of every optional power but SCALE, driven by a clock alone.

    A started job runs for `lasting[name]`, else its request's duration, else an hour; each resume after a pause costs its
    `checkpoint` of running time more. It ends with `exits[name]`, else 0, at that exact instant, noticed at the next
    question. `trouble`, when set, is raised by every question; `refusals[key]` is what `apply` answers for that job.
    `acted` holds every decision that changed something, oldest first.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        name: str = "fake",
        rooms: Mapping[str, Room] | None = None,
        home: str = "here",
    ) -> None:
        self.name = name
        self.powers = frozenset(Action) - {Action.SCALE}
        self.rooms = dict(rooms or {home: Room(Location(home, "GB", capacity=Capacity(slots=100)))})
        self.home = home
        self.lasting: dict[str, timedelta] = {}
        self.exits: dict[str, int] = {}
        self.refusals: dict[JobKey, str] = {}
        self.trouble: CleanhoursError | None = None
        self.acted: list[Decision] = []
        self._clock = clock
        self._jobs: dict[JobKey, _Kept] = {}
        self._numbers = count(1)

    # -- what it is asked -------------------------------------------------------------------------------------------

    def pending(self) -> Sequence[Job]:
        return [self._report(kept) for kept in self._observed() if kept.job.state in AT_REST]

    def running(self) -> Sequence[Job]:
        held_or_over = AT_REST | FINISHED
        return [self._report(kept) for kept in self._observed() if kept.job.state not in held_or_over]

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        over = [(kept.finished_at, kept) for kept in self._observed() if kept.finished_at is not None]
        return [self._run(kept, end) for end, kept in sorted(over, key=lambda pair: pair[0]) if end >= since]

    def capacity(self) -> Mapping[str, Room]:
        return dict(self.rooms)

    # -- what it is told --------------------------------------------------------------------------------------------

    def submit(self, submission: Submission) -> JobKey:
        complaints = [] if submission.command else [Complaint("command", "", "a program and its arguments")]
        if not (submission.name.isprintable() and 0 < len(submission.name) <= 128):
            complaints.append(Complaint("name", submission.name, "1 to 128 printable characters"))
        if not submission.folder.is_dir():
            complaints.append(Complaint("folder", str(submission.folder), "a folder that exists"))
        if complaints:
            raise InvalidRequest(complaints)
        return self.add(
            Job(
                key=JobKey(self.name, f"job-{next(self._numbers)}"),
                name=submission.name,
                namespace=submission.namespace or "somebody",
                state=JobState.HELD,
                request=submission.request,
                home=(*submission.request.locations, self.home)[0],
                owner="somebody",
                labels=dict(submission.labels),
            )
        )

    def add(self, job: Job) -> JobKey:
        """Puts a job of any kind there: pending as others submit it, with complaints, unmanaged, of any home."""
        work = self.lasting.get(job.name, job.request.duration or timedelta(hours=1))
        self._jobs[job.key] = _Kept(job, work, self.exits.get(job.name, 0), segments=list(job.segments))
        return job.key

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Applied]:
        self._catch_up()
        return [Applied(decision, self._act(decision)) for decision in decisions]

    def cancel(self, key: JobKey) -> bool:
        self._catch_up()
        kept = self._jobs.get(key)
        if kept is None or kept.job.state in FINISHED:
            return False
        self._end(kept, JobState.CANCELLED, self._clock.now(), "cancelled")
        return True

    def owner_pause(self, key: JobKey) -> bool:
        self._catch_up()
        kept = self._jobs.get(key)
        if kept is None or kept.job.state in (*FINISHED, JobState.UNMANAGED):
            return False
        self._stop(kept)
        kept.owner_paused = True
        kept.job = replace(kept.job, state=JobState.UNMANAGED)
        return True

    def owner_resume(self, key: JobKey) -> bool:
        kept = self._jobs.get(key)
        if kept is None or not kept.owner_paused:
            return False
        kept.owner_paused = False
        kept.job = replace(kept.job, state=JobState.PAUSED if kept.segments else JobState.HELD)
        return True

    # -- carrying out -----------------------------------------------------------------------------------------------

    def _act(self, decision: Decision) -> str:
        kept = self._jobs.get(decision.key)
        if kept is None:
            return f"no job {decision.key.uid}"
        if decision.key in self.refusals:
            return self.refusals[decision.key]
        if decision.action not in self.powers:
            return f"{decision.action} is not in this cluster's power"
        if kept.job.state in FINISHED:
            return f"the job has {kept.job.state}"
        if kept.job.state is JobState.UNMANAGED and decision.action is not Action.REMARK:
            return "its owner holds it"
        before = (kept.job, len(kept.segments))
        error = self._change(kept, decision)
        if not error:
            kept.job = replace(kept.job, plan=decision.plan)
            if before != (kept.job, len(kept.segments)):
                self.acted.append(decision)
        return error

    def _change(self, kept: _Kept, decision: Decision) -> str:
        runs = kept.job.state is JobState.RUNNING
        match decision.action:
            case Action.HOLD if runs:
                return "it runs: suspend it"
            case Action.HOLD if kept.job.state is JobState.PENDING:
                kept.job = replace(kept.job, state=JobState.HELD)
            case Action.RELEASE | Action.RESUME if not runs:
                return self._start(kept, decision)
            case Action.RELOCATE if decision.at not in self.rooms:
                return self._nowhere(decision.at)
            case Action.SUSPEND | Action.RELOCATE if runs:
                self._stop(kept)
                kept.job = replace(kept.job, state=JobState.PAUSED)
        return ""

    def _start(self, kept: _Kept, decision: Decision) -> str:
        if decision.at not in self.rooms:
            return self._nowhere(decision.at)
        if decision.reason not in FORCED and not self._fits(kept, decision.at):
            return "no slot free"
        if kept.segments:
            kept.work += kept.job.request.checkpoint
        now = self._clock.now()
        kept.segments.append(RunSegment(now, None, decision.at, (kept.job.key.uid,)))
        kept.job = replace(kept.job, state=JobState.RUNNING, location=decision.at)
        return ""

    def _nowhere(self, name: str) -> str:
        return f"no location {name!r}: it has {', '.join(sorted(self.rooms))}"

    def _fits(self, kept: _Kept, location: str) -> bool:
        limit = self.rooms[location].location.capacity.slots
        others = (other for other in self._jobs.values() if other.job.state is JobState.RUNNING)
        used = sum(other.job.request.demand.slots for other in others if other.job.location == location)
        return limit is None or not used or used + kept.job.request.demand.slots <= limit

    def _stop(self, kept: _Kept) -> None:
        if kept.segments and kept.segments[-1].end is None:
            kept.segments[-1] = replace(kept.segments[-1], end=self._clock.now())

    # -- time passes ------------------------------------------------------------------------------------------------

    def _observed(self) -> Iterator[_Kept]:
        if self.trouble is not None:
            raise self.trouble
        self._catch_up()
        return iter(list(self._jobs.values()))

    def _catch_up(self) -> None:
        now = self._clock.now()
        for kept in self._jobs.values():
            if kept.job.state is not JobState.RUNNING:
                continue
            end = kept.segments[-1].start + kept.work - ran(kept.segments[:-1], now)
            if end <= now:
                good = kept.exit_code == 0
                state = JobState.SUCCEEDED if good else JobState.FAILED
                self._end(kept, state, end, "" if good else f"exit code {kept.exit_code}")

    def _end(self, kept: _Kept, state: JobState, end: datetime, message: str) -> None:
        if kept.segments and kept.segments[-1].end is None:
            kept.segments[-1] = replace(kept.segments[-1], end=end)
        kept.job = replace(kept.job, state=state)
        kept.finished_at, kept.message = end, message

    def _report(self, kept: _Kept) -> Job:
        segments = tuple(kept.segments)
        return replace(
            kept.job,
            segments=segments,
            started_at=segments[0].start if segments else None,
            remaining=remaining_work(kept.job.request, segments, self._clock.now()),
            movable=kept.job.request.interruptible,
        )

    def _run(self, kept: _Kept, end: datetime) -> FinishedRun:
        job = kept.job
        cores = job.request.demand.cpu_millicores / 1000 or 1.0
        return FinishedRun(
            key=RunKey(*job.key, job.attempt),
            name=job.name,
            namespace=job.namespace,
            state=job.state,
            request=job.request,
            home=job.home,
            segments=tuple(kept.segments),
            finished_at=end,
            allocated=job.request.demand,
            owner=job.owner,
            labels=job.labels,
            plan=job.plan,
            exit_code=kept.exit_code if job.state is not JobState.CANCELLED else None,
            message=kept.message,
            usage={"cpu_seconds": cores * ran(kept.segments, end).total_seconds(), "max_rss_bytes": 2.0**26}
            if kept.segments
            else {},
        )


__all__ = ["FakeCluster"]
