"""Small worlds for the planners: minutes as steps, few prices, so that a test can try every possibility."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from cleanhours.domain.deadlines import Margins
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.intervals import Integers
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.requests import JobRequest, Policy
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours.domain.rules import Rules

NOW = datetime(2026, 3, 1, tzinfo=UTC)
START = int(NOW.timestamp())
MINUTE = timedelta(minutes=1)
EXACT = Rules(margins=Margins(safety=1.0, queue=timedelta(0)), minimum_saving_percent=0, hysteresis_percent=0)
"""Rules that keep nothing back: plans are the bare optimum."""


def made_series(
    values: Sequence[float], *, step: timedelta = MINUTE, zone: str = "AA", start: datetime = NOW
) -> IntensitySeries:
    """`values` in gCO2e/kWh from `start` on."""
    first, width = int(start.timestamp()), int(step.total_seconds())
    return IntensitySeries.of(
        zone, first + width * np.arange(len(values)), np.array(values, float), step=step
    )


def every_second(series: IntensitySeries) -> list[int]:
    """The intensity of every second of a series."""
    return np.repeat(series.micrograms, np.diff(series.borders)).tolist()


def made_gaps(dice: random.Random, start: int, length: int, most: int = 3) -> Integers:
    """Up to `most` stretches with room inside [start, start + length)."""
    edges = sorted(dice.sample(range(start, start + length + 1), 2 * dice.randint(0, min(most, length // 2))))
    return np.array(edges, np.int64).reshape(-1, 2)


def made_world(
    dice: random.Random, count: int
) -> tuple[list[Job], dict[str, Room], dict[str, IntensitySeries]]:
    """A crowded world: two or three locations, `count` jobs of every kind, a forecast of six hours by five minutes."""
    step = timedelta(minutes=5)
    zones = {"coast": "AA", "hills": "BB", "river": "CC"}
    level = {
        zone: made_series([dice.choice((20, 50, 90, 90, 130)) for _ in range(72)], step=step, zone=zone)
        for zone in zones.values()
    }
    rooms = {}
    for name, zone in zones.items():
        limit = dice.choice((None, 2, 3, 4))
        capacity = Capacity(gpus=limit, cpu_millicores=dice.choice((None, 4000, 6000)))
        others = tuple(
            Booking(begin, begin + timedelta(seconds=dice.randint(1, 9000)), Demand(1000, 0, 1))
            for begin in (
                NOW + timedelta(seconds=dice.randint(-600, 20000)) for _ in range(dice.randint(0, 3))
            )
        )
        rooms[name] = Room(Location(name, zone, dice.choice((1.0, 1.1, 1.25)), capacity), others)
    return [made_job(dice, index, tuple(zones)) for index in range(count)], rooms, level


def made_job(dice: random.Random, index: int, names: Sequence[str]) -> Job:
    """A job of any kind, in any state."""
    interruptible = dice.random() < 0.5
    duration = timedelta(seconds=dice.choice((300, 600, 1234, 3000, 5400)))
    submitted = NOW - timedelta(seconds=dice.randint(0, 600))
    state = dice.choice(
        (JobState.PENDING, *[JobState.HELD] * 5, JobState.RUNNING, JobState.PAUSED, JobState.RELEASED)
    )
    started = state in (JobState.RUNNING, JobState.PAUSED, JobState.RELEASED)
    request = JobRequest(
        submitted=submitted,
        duration=None if dice.random() < 0.05 else duration,
        deadline=dice.choice((None, NOW + duration * 1.1 + timedelta(seconds=dice.randint(-600, 22000)))),
        max_delay=dice.choice((None, timedelta(seconds=dice.randint(0, 22000)))),
        earliest=dice.choice((None, None, None, NOW + timedelta(seconds=dice.randint(0, 3000)))),
        interruptible=interruptible,
        checkpoint=timedelta(minutes=dice.choice((0, 0, 5))) if interruptible else timedelta(0),
        pause_energy_j=dice.choice((0.0, 0.0, 30_000.0)) if interruptible else 0.0,
        maximum_pauses=dice.choice((None, None, 1)),
        locations=tuple(dice.sample(names, dice.randint(0, len(names)))),
        data_bytes=dice.choice((0, 0, 10**11)),
        demand=Demand(dice.choice((500, 1000, 2000)), 0, dice.randint(0, 2)),
        policy=dice.choice((None, None, None, *Policy)),
        power_curve=dice.choice(("", "", "", "net")),
    )
    return Job(
        key=JobKey("here", f"job-{index}"), name=f"job-{index}", namespace="", state=state, request=request,
        home=dice.choice(names), location=dice.choice(names) if started else None,
        remaining=None if request.duration is None else request.duration * (dice.choice((0.5, 1)) if started else 1),
        started_at=submitted if started else None, movable=interruptible and dice.random() < 0.5,
        queue_margin=dice.choice((None, None, timedelta(minutes=2))),
    )  # fmt: skip
