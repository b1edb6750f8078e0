"""The port of a Kubernetes cluster: what controller and command line ask of its objects, and tell them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from itertools import islice
from typing import Final

from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.jobs import AT_REST, Action, Applied, Decision, FinishedRun, Job, JobKey
from cleanhours.domain.locations import Room
from cleanhours.domain.plans import FORCED, Plan
from cleanhours.ports import Context, Leadership, Service
from cleanhours_plugins.clusters.kubernetes.advising import advise
from cleanhours_plugins.clusters.kubernetes.fitting import Parts
from cleanhours_plugins.clusters.kubernetes.posting import Posting
from cleanhours_plugins.clusters.kubernetes.roster import SAME_LOOK_S
from cleanhours_plugins.clusters.kubernetes.settings import KubernetesSettings
from cleanhours_plugins.clusters.kubernetes.sighting import Sight

log = logging.getLogger(__name__)

_WORKERS: Final = 6
_FIRST_LOOK_S: Final = 20.0
"""How long a starting controller waits for the first lists: after that it goes on, and says what it waits for."""
_ELECTED_S: Final = 2.0
"""How long it waits to be elected besides: who was not by then has somebody before him."""
_MARKS_AT_ONCE: Final = 20
"""So many plans are written before `apply` returns; of more than that, or while others wait, all are written beside it.
So many runs that others stopped are, too; the rest at the next tick."""


class KubernetesCluster:
    """Jobs that are objects of a Kubernetes API. Safe from several threads; connects on first use.

    Started (`services`), it answers from what it watches; else it lists, once a second at most. Raises TemporaryError while
    the first lists are under way or the API cannot be asked, ConfigurationError where it may not be.
    """

    def __init__(self, settings: KubernetesSettings, context: Context) -> None:
        self.name = settings.name
        self.powers = frozenset(Action) - {Action.SCALE}
        self._settings = settings
        self._context = context
        self._watching = False
        self._looked_at_s = float("-inf")
        self._worn: dict[str, tuple[Job, Job]] = {}
        self._wake: Callable[[], None] = lambda: None
        self._parts = Parts(settings, context, self._noticed)

    @property
    def settings(self) -> KubernetesSettings:
        """As read from its table: commands that go without the cluster's services start from them."""
        return self._settings

    # -- what it is asked -------------------------------------------------------------------------------------------

    def pending(self) -> Sequence[Job]:
        return [job for job in self._jobs() if job.state in AT_REST]

    def running(self) -> Sequence[Job]:
        return [job for job in self._jobs() if job.state not in AT_REST]

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        self._look()
        return self._parts.roster.finished(since)

    def capacity(self) -> Mapping[str, Room]:
        self._look()
        self._parts.roster.refresh(self._context.clock.now())
        return self._parts.rooms(self._parts.roster.unfinished())

    def advice(self, key: JobKey, verb: str) -> str:
        """The kubectl command by which its owner does it; see `ports.Advising`."""
        record = self._parts.mirror.get(key.uid)
        return "" if record is None else advise(record, verb)

    # -- what it is told --------------------------------------------------------------------------------------------

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Applied]:
        self._look()
        by_job: dict[JobKey, list[int]] = {}
        for place, decision in enumerate(decisions):
            by_job.setdefault(decision.key, []).append(place)

        def turn(places: Sequence[int]) -> _Turn:
            return min(_turn(decisions[place]) for place in places)

        groups = sorted(by_job.values(), key=turn)
        marks = [places for places in groups if turn(places) is _Turn.MARK]
        crowded = len(marks) > _MARKS_AT_ONCE or bool(self._posting.plans)
        beside = marks if self._watching and crowded else []
        errors: dict[int, str] = {}
        for told in self._pool.map(
            lambda places: self._one_by_one(decisions, places), groups[: len(groups) - len(beside)]
        ):
            errors |= told
        for places in beside:
            errors |= {place: self._post(decisions[place]) for place in places}
        self._tell_owners()
        return [Applied(decision, errors[place]) for place, decision in enumerate(decisions)]

    def _one_by_one(self, decisions: Sequence[Decision], places: Sequence[int]) -> dict[int, str]:
        """Those of one job, in their order."""
        self._posting.forget(decisions[places[0]].key.uid)
        return {place: self._carry_out(decisions[place]) for place in places}

    def _carry_out(self, decision: Decision) -> str:
        if decision.key.cluster != self.name:
            return f"no job {decision.key.uid} that waits or runs"
        if not self._parts.election.may_act():
            return "not done: another controller may lead by now"
        return self._parts.hands.carry_out(decision)

    def _post(self, decision: Decision) -> str:
        """Its plan will be written, and is shown until then."""
        if decision.key.cluster != self.name or not self._parts.roster.knows(decision.key.uid):
            return f"no job {decision.key.uid} that waits or runs"
        return "" if self._posting.post(decision) else "not done: too many plans are still to be written"

    # -- beside the cycle -------------------------------------------------------------------------------------------

    def services(self) -> Sequence[Service]:
        return (self, *self._parts.admission())

    def leadership(self) -> Leadership:
        return self._parts.election

    def on_change(self, call: Callable[[], None]) -> None:
        """Calls back, from any thread, when a watch saw what makes a decision due."""
        self._wake = call

    def _noticed(self) -> None:
        self._wake()

    @property
    def server_clears_first(self) -> bool:
        """Whether it learned that this server takes a new place only after `startTime` is cleared."""
        return self._parts.hands.clears_first

    def quiesce(self, timeout_s: float = 10.0) -> None:
        """Waits until the Events are posted that were announced."""
        self._parts.announcer.wait(timeout_s)

    def start(self) -> None:
        """Watches and stands for election; returns when the first lists are complete, or after a while."""
        self._watching = True
        parts = self._parts
        until = time.monotonic() + _FIRST_LOOK_S
        parts.namespaces.reflector.start()
        parts.namespaces.reflector.wait_answered(_FIRST_LOOK_S)
        parts.election.start()
        parts.mirror.start()
        parts.workloads.start()
        for reflector in parts.yard.reflectors:
            reflector.start()
        for one in parts.reflectors:
            one.wait_answered(max(until - time.monotonic(), 0.0))
        with suppress(CleanhoursError):  # whoever asks first shall not wait for all of them to be read
            parts.mirror.look()
            parts.roster.refresh(self._context.clock.now())
        absent = sorted({one.kind for one in parts.mirror.reflectors if one.sight is Sight.UNSERVED})
        if absent:
            log.info("not served here, looked for now and then: %s", ", ".join(absent))
        until = min(until, time.monotonic() + _ELECTED_S)
        between = threading.Event()
        while not parts.election.may_act() and time.monotonic() < until:
            between.wait(0.02)

    def stop(self) -> None:
        """Ends what is under way, then leaves the lead to the next; idempotent."""
        if "_posting" in self.__dict__:
            self._posting.stop()
        if "_pool" in self.__dict__:
            self._pool.shutdown(wait=True)
        if not self._parts.connected:
            return
        self._parts.announcer.wait(2.0)
        self._parts.election.stop()
        self._parts.stop()

    # -- reading ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Makes sure that what is known is fresh."""
        parts = self._parts
        if self._watching:
            parts.mirror.look()
            parts.tend()
        elif time.monotonic() - self._looked_at_s > SAME_LOOK_S:
            parts.mirror.look()
            parts.yard.look()
            self._looked_at_s = time.monotonic()

    def _jobs(self) -> list[Job]:
        self._look()
        jobs = self._parts.roster.jobs(self._context.clock.now())
        plans = self._posting.plans
        worn, self._worn = self._worn, {}
        return [self._wearing(job, plans[job.key.uid], worn) if job.key.uid in plans else job for job in jobs]

    def _wearing(self, job: Job, plan: Plan, worn: Mapping[str, tuple[Job, Job]]) -> Job:
        """The job with a plan that is still to be written; the same value as long as both are."""
        base, dressed = worn.get(job.key.uid, (None, job))
        if base is not job or dressed.plan is not plan:
            dressed = replace(job, plan=plan)
        self._worn[job.key.uid] = job, dressed
        return dressed

    def _tell_owners(self) -> None:
        """Says what is unsaid on jobs that run already, and writes down what their owners stopped. Never in shadow."""
        parts = self._parts
        if not self._watching or not parts.election.may_act():
            return
        for record, runs in islice(parts.roster.unwritten(), _MARKS_AT_ONCE):
            parts.hands.keep(record, runs)
        for record, what, note in parts.roster.unsaid():
            parts.announcer.say(record, what, note, self._context.clock.now())

    @cached_property
    def _posting(self) -> Posting:
        half = self._settings.burst / 2
        return Posting(self._carry_out, lambda: self._parts.pace.wait_for_spare(half))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_WORKERS, thread_name_prefix=f"acting on {self.name}")


class _Turn(IntEnum):
    """In which order a tick's decisions are carried out."""

    FORCED_START = 0
    START = 1
    STOP = 2
    MARK = 3


def _turn(decision: Decision) -> _Turn:
    if decision.action in (Action.HOLD, Action.REMARK):
        return _Turn.MARK
    if decision.reason in FORCED:
        return _Turn.FORCED_START
    return _Turn.START if decision.action in (Action.RELEASE, Action.RESUME) else _Turn.STOP
