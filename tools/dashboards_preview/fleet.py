"""A made-up fleet on grids of typical intensity: its jobs, what they emit and avoid, and what a controller sees of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from math import pi, sin, sqrt
from typing import Final

from cleanhours.domain.accounts import Cause, Entry, MethodShare, Settled
from cleanhours.domain.energy import EnergyProfile, Method
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours.domain.snapshots import Snapshot
from cleanhours.testing.ledger_contract import HOUR, a_beside, an_entry
from cleanhours_plugins.forecasts.climatology import Climatology

CLUSTERS: Final = ("kubernetes", "slurm")
LOCATIONS: Final[Mapping[str, Location]] = {
    name: Location(name, zone, 1.2, Capacity(cpus * 1000, cpus * 2**32, gpus, slots), {"cluster": cluster})
    for name, zone, cluster, cpus, gpus, slots in (
        ("frankfurt", "DE", "kubernetes", 256, 32, 16),
        ("london", "GB", "kubernetes", 192, 24, 12),
        ("paris", "FR", "slurm", 512, 32, 24),
    )
}
TEAMS: Final = (
    ("vision", "kubernetes", "frankfurt", ("resnet", "detect", "segment"), Method.MEASURED),
    ("speech", "kubernetes", "frankfurt", ("whisper", "align", "tts"), Method.MODELLED),
    ("physics", "slurm", "paris", ("lattice", "plasma", "n-body"), Method.SLURM),
    ("climate", "slurm", "paris", ("ensemble", "downscale"), Method.SLURM),
)
ZONES: Final = tuple(sorted({location.zone for location in LOCATIONS.values()}))
PLACES: Final[Mapping[str, Sequence[str]]] = {
    "vision": ("frankfurt", "london"),  # its data are at both
    "speech": ("frankfurt",),
    "physics": ("paris",),
    "climate": ("paris",),
}
FINAL_AFTER: Final = timedelta(hours=30)
SCALED: Final = 0.06
"""Share of their energy that the jobs of Slurm spare by fewer workers."""

UNMETERED: Final = 0.04
"""Share of the jobs of Kubernetes whose energy nobody knows."""


@cache
def grams(zone: str, hour: int) -> float:
    """Actual intensity in gCO2e per kWh of an hour since the epoch: typical, on some days windier than on others."""
    start = datetime.fromtimestamp(hour * 3600, tz=UTC)
    typical = Climatology().forecast(zone, start, start + HOUR).at(start)
    return typical * (1 + 0.22 * sin(hour / 17 + len(zone)) + 0.1 * sin(2 * pi * hour / 61 + ord(zone[0])))


@cache
def marginal(zone: str, hour: int) -> float:
    """What one more kilowatt hour causes, made up: a gas plant follows nearly always, where the grid is clean too."""
    return 430 * (1 + 0.12 * sin(hour / 5 + ord(zone[1]))) - 0.15 * grams(zone, hour)


@cache
def foreseen(zone: str, hour: int, lead_h: int) -> float:
    """The same as it was forecast: worse, the longer before."""
    error = random.Random(f"{zone} {hour} {lead_h}").gauss(0.01, 0.025 * sqrt(max(lead_h, 0)))
    return grams(zone, hour) * max(0.3, 1 + error * (zone != "FR" or 1.5))


def forecast(zone: str, now: datetime) -> IntensitySeries:
    """Of two days, with the last two hours as they came."""
    first = int(now.timestamp()) // 3600
    hours = range(first - 2, first + 48)
    return IntensitySeries.of(
        zone,
        [datetime.fromtimestamp(hour * 3600, tz=UTC) for hour in hours],
        [grams(zone, hour) if hour <= first else foreseen(zone, hour, hour - first) for hour in hours],
        step=HOUR,
        kind=[Kind.ACTUAL if hour <= first else Kind.FORECAST for hour in hours],
        provider="neso" if zone == "GB" else "csv",
        issued_at=now - timedelta(minutes=now.minute % 30 + 2),
    )


@dataclass(frozen=True, slots=True)
class Story:
    """A job from submission to end, with its energy in joules, PUE included."""

    uid: int
    name: str
    team: str
    method: Method
    home: str
    submitted: datetime
    start: datetime
    end: datetime
    deadline: datetime
    location: str
    reason: Reason
    joules: int

    @property
    def cluster(self) -> str:
        return LOCATIONS[self.location].match["cluster"]

    def mean_grams(self, location: str, start: datetime, of: Callable[[str, int], float] = grams) -> float:
        """Mean intensity where and when it would run for as long."""
        hours = range(
            int(start.timestamp()) // 3600, int((start + (self.end - self.start)).timestamp()) // 3600
        )
        return sum(of(LOCATIONS[location].zone, hour) for hour in hours) / len(hours)

    def seen(self, now: datetime) -> Job | None:
        """As the controller sees it, while it lives."""
        if not self.submitted <= now < self.end:
            return None
        waits = JobState.HELD if self.cluster == "kubernetes" else JobState.PENDING
        running = self.start <= now
        where = LOCATIONS[self.location]
        window = Segment(self.start, self.end, where.name, where.zone)
        plan = Plan(
            location=where.name, zone=where.zone, start=self.start, end=self.end, segments=(window,),
            latest_start=self.deadline - (self.end - self.start), reason=self.reason,
        )  # fmt: skip
        demand = Demand(16_000, 2**36, 2)
        return Job(
            key=JobKey(self.cluster, str(self.uid)), name=self.name, namespace=self.team,
            state=JobState.RUNNING if running else waits,
            request=JobRequest(submitted=self.submitted, deadline=self.deadline, demand=demand),
            home=self.home, location=where.name if running else None, plan=plan,
        )  # fmt: skip

    def settled(self, settled: Settled) -> Entry:
        """The ledger's row, by the actual intensity: first later at home, then elsewhere, then with less energy."""
        if self.cluster == "kubernetes" and random.Random(f"{self.uid} metered").random() < UNMETERED:
            return an_entry(
                str(self.uid), cluster=self.cluster, namespace=self.team, location=self.location,
                profile=EnergyProfile(), settled=settled, emissions_ug=None, baseline_ug=None, shares=(), avoided_ug={},
                intensity=(), deadline_kept=self.end <= self.deadline, unmeasured="no meter saw it",
            )  # fmt: skip
        spared = round(self.joules * SCALED) if self.cluster == "slurm" else 0
        before = self.mean_grams(self.home, self.submitted)
        later = self.mean_grams(self.home, self.start)
        there = self.mean_grams(self.location, self.start)
        whole = self.joules + spared
        avoided = {
            Cause.DELAYED: round(whole * (before - later) / 3.6),
            Cause.RELOCATED: round(whole * (later - there) / 3.6),
            Cause.SCALED: round(spared * there / 3.6),
        }
        emitted = round(self.joules * there / 3.6)
        baseline = emitted + sum(avoided.values())
        share = MethodShare(self.method, ("m",), self.joules * 1000, emitted, baseline)
        uncovered = random.Random(self.uid).choice((0.0, 0.0, 0.02, 0.1))
        return an_entry(
            str(self.uid), cluster=self.cluster, namespace=self.team, location=self.location,
            profile=EnergyProfile(an_entry().profile.slices, 1 - uncovered),
            settled=settled, emissions_ug=emitted, baseline_ug=baseline, shares=(share,),
            avoided_ug={cause: avoided.get(cause, 0) for cause in Cause},
            energy_avoided_mj={cause: spared * 1000 if cause is Cause.SCALED else 0 for cause in Cause},
            deadline_kept=self.end <= self.deadline,
            beside=a_beside(
                settled=settled,
                emissions_ug=round(self.joules * self.mean_grams(self.location, self.start, marginal) / 3.6),
                baseline_ug=round(whole * self.mean_grams(self.home, self.submitted, marginal) / 3.6),
            ),
        )  # fmt: skip


