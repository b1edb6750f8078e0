"""The controller process: beats that call the cycle. APScheduler only beats; every decision asks the Clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.schedulers.background import BackgroundScheduler

from cleanhours.apps.steps import StepWatch
from cleanhours.control.reconciling import Outcome, Reconciler
from cleanhours.control.settling import Settler
from cleanhours.domain.jobs import JobKey
from cleanhours.domain.snapshots import Snapshot
from cleanhours.ports import Sampling, Service

log = logging.getLogger(__name__)

SHORTEST_BEAT_S: Final = 0.05
"""Real seconds between two beats at least, however fast the clock runs."""
NOTICE_S: Final = 1.0
"""Real seconds from what a cluster notices to the tick that answers it: what comes meanwhile is answered by the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beats:
    """How often, in clock time."""

    tick: timedelta = timedelta(seconds=30)
    settle: timedelta = timedelta(minutes=5)
    refresh: timedelta = timedelta(minutes=30)
    retry: timedelta = timedelta(minutes=1)
    """When forecasts are asked for again while a zone is not known at all."""
    jitter: float = 0.1
    """A share of `refresh`, so that many controllers do not ask a provider at the same second."""


@dataclass(slots=True)
class Controller:
    """Beats until stopped: ticks, one more wake-up at the next due release, forecast refresh, settlement.

    `show` receives each snapshot (the exposition), `sum_up` is called after each settlement. A tick that fails is logged and counted; the next one tries again.
    """

    reconciler: Reconciler
    settler: Settler
    beats: Beats = field(default_factory=Beats)
    show: Callable[[Snapshot], None] = lambda snapshot: None
    sum_up: Callable[[], None] = lambda: None
    services: tuple[Service, ...] = ()
    _scheduler: BackgroundScheduler | None = None
    _ticking: threading.Lock = field(default_factory=threading.Lock)
    _next: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one tick that waits for the tick under way."""
    _settling: threading.Lock = field(default_factory=threading.Lock)
    """Of its own: actuals come from providers, and one that hangs must hold no release back."""
    _healthy: bool = False
    _stopped: bool = False
    _steps: StepWatch | None = None
    _alive: frozenset[JobKey] = frozenset()

    def once(self) -> Outcome:
        """One tick and one settlement, then back to the caller; what fails is raised."""
        with self._ticking, self._settling:
            outcome = self._tick()
            self.settler.settle()
        return outcome

    def start(self) -> None:
        """Ticks once in this thread, so that what is wrong is said at once, then beats in the background."""
        for service in self.services:
            service.start()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.start()
        self._beat_all()
        self._steps = StepWatch(self.clock_stepped)
        self._steps.start()
        self.tick()

    def stop(self) -> None:
        """Stops beating; a beat under way is finished first, none begins afterwards. Idempotent."""
        self._stopped = True
        if self._steps is not None:
            self._steps.stop()
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None and scheduler.running:
            scheduler.remove_all_jobs()
            with self._ticking, self._settling:
                # not wait=True: it would wait for a beat while holding the lock that the beat's own wake-up needs
                scheduler.shutdown(wait=False)
        for service in reversed(self.services):
            service.stop()

    @property
    def healthy(self) -> bool:
        """Whether the last tick went through."""
        return self._healthy

    def tick(self) -> None:
        """One tick, and a wake-up at the next due decision."""
        self._tick_unless(lambda: False)

    def _tick_unless(self, needless: Callable[[], bool]) -> None:
        if not self._take_turn():
            return
        try:
            outcome = None if self._stopped or needless() else self._tick()
            if outcome is not None:
                self._wake_at(outcome)  # before the next one's turn: a later tick may know of a sooner start
        except Exception:
            self._healthy = False
            log.exception("tick failed")
            return
        finally:
            self._ticking.release()
        self._healthy = True
        if outcome is not None and self.reconciler.world.forecasts.incomplete:
            self._beat_once(
                self.refresh, "refresh soon", self.reconciler.world.clock.now() + self.beats.retry
            )

    def _take_turn(self) -> bool:
        """Waits for the tick under way; False where another one waits already: it will see what this one would."""
        if not self._next.acquire(blocking=False):
            return False
        try:
            self._ticking.acquire()
        finally:
            self._next.release()
        return True

    def notice(self) -> None:
        """A cluster noticed what makes a decision due: ticks within a second, once for all that it notices until then."""
        if not self._due_soon():
            self._beat_after(self.beat, "noticed", NOTICE_S)

    def beat(self) -> None:
        """The regular tick, unless a decision is due within a second: that tick sees what this one would, and starts on time."""
        if not self._due_soon():
            # while it waits for its turn, the tick under way may set the next wake-up
            self._tick_unless(self._due_soon)

    def _due_soon(self) -> bool:
        due = None if self._scheduler is None else self._scheduler.get_job("wake-up")
        return due is not None and due.next_run_time <= _now() + timedelta(seconds=NOTICE_S)

    def settle(self) -> None:
        """One settlement; forecasts are judged beside it."""
        world = self.reconciler.world
        try:
            with self._settling:
                if not self._stopped:
                    self.settler.settle()
                    world.forecasts.compare(world.ledger, world.clock.now())
                    self.sum_up()
        except Exception:
            log.exception("settlement failed")

    def refresh(self) -> None:
        """Fresh forecasts, asked for beside the ticks, then a tick on them."""
        world = self.reconciler.world
        try:
            if not self._stopped:
                world.forecasts.renew_known(world.clock.now())
        except Exception:
            log.exception("refresh failed")
        self.tick()

    def clock_stepped(self, seconds: float) -> None:
        """Sets every timer anew, from the time that it is now, and ticks at once."""
        log.warning("clock stepped seconds=%.0f", seconds)
        self._beat_all()
        self.tick()

    def _tick(self) -> Outcome:
        outcome = self.reconciler.tick()
        snapshot = self.reconciler.snapshot
        if snapshot is not None:
            self._sample(snapshot)
            self.show(snapshot)
            alive = frozenset(job.key for job in snapshot.jobs)
            if self._alive - alive:  # accounted while its owner still looks at it, not at the next beat
                self._beat_after(self.settle, "settle soon", NOTICE_S)
            self._alive = alive
        return outcome

    def _sample(self, snapshot: Snapshot) -> None:
        for meter in self.settler.meters:
            if isinstance(meter, Sampling):
                meter.sample(snapshot.jobs)

    def _beat_all(self) -> None:
        self._beat(self.beat, "tick", self.beats.tick)
        self._beat(self.settle, "settle", self.beats.settle)
        self._beat(self.refresh, "refresh", self.beats.refresh, self.beats.jitter)

    def _beat(self, act: Callable[[], None], name: str, period: timedelta, jitter: float = 0.0) -> None:
        if self._scheduler is None:
            return
        seconds = max(period.total_seconds() / self.reconciler.world.clock.rate, SHORTEST_BEAT_S)
        self._scheduler.add_job(
            act, "interval", seconds=seconds, id=name, jitter=seconds * jitter or None, replace_existing=True
        )

    def _wake_at(self, outcome: Outcome) -> None:
        if outcome.next_due is not None:
            self._beat_once(self.tick, "wake-up", outcome.next_due, again=True)

    def _beat_once(
        self, act: Callable[[], None], name: str, instant: datetime, *, again: bool = False
    ) -> None:
        """One beat at an instant of the world's clock; a later call moves it (`again`) or leaves it as it is."""
        wait = max(self.reconciler.world.clock.real_seconds_until(instant), SHORTEST_BEAT_S)
        self._beat_after(act, name, wait, again=again)

    def _beat_after(
        self, act: Callable[[], None], name: str, real_seconds: float, *, again: bool = False
    ) -> None:
        scheduler = self._scheduler
        if scheduler is None or (not again and scheduler.get_job(name) is not None):
            return
        at = _now() + timedelta(seconds=real_seconds)
        # one that falls due while the one before still waits for its turn is not lost, and costs nothing
        scheduler.add_job(act, "date", run_date=at, id=name, replace_existing=True, max_instances=3)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the scheduler's own time, not the world's
