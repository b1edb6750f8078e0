"""Jobs that go where the grid is clean: before they start, and after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from cleanhours.domain.accounts import Cause
from cleanhours.domain.jobs import JobState
from cleanhours.testing.clocks import MONDAY
from cleanhours.testing.outlooks import FakeOutlook
from tests.flow.test_cycle import HOUR, MINUTE, Stage, grid


def stage_with(here: Sequence[float], there: Sequence[float]) -> Stage:
    outlook = FakeOutlook({"GB": grid(here), "FR": grid(there, zone="FR")})
    return Stage(outlook=outlook, others={"there": "FR"})


def test_a_job_starts_where_it_is_cleaner() -> None:
    stage = stage_with([300] * 24, [50] * 24)
    key = stage.submit(locations=("here", "there"))
    stage.live(MONDAY + 10 * MINUTE)
    assert ("there", JobState.RUNNING) == (stage.job(key).location, stage.job(key).state)


def test_a_running_job_moves_when_the_other_grid_becomes_cleaner_and_keeps_its_promise() -> None:
    stage = stage_with([30] * 3 + [500] * 21, [3000] * 3 + [40] * 21)
    key = stage.submit(
        duration=6 * HOUR, max_delay=HOUR, interruptible=True, checkpoint=10 * MINUTE, locations=("here", "there")
    )  # fmt: skip
    stage.live(MONDAY + 10 * HOUR)
    (run,) = stage.cluster.finished(MONDAY)
    assert key == run.key[:2]
    assert ["here", "there"] == [part.location for part in run.segments]
    assert timedelta(0) < run.segments[1].start - (run.segments[0].end or MONDAY) <= 6 * MINUTE
    (entry,) = stage.ledger.current()
    assert entry.avoided_ug is not None
    assert entry.avoided_ug[Cause.RELOCATED] > 0
    assert entry.deadline_kept


def test_a_job_that_cannot_be_interrupted_stays_where_it_started() -> None:
    stage = stage_with([30] * 3 + [500] * 21, [3000] * 3 + [40] * 21)
    stage.submit(duration=6 * HOUR, max_delay=HOUR, locations=("here", "there"))
    stage.live(MONDAY + 10 * HOUR)
    (run,) = stage.cluster.finished(MONDAY)
    assert 1 == len(run.segments)
