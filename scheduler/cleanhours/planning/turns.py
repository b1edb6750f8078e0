"""Turns: the question that each job asks, and whose is answered first: what runs, what must run now, then by least slack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from cleanhours.domain.jobs import FINISHED, Job, JobKey, JobState
from cleanhours.domain.plans import Reason
from cleanhours.planning.memory import Tick
from cleanhours.planning.moving import as_paused
from cleanhours.planning.policies import rivals_of, rung_of
from cleanhours.planning.questions import Chain, Progress, Question, ask

Order = tuple[int, int, JobKey]
"""A place in line: the phase, the latest safe start, and the key, which makes it one."""

_MAY_WAIT: Final = 3
_AT_ONCE: Final = frozenset({Reason.INVALID_REQUEST, Reason.NO_DURATION})
_GOING_ON: Final = frozenset({JobState.RELEASED, JobState.RUNNING, JobState.MOVING})
_PAUSED: Final = frozenset({JobState.PAUSED, JobState.PAUSING})


class Asked:
    """A job, its question, and its place in line."""

    __slots__ = ("elsewhere", "job", "order", "question", "rivals", "rung")

    def __init__(self, job: Job, asked: partial[Question], chain: Chain) -> None:
        progress = progress_of(job)
        question = asked(progress=progress)
        self.job = job
        self.question = question
        self.rung = Reason.INVALID_REQUEST if job.complaints else rung_of(question, chain)
        self.rivals = (
            [] if self.rung is not None else rivals_of(question, partial(asked, progress=progress), chain)
        )
        """The same question under each power cap."""
        self.elsewhere: Question | None = None
        """The same question as if the job were paused, where it runs and may go on at another location."""
        if progress.running and progress.movable and self.rung is None:
            moving = asked(progress=as_paused(progress))
            self.elsewhere = moving if chain.put_on_level(moving) else None
        if question.running:
            phase = 0 if self.rung is not None else 1
        else:
            phase = 2 if self.rung in _AT_ONCE or not job.request.flexible else _MAY_WAIT
        self.order: Order = (phase, question.latest, job.key)


class Asking:
    """Asks the jobs of one tick."""

    def __init__(self, tick: Tick) -> None:
        self._now = tick.now
        self._rules = tick.rules
        self._locations = {name: room.location for name, room in tick.rooms.items()}
        self._chain = Chain(tick.levels)

    def of(self, job: Job) -> Asked:
        """The job, asked."""
        question = partial(ask, job.request, now=self._now, locations=self._locations, home=job.home, rules=self._rules,
                           current=job.plan, queue_margin=job.queue_margin)  # fmt: skip
        return Asked(job, question, self._chain)


def line_of(
    asking: Asking, jobs: Iterable[Job], put_off: Mapping[JobKey, int]
) -> list[tuple[Order, Job, Asked | None]]:
    """Unfinished jobs that are not their owner's to resume, in the order of their turns.

    Those that were `put_off` before are asked when it is their turn: the latest safe start that was found then holds.
    """
    line: list[tuple[Order, Job, Asked | None]] = []
    for job in jobs:
        if job.key in put_off:
            line.append(((_MAY_WAIT, put_off[job.key], job.key), job, None))
        elif job.state not in FINISHED and job.state is not JobState.UNMANAGED:
            one = asking.of(job)
            line.append((one.order, job, one))
    line.sort(key=_order)
    return line


def progress_of(job: Job) -> Progress:
    """What a job has behind it, as the planners read it. Only what really runs can be paused."""
    going_on, paused = job.state in _GOING_ON, job.state in _PAUSED
    started = going_on or paused or job.started_at is not None
    return Progress(
        remaining=job.remaining,
        at=(job.location or job.home) if started else None,
        running=going_on,
        paused=paused,
        fixed=job.state in (JobState.RELEASED, JobState.MOVING),
        movable=job.movable,
    )


def _order(one: tuple[Order, Job, Asked | None]) -> Order:
    return one[0]
