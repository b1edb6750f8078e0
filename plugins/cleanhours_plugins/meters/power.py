"""Power: gauges of any name that a Prometheus server keeps: of board controllers, power strips, Scaphandre, node exporters.

Each gauge of `[[meters.power.gauges]]` says its `metric`, its `unit`, the `component` that it is of, and by which `labels` a
run's series are found: regular expressions with `{uid}`, `{pod}`, `{name}`, `{namespace}` and `{location}`. Series that match
are added, but those that differ in `replica_labels` only. Samples are joined by straight lines; nothing is said of a silence
longer than `max_gap`, which lowers the coverage. A gauge that is `shared` with others is an upper estimate, `power/shared`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.times import MICROSECOND
from cleanhours.ports import Context
from cleanhours_plugins.meters.keys import Table, check_keys
from cleanhours_plugins.meters.prometheus import pods
from cleanhours_plugins.meters.prometheus.asking import Series, Window
from cleanhours_plugins.meters.prometheus.counters import Account
from cleanhours_plugins.meters.prometheus.fetching import LOT_CHARACTERS, Over, fetch
from cleanhours_plugins.meters.prometheus.gauges import integral, longest, within
from cleanhours_plugins.meters.prometheus.inquiring import inquire
from cleanhours_plugins.meters.prometheus.pods import Pod
from cleanhours_plugins.meters.prometheus.profiles import Span, window_of
from cleanhours_plugins.meters.prometheus.server import Server
from cleanhours_plugins.meters.prometheus.settings import KEYS, max_gap, server_of
from cleanhours_plugins.meters.prometheus.telling import UNKNOWN, Told, told
from cleanhours_plugins.meters.prometheus.templates import (
    PLACEHOLDERS,
    checked,
    expressions,
    spans_told,
    used,
)

UNITS: Final[Mapping[str, float]] = {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "µW": 1e-6, "kW": 1e3}
"""Watts to one unit."""
MOST_GAUGES: Final = 3
"""Each that is found by labels of its own is a question a run."""
_REPLICAS: Final = ("replica", "prometheus_replica", "prometheus")
_KEYS: Final = ("metric", "labels", "unit", "component", "shared", "replica_labels")
_SERIES: Final = 10
"""How many a gauge without Pods is taken to have."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric of power."""

    metric: str
    labels: Mapping[str, str]
    watts: float
    component: Component
    shared: bool = False
    replica_labels: frozenset[str] = frozenset(_REPLICAS)

    @property
    def found_by(self) -> tuple[tuple[str, str], ...]:
        """Gauges that are found by the same labels are one question."""
        return tuple(sorted(self.labels.items()))

    @property
    def placeholders(self) -> frozenset[str]:
        return used(self.labels)


@dataclass(slots=True)
class PowerMeter:
    """Integrates a site's own gauges. Without a server it knows nothing."""

    server: Server | None = None
    gauges: tuple[Gauge, ...] = ()
    longest_gap: timedelta = timedelta(minutes=5)
    name: str = "power"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        gauges = [gauge for gauge in self.gauges if _is_for(gauge, run)]
        return inquire(self.server, run, partial(self._asked, gauges)) if gauges else UNKNOWN

    def _asked(
        self, gauges: Sequence[Gauge], server: Server, run: FinishedRun, spans: Sequence[Span]
    ) -> EnergyProfile:
        window = window_of(spans)
        found: Sequence[Pod] = ()
        wanted = frozenset().union(*(gauge.placeholders for gauge in gauges))
        if "pod" in wanted or ("uid" in wanted and pods.uids_of(run) and pods.is_whole(run)):
            found = pods.read(server.series(pods.question(run, pods.uids_of(run), window)))
        series = _fetched(server, gauges, run, found, window)
        parts = []
        for gauge in gauges:
            name = f"{self.name}/shared" if gauge.shared else self.name
            own = [one for one in series[gauge.found_by] if one.metric == gauge.metric]
            accounts, share = self._read(gauge, run, found, own)
            part = Told(gauge.component, Method.MEASURED, name, accounts, share, gauge.shared, keep_all=False)
            parts.append(part)
        return told(parts, spans, server.enough)

    def _read(
        self, gauge: Gauge, run: FinishedRun, found: Sequence[Pod], series: Sequence[Series]
    ) -> tuple[tuple[Account, ...], float]:
        """What its series drew while they told of the run, and the share of its Pods that they are of."""
        told_by = spans_told(series, gauge.labels, run, found)
        accounts = []
        for replicas in _replicas(told_by, gauge.replica_labels).values():
            gap_us = self.longest_gap // MICROSECOND
            drawn = integral(longest([one for one, _ in replicas]), watts=gauge.watts, longest_gap_us=gap_us)
            accounts.append(within(drawn, replicas[0][1]))
        return tuple(accounts), _share(gauge, run, found, series)


