"""The desk: where what Slurm shows is looked at, and what is decided is told to it."""

from __future__ import annotations

import logging
import os
import pwd
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.jobs import Action, Applied, Decision, FinishedRun, Job, JobKey, JobState
from cleanhours.domain.locations import Room
from cleanhours.domain.plans import FORCED, Plan
from cleanhours.domain.times import epoch
from cleanhours.ports import Context
from cleanhours_plugins.clusters.slurm.acting import Orders, orders
from cleanhours_plugins.clusters.slurm.asking import (
    Remembered,
    Seen,
    fates_question,
    queue_question,
    read_fates,
    read_queue,
)
from cleanhours_plugins.clusters.slurm.calling import Refused, Slurm
from cleanhours_plugins.clusters.slurm.closing import Accounts, Closing
from cleanhours_plugins.clusters.slurm.ending import Ends
from cleanhours_plugins.clusters.slurm.jobs import ENDED, Known, Reporting, known_of, state_of
from cleanhours_plugins.clusters.slurm.publishing import Publisher
from cleanhours_plugins.clusters.slurm.recording import folder_of
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.site import Site
from cleanhours_plugins.clusters.slurm.telling import tell
from cleanhours_plugins.clusters.slurm.watchdog import repair_all

log = logging.getLogger(__name__)

_EARLY: Final = 0.9
"""After this part of `poll` a tick may ask: ticks come a moment early or late."""
_MOST_FATES: Final = 500
"""Jobs in one such question: their numbers must fit into a command line. The others are planned at the next look."""
_ADVICE: Final = {"cancel": "scancel", "pause": "scontrol hold", "resume": "scontrol release"}


@dataclass(frozen=True, slots=True)
class _Made:
    """A job, and what it was made of."""

    known: Known
    state: JobState | None
    plan: Plan | None
    job: Job | None


