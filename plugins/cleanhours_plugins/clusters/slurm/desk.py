"""The desk: what is decided of the jobs that Slurm shows, told to it, and what the core asks of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.jobs import Action, Applied, Decision, FinishedRun, Job, JobKey, JobState
from cleanhours.domain.locations import Room
from cleanhours.domain.plans import FORCED, Plan
from cleanhours.domain.times import epoch
from cleanhours.ports import Context
from cleanhours_plugins.clusters.slurm.acting import Orders, orders
from cleanhours_plugins.clusters.slurm.arrays import for_their_rests
from cleanhours_plugins.clusters.slurm.calling import Slurm
from cleanhours_plugins.clusters.slurm.closing import Accounts, Closing
from cleanhours_plugins.clusters.slurm.ending import Ends
from cleanhours_plugins.clusters.slurm.jobs import ENDED, Known, Reporting, state_of
from cleanhours_plugins.clusters.slurm.looking import Looking
from cleanhours_plugins.clusters.slurm.publishing import Publisher
from cleanhours_plugins.clusters.slurm.requeuing import note
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.site import Site
from cleanhours_plugins.clusters.slurm.telling import tell

log = logging.getLogger(__name__)

_ADVICE: Final = {"cancel": "scancel", "pause": "scontrol hold", "resume": "scontrol release"}


@dataclass(frozen=True, slots=True)
class _Made:
    """A job, and what it was made of."""

    known: Known
    state: JobState | None
    plan: Plan | None
    job: Job | None


@dataclass(slots=True)
class _Outcome:
    """What went wrong with each of some decisions, in their order, None with those that were not begun.

    So many changes are `left`. Where Slurm answers nobody, `away` says so, and `unanswered` are the places of those that were
    begun in vain.
    """

    errors: list[str | None]
    left: int
    away: str = ""
    unanswered: set[int] = field(default_factory=set)


class Desk:
    """Answers for a Slurm's jobs and acts on them. Safe from several threads."""

    def __init__(self, settings: SlurmSettings, context: Context) -> None:
        self.name = settings.name
        self._settings = settings
        self._context = context
        self._slurm = Slurm(settings.slurm_conf, settings.cluster)
        self._site = Site(self._slurm)
        self._looking = Looking(self._slurm, self._site, settings, context.clock)
        self._accounts = Accounts(self._slurm, settings.everybody)
        self._lock = threading.RLock()
        self._made: dict[str, _Made] = {}
        self._reported: Reporting | None = None
        self._unwritten: dict[str, Decision] = {}
        self._ends: Ends | None = None
        self._publisher = Publisher(settings, context, settings.publish) if settings.publish else None

    @property
    def calls(self) -> Mapping[str, int]:
        """How often each of Slurm's commands was run."""
        return dict(self._slurm.calls)

    # -- what it is asked -------------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """All that wear our tag and have not ended."""
        with self._lock:
            self._look()
            now = self._context.clock.now()
            reporting = self._reporting()
            if reporting != self._reported:
                self._made, self._reported = {}, reporting
            made = {uid: self._made_of(known, now, reporting) for uid, known in self._looking.known.items()}
            self._made = made
            return [one.job for one in made.values() if one.job is not None]

    def _made_of(self, known: Known, now: datetime, reporting: Reporting) -> _Made:
        """What waits, and nobody changed, is the job that it was."""
        state, plan = state_of(known, epoch(now)), self._plan_of(known)
        made = self._made.get(known.uid)
        if (
            made is not None
            and made.known is known
            and made.state is state
            and made.plan is plan
            and known.waits
        ):
            return made
        return _Made(known, state, plan, reporting.job(known, now, plan))

    def finished(self, since: datetime) -> Sequence[FinishedRun]:
        with self._lock:
            self._look()
            now, zones = self._context.clock.now(), self._settings.places.zones
            ends = self._remembered().since(since)
            found = None
            if self._settings.accounting:
                found = self._accounts.histories(since, now, [end.known.seen.id for end in ends], zones)
            alive = frozenset(
                one.seen.id for one in self._looking.known.values() if one.seen.state not in ENDED
            )
            runs = Closing(self._reporting(), zones, self._site.node_cpus, alive).runs(ends, found, now)
            return [run for run in runs if run.finished_at >= since]

    def capacity(self) -> Mapping[str, Room]:
        with self._lock:
            self._look()
            queue, now = self._looking.queue.values(), self._context.clock.now()
            return self._site.rooms(self._settings.places, queue, self._looking.known, now)

    def advice(self, key: JobKey, verb: str) -> str:
        """Slurm's own command by which its owner does it; see `ports.Advising`."""
        known = self._looking.known.get(key.uid)
        return f"{_ADVICE[verb]} {known.seen.id}" if known is not None and verb in _ADVICE else ""

    # -- what it is told --------------------------------------------------------------------------------------------

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Applied]:
        """The most urgent first, `changes_per_tick` in all; plans that are only written down may wait for the next tick."""
        with self._lock:
            self._look()
            now = epoch(self._context.clock.now())
            for decision in decisions:
                self._unwritten.pop(decision.key.uid, None)
            order = sorted(range(len(decisions)), key=lambda place: _turn(decisions[place]))
            most = self._settings.changes_per_tick
            first = self._carry_out(for_their_rests(decisions, self._looking.known), now, most)
            outcome = self._carry_out([decisions[place] for place in order], now, first.left)
            told = dict(zip(order, outcome.errors, strict=True))
            for place in (place for place, error in told.items() if error is None):
                decision = decisions[place]
                if decision.action in {Action.HOLD, Action.REMARK}:
                    self._unwritten[decision.key.uid] = decision
                else:
                    told[place] = outcome.away or f"not done: {most} changes a tick (changes_per_tick)"
            if not outcome.away:
                self._catch_up(now, outcome.left)
            if self._publisher is not None:
                self._publisher.publish()
            return [Applied(decision, told[place] or "") for place, decision in enumerate(decisions)]

    def _catch_up(self, now: int, left: int) -> None:
        """Writes down plans of earlier ticks, those that begin first."""
        waiting = sorted(self._unwritten.values(), key=lambda one: one.plan.start)
        outcome = self._carry_out(waiting, now, left)
        for place, (decision, error) in enumerate(zip(waiting, outcome.errors, strict=True)):
            if error is not None:
                self._unwritten.pop(decision.key.uid, None)
            if error and place not in outcome.unanswered:
                log.warning("not done action=%s job=%s error=%s", decision.action, decision.key.uid, error)
        if outcome.unanswered:
            log.warning("not done jobs=%d error=%s", len(outcome.unanswered), outcome.away)

    def _carry_out(self, decisions: Sequence[Decision], now: int, left: int) -> _Outcome:
        """Tells Slurm what carries them out, the first ones first, as far as changes are left; what must be done is done."""
        outcome = _Outcome([None] * len(decisions), left)
        begun: dict[str, tuple[int, Orders]] = {}
        for place, decision in enumerate(decisions):
            # what comes of a job's first decision decides whether there is a second to carry out
            if decision.key.uid in begun:
                self._tell(begun, outcome)
            if outcome.away or (outcome.left <= 0 and _turn(decision)[0] != 0):
                continue
            found = self._orders(decision, now)
            if isinstance(found, Orders):
                begun[decision.key.uid] = place, found
                outcome.left -= len(found.commands)
            else:
                outcome.errors[place] = found
        self._tell(begun, outcome)
        return outcome

    def _tell(self, begun: dict[str, tuple[int, Orders]], outcome: _Outcome) -> None:
        """Tells Slurm what was begun, notes what came of it, and begins anew."""
        try:
            noted = note(
                (found for _, found in begun.values()), epoch(self._context.clock.now()), self._settings
            )
        except OSError as full:
            for place, _ in begun.values():
                outcome.errors[place] = f"no record can be written, so nothing may be held: {full}"
            begun.clear()
            return
        told = tell(self._slurm.ask, [found.commands for _, found in begun.values()])
        for (place, found), fault in zip(begun.values(), told.faults, strict=True):
            outcome.errors[place] = "" if fault is None else str(fault)
            if fault is None:
                self._looking.changed(found.after)
                if found.after.uid in noted:
                    noted[found.after.uid].unlink(missing_ok=True)
            else:
                self._looking.doubt()
            if told.away and isinstance(fault, TemporaryError):
                outcome.unanswered.add(place)
        outcome.away = outcome.away or told.away
        begun.clear()

    def _orders(self, decision: Decision, now: int) -> Orders | str:
        """What carries it out; else why that cannot be, or nothing where it is done."""
        known = self._looking.known.get(decision.key.uid)
        if known is None or decision.key.cluster != self.name:
            return f"no job {decision.key.uid} that waits or runs"
        try:
            return orders(known, decision, now, self._settings, self._site.requeue_delay_s) or ""
        except ValueError as fault:
            self._looking.doubt()
            return str(fault)

    # -- what it knows ----------------------------------------------------------------------------------------------

    def _plan_of(self, known: Known) -> Plan | None:
        """What is still to be written down."""
        decision = self._unwritten.get(known.uid)
        return None if decision is None else decision.plan

    def _reporting(self) -> Reporting:
        site, places = self._site, self._settings.places
        return Reporting(
            self._settings, site.requeue_time, site.queues, site.capacities(places), site.away(places)
        )

    def _look(self) -> None:
        """Looks, where the last look is old, and takes note of what is new."""
        if not self._looking.look():
            return
        known = self._looking.known
        alive = {uid for uid, one in known.items() if one.seen.state not in ENDED}
        self._unwritten = {uid: one for uid, one in self._unwritten.items() if uid in alive}
        self._remembered().notice(known.values(), epoch(self._context.clock.now()))

    def _remembered(self) -> Ends:
        if self._ends is None:
            file = self._context.state_folder / f"slurm-{self.name}.json"
            self._ends = Ends(file, self._settings.places.federated)
            self._ends.read(self._settings.places.zones)
        return self._ends


def _turn(decision: Decision) -> tuple[int, datetime]:
    """What must be done whatever it costs, then what starts or stops, then what is only written down."""
    if decision.reason in FORCED:
        return 0, decision.plan.latest_start
    only_written = decision.action in {Action.HOLD, Action.REMARK}
    return (2 if only_written else 1), decision.plan.start
