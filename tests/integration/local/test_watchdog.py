"""Without a controller, jobs still start in time: one watchdog per state folder."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.caps import Cap
from cleanhours.domain.jobs import Action, JobState
from cleanhours.domain.plans import Reason
from cleanhours_plugins.clusters.local.spawning import ensure_watchdog
from cleanhours_plugins.clusters.local.timekeeping import SharedClock, SteadyClock
from cleanhours_plugins.clusters.local.watchdog import HEAD_START_S, Watchdog
from tests.integration.local.worlds import World, kill, processes_with, until

HOUR = timedelta(hours=1)


def test_the_watchdog_starts_what_is_due_when_no_controller_did(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "echo x >> ran", duration=HOUR, max_delay=timedelta(minutes=10))
    submitted = world.find(key).request.submitted
    run = world.over(key)
    assert JobState.SUCCEEDED == run.state
    waited = run.segments[0].start - submitted
    real = timedelta(seconds=world.clock.rate)  # a real second
    assert timedelta(minutes=9) <= waited <= timedelta(minutes=9) + 4 * real
    assert ["x"] == world.lines()


def test_the_watchdog_follows_the_plan_that_was_written_last(world: World) -> None:
    key = world.submit("true", max_delay=timedelta(days=30))
    job = world.find(key)
    assert "" == world.tell(key, Action.HOLD, Reason.LOWEST_WINDOW, latest=HOUR).error
    run_before = world.find(key)
    assert run_before.plan is not None
    assert run_before.plan.latest_start < job.request.submitted + timedelta(hours=2)
    run = world.over(key)
    assert run.plan is not None
    assert Reason.DEADLINE_GUARD == run.plan.reason
    assert run.segments[0].start >= run_before.plan.latest_start


def test_what_the_watchdog_starts_has_no_time_left_to_be_slower(world: World) -> None:
    key = world.submit("/bin/sh", "-c", 'echo "cap=$CLEANHOURS_POWER_CAP_W"', max_delay=timedelta(days=30))
    cap = Cap(250, 1.1, 800, 1000)
    assert "" == world.tell(key, Action.HOLD, Reason.LOWEST_WINDOW, latest=HOUR, cap=cap).error
    run = world.over(key)
    assert run.plan is not None
    assert (Reason.DEADLINE_GUARD, None) == (run.plan.reason, run.plan.cap)
    assert "cap=\n" == world.output(key)


def test_the_watchdog_resumes_a_paused_job_in_time(world: World) -> None:
    key = world.submit("/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.02; done")
    world.release(key)
    world.until_state(key, JobState.RUNNING)
    world.tell(key, Action.SUSPEND, Reason.LOWEST_SLOTS, latest=HOUR)
    world.until_state(key, JobState.PAUSED)
    (world.folder / "go").touch()
    assert 2 == len(world.over(key).segments)


def test_what_its_owner_holds_stays_his(world: World) -> None:
    key = world.submit("true", max_delay=timedelta(0))
    assert world.local.owner_pause(key)
    with world.local._asking() as queue, queue.writing() as change:
        queue.update(key.uid, change, latest_us=0)
    dog = Watchdog(str(world.local.folder), SharedClock.of(world.clock))
    assert dog.look() is not None
    assert JobState.UNMANAGED == world.find(key).state
    assert world.local.owner_resume(key)
    assert JobState.SUCCEEDED == world.over(key).state


def test_there_is_one_watchdog_per_state_folder_and_it_leaves_when_the_queue_is_empty(world: World) -> None:
    keys = [world.submit("true") for _ in range(3)]
    clock = SharedClock.of(world.clock)
    for _ in range(5):
        ensure_watchdog(str(world.local.folder), clock)
    until(lambda: len(processes_with(str(world.local.folder), "local.watchdog")) == 1)
    assert not ensure_watchdog(str(world.local.folder), clock)
    for key in keys:
        world.local.cancel(key)
    until(lambda: not processes_with(str(world.local.folder), "local.watchdog"))


def test_a_watchdog_leaves_when_its_state_folder_is_removed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.submit("true")
    until(lambda: world.watchdog() != 0)
    world.local.close()
    shutil.rmtree(world.local.folder)
    until(lambda: world.watchdog() == 0)


def test_a_killed_watchdog_is_replaced_by_the_next_submission(world: World) -> None:
    world.submit("true")
    until(lambda: world.watchdog() != 0)
    first = world.watchdog()
    kill(first)
    world.submit("true")
    until(lambda: world.watchdog() not in (0, first))


def test_a_killed_watchdog_is_replaced_by_a_controller_that_looks(world: World) -> None:
    world.submit("true")
    until(lambda: world.watchdog() != 0)
    first = world.watchdog()
    kill(first)
    world.local.close()
    world.local = world.another()
    world.local.pending()
    until(lambda: world.watchdog() not in (0, first))


def test_jobs_without_any_slack_start_as_slots_become_free(world: World) -> None:
    words = {"max_delay": None, "duration": timedelta(minutes=1)}
    keys = [world.submit("/bin/sh", "-c", f"echo {n} >> ran; sleep 0.1", **words) for n in range(4)]
    until(lambda: len(world.local.running()) > 0)
    assert len(world.local.running()) <= 2
    assert [JobState.SUCCEEDED] * 4 == [world.over(key).state for key in keys]
    assert ["0", "1", "2", "3"] == sorted(world.lines())


class _Hands:
    """A clock set by hand."""

    def __init__(self, now_us: int) -> None:
        self.us = now_us

    def now_us(self) -> int:
        return self.us


@pytest.mark.parametrize("step_hours", [-2, 2])
def test_a_step_of_the_clock_never_makes_a_job_late(tmp_path: Path, step_hours: int) -> None:
    world = World(tmp_path)
    world.local = world.another(watch=lambda *_: False)
    try:
        key = world.submit("true", max_delay=timedelta(hours=1))
        (row,) = world.rows()
        hands = _Hands(row["latest_us"] - 60_000_000)
        dog = Watchdog(str(world.local.folder), SharedClock.of(world.clock), showing=hands)
        dog.look()
        assert JobState.HELD == world.find(key).state
        hands.us += step_hours * 3_600_000_000
        dog.look()
        assert (JobState.HELD if step_hours < 0 else JobState.RELEASED) == world.find(
            key
        ).state or step_hours > 0
        head_start_us = dog.clock.length_us(HEAD_START_S)
        hands.us = max(hands.us, row["latest_us"] + head_start_us)
        dog.look()
        assert JobState.SUCCEEDED == world.over(key).state
    finally:
        world.clear()


def test_a_steady_clock_follows_steps_forward_and_no_step_back() -> None:
    shared = SharedClock(origin_us=10**15, rate=1.0, real_origin=0.0)
    shared.real_origin = -1e6
    steady = SteadyClock(shared)
    begun = steady.now_us()
    shared.origin_us = 10**15 - 7_200_000_000
    assert begun <= steady.now_us() < begun + 1_000_000_000
    shared.origin_us = 10**15 + 7_200_000_000
    assert steady.now_us() >= begun + 7_200_000_000


def test_another_process_rebuilds_the_same_clock() -> None:
    clock = SharedClock(origin_us=1_772_409_600_000_000, rate=1440.0, real_origin=1_700_000_000.25)
    again = SharedClock.parse(clock.words)
    assert clock.at_real(1_700_000_060.25) == again.at_real(1_700_000_060.25)
    assert 1_772_409_600_000_000 + 86_400_000_000 == again.at_real(1_700_000_060.25)
    assert 1.0 == again.real_seconds(1_440_000_000)
    assert "real" == SharedClock.parse("real").words