def stories(begin: datetime, end: datetime) -> Iterator[Story]:
    """Some jobs an hour, more by day; each starts in the cleanest hours of its places before its deadline."""
    luck = random.Random(20)
    uid, hour = 0, begin
    while hour < end:
        for _ in range(luck.choice((2, 3, 3, 4) if 8 <= hour.hour < 18 else (0, 1, 2))):
            uid += 1
            team, _, home, names, method = luck.choice(TEAMS)
            length = luck.choice((1, 2, 2, 3, 5)) * HOUR
            slack = luck.choice((0, 6, 12, 24, 36)) * HOUR
            places = PLACES[team]
            story = Story(
                uid, f"{luck.choice(names)}-{uid}", team, method, home, hour, hour, hour + length,
                hour + length + slack, home, Reason.NO_SLACK, luck.randint(4, 40) * 1_000_000,
            )  # fmt: skip
            yield _planned(story, slack, places)
        hour += HOUR


def _planned(story: Story, slack: timedelta, places: Sequence[str]) -> Story:
    if not slack:
        return story
    first = int(story.submitted.timestamp()) // 3600
    length = story.end - story.start

    def cost(choice: tuple[str, int]) -> float:
        place, wait = choice
        hours = range(wait, wait + length // HOUR)
        return sum(foreseen(LOCATIONS[place].zone, first + n, n) for n in hours)

    place, wait = min(((place, n) for place in places for n in range(slack // HOUR + 1)), key=cost)
    start = story.submitted + wait * HOUR
    reason = Reason.LOWEST_WINDOW if wait or place != story.home else Reason.RUN_NOW
    return replace(story, start=start, end=start + length, location=place, reason=reason)


def snapshot(living: Sequence[Story], now: datetime) -> Snapshot:
    """What a tick sees."""
    others = {
        name: Booking(
            now - HOUR, now + HOUR, Demand(int(16_000 * (2 + sin(now.timestamp() / 9000 + n))), 2**35, 2)
        )
        for n, name in enumerate(LOCATIONS)
    }
    return Snapshot(
        now=now,
        jobs=tuple(job for job in (story.seen(now) for story in living) if job is not None),
        rooms={name: Room(location, (others[name],)) for name, location in LOCATIONS.items()},
        series={zone: forecast(zone, now) for zone in ZONES},
    )
