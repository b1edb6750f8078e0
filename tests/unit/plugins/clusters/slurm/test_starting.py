"""What is planned of a job that was just submitted: as its owner asked for it, and only while it waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import instant_of
from cleanhours.ports import Clock, Context
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.clusters.slurm.calling import Refused, Slurm
from cleanhours_plugins.clusters.slurm.details import Details
from cleanhours_plugins.clusters.slurm.jobs import Reporting
from cleanhours_plugins.clusters.slurm.starting import queues_of, set_start
from tests.unit.plugins.clusters.slurm.made import HOUR, NOW, a_plan, seen, settings

EXPECTED = NOW + 2 * HOUR
MINUTE = timedelta(minutes=1)


@dataclass
class World:
    """A context that plans for in three hours, and keeps what was asked."""

    clock: Clock = field(default_factory=lambda: FakeClock(instant_of(NOW)))
    asked: list[JobRequest] = field(default_factory=list)
    margins: list[timedelta] = field(default_factory=list)

    def plan(self, request: JobRequest, *, home: str | None = None, queue_margin: timedelta) -> Plan:
        self.asked.append(request)
        self.margins.append(queue_margin)
        return a_plan(NOW + 3 * HOUR)


class Kept(Slurm):
    """A Slurm that takes everything."""

    told: tuple[str, ...] = ()

    def ask(self, program: str, *arguments: str, patience_s: float = 0) -> str:
        self.told = (program, *arguments)
        return ""


def start(starts: int | None = None, **shown: Any) -> tuple[World, Kept]:
    world, slurm = World(), Kept()
    words, job = {"max-delay": "12h"}, seen(**shown)
    reporting = Reporting(settings(), queues=queues_of(job, starts, instant_of(NOW)))
    set_start(job, words, Details(), reporting, slurm, cast("Context", world))
    return world, slurm


@pytest.mark.parametrize("reason", ["Resources", "Priority"])
def test_the_start_that_slurm_expects_of_a_job_that_is_not_held_is_none_of_its_owner_s(reason: str) -> None:
    world, slurm = start(reason=reason, start=EXPECTED)

    assert [None] == [request.earliest for request in world.asked]
    assert f"StartTime=uts{NOW + 3 * HOUR}" in slurm.told


@pytest.mark.parametrize(
    "reason", ["JobHeldUser", "BeginTime", "Dependency", "ReqNodeNotAvail, UnavailableNodes:fr1"]
)
def test_the_start_that_its_owner_asked_for_is_kept(reason: str) -> None:
    world, _ = start(reason=reason, start=EXPECTED)

    assert [instant_of(EXPECTED)] == [request.earliest for request in world.asked]


@pytest.mark.parametrize("state", ["RUNNING", "CONFIGURING", "COMPLETING", "COMPLETED", "FAILED"])
def test_one_that_has_started_is_not_planned_and_that_is_said(state: str) -> None:
    with pytest.raises(Refused, match="job 12 has started already"):
        start(state=state, reason="None", start=NOW)


def test_one_that_was_cancelled_has_no_plan() -> None:
    world, slurm = start(state="CANCELLED", reason="None")

    assert ([], ()) == (world.asked, slurm.told)


@pytest.mark.parametrize(
    ("starts", "begin", "margin"),
    [
        (None, None, 2 * MINUTE),
        (NOW - HOUR, None, 2 * MINUTE),
        (NOW + 60, None, 2 * MINUTE),
        (NOW + 5 * HOUR, None, timedelta(hours=5)),
        (NOW + 5 * HOUR, NOW + 4 * HOUR, timedelta(hours=1)),
        (NOW + 4 * HOUR, NOW + 4 * HOUR, 2 * MINUTE),
        (NOW + 7 * 24 * HOUR, None, timedelta(days=7)),
        (NOW + 365 * 24 * HOUR, None, 2 * MINUTE),
    ],
)
def test_a_job_is_planned_with_the_queue_that_slurm_expects_for_it(
    starts: int | None, begin: int | None, margin: timedelta
) -> None:
    """What is a year ahead waits for a job without a limit: nobody knows when that ends."""
    for partition in ("de", "de,fr"):
        world, _ = start(starts, start=begin, partition=partition)

        assert [margin] == world.margins
