"""Collecting: the ledger's sums and the last tick's snapshot as metric families, made anew for each scrape."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cleanhours.adapters.exposition.families import FAMILIES, PREFIX, UNKNOWN, Kind
from cleanhours.adapters.exposition.labels import Namespaces, clean_label, namespaces_with_label, places_in
from cleanhours.adapters.exposition.living import Living, Rows
from cleanhours.adapters.exposition.tallying import PrometheusTelemetry
from cleanhours.domain.accounts import ForecastError, Totals
from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.snapshots import Snapshot
from cleanhours.ports import Ledger

log = logging.getLogger(__name__)


class Exposition(Collector):
    """Everything that is scraped. `clusters` are the configured names, `places` the (cluster, location) pairs there can be.

    `show` is called after each tick; a scrape between two ticks sees the earlier one. `sum_up`, called after each
    settlement, spares the next scrape that work. A ledger that cannot be read for a while keeps its last sums.
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
        self._living: Living | None = None
        self._settled: tuple[Totals, Sequence[str], Sequence[ForecastError]] = (Totals(), (), ())
        self._told: tuple[Totals, tuple[Metric, ...]] = (Totals(), ())
        self._lost = False
        self._lock = threading.Lock()
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def show(self, snapshot: Snapshot) -> None:
        """What the next scrapes tell. Counted here: jobs are many, and a scrape should be short."""
        self._living = Living.seen(snapshot, self._clusters)

    def sum_up(self) -> None:
        """Makes the sums of what was settled just now: the next scrape finds them, and is as short as any."""
        if self._living is not None and self._living.leads:
            totals, labelled, _ = self._read()
            self._families_of(totals, Namespaces(totals, labelled, self._places))

    @property
    def shown(self) -> bool:
        """Whether there was a tick at all."""
        return self._living is not None

    def describe(self) -> Iterable[Metric]:
        """Nothing: describing would read the ledger before there is one."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family that has a value, each once."""
        living = self._living
        yield from self._telemetry.collect()
        if living is None:
            yield _family("leader", {(): 0.0})
            return
        totals, labelled, errors = self._read() if living.leads else (Totals(), (), ())
        namespaces = Namespaces(totals, labelled, self._places)
        namespaces.welcome(namespace for _, namespace, _ in living.jobs)
        if living.leads:
            yield from self._families_of(totals, namespaces)
            yield _errors(errors)
        yield from living_families(living, namespaces)

    def _families_of(self, totals: Totals, namespaces: Namespaces) -> Sequence[Metric]:
        """Made anew only where the ledger has new sums: runs finish seldom, and scrapes are many."""
        told = self._told
        if told[0] is not totals:
            self._told = told = (totals, tuple(settled_families(totals, namespaces)))
        return told[1]

    def _read(self) -> tuple[Totals, Sequence[str], Sequence[ForecastError]]:
        with self._lock:
            try:
                totals = self._ledger.totals()
                before, labelled, _ = self._settled
                if totals is not before:
                    # only a ledger that says what it gave is told: a label that was told once may not change
                    most = namespaces_with_label(max(self._places, places_in(totals)))
                    labelled = self._ledger.label_namespaces(most)
                self._settled = (totals, labelled, self._ledger.forecast_errors())
            except CleanhoursError as fault:
                if not self._lost:
                    log.warning("ledger not read for metrics error=%s", fault)
                self._lost = True
            else:
                self._lost = False
            return self._settled


def settled_families(totals: Totals, namespaces: Namespaces) -> Iterator[Metric]:
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
    emitted: Counter[tuple[str, ...]] = Counter()
    at_home: Counter[tuple[str, ...]] = Counter()
    for row in totals.beside:
        worn = (row.cluster, row.location, row.signal.value, row.scope.value, row.settled.value)
        emitted[worn] += row.emissions_ug
        at_home[worn] += row.baseline_ug
    yield _family("emissions_beside_grams", emitted, 1e6)
    yield _family("emissions_baseline_beside_grams", at_home, 1e6)
    ran: Rows = {
        (one.cluster, one.location, one.method.value if one.method else UNKNOWN): one.runs
        for one in totals.runs
    }
    yield _family("runs_settled_total", ran)
    yield _family("corrections_grams", {(): totals.corrections_ug}, 1e6)
    if totals.provisional_ratio is not None:
        yield _family("provisional_ratio", {(): totals.provisional_ratio})
    yield _family(
        "meter_coverage_ratio", {(method.value,): share for method, share in totals.coverage.items()}
    )
    yield _family("deadline_misses_total", {(cluster,): n for cluster, n in totals.deadline_misses.items()})
    yield _family("settled_series_limit", {(): namespaces.limit})
    yield _family("namespaces_in_other", {(): namespaces.in_other})


def _errors(errors: Sequence[ForecastError]) -> Metric:
    rows: Rows = {(error.zone, error.provider, f"{error.lead_hours}h"): error.ratio for error in errors}
    return _family("forecast_error_ratio", rows)


def living_families(living: Living, namespaces: Namespaces) -> Iterator[Metric]:
    """What the last tick saw."""
    counted: Counter[tuple[str, ...]] = Counter()
    for (cluster, namespace, state), jobs in living.jobs.items():
        counted[cluster, namespaces.label(namespace), state] += jobs
    yield _family("jobs", counted)
    for name, rows in living.rows.items():
        yield _family(name, rows)


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
