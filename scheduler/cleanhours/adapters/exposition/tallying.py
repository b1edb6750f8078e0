"""Tallying what this process does: counters, gauges and histograms that plugins and the cycle feed."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from cleanhours.adapters.exposition.families import FAMILIES, PREFIX, Family, Kind, Teller
from cleanhours.adapters.exposition.labels import clean_label

log = logging.getLogger(__name__)

SERIES_EACH = 300
"""Series a family may have: a plugin that labels by job must not grow without bound."""

Labels = tuple[str, ...]


@dataclass(slots=True)
class _Histogram:
    counts: list[int]
    total: float = 0.0


@dataclass(slots=True)
class PrometheusTelemetry:
    """A `cleanhours.ports.Telemetry`. Safe to share between threads.

    A name or label that docs/metrics.md does not know is said once and left out: measuring never harms a job.
    """

    _values: dict[str, dict[Labels, float]] = field(default_factory=dict)
    _histograms: dict[str, dict[Labels, _Histogram]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _said: set[str] = field(default_factory=set)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        values = self._series(name, Kind.COUNTER, labels)
        if values is None:
            return
        if amount < 0:
            self._say(name, f"a counter cannot fall by {amount}")
            return
        with self._lock:
            series = self._values.setdefault(name, {})
            if self._has_room(name, series, values):
                series[values] = series.get(values, 0.0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        values = self._series(name, Kind.GAUGE, labels)
        if values is None:
            return
        with self._lock:
            series = self._values.setdefault(name, {})
            if self._has_room(name, series, values):
                series[values] = value

    def observe(self, name: str, value: float, **labels: str) -> None:
        values = self._series(name, Kind.HISTOGRAM, labels)
        if values is None:
            return
        buckets = FAMILIES[name].buckets
        with self._lock:
            series = self._histograms.setdefault(name, {})
            if self._has_room(name, series, values):
                one = series.setdefault(values, _Histogram([0] * (len(buckets) + 1)))
                one.counts[bisect_left(buckets, value)] += 1
                one.total += value

    def collect(self) -> Iterator[Metric]:
        """The families that have a value."""
        with self._lock:
            found = [self._plain(FAMILIES[name], series) for name, series in self._values.items()]
            found += [_histogram(FAMILIES[name], series) for name, series in self._histograms.items()]
        yield from found

    def _plain(self, family: Family, series: dict[Labels, float]) -> Metric:
        kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
        metric = kind(PREFIX + family.name, family.help, labels=family.labels)
        for labels, value in series.items():
            metric.add_metric(labels, value)
        return metric

    def _series(self, name: str, kind: Kind, labels: dict[str, str]) -> Labels | None:
        family = FAMILIES.get(name)
        if family is None or family.teller is not Teller.TELEMETRY or family.kind is not kind:
            self._say(name, f"no {kind} that a process may feed")
            return None
        if set(labels) != set(family.labels):
            self._say(name, f"labels {sorted(labels)}, accepted: {sorted(family.labels)}")
            return None
        return tuple(clean_label(labels[label]) for label in family.labels)

    def _has_room(
        self, name: str, series: dict[Labels, float] | dict[Labels, _Histogram], values: Labels
    ) -> bool:
        if values in series or len(series) < SERIES_EACH:
            return True
        self._say(name, f"more than {SERIES_EACH} series")
        return False

    def _say(self, name: str, why: str) -> None:
        if name not in self._said:
            self._said.add(name)
            log.warning("metric left out name=%s why=%s", clean_label(name), why)


def _histogram(family: Family, series: dict[Labels, _Histogram]) -> Metric:
    metric = HistogramMetricFamily(PREFIX + family.name, family.help, labels=family.labels)
    for labels, one in series.items():
        cumulative, buckets = 0, []
        for bound, count in zip((*map(str, family.buckets), "+Inf"), one.counts, strict=True):
            cumulative += count
            buckets.append((bound, float(cumulative)))
        metric.add_metric(labels, buckets, one.total)
    return metric
