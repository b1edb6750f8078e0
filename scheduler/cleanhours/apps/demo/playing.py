"""The demonstration: the real controller on a fast clock and a generated grid, from the first submission to the last row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cleanhours.adapters.clock import FastClock
from cleanhours.apps.controller import Beats, Controller
from cleanhours.apps.demo.grid import HOME, DemoGrid
from cleanhours.apps.demo.jobs import DAY, DEMO_JOBS, STARTS_AT_HOUR, DemoJob
from cleanhours.apps.demo.screen import Screen, Snapshot
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.accounts import Entry
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import FinishedRun, JobKey

RATE: Final = 1440.0
"""A day in a minute."""

TICK_S: Final = 2.0
MARGIN_S: Final = 2.0
"""Real seconds: what starting and stopping real processes takes does not run faster because the clock does."""

LOOK_EVERY_S: Final = 0.25
PATIENCE: Final = timedelta(hours=36)
"""Of the clock: a demonstration that has not ended by then has failed."""

ORIGIN: Final = datetime(2026, 6, 18, STARTS_AT_HOUR, tzinfo=UTC)
"""A Thursday in June. The same day each time, so that two people see the same."""


def demo_world(folder: Path, *, rate: float = RATE, origin: datetime = ORIGIN) -> tuple[Wiring, DemoGrid]:
    """A private world in `folder`, and its grid: nothing of the user's settings, nothing of the network."""
    from cleanhours.adapters.settings import Settings, load_settings

    def load() -> Settings:
        flags = {
            "state.folder": str(folder),
            "locations.local.zone": HOME,
            "clusters.local.slots": 4,
            "planning.queue_margin": f"{round(MARGIN_S * rate)}s",
            "planning.tick": f"{round(TICK_S * rate)}s",
        }
        return load_settings(environment={"HOME": str(folder)}, flags=flags, folder=folder, system=folder)

    clock = FastClock.starting(origin, rate)
    grid = DemoGrid(clock, origin)
    return Wiring(load, clock, sources=(grid,), only_meters=("declared",), scraped=True), grid


def demo_controller(world: Wiring) -> Controller:
    """The same controller as everywhere, beating often enough for a fast clock."""
    tick = timedelta(seconds=TICK_S * world.clock.rate)
    return world.controller(beats=Beats(tick=tick, settle=tick, refresh=timedelta(minutes=30)))


@dataclass(slots=True)
class Play:
    """One demonstration on a world made by `demo_world`."""

    world: Wiring
    grid: DemoGrid
    screen: Screen
    controller: Controller
    jobs: Sequence[DemoJob] = DEMO_JOBS
    sleep: Callable[[float], None] = time.sleep
    _keys: dict[JobKey, DemoJob] = field(default_factory=dict)

    def run(self) -> list[Entry]:
        """Plays to the end; the rows of all jobs, or of those that ended before patience did."""
        origin = self.world.clock.now()
        controller = self.controller
        controller.start()
        waiting = sorted(self.jobs, key=lambda job: job.submitted_after)
        try:
            while True:
                now = self.world.clock.now()
                while waiting and origin + waiting[0].submitted_after <= now:
                    self._submit(waiting.pop(0))
                    controller.tick()
                finished = self._finished(origin)
                if len(finished) > len(self.world.ledger.current()):
                    controller.settle()
                entries = list(self.world.ledger.current())
                self.screen.show(self._snapshot(origin, now, finished, entries))
                if len(entries) == len(self.jobs) or now > origin + PATIENCE:
                    return entries
                self.sleep(LOOK_EVERY_S)
        finally:
            self.screen.close()
            controller.stop()

    def _submit(self, job: DemoJob) -> None:
        cluster = self.world.queue()
        folder = self.world.state_folder / "work"
        folder.mkdir(exist_ok=True)
        clock = self.world.clock
        key = cluster.submit(job.submission(clock.now(), clock.rate, folder, seed=len(self._keys)))
        self._keys[key] = job

    def _finished(self, since: datetime) -> list[FinishedRun]:
        return [run for cluster in self.world.clusters.values() for run in cluster.finished(since)]

    def _snapshot(
        self, origin: datetime, now: datetime, finished: Sequence[FinishedRun], entries: Sequence[Entry]
    ) -> Snapshot:
        jobs = [
            job
            for cluster in self.world.clusters.values()
            for job in [*cluster.pending(), *cluster.running()]
        ]
        return Snapshot(
            now=now,
            start=origin,
            end=origin + DAY,
            rate=self.world.clock.rate,
            jobs=jobs,
            finished=finished,
            entries=entries,
            series=self._day(origin, now),
        )

    def _day(self, origin: datetime, now: datetime) -> IntensitySeries:
        """What is believed of the day: what was until now, the forecast from there."""
        grid = self.grid
        end = origin + DAY
        ahead = grid.forecast(HOME, now, max(end, now + timedelta(hours=1)))
        if ahead.start <= origin:
            return ahead
        return grid.actual(HOME, origin, ahead.start).join(ahead)


def demo_report(world: Wiring, grid: DemoGrid) -> str:
    """The page of the day, with what had been forecast for it at its begin beside what came."""
    from cleanhours.apps.report import Question, ZoneSeries, report_html

    now = world.clock.now()
    origin = grid.origin
    end = min(now, origin + DAY)
    series = ZoneSeries(HOME, grid.actual(HOME, origin, now), grid.said(HOME, origin, origin, end))
    return report_html(
        world.ledger.current(),
        series=[series],
        question=Question(attributions=[grid.attribution]),
        generated_at=now,
        title="A day of the demonstration",
        forecast_errors=world.ledger.forecast_errors(),
    )
