"""Collecting: the ledger's sums and the last tick's snapshot as metric families, made anew for each scrape."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cleanhours.adapters.exposition.families import (
    FAMILIES,
    JOBS_LIMIT,
    LEADS_H,
    PREFIX,
    SERIES_LIMIT,
    Kind,
)
from cleanhours.adapters.exposition.labels import Namespaces, clean_label
from cleanhours.adapters.exposition.tallying import PrometheusTelemetry
from cleanhours.domain.accounts import ForecastError, Totals
from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.jobs import WAITING, Job
from cleanhours.domain.resources import Capacity, Demand
from cleanhours.domain.snapshots import Snapshot, at_risk
from cleanhours.ports import Ledger

log = logging.getLogger(__name__)

Rows = Mapping[tuple[str, ...], float]

_RESOURCES: Final = (
    ("cpus", "cpu_millicores", 1000),
    ("memory", "memory_bytes", 1),
    ("gpus", "gpus", 1),
    ("slots", "slots", 1),
)


class Exposition(Collector):
    """Everything that is scraped. `clusters` are the configured names, `places` the (cluster, location) pairs there can be.

    `show` is called after each tick; a scrape between two ticks sees the earlier one. A ledger that cannot be read for
    a while keeps its last sums.
    """

    def __init__(
        self,
        ledger: Ledger,
        telemetry: PrometheusTelemetry,
        *,
        clusters: Sequence[str] = (),
        places: int = 1,
    ) -> None:
        self._ledger = ledger
        self._telemetry = telemetry
        self._clusters = tuple(clusters)
        self._places = places
        self._snapshot: Snapshot | None = None
        self._settled: tuple[Totals, Sequence[ForecastError]] = (Totals(), ())
        self._lost = False
        self._lock = threading.Lock()
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def show(self, snapshot: Snapshot) -> None:
        """What the next scrapes tell."""
        self._snapshot = snapshot

    @property
    def shown(self) -> bool:
        """Whether there was a tick at all."""
        return self._snapshot is not None

    def describe(self) -> Iterable[Metric]:
        """Nothing: describing would read the ledger before there is one."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family that has a value, each once."""
        snapshot = self._snapshot
        yield from self._telemetry.collect()
        if snapshot is None:
            yield _family("leader", {(): 0.0})
            return
        leads = snapshot.leader
        totals, errors = self._read() if leads else (Totals(), ())
        namespaces = Namespaces(totals, self._places)
        namespaces.welcome(job.namespace for job in snapshot.jobs)
        if leads:
            yield from settled_families(totals, errors, namespaces)
        yield from living_families(snapshot, namespaces, self._clusters)

    def _read(self) -> tuple[Totals, Sequence[ForecastError]]:
        with self._lock:
            try:
                self._settled = (self._ledger.totals(), self._ledger.forecast_errors())
            except CleanhoursError as fault:
                if not self._lost:
                    log.warning("ledger not read for metrics error=%s", fault)
                self._lost = True
            else:
                self._lost = False
            return self._settled


def settled_families(
    totals: Totals, errors: Sequence[ForecastError], namespaces: Namespaces
) -> Iterator[Metric]:
    """What the ledger knows, in joules and grams."""
    energy: Counter[tuple[str, ...]] = Counter()
    emissions: Counter[tuple[str, ...]] = Counter()
    baseline: Counter[tuple[str, ...]] = Counter()
    for total in totals.counted:
        key = (total.cluster, total.location, namespaces.label(total.namespace), total.method.value)
        energy[key] += total.millijoules
        emissions[key] += total.emissions_ug
        baseline[key] += total.baseline_ug
    avoided: Counter[tuple[str, ...]] = Counter()
    spared: Counter[tuple[str, ...]] = Counter()
    for one in totals.avoided:
        label = namespaces.label(one.namespace)
        wearing = (one.cluster, one.location, label, one.cause.value, one.settled.value)
        avoided[wearing] += one.avoided_ug
        spared[wearing] += one.energy_avoided_mj
    yield _family("energy_joules_total", energy, 1e3)
    yield _family("emissions_grams_total", emissions, 1e6)
    yield _family("emissions_baseline_grams_total", baseline, 1e6)
    yield _family("emissions_avoided_grams", avoided, 1e6)
    yield _family("energy_avoided_joules", spared, 1e3)
    yield _family("corrections_grams", {(): totals.corrections_ug}, 1e6)
    if totals.provisional_ratio is not None:
        yield _family("provisional_ratio", {(): totals.provisional_ratio})
    yield _family(
        "meter_coverage_ratio", {(method.value,): share for method, share in totals.coverage.items()}
    )
    yield _family("deadline_misses_total", {(cluster,): n for cluster, n in totals.deadline_misses.items()})
    rows: Rows = {(error.zone, error.provider, f"{error.lead_hours}h"): error.ratio for error in errors}
    yield _family("forecast_error_ratio", rows)
    yield _family("settled_series_limit", {(): SERIES_LIMIT})
    yield _family("namespaces_in_other", {(): namespaces.in_other})


def living_families(snapshot: Snapshot, namespaces: Namespaces, clusters: Sequence[str]) -> Iterator[Metric]:
    """What the last tick saw."""
    jobs, now = snapshot.jobs, snapshot.now
    counted: Counter[tuple[str, ...]] = Counter(
        (job.key.cluster, namespaces.label(job.namespace), job.state.value) for job in jobs
    )
    planned: Counter[tuple[str, ...]] = Counter(
        (job.key.cluster, job.plan.location, _starts(job.plan.start - now))
        for job in jobs
        if job.state in WAITING and job.plan is not None
    )
    risks: Counter[tuple[str, ...]] = Counter({(name,): 0 for name in clusters})
    risks.update((job.key.cluster,) for job in jobs if at_risk(job, now))
    yield _family("leader", {(): float(snapshot.leader)})
    yield _family("jobs", counted)
    yield _family("jobs_planned", planned)
    yield _family("jobs_at_risk", risks)
    yield _family("capacity", _capacity(snapshot, clusters))
    yield _family("carbon_intensity_grams_per_kwh", _intensity(snapshot))
    yield _family("forecast_age_seconds", _ages(snapshot))
    yield _family("job_state", _job_rows(jobs, now))


def _family(name: str, rows: Rows, divisor: float = 1.0) -> Metric:
    """A family of rows by label values, in its base unit."""
    family = FAMILIES[name]
    kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = kind(PREFIX + name, family.help, labels=family.labels)
    summed: Counter[tuple[str, ...]] = Counter()
    for labels, value in rows.items():
        summed[tuple(clean_label(label) for label in labels)] += value  # type: ignore[assignment]
    for labels, value in summed.items():
        metric.add_metric(labels, value / divisor)
    return metric


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
    return {
        (zone, series.provider): max(0.0, (snapshot.now - series.issued_at).total_seconds())
        for zone, series in snapshot.series.items()
        if series.issued_at is not None
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
