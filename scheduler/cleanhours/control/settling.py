"""Accounting for what finished: meters asked once, rows settled as actuals come, settled again while they are revised."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from cleanhours.control.history import History
from cleanhours.control.measuring import Measured, Measuring
from cleanhours.control.published import Published
from cleanhours.control.reconciling import World
from cleanhours.control.troubles import Troubles, name_damaged
from cleanhours.domain.accounts import Beside, Entry, Settled, Waiting
from cleanhours.domain.energy import EnergyProfile
from cleanhours.domain.errors import CleanhoursError, SeriesError, TemporaryError
from cleanhours.domain.jobs import FinishedRun, RunKey
from cleanhours.planning.besides import beside_of, unknown_beside
from cleanhours.planning.finality import TYPICAL_AFTER, NotYet
from cleanhours.planning.settling import settle, spans, weigh
from cleanhours.ports import Backlog, Meter, Outlook

log = logging.getLogger(__name__)

LOOK_BACK: Final = timedelta(days=14)
"""How far back the first controller of all looks for runs that ended without it; others go on where the last one stopped."""

OVERLAP: Final = timedelta(hours=1)
"""Asked again each time, so that a run noted late, or by a clock that was stepped, is not missed."""

RETRY: Final = timedelta(minutes=30)
"""After it a run is tried again that could not be settled, or whose row could not be written."""


@dataclass(slots=True)
class Settler:
    """Brings the ledger in line with what finished. Settling twice is settling once."""

    world: World
    meters: Sequence[Meter]
    history: History = field(default_factory=History)
    resettle: timedelta = timedelta(hours=1)
    beside: Outlook | None = None
    """Where the intensity in a second measure is asked for, which is settled beside the account."""
    backlog: Backlog | None = None
    """What outlives this process: runs that wait for their account, and what meters said of them."""
    _since: dict[str, datetime] = field(default_factory=dict)
    """Up to when each cluster told what finished there."""
    _kept: frozenset[RunKey] = frozenset()
    """Of what clusters still show, the runs that are known to have a row: nobody asks for them again."""
    _open: dict[RunKey, FinishedRun] = field(default_factory=dict)
    _measured: dict[RunKey, Measured] = field(default_factory=dict)
    _retry: dict[RunKey, datetime] = field(default_factory=dict)
    _next_resettling: datetime | None = None
    _backed: dict[RunKey, bool] | None = None
    """What the backlog has, and whether measured; None until it was read."""
    _troubles: Troubles = field(default_factory=lambda: Troubles(log))
    _measuring: Measuring = field(init=False)
    _published: Published = field(init=False)

    def __post_init__(self) -> None:
        self._measuring = Measuring(self._troubles)
        self._published = Published(self._troubles)

    @property
    def open_runs(self) -> tuple[FinishedRun, ...]:
        """Runs that ended and have no row yet, because what they need is not known yet."""
        return tuple(self._open.values())

    def settle(self) -> list[Entry]:
        """Settles what ended and can be settled, and settles provisional rows again when it is time. Returns new rows."""
        now = self.world.clock.now()
        try:
            self._recall(now)
            self._collect(now)
            written = self._settle_open(now)
            self._remember({entry.key for entry in written})
            if self._next_resettling is None or now >= self._next_resettling:
                written += [entry for entry in self._settle_again(now) if self._write(entry)]
                self._next_resettling = now + self.resettle
        except TemporaryError as fault:
            self._troubles.say("ledger", "away", "settlement waits: %s", fault)
            return []
        self._troubles.well("ledger")
        return written

    def _recall(self, now: datetime) -> None:
        """Takes up, once, what the process before this one left. Raises TemporaryError."""
        if self.backlog is None or self._backed is not None:
            return
        names = {cluster.name for cluster in self.world.clusters}
        damaged: list[CleanhoursError] = []
        left = {
            one.run.key: one for one in self.backlog.waiting(damaged.append) if one.run.key.cluster in names
        }
        known = self.world.ledger.known(list(left))
        for key, one in left.items():
            if key not in known:
                self._open[key] = one.run
                if one.profile is not None:
                    self._measured[key] = Measured(one.profile, one.why)
        back = now - LOOK_BACK if damaged else now
        self._since = {name: min(until, back) for name, until in self.backlog.told().items() if name in names}
        self._backed = {key: one.profile is not None for key, one in left.items()}
        self._name(damaged, "clusters are asked for them again")

    def _remember(self, accounted: AbstractSet[RunKey]) -> None:
        """Leaves what a process after this one must know. Raises TemporaryError."""
        if self.backlog is None or self._backed is None:
            return
        before, after = self._backed, {key: key in self._measured for key in self._open}
        changed = [
            Waiting(self._open[key], *((one.profile, one.why) if (one := self._measured.get(key)) else ()))
            for key, measured in after.items()
            if before.get(key) is not measured
        ]
        # also what was not taken up, because it was damaged, and was told again
        done = (before.keys() | accounted) - after.keys()
        self.backlog.keep(changed, done=done, told=self._since)
        self._backed = after

    def _collect(self, now: datetime) -> None:
        """What each cluster tells; one that does not answer is asked again for all that it did not tell."""
        runs: dict[RunKey, FinishedRun] = {}
        for cluster in self.world.clusters:
            last = self._since.get(cluster.name)
            since = now - LOOK_BACK if last is None else min(last, now) - OVERLAP
            try:
                runs |= {run.key: run for run in cluster.finished(since)}
            except (CleanhoursError, OSError) as fault:
                message = "finished runs not read cluster=%s error=%s"
                self._troubles.say(cluster.name, fault, message, cluster.name, fault)
            else:
                self._since[cluster.name] = now
                self._troubles.well(cluster.name)
        fresh = [key for key in runs if key not in self._open and key not in self._kept]
        known = self.world.ledger.known(fresh) if fresh else frozenset()
        self._kept = frozenset(self._kept & runs.keys()) | known
        for key in fresh:
            if key not in known:
                self._open[key] = runs[key]

    def _settle_open(self, now: datetime) -> list[Entry]:
        self._published.forget()
        written = []
        for key, run in list(self._open.items()):
            if self._retry.get(key, now) > now:
                continue
            entry = self._settled(run, now)
            if isinstance(entry, datetime):
                self._retry[key] = entry
                continue
            new = self._write(entry)
            if new is None:
                continue
            if new:
                written.append(entry)
            self.history.forget(run)  # only now is its row there to be asked for
            for kept in (self._open, self._measured, self._retry):
                kept.pop(key, None)
        return written

    def _settled(self, run: FinishedRun, now: datetime) -> Entry | datetime:
        """Its account, or when to ask again. Meters are asked once."""
        measured = self._measured.get(run.key) or self._measuring.measure(self.meters, run, now)
        if isinstance(measured, datetime):
            return measured
        self._measured[run.key] = measured
        entry = self._entry(run, measured.profile, now, measured.why)
        return entry.until if isinstance(entry, NotYet) else entry

    def _settle_again(self, now: datetime) -> Iterable[Entry]:
        """The oldest first: what is not published yet of a young run was asked for of all older ones before."""
        self._published.forget()
        damaged: list[CleanhoursError] = []
        rows = self.world.ledger.provisional(damaged.append)
        self._name(damaged, "it stays as it is, the others are settled again")
        for old in rows:
            if old.settled is not Settled.PROVISIONAL:
                if self.beside is not None:
                    yield replace(old, settled_at=now, beside=self._beside(old, now))
                continue
            entry = self._entry(old.run, old.profile, now)
            if isinstance(entry, Entry):
                yield entry if self.beside is not None else replace(entry, beside=old.beside)

    def _name(self, damaged: Sequence[CleanhoursError], then: str) -> None:
        if damaged:
            name_damaged(log, damaged, then)
            self.world.telemetry.count("faults_total", len(damaged), part="ledger")

    def _write(self, entry: Entry) -> bool | None:
        """Whether the ledger did not have it; None where it was not written, which keeps no other from being.

        Raises TemporaryError.
        """
        run = entry.run
        try:
            return self.world.ledger.record(entry) if self.world.leadership.may_act() else None
        except TemporaryError:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with this one
            self._complain(run, fault, "row not written run=%s error=%s")
            self._retry[run.key] = entry.settled_at + RETRY
            return None

    def _complain(self, run: FinishedRun, fault: Exception, message: str) -> None:
        unforeseen = not isinstance(fault, CleanhoursError)
        self._troubles.say(f"run {run.key}", fault, message, run.name, fault, unforeseen=unforeseen)
        if unforeseen:
            self.world.telemetry.count("faults_total", part="settlement")

    def _entry(
        self, run: FinishedRun, profile: EnergyProfile, now: datetime, unmeasured: str = ""
    ) -> Entry | NotYet:
        world, outlook = self.world, self.world.forecasts.outlook
        try:
            actuals = self._published.actuals(outlook, spans(run, world.locations)) if profile.slices else {}
            entry = settle(
                run,
                profile,
                actuals,
                world.locations,
                now=now,
                final_after={zone: outlook.final_after(zone) for zone in actuals},
                transfer_kwh_per_gb=world.rules.transfer_kwh_per_gb,
                typical_after=TYPICAL_AFTER if any(map(outlook.observes, actuals)) else timedelta(0),
                unmeasured=unmeasured and f"no meter knew its energy: {unmeasured}",
            )
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with this one
            self._complain(run, fault, "not settled run=%s error=%s")
            return NotYet(now + RETRY, str(fault))
        if isinstance(entry, NotYet) or entry.emissions_ug is None or self.beside is None:
            return entry
        return replace(entry, beside=self._beside(entry, now))

    def _beside(self, entry: Entry, now: datetime) -> Beside | None:
        """The same run in the second measure. The account does not wait for it, nor fail with it."""
        world, outlook = self.world, self.beside
        if outlook is None:
            return entry.beside
        try:
            actuals = self._published.actuals(outlook, spans(entry.run, world.locations), beside=True)
            found = weigh(
                entry.run,
                entry.profile,
                actuals,
                world.locations,
                now=now,
                final_after={zone: outlook.final_after(zone) for zone in actuals},
                transfer_kwh_per_gb=world.rules.transfer_kwh_per_gb,
                typical_after=None,
            )
        except (CleanhoursError, SeriesError) as fault:
            return unknown_beside(entry.run, str(fault), now)
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with this one
            self._complain(entry.run, fault, "not settled beside run=%s error=%s")
            return unknown_beside(entry.run, str(fault), now)
        return beside_of(entry.run, found, now)
