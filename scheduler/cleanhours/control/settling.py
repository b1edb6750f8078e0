"""Accounting for what finished: meters asked once, rows settled as actuals come, settled again while they are revised."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from cleanhours.control.history import History
from cleanhours.control.reconciling import World
from cleanhours.domain.accounts import Beside, Entry, Settled
from cleanhours.domain.energy import Component, EnergyProfile
from cleanhours.domain.errors import CleanhoursError, SeriesError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import FinishedRun, RunKey
from cleanhours.planning.besides import beside_of, unknown_beside
from cleanhours.planning.finality import TYPICAL_AFTER, NotYet
from cleanhours.planning.metering import combine
from cleanhours.planning.settling import settle, spans, weigh
from cleanhours.ports import Meter, Outlook

log = logging.getLogger(__name__)

LOOK_BACK: Final = timedelta(days=14)
"""How far back a starting controller looks for runs that ended without it."""

OVERLAP: Final = timedelta(hours=1)
"""Asked again each time, so that a run noted late, or by a clock that was stepped, is not missed."""

PATIENCE: Final = timedelta(minutes=10)
"""How long a meter may ask for more time, from when it is first asked, before the run is settled without it."""

LONGEST_PATIENCE: Final = timedelta(days=1)
"""From a run's end, whoever asks: a controller that is started again and again asks for the first time each time."""


