"""Living: what the last tick saw, as rows by label values. Counted once a tick, not once a scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from cleanhours.adapters.exposition.ahead import intensity_ahead, planned_ahead
from cleanhours.adapters.exposition.families import JOBS_LIMIT, LEADS_H
from cleanhours.adapters.exposition.labels import clean_label
from cleanhours.domain.jobs import WAITING, Job
from cleanhours.domain.resources import Capacity, Demand
from cleanhours.domain.snapshots import Snapshot, at_risk

Rows = Mapping[tuple[str, ...], float]

_RESOURCES: Final = (
    ("cpus", "cpu_millicores", 1000),
    ("memory", "memory_bytes", 1),
    ("gpus", "gpus", 1),
    ("slots", "slots", 1),
)


@dataclass(frozen=True, slots=True)
class Living:
    """`jobs` counts by cluster, namespace (whether or not it has a label of its own) and state; `rows` are by family."""

    leads: bool
    jobs: Mapping[tuple[str, str, str], int]
    rows: Mapping[str, Rows]

    @classmethod
    def seen(cls, snapshot: Snapshot, clusters: Sequence[str]) -> Self:
        """Everything that a snapshot tells."""
        jobs, now = snapshot.jobs, snapshot.now
        planned: Counter[tuple[str, ...]] = Counter(
            (job.key.cluster, job.plan.location, _starts(job.plan.start - now))
            for job in jobs
            if job.state in WAITING and job.plan is not None
        )
        risks: Counter[tuple[str, ...]] = Counter({(name,): 0 for name in clusters})
        risks.update((job.key.cluster,) for job in jobs if at_risk(job, now))
        rows: dict[str, Rows] = {
            "leader": {(): float(snapshot.leader)},
            "jobs_planned": planned,
            "jobs_planned_ahead": planned_ahead(
                jobs, (room.location.zone for room in snapshot.rooms.values()), now
            ),
            "jobs_at_risk": risks,
            "capacity": _capacity(snapshot, clusters),
            "location_info": {(name, room.location.zone): 1.0 for name, room in snapshot.rooms.items()},
            "carbon_intensity_grams_per_kwh": _intensity(snapshot),
            "carbon_intensity_ahead_grams_per_kwh": intensity_ahead(snapshot.series, now),
            "forecast_age_seconds": _ages(snapshot),
            "job_state": _job_rows(jobs, now),
        }
        return cls(
            snapshot.leader, Counter((job.key.cluster, job.namespace, job.state.value) for job in jobs), rows
        )


def _starts(wait: timedelta) -> str:
    hours = wait / timedelta(hours=1)
    return next((f"{lead}h" for lead in LEADS_H if hours <= lead), "later")


def _capacity(snapshot: Snapshot, clusters: Sequence[str]) -> dict[tuple[str, ...], float]:
    """Totals and what others hold now, under the cluster the location belongs to; ours, under each job's cluster."""
    rows: dict[tuple[str, ...], float] = {}
    for name, room in snapshot.rooms.items():
        cluster = room.location.match.get("cluster") or (clusters[0] if len(clusters) == 1 else "")
        _add_amounts(rows, cluster, name, "total", room.location.capacity)
        for booking in room.others:
            if booking.start <= snapshot.now < booking.end:
                _add_amounts(rows, cluster, name, "others", booking.demand)
    for job in snapshot.jobs:
        if job.state not in WAITING and job.location is not None:
            _add_amounts(rows, job.key.cluster, job.location, "ours", job.request.demand)
    return rows


def _add_amounts(
    rows: dict[tuple[str, ...], float], cluster: str, location: str, use: str, amounts: Capacity | Demand
) -> None:
    for resource, attribute, divisor in _RESOURCES:
        amount = getattr(amounts, attribute)
        if amount is not None and (amount or use == "total"):
            key = (cluster, location, resource, use)
            rows[key] = rows.get(key, 0.0) + amount / divisor


def _intensity(snapshot: Snapshot) -> dict[tuple[str, ...], float]:
    rows: dict[tuple[str, ...], float] = {}
    for zone, series in snapshot.series.items():
        for lead in (0, *LEADS_H):
            instant = snapshot.now + timedelta(hours=lead)
            if series.start <= instant < series.end:
                kind = series.kind_at(instant).value
                rows[zone, kind, series.measure.signal.value, f"{lead}h"] = series.at(instant)
    return rows


def _ages(snapshot: Snapshot) -> dict[tuple[str, ...], float]:
    """Of a zone that had a live forecast, for ever: an alert must not end because typical values took its place."""
    in_use = {
        zone: (series.provider, series.issued_at)
        for zone, series in snapshot.series.items()
        if series.issued_at is not None
    }
    return {
        (zone, provider): max(0.0, (snapshot.now - issued).total_seconds())
        for zone, (provider, issued) in ({**snapshot.issued, **in_use}).items()
    }


def _job_rows(jobs: Sequence[Job], now: datetime) -> dict[tuple[str, ...], float]:
    """At most 500 jobs, those at risk first, then those that run, then the next to start."""
    names = Counter((job.key.cluster, job.namespace, clean_label(job.name)) for job in jobs)

    def urgency(job: Job) -> tuple[bool, bool, float]:
        start = job.plan.start.timestamp() if job.plan is not None else 0.0
        return (not at_risk(job, now), job.state in WAITING, start)

    rows: dict[tuple[str, ...], float] = {}
    for job in sorted(jobs, key=urgency)[:JOBS_LIMIT]:
        alone = names[job.key.cluster, job.namespace, clean_label(job.name)] == 1
        shown = job.name if alone else f"{job.name[:60]} {job.key.uid[:50]}"
        location = job.location or (job.plan.location if job.plan is not None else "")
        reason = job.plan.reason.value if job.plan is not None else ""
        rows[job.key.cluster, job.namespace, shown, job.state.value, location, reason] = 1.0
    return rows