class Desk:
    """Looks at a Slurm, one `squeue` for all questions of a moment, and acts on its jobs. Safe from several threads."""

    def __init__(self, settings: SlurmSettings, context: Context) -> None:
        self.name = settings.name
        self._settings = settings
        self._context = context
        self._slurm = Slurm(settings.slurm_conf, settings.cluster)
        self._site = Site(self._slurm)
        self._accounts = Accounts(self._slurm, settings.everybody)
        self._lock = threading.RLock()
        self._records: Remembered = {}
        self._read: dict[str, tuple[Seen, Known | None]] = {}
        self._made: dict[str, _Made] = {}
        self._queue: dict[str, Seen] = {}
        self._known: dict[str, Known] = {}
        self._asked_at_s = float("-inf")
        self._unwritten: dict[str, Decision] = {}
        self._fates: dict[str, tuple[int | None, bool]] = {}
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
            made = {uid: self._made_of(known, now, reporting) for uid, known in self._known.items()}
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
            alive = frozenset(one.seen.id for one in self._known.values() if one.seen.state not in ENDED)
            runs = Closing(self._reporting(), zones, self._site.node_cpus, alive).runs(ends, found, now)
            return [run for run in runs if run.finished_at >= since]

    def capacity(self) -> Mapping[str, Room]:
        with self._lock:
            self._look()
            return self._site.rooms(
                self._settings.places, self._queue.values(), self._known, self._context.clock.now()
            )

    def advice(self, key: JobKey, verb: str) -> str:
        """Slurm's own command by which its owner does it; see `ports.Advising`."""
        known = self._known.get(key.uid)
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
            errors, left = self._carry_out([decisions[place] for place in order], now, most)
            told = dict(zip(order, errors, strict=True))
            for place in (place for place, error in told.items() if error is None):
                decision = decisions[place]
                if decision.action in {Action.HOLD, Action.REMARK}:
                    self._unwritten[decision.key.uid] = decision
                else:
                    told[place] = f"not done: {most} changes a tick (changes_per_tick)"
            self._catch_up(now, left)
            if self._publisher is not None:
                self._publisher.publish()
            return [Applied(decision, told[place] or "") for place, decision in enumerate(decisions)]

    def _catch_up(self, now: int, left: int) -> None:
        """Writes down plans of earlier ticks, those that begin first."""
        waiting = sorted(self._unwritten.values(), key=lambda one: one.plan.start)
        errors, _ = self._carry_out(waiting, now, left)
        for decision, error in zip(waiting, errors, strict=True):
            if error is not None:
                self._unwritten.pop(decision.key.uid, None)
            if error:
                log.warning("not done action=%s job=%s error=%s", decision.action, decision.key.uid, error)

    def _carry_out(self, decisions: Sequence[Decision], now: int, left: int) -> tuple[list[str | None], int]:
        """What went wrong with each, in this order, None where no change was left for it; and how many are left now."""
        errors: list[str | None] = [None] * len(decisions)
        begun: dict[str, tuple[int, Orders]] = {}
        for place, decision in enumerate(decisions):
            if (
                decision.key.uid in begun
            ):  # what comes of the first decides whether there is a second to carry out
                left = left if self._tell(begun, errors) else 0
            if left <= 0 and _turn(decision)[0] != 0:
                continue
            found = self._orders(decision, now)
            if isinstance(found, Orders):
                begun[decision.key.uid] = place, found
                left -= len(found.commands)
            else:
                errors[place] = found
        return errors, left if self._tell(begun, errors) else 0

    def _tell(self, begun: dict[str, tuple[int, Orders]], errors: list[str | None]) -> bool:
        """Tells Slurm what was begun, notes what went wrong, and begins anew; whether Slurm answers at all."""
        told, answers = tell(self._slurm.ask, [found.commands for _, found in begun.values()])
        for (place, found), error in zip(begun.values(), told, strict=True):
            errors[place] = error
            if error:
                self._doubt()
            else:
                self._known[found.after.uid] = found.after
        begun.clear()
        return answers

    def _orders(self, decision: Decision, now: int) -> Orders | str:
        """What carries it out; else why that cannot be, or nothing where it is done."""
        known = self._known.get(decision.key.uid)
        if known is None or decision.key.cluster != self.name:
            return f"no job {decision.key.uid} that waits or runs"
        try:
            return orders(known, decision, now, self._settings, self._site.requeue_delay_s) or ""
        except ValueError as fault:
            self._doubt()
            return str(fault)

    def _doubt(self) -> None:
        """It is not as we thought: look again before the next decision."""
        self._asked_at_s = float("-inf")

    # -- looking ----------------------------------------------------------------------------------------------------

    def _plan_of(self, known: Known) -> Plan | None:
        """What is still to be written down."""
        decision = self._unwritten.get(known.uid)
        return None if decision is None else decision.plan

    def _reporting(self) -> Reporting:
        capacities = self._site.capacities(self._settings.places)
        return Reporting(self._settings, self._site.requeue_time, self._site.queues, capacities)

    def _look(self) -> None:
        """Asks Slurm, unless it did so less than `poll` ago."""
        if time.monotonic() - self._asked_at_s < self._settings.poll.total_seconds() * _EARLY:
            return
        self._repair()
        nonce = secrets.token_hex(8)
        user = None if self._settings.everybody else _user()
        answer = self._slurm.ask("squeue", *queue_question(nonce, user=user))
        found = read_queue(answer, nonce, self._records)
        now = epoch(self._context.clock.now())
        if self._site.refresh(now):
            self._made = {}
        self._asked_at_s = time.monotonic()
        zones = self._settings.places.zones
        self._queue = {seen.id: seen for seen in found}
        before = self._read
        self._read = {
            seen.id: kept
            if (kept := before.get(seen.id)) is not None and kept[0] is seen
            else (seen, known_of(seen, zones))
            for seen in found
        }
        known = [one for _, one in self._read.values() if one is not None]
        self._known = {one.uid: one for one in self._with_fates(known)}
        self._unwritten = {uid: one for uid, one in self._unwritten.items() if uid in self._known}
        self._remembered().notice(self._known.values(), now)

    def _with_fates(self, known: list[Known]) -> list[Known]:
        """Jobs that somebody else tagged (`job_submit.lua` does not see it) with the deadline at which Slurm kills them.

        Who is not asked about yet, or gone meanwhile, is left out: he is planned after the next look.
        """
        fresh = {one.uid for one in known if one.waits and one.tag.plan is None and not one.fault}
        numbers = {one.seen.number for one in known if one.uid in fresh}
        self._fates = {number: fate for number, fate in self._fates.items() if number in numbers}
        asked = sorted(numbers - self._fates.keys())[:_MOST_FATES]
        if asked:
            with suppress(Refused):
                self._fates |= read_fates(self._slurm.ask("squeue", *fates_question(asked)))
        told = []
        for one in known:
            if one.uid not in fresh:
                told.append(one)
            elif one.seen.number in self._fates:
                killed_at, requeues = self._fates[one.seen.number]
                told.append(replace(one, tag=replace(one.tag, killed_at=killed_at, requeues=requeues)))
        return told

    def _repair(self) -> None:
        """Lets go what submissions of this user left held that were killed."""
        repair_all(folder_of(os.environ), lambda: epoch(self._context.clock.now()))

    def _remembered(self) -> Ends:
        if self._ends is None:
            self._ends = Ends(self._context.state_folder / f"slurm-{self.name}.json")
            self._ends.read(self._settings.places.zones)
        return self._ends


def _turn(decision: Decision) -> tuple[int, datetime]:
    """What must be done whatever it costs, then what starts or stops, then what is only written down."""
    if decision.reason in FORCED:
        return 0, decision.plan.latest_start
    only_written = decision.action in {Action.HOLD, Action.REMARK}
    return (2 if only_written else 1), decision.plan.start


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise TemporaryError(f"user {os.getuid()} has no name here") from None