@dataclass(slots=True)
class Settler:
    """Brings the ledger in line with what finished. Settling twice is settling once."""

    world: World
    meters: Sequence[Meter]
    history: History = field(default_factory=History)
    resettle: timedelta = timedelta(hours=1)
    beside: Outlook | None = None
    """Where the intensity in a second measure is asked for, which is settled beside the account."""
    _since: datetime | None = None
    _kept: frozenset[RunKey] = frozenset()
    """Of what clusters still show, the runs that are known to have a row: nobody asks for them again."""
    _open: dict[RunKey, FinishedRun] = field(default_factory=dict)
    _profiles: dict[RunKey, EnergyProfile] = field(default_factory=dict)
    _retry: dict[RunKey, datetime] = field(default_factory=dict)
    _first_asked: dict[RunKey, datetime] = field(default_factory=dict)
    _next_resettling: datetime | None = None
    _said: set[str] = field(default_factory=set)
    _silent: set[str] = field(default_factory=set)
    """Zones of which the second measure was not told: nobody's account waits to hear that again for each run."""

    @property
    def open_runs(self) -> tuple[FinishedRun, ...]:
        """Runs that ended and have no row yet, because what they need is not known yet."""
        return tuple(self._open.values())

    def settle(self) -> list[Entry]:
        """Settles what ended and can be settled, and settles provisional rows again when it is time. Returns new rows."""
        now = self.world.clock.now()
        try:
            self._collect(now)
            written = self._record(self._settle_open(now))
            if self._next_resettling is None or now >= self._next_resettling:
                written += self._record(self._settle_again(now))
                self._next_resettling = now + self.resettle
        except TemporaryError as fault:
            self._say("ledger", f"settlement waits: {fault}")
            return []
        self._said.discard("ledger")
        return written

    def _collect(self, now: datetime) -> None:
        since = now - LOOK_BACK if self._since is None else min(self._since, now) - OVERLAP
        runs: dict[RunKey, FinishedRun] = {}
        for cluster in self.world.clusters:
            try:
                runs |= {run.key: run for run in cluster.finished(since)}
            except (CleanhoursError, OSError) as fault:
                self._say(cluster.name, f"finished runs not read cluster={cluster.name} error={fault}")
                return
        fresh = [key for key in runs if key not in self._open and key not in self._kept]
        known = self.world.ledger.known(fresh) if fresh else frozenset()
        self._kept = frozenset(self._kept & runs.keys()) | known
        for key in fresh:
            if key not in known:
                self._open[key] = runs[key]
        self._since = now

    def _settle_open(self, now: datetime) -> Iterable[Entry]:
        self._silent.clear()
        for key, run in list(self._open.items()):
            if self._retry.get(key, now) > now:
                continue
            profile = self._measure(run, now)
            if profile is None:
                continue
            entry = self._entry(run, profile, now)
            if isinstance(entry, NotYet):
                self._retry[key] = entry.until
                self._profiles[key] = profile
                continue
            yield entry
            self.history.forget(run)  # only now is its row there to be asked for
            for kept in (self._open, self._profiles, self._retry, self._first_asked):
                kept.pop(key, None)

    def _settle_again(self, now: datetime) -> Iterable[Entry]:
        """The oldest first: what is not published yet of a young run was asked for of all older ones before."""
        self._silent.clear()
        for old in self.world.ledger.provisional():
            if old.settled is not Settled.PROVISIONAL:
                if self.beside is not None:
                    yield replace(old, settled_at=now, beside=self._beside(old, now))
                continue
            entry = self._entry(old.run, old.profile, now)
            if isinstance(entry, Entry):
                yield entry if self.beside is not None else replace(entry, beside=old.beside)

    def _record(self, entries: Iterable[Entry]) -> list[Entry]:
        return [
            entry for entry in entries if self.world.leadership.may_act() and self.world.ledger.record(entry)
        ]

    def _measure(self, run: FinishedRun, now: datetime) -> EnergyProfile | None:
        """The combined profile; None while a meter asks for patience."""
        if run.key in self._profiles:
            return self._profiles[run.key]
        found: list[tuple[str, EnergyProfile]] = []
        for meter in self.meters:
            try:
                found.append((meter.name, meter.energy(run)))
            except TemporaryError as fault:
                if self._patient(run, now):
                    self._retry[run.key] = now + fault.delay
                    return None
                self._say(meter.name, f"meter gave up meter={meter.name} run={run.name} error={fault}")
            except (CleanhoursError, OSError) as fault:
                self._say(meter.name, f"meter failed meter={meter.name} run={run.name} error={fault}")
        return combine(found, needed=(Component.GPU,) if run.allocated.gpus else ())

    def _patient(self, run: FinishedRun, now: datetime) -> bool:
        first = self._first_asked.setdefault(run.key, now)
        return now < min(max(first, run.finished_at) + PATIENCE, run.finished_at + LONGEST_PATIENCE)

    def _entry(self, run: FinishedRun, profile: EnergyProfile, now: datetime) -> Entry | NotYet:
        world, outlook = self.world, self.world.forecasts.outlook
        try:
            actuals = self._actuals(outlook, spans(run, world.locations)) if profile.slices else {}
            entry = settle(
                run,
                profile,
                actuals,
                world.locations,
                now=now,
                final_after={zone: outlook.final_after(zone) for zone in actuals},
                transfer_kwh_per_gb=world.rules.transfer_kwh_per_gb,
                typical_after=TYPICAL_AFTER if any(map(outlook.observes, actuals)) else timedelta(0),
            )
        except (CleanhoursError, SeriesError) as fault:
            self._say(f"run {run.key}", f"not settled run={run.name} error={fault}")
            return NotYet(now + timedelta(minutes=30), str(fault))
        if isinstance(entry, NotYet) or entry.emissions_ug is None or self.beside is None:
            return entry
        return replace(entry, beside=self._beside(entry, now))

    def _beside(self, entry: Entry, now: datetime) -> Beside | None:
        """The same run in the second measure. The account does not wait for it, nor fail with it."""
        world, outlook = self.world, self.beside
        if outlook is None:
            return entry.beside
        try:
            actuals = self._actuals(outlook, spans(entry.run, world.locations))
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
        return beside_of(entry.run, found, now)

    def _actuals(
        self, outlook: Outlook, wanted: Mapping[str, tuple[datetime, datetime]]
    ) -> dict[str, IntensitySeries]:
        found: dict[str, IntensitySeries] = {}
        for zone, (start, end) in wanted.items():
            about = f"{zone} beside" if outlook is self.beside else zone
            if about in self._silent:
                continue
            try:
                found[zone] = outlook.actual(zone, start, end)
            except (UnknownZone, TemporaryError) as fault:
                if outlook is self.beside:
                    self._silent.add(about)
                self._say(about, f"no actual intensity zone={about} error={fault}")
        return found

    def _say(self, about: str, message: str) -> None:
        """Once a trouble, not once a tick."""
        if about not in self._said:
            self._said.add(about)
            log.warning(message)
