"""The controller's beats: it stops while a beat is under way, goes on after one that failed, and shows what it knows."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from cleanhours.apps.controller import Beats, Controller
from cleanhours.control.reconciling import Outcome
from cleanhours.domain.snapshots import Snapshot
from tests.flow.test_cycle import HOUR, Stage


@dataclass
class SlowReconciler:
    """A reconciler whose tick takes a while and always asks to be woken soon."""

    stage: Stage
    ticks: int = 0
    inside: threading.Event = field(default_factory=threading.Event)
    snapshot: Snapshot | None = None
    fail: bool = False

    @property
    def world(self) -> object:
        return self.stage.world

    def tick(self) -> Outcome:
        self.ticks += 1
        if self.fail:
            raise RuntimeError("what nobody foresaw")
        if self.ticks > 1:
            self.inside.set()
            time.sleep(0.2)
        now = self.stage.clock.now()
        return Outcome(now, (), now + timedelta(milliseconds=1), 0)


def controller(reconciler: SlowReconciler, stage: Stage) -> Controller:
    return Controller(reconciler, stage.settler, Beats(tick=timedelta(milliseconds=50)))  # type: ignore[arg-type]


def test_stopping_in_the_middle_of_a_beat_ends_with_that_beat() -> None:
    stage = Stage()
    slow = SlowReconciler(stage)
    running = controller(slow, stage)
    running.start()
    assert slow.inside.wait(5)

    stopping = threading.Thread(target=running.stop)
    stopping.start()
    stopping.join(5)

    assert not stopping.is_alive()
    ticks = slow.ticks
    time.sleep(0.3)
    assert ticks == slow.ticks


def test_a_beat_that_fails_is_followed_by_the_next() -> None:
    stage = Stage()
    slow = SlowReconciler(stage, fail=True)
    running = controller(slow, stage)
    running.start()
    try:
        assert [False] == [running.healthy]
        slow.fail = False
        assert slow.inside.wait(5)
        for _ in range(100):
            if running.healthy:
                break
            time.sleep(0.05)

        assert running.healthy
    finally:
        running.stop()


def test_a_stepped_clock_sets_the_timers_anew_and_ticks_at_once() -> None:
    stage = Stage()
    slow = SlowReconciler(stage)
    running = Controller(slow, stage.settler, Beats(tick=timedelta(hours=1)))  # type: ignore[arg-type]
    running.start()
    try:
        before = slow.ticks
        running.clock_stepped(-7200)
        assert before < slow.ticks
    finally:
        running.stop()


def test_what_it_knows_is_shown_after_each_tick() -> None:
    stage = Stage()
    stage.submit()
    shown: list[Snapshot] = []
    running = Controller(stage.reconciler, stage.settler, show=shown.append)

    running.once()

    assert ["held"] == [job.state for job in shown[-1].jobs]
    assert shown[-1].jobs[0].plan is not None


def test_sums_are_made_after_each_settlement() -> None:
    stage = Stage()
    running = controller(SlowReconciler(stage), stage)
    rows: list[int] = []
    running.sum_up = lambda: rows.append(len(stage.ledger.current()))
    stage.submit(max_delay=0 * HOUR)
    stage.reconciler.tick()
    stage.clock.advance(3 * HOUR)
    running.settle()
    running.settle()
    assert [1, 1] == rows


def test_what_a_cluster_notices_is_answered_by_one_tick_of_its_own() -> None:
    stage = Stage()
    slow = SlowReconciler(stage)
    running = Controller(slow, stage.settler, Beats(tick=timedelta(hours=1)))  # type: ignore[arg-type]
    running.start()
    try:
        for _ in range(100):
            running.notice()
        assert slow.inside.wait(5)
        assert 2 == slow.ticks
    finally:
        running.stop()
    running.notice()


def test_what_is_noticed_just_before_a_decision_falls_due_is_left_to_that_tick() -> None:
    """Else the decision would wait for a tick that began a moment before it."""
    stage = Stage()
    ticks: list[float] = []

    class Due(SlowReconciler):
        def tick(self) -> Outcome:
            ticks.append(time.monotonic())
            # the second is due when what was noticed after the first is answered
            wait = timedelta(seconds=1.5) if len(ticks) == 1 else timedelta(hours=1)
            return Outcome(stage.clock.now(), (), stage.clock.now() + wait, 0)

    running = Controller(Due(stage), stage.settler, Beats(tick=timedelta(hours=1)))  # type: ignore[arg-type]
    running.start()
    try:
        running.notice()
        until = time.monotonic() + 10
        while len(ticks) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        running.stop()
    assert ticks[1] - ticks[0] >= 1.4


def test_what_is_noticed_during_a_tick_that_names_the_next_is_left_to_that_one() -> None:
    stage = Stage()

    class Due(SlowReconciler):
        def tick(self) -> Outcome:
            super().tick()
            return Outcome(stage.clock.now(), (), stage.clock.now() + timedelta(seconds=0.9), 0)

    due = Due(stage, ticks=1)
    running = controller(due, stage)
    running._scheduler = BackgroundScheduler(timezone=UTC)
    running._scheduler.start()
    try:
        first = threading.Thread(target=running.tick)
        first.start()
        assert due.inside.wait(5)
        running.beat()  # waits for that tick, which sets a wake-up
        first.join(5)
        assert 1 + 1 == due.ticks
    finally:
        running.stop()


def test_what_ends_is_accounted_at_once_and_not_at_the_next_beat() -> None:
    stage = Stage()
    stage.submit(max_delay=timedelta(0), duration=timedelta(minutes=5))
    running = Controller(
        stage.reconciler, stage.settler, Beats(tick=timedelta(hours=9), settle=timedelta(hours=9))
    )
    running.start()
    try:
        stage.clock.advance(timedelta(minutes=6))
        running.tick()
        until = time.monotonic() + 10
        while not stage.ledger.current() and time.monotonic() < until:
            time.sleep(0.02)
        assert ["train"] == [entry.run.name for entry in stage.ledger.current()]
    finally:
        running.stop()


def test_of_the_ticks_that_are_asked_for_during_one_a_single_one_follows() -> None:
    stage = Stage()
    slow = SlowReconciler(stage, ticks=1)
    running = controller(slow, stage)
    first = threading.Thread(target=running.tick)
    first.start()
    assert slow.inside.wait(5)

    others = [threading.Thread(target=running.tick) for _ in range(6)]
    for one in others:
        one.start()
    for one in (first, *others):
        one.join(5)

    assert 1 + 2 == slow.ticks
