"""A week of two clusters: a real ledger in three states, the jobs that live, and what the real exposition told meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest

from cleanhours.adapters.exposition import Exposition, PrometheusTelemetry
from cleanhours.domain.accounts import Beside, Cause, Entry, MethodShare, Settled
from cleanhours.domain.energy import EnergyProfile, Method
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Reason, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours.domain.snapshots import Snapshot
from cleanhours.ports import Ledger
from cleanhours.testing.ledger_contract import HOUR, a_beside, a_plan, an_entry

CLUSTERS = ("kubernetes", "slurm")
STEP = timedelta(minutes=4)
"""Between two scrapes of the past: Prometheus looks back for five."""

EIGHTH = 125_000
"""Micrograms in an eighth of a gram: sums of eighths are exact in binary, in whatever order Prometheus adds them."""


def row(
    uid: str,
    *,
    emitted: int,
    avoided: Mapping[Cause, int],
    method: Method = Method.MEASURED,
    coverage: float = 1.0,
    kept: bool = True,
    **more: Any,
) -> Entry:
    """A settled run; `emitted` and `avoided` in eighths of a gram: 125 J were used for each, and 1 J avoided for each."""
    saved = sum(avoided.values())
    share = MethodShare(method, ("m",), emitted * 125_000, emitted * EIGHTH, (emitted + saved) * EIGHTH)
    one = an_entry(uid)
    return an_entry(
        uid,
        **{
            "profile": EnergyProfile(one.profile.slices, coverage),
            "emissions_ug": emitted * EIGHTH,
            "baseline_ug": (emitted + saved) * EIGHTH,
            "avoided_ug": {cause: avoided.get(cause, 0) * EIGHTH for cause in Cause},
            "energy_avoided_mj": {cause: avoided.get(cause, 0) * 1000 for cause in Cause},
            "shares": (share,),
            "deadline_kept": kept,
            **more,
        },
    )


def second(emitted: int, baseline: int, settled: Settled = Settled.FINAL) -> Beside:
    """What a run says in marginal intensity, in eighths of a gram."""
    return a_beside(settled=settled, emissions_ug=emitted * EIGHTH, baseline_ug=baseline * EIGHTH)


PARIS: Mapping[str, Any] = {"cluster": "kubernetes", "namespace": "vision", "location": "paris"}
OSLO: Mapping[str, Any] = {"cluster": "slurm", "namespace": "physics", "location": "oslo"}


NOTHING: Mapping[str, Any] = {
    "emissions_ug": None, "baseline_ug": None, "avoided_ug": {}, "energy_avoided_mj": {}, "shares": (),
    "profile": EnergyProfile(), "intensity": (), "unmeasured": "no meter knew its energy",
}  # fmt: skip
"""A run whose energy nobody knows."""


def more_than_a_week_ago() -> Iterable[Entry]:
    """Two clusters, one miss, one loss."""
    yield row("1", emitted=80, avoided={Cause.DELAYED: 24, Cause.RELOCATED: 8}, kept=False, **PARIS)
    yield row("2", emitted=40, avoided={Cause.PAUSED: -4}, method=Method.DECLARED, **PARIS)
    yield row(
        "3",
        emitted=400,
        avoided={Cause.SCALED: 56, Cause.CAPPED: 8},
        method=Method.SLURM,
        beside=second(640, 600, Settled.PROVISIONAL),
        **OSLO,
    )


def within_the_week() -> Iterable[Entry]:
    """What is provisional and will be final; a run that no actual intensity ever came for."""
    yield row(
        "4", emitted=64, avoided={Cause.DELAYED: 16}, coverage=0.5, settled=Settled.PROVISIONAL, **PARIS
    )
    yield row("5", emitted=8, avoided={Cause.DELAYED: 2}, settled=Settled.TYPICAL, **OSLO)
    yield row("6", emitted=120, avoided={Cause.DELAYED: -40}, beside=second(200, 280), **OSLO)


def within_the_day() -> Iterable[Entry]:
    """A provisional row becomes final, a final one is corrected, another is new; a namespace begins; one run has no energy."""
    yield row("4", emitted=72, avoided={Cause.DELAYED: 8}, coverage=0.5, **PARIS)
    yield row("1", emitted=88, avoided={Cause.DELAYED: 16, Cause.RELOCATED: 8}, kept=False, **PARIS)
    yield row("7", emitted=16, avoided={Cause.RELOCATED: 48}, **{**PARIS, "namespace": "speech"})
    yield row("8", emitted=24, avoided={Cause.PAUSED: 6}, settled=Settled.PROVISIONAL, **PARIS)
    yield row("9", emitted=160, avoided={Cause.SCALED: 20}, kept=False, **OSLO)
    unknown = Beside(settled=Settled.PROVISIONAL, unknown="not published yet")
    yield row("10", emitted=0, avoided={}, beside=unknown, **OSLO)
    yield an_entry("12", **NOTHING, **OSLO)
    yield row("11", emitted=8, avoided={}, beside=second(24, 8, Settled.PROVISIONAL), **PARIS)


@dataclass
class Week:
    """Tells its exposition instant by instant, up to `now`, which is a whole minute."""

    ledger: Ledger
    now: datetime
    telemetry: PrometheusTelemetry = field(default_factory=PrometheusTelemetry)
    exposition: Exposition = field(init=False)
    stretches: list[tuple[datetime, datetime]] = field(default_factory=list)
    _told: dict[str, Metric] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exposition = Exposition(self.ledger, self.telemetry, clusters=CLUSTERS)

    def settle(self, entries: Callable[[], Iterable[Entry]]) -> None:
        for entry in entries():
            assert self.ledger.record(entry)

    def live(self, start: datetime, end: datetime) -> None:
        """What would have been scraped every four minutes of [start, end)."""
        self.stretches.append((start, end))
        instant = start
        while instant < end:
            self.work()
            self.exposition.show(snapshot(instant))
            for metric in self.exposition.collect():
                told = self._told.setdefault(
                    metric.name, Metric(metric.name, metric.documentation, metric.type)
                )
                for sample in metric.samples:
                    labels = {"job": "cleanhours", "instance": "before:9464", **sample.labels}
                    told.add_sample(sample.name, labels, sample.value, instant.timestamp())
            instant += STEP

    def work(self) -> None:
        """What a process counts between two scrapes."""
        for cluster in CLUSTERS:
            self.telemetry.count("decisions_total", cluster=cluster, reason="lowest-window")
            self.telemetry.observe("start_delay_seconds", 3600, cluster=cluster)
            self.telemetry.observe("release_lag_seconds", 0.2, cluster=cluster)
        self.telemetry.count("provider_requests_total", provider="neso", outcome="ok")

    def write(self, path: Path) -> None:
        """All of it in OpenMetrics, with times, for promtool to make blocks of."""

        class Told:
            collect = self._told.values

        path.write_bytes(generate_latest(Told()))  # type: ignore[no-untyped-call]


def snapshot(now: datetime) -> Snapshot:
    """Four jobs at two places on two grids; one of them is late."""
    window = Segment(now + 3 * HOUR, now + 4.5 * HOUR, "paris", "FR")
    plan = a_plan(
        start=window.start, end=window.end, segments=(window,), latest_start=now + 5 * HOUR, location="paris"
    )
    late = a_plan(start=now, latest_start=now - HOUR, location="oslo", reason=Reason.NO_SLACK)
    jobs = (
        a_job("kubernetes", "1", "bert", "vision", JobState.HELD, now, plan=plan),
        a_job("kubernetes", "2", "whisper", "speech", JobState.RUNNING, now, plan=plan, location="paris"),
        a_job("slurm", "3", "lattice", "physics", JobState.PENDING, now, plan=late),
        a_job("slurm", "4", "theirs", "physics", JobState.UNMANAGED, now),
    )
    capacity = Capacity(64_000, 2**38, 8, 4)
    others = Booking(now - HOUR, now + HOUR, Demand(4_000, 2**33, 1))
    rooms = {
        "paris": Room(Location("paris", "FR", capacity=capacity, match={"cluster": "kubernetes"}), (others,)),
        "oslo": Room(Location("oslo", "NO-NO1", capacity=capacity), (others,)),
    }
    return Snapshot(
        now=now, jobs=jobs, rooms=rooms, series={zone: intensity(zone, now) for zone in ("FR", "NO-NO1")}
    )


def a_job(
    cluster: str, uid: str, name: str, namespace: str, state: JobState, now: datetime, **more: Any
) -> Job:
    request = JobRequest(submitted=now - HOUR, demand=Demand(8_000, 2**34, 2))
    return Job(
        key=JobKey(cluster, uid),
        name=name,
        namespace=namespace,
        state=state,
        request=request,
        home="paris",
        **more,
    )


def intensity(zone: str, now: datetime) -> IntensitySeries:
    """A year knows no two hours alike: gCO2e per kWh are hours since the epoch, modulo a hundred, and more in France."""
    first = now.replace(minute=0, second=0, microsecond=0)
    starts = [first + n * HOUR for n in range(-2, 48)]
    kinds = [Kind.ACTUAL if start < now else Kind.FORECAST for start in starts]
    values = [grams(zone, start) for start in starts]
    return IntensitySeries.of(
        zone, starts, values, step=HOUR, kind=kinds, provider="csv", issued_at=now - timedelta(minutes=5)
    )


def grams(zone: str, at: datetime) -> float:
    return at.timestamp() // 3600 % 100 + (100 if zone == "FR" else 10)