def _fetched(
    server: Server, gauges: Sequence[Gauge], run: FinishedRun, found: Sequence[Pod], window: Window
) -> dict[tuple[tuple[str, str], ...], list[Series]]:
    """The series of all gauges, by the labels that found them: a question each, or one a gauge where that is too long."""
    alike: dict[tuple[tuple[str, str], ...], list[Gauge]] = defaultdict(list)
    for gauge in gauges:
        if found or "pod" not in gauge.placeholders:
            alike[gauge.found_by].append(gauge)
    series: dict[tuple[tuple[str, str], ...], list[Series]] = defaultdict(list)
    for labels, group in alike.items():
        matchers = expressions(group[0].labels, run, found, run.segments)
        names = list(dict.fromkeys(gauge.metric for gauge in group))
        # in steps each metric says its matchers again
        short = sum(map(len, matchers.values())) <= LOT_CHARACTERS
        for metrics in (names,) if short else ([name] for name in names):
            expected = len(metrics) * max(_SERIES, len(found))
            over = dict.fromkeys(metrics, Over.MEAN)
            series[labels] += fetch(server, over, matchers, window, series=expected)
    return series


def _is_for(gauge: Gauge, run: FinishedRun) -> bool:
    """A gauge that is found by Pods has nothing to say of runs without."""
    return "pod" not in gauge.placeholders or bool(pods.uids_of(run))


def _replicas(
    told_by: Iterable[tuple[Series, list[Span]]], labels: frozenset[str]
) -> dict[str, list[tuple[Series, list[Span]]]]:
    found: dict[str, list[tuple[Series, list[Span]]]] = defaultdict(list)
    for one, spans in told_by:
        if spans and one.samples:
            found[repr(sorted((k, v) for k, v in one.labels.items() if k not in labels))].append((one, spans))
    return found


def _share(gauge: Gauge, run: FinishedRun, found: Sequence[Pod], series: Iterable[Series]) -> float:
    """Of the Pods by which a gauge is found, those that it knows."""
    by = gauge.placeholders & {"pod", "uid"}
    known = len(pods.uids_known(run, found)) if by else 0
    label = next((k for k, text in gauge.labels.items() if used({k: text}) & by), None)
    if not known or label is None:
        return 1.0
    return len({one.labels.get(label, "") for one in series}) / known


def build(settings: Mapping[str, Any], context: Context) -> PowerMeter:
    """The meter; with an empty table it knows nothing and asks nobody. Raises ConfigurationError naming every fault."""
    table = Table("power", settings, (*KEYS, "gauges", "max_gap"))
    server = server_of(table, settings, context.clock)
    gap = max_gap(table)
    gauges = table.take(
        "gauges", list[Mapping[str, Any]](), _tables, f"one to {MOST_GAUGES} tables, [[meters.power.gauges]]"
    )
    if settings and not gauges and "gauges" not in settings:
        table.fault("gauges", None, f"one to {MOST_GAUGES} tables, [[meters.power.gauges]]")
    built = tuple(_gauge(table, f"gauges[{index}]", each) for index, each in enumerate(gauges))
    kinds = [gauge.component for gauge in built]
    if len(set(kinds)) < len(kinds) or (Component.WHOLE in kinds and len(kinds) > 1):
        table.fault("gauges", [str(kind) for kind in kinds], "each component once, and whole alone")
    table.close()
    return PowerMeter(server, built, gap)


def _tables(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_GAUGES:
        raise ValueError(value)
    if not all(isinstance(each, Mapping) for each in value):
        raise ValueError(value)
    return value


def _gauge(table: Table, at: str, settings: Mapping[str, Any]) -> Gauge:
    """One gauge; what is wrong with it is added to the table's faults."""
    try:
        check_keys(f"power.{at}", settings, _KEYS)
    except ConfigurationError as fault:
        table.add(str(fault))
    metric = settings.get("metric")
    if not isinstance(metric, str) or not metric:
        table.fault(f"{at}.metric", metric, "the name of a metric")
    labels = settings.get("labels")
    if not _are_labels(labels):
        names = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        table.fault(
            f"{at}.labels", labels, f"a table of regular expressions, one of them at least with {names}"
        )
        labels = {}
    unit = settings.get("unit", "W")
    if not isinstance(unit, str) or unit not in UNITS:
        table.fault(f"{at}.unit", unit, f"one of {', '.join(UNITS)}")
    component = settings.get("component", "whole")
    if component not in tuple(Component):
        table.fault(f"{at}.component", component, f"one of {', '.join(Component)}")
        component = Component.WHOLE
    shared = settings.get("shared", False)
    if not isinstance(shared, bool):
        table.fault(f"{at}.shared", shared, "true or false")
    replicas = settings.get("replica_labels", list(_REPLICAS))
    if not isinstance(replicas, list) or not all(isinstance(each, str) for each in replicas):
        table.fault(f"{at}.replica_labels", replicas, "a list of names of labels")
        replicas = []
    watts = UNITS.get(str(unit), 1.0)
    return Gauge(str(metric), labels or {}, watts, Component(component), shared is True, frozenset(replicas))


def _are_labels(value: Any) -> bool:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        return False
    try:
        return bool(used({name: checked(text) for name, text in value.items()}))
    except ValueError:
        return False
