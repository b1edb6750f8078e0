"""Fleets of jobs to plan: 70 % that cannot pause, 25 % that pause at no cost, 5 % that lose five minutes at each pause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Capacity, Demand

NOW = datetime(2026, 3, 1, 9, 12, 37, tzinfo=UTC)
ZONES = {"coast": "AA", "hills": "BB", "river": "CC"}
STEP = timedelta(minutes=15)


def a_day(seed: int = 7, *, hours: int = 24, step: timedelta = STEP) -> dict[str, IntensitySeries]:
    """A day of each zone from NOW's quarter hour on: a daily wave, each its own, with weather that is correlated in time."""
    random = np.random.default_rng(seed)
    width = int(step.total_seconds())
    first = int(NOW.timestamp()) // width * width
    starts = first + width * np.arange(hours * 3600 // width + 1)
    level = {}
    for index, zone in enumerate(ZONES.values()):
        phase = 2 * np.pi * (starts / 86_400 + index / 7)
        weather = np.cumsum(random.normal(0, 3, starts.size))
        wave = 220 - 20 * index + 70 * np.sin(phase) + 25 * np.sin(2 * phase) + weather
        level[zone] = IntensitySeries.of(zone, starts, np.clip(wave, 5, None), step=step, provider="made")
    return level


def a_fleet(count: int, *, spread: float = 1.75, seed: int = 3) -> tuple[list[Job], dict[str, Room]]:
    """`count` queued jobs of 15 min to 8 h, and three locations with `spread` times their mean demand over a day."""
    random = np.random.default_rng(seed)
    names = list(ZONES)
    jobs = []
    work = 0.0
    for index in range(count):
        duration = timedelta(minutes=int(random.integers(15, 481)))
        kind = random.random()
        cpus = int(random.choice((1, 2, 4, 8)))
        request = JobRequest(
            submitted=NOW - timedelta(seconds=int(random.integers(0, 3600))),
            duration=duration,
            deadline=NOW + duration * 1.1 + timedelta(minutes=int(random.integers(10, 24 * 60))),
            interruptible=kind >= 0.7,
            checkpoint=timedelta(minutes=5) if kind >= 0.95 else timedelta(0),
            locations=tuple(names) if random.random() < 0.6 else (),
            power_w=250.0 * cpus,
            demand=Demand(cpu_millicores=1000 * cpus),
        )
        home = names[int(random.integers(0, 3))]
        key = JobKey("here", f"job-{index:05}")
        jobs.append(
            Job(
                key=key, name=key.uid, namespace="", state=JobState.HELD, request=request, home=home,
                remaining=duration,
            )
        )  # fmt: skip
        work += cpus * duration / timedelta(hours=1)
    cpus = round(spread * work / 24 / len(names))
    rooms = {
        name: Room(Location(name, zone, 1.1 + 0.1 * index, Capacity(cpu_millicores=1000 * cpus)))
        for index, (name, zone) in enumerate(ZONES.items())
    }
    return jobs, rooms


def with_plans(jobs: list[Job], plans: Mapping[JobKey, Plan]) -> list[Job]:
    """The same jobs, each with its plan in force."""
    return [replace(job, plan=plans[job.key]) for job in jobs]
