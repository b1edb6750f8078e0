"""A job with a power curve: planned, started and accounted under a cap; and the next run of it planned as if there had been none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from cleanhours.domain.accounts import Cause, Entry
from cleanhours.domain.caps import CapPoint, PowerCurve
from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.jobs import FinishedRun, JobKey, JobState
from cleanhours.domain.rules import Rules
from cleanhours.testing.clocks import MONDAY
from tests.flow.test_cycle import DAY, HOUR, Stage

CURVE = PowerCurve.of([CapPoint(300, 100, 100_000), CapPoint(250, 105, 84_000)])
RULES = replace(Rules(), power_curves={"net": CURVE})


@dataclass
class Gpus:
    """A meter of the accelerators."""

    watts: float = 800.0
    name: str = "gpus"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        return EnergyProfile(tuple(
            EnergySlice(part.start, part.end or run.finished_at, Component.GPU,
                        round(self.watts * 1000 * ((part.end or run.finished_at) - part.start).total_seconds()),
                        Method.MEASURED, self.name)
            for part in run.segments
        ))  # fmt: skip


def lived(stage: Stage, gpus: Gpus, *, until: datetime) -> JobKey:
    """A program that obeys the cap which its plan tells it: two hours of work take 126 minutes."""
    stage.settler.meters = (gpus,)
    stage.cluster.lasting["train"] = timedelta(minutes=126)
    key = stage.submit(power_curve="net")
    stage.live(until)
    return key


def row_of(stage: Stage) -> Entry:
    (entry,) = stage.ledger.current()
    assert entry.run.state is JobState.SUCCEEDED
    return entry


@pytest.mark.parametrize(("watts", "kept"), [(800.0, True), (1000.0, False)])
def test_from_the_submission_to_the_account(watts: float, kept: bool) -> None:
    stage = Stage(rules=RULES)
    key = lived(stage, Gpus(watts), until=MONDAY + 15 * HOUR)

    entry = row_of(stage)
    assert key == JobKey(entry.run.key.cluster, entry.run.key.uid)
    assert entry.run.plan is not None
    assert entry.run.plan.cap == CURVE.caps()[0]
    assert MONDAY + 12 * HOUR == entry.run.started_at
    assert entry.deadline_kept is True
    assert entry.total_avoided_ug == sum(entry.avoided_ug.values())
    assert kept == (entry.energy_avoided_mj[Cause.CAPPED] > 0)
    if kept:
        # two hours at 1 kW without it, 126 minutes at 0.8 kW with it
        assert 7_200_000_000 - 6_048_000_000 == entry.energy_avoided_mj[Cause.CAPPED]
        assert (DAY[0] + DAY[1]) * 1_000_000 == entry.baseline_ug
        assert [2 * HOUR] == list(stage.ledger.durations(key.cluster, entry.run.namespace, "train"))
        assert [] == list(stage.ledger.powers(key.cluster, entry.run.namespace, "train"))


def test_a_run_that_began_under_a_cap_is_given_the_time_that_it_needs() -> None:
    stage = Stage(rules=RULES)
    key = lived(stage, Gpus(), until=MONDAY + 13 * HOUR)
    job = stage.job(key)
    assert job.plan is not None
    assert JobState.RUNNING is job.state
    assert MONDAY + 14 * HOUR + timedelta(minutes=6) == job.plan.end
    assert CURVE.caps()[0] == job.plan.cap
