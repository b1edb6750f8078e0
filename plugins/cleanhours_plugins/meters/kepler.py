"""Kepler: joules of each Pod's processors, memory and GPUs, from a Prometheus server that scrapes it.

From 0.10 on: `kepler_pod_cpu_joules_total{pod_id,zone,state}` and `kepler_pod_gpu_joules_total{pod_id,state}`
(https://sustainable-computing.io/kepler, docs/user/metrics.md). `pod_id` is the Pod's UID. Zones overlap (a package holds its
cores; psys holds all): only `package` and `dram` are taken. A Pod that has ended repeats its final total once under
`state="terminated"`: states are one counter. What a node draws when idle is nobody's.

Before: `kepler_container_package_joules_total{container_namespace,pod_name,mode}`, `…_dram_…`, `…_gpu_…`, of which the mode
`dynamic` is the container's own. They know no UID: the Pod's name comes from `kube_pod_info`. Which of the two a site has is
asked once, and again where a run is not found.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.jobs import FinishedRun
from cleanhours.ports import Context
from cleanhours_plugins.meters.keys import Table
from cleanhours_plugins.meters.prometheus import pods
from cleanhours_plugins.meters.prometheus.asking import Series, Window, names_of, one_of
from cleanhours_plugins.meters.prometheus.counters import (
    Account,
    account,
    began_within,
    counted,
    joined,
    merged,
)
from cleanhours_plugins.meters.prometheus.fetching import Over, fetch, lots, named
from cleanhours_plugins.meters.prometheus.inquiring import inquire_of_pods
from cleanhours_plugins.meters.prometheus.pods import Pod
from cleanhours_plugins.meters.prometheus.profiles import Span, since_of, window_of
from cleanhours_plugins.meters.prometheus.server import Server
from cleanhours_plugins.meters.prometheus.settings import KEYS, server_of
from cleanhours_plugins.meters.prometheus.telling import UNKNOWN, Told, told

_ZONES: Final = re.compile(r"(package|dram)(-\d+)?")
_COMPONENTS: Final = {"package": Component.CPU, "dram": Component.MEMORY, "gpu": Component.GPU}
_SAME_COUNTER: Final = frozenset({"state"})
"""Labels that change while the counter goes on."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What a version of Kepler exports: metrics with their component, None where the zone says which."""

    metrics: Mapping[str, Component | None]
    by_uid: bool
    parts: frozenset[str]
    """Labels that tell the counters of one Pod apart; by all others replicas are told apart."""


NEW: Final = Generation(
    {"kepler_pod_cpu_joules_total": None, "kepler_pod_gpu_joules_total": Component.GPU},
    True,
    frozenset({"pod_id", "zone", "gpu", "gpu_uuid", "uuid", "index"}),
)
OLD: Final = Generation(
    {f"kepler_container_{part}_joules_total": kind for part, kind in _COMPONENTS.items()},
    False,
    frozenset({"container_namespace", "pod_name", "container_name", "container_id", "mode"}),
)


@dataclass(slots=True)
class KeplerMeter:
    """Asks for the Pods of a run by UID, and adds up their counters. Without a server it knows nothing."""

    server: Server | None = None
    name: str = "kepler"
    _generation: Generation | None = None

    def energy(self, run: FinishedRun) -> EnergyProfile:
        return inquire_of_pods(self.server, run, self._asked)

    def _asked(self, server: Server, run: FinishedRun, spans: Sequence[Span]) -> EnergyProfile:
        window = window_of(spans)
        generation = self._generation or _generation(server, window)
        if generation is None:
            return UNKNOWN
        self._generation = generation
        found: Sequence[Pod] = ()
        if pods.is_whole(run) or not generation.by_uid:
            found = pods.read(server.series(pods.question(run, pods.uids_of(run), window)))
        uids = pods.uids_known(run, found)
        series: list[Series] = []
        for matchers, count in _matchers(generation, uids, found):
            expected = 2 * count + max(count, run.allocated.gpus)
            series += fetch(
                server, dict.fromkeys(generation.metrics, Over.LAST), matchers, window, series=expected
            )
        if not series:
            self._generation = None  # it may have been replaced by another
        accounts = read(generation, series, window, spans)
        return told(self._told(accounts, len(uids)), spans, server.enough)

    def _told(self, accounts: Mapping[Component, Mapping[str, Account]], known: int) -> Iterable[Told]:
        for component, by_pod in accounts.items():
            # a launcher without GPUs is no gap; a Pod without processors is
            of = len(by_pod) if component is Component.GPU else known
            yield Told(component, Method.MEASURED, self.name, tuple(by_pod.values()), len(by_pod) / of)


def _generation(server: Server, window: Window) -> Generation | None:
    """The newer one where both are there."""
    names = set(server.words(names_of("__name__", (*NEW.metrics, *OLD.metrics), window)))
    return next((one for one in (NEW, OLD) if names & set(one.metrics)), None)


def _matchers(
    generation: Generation, uids: Sequence[str], found: Sequence[Pod]
) -> Iterable[tuple[Mapping[str, str], int]]:
    """What to ask for, in lots, and how many Pods each is of."""
    if generation.by_uid:
        for lot in lots(uids):
            yield {"pod_id": one_of(lot), "zone": f"({_ZONES.pattern})?"}, len(lot)
        return
    for namespace, names, count in named(found):
        whose = {"container_namespace": one_of([namespace]), "pod_name": names}
        yield {**whose, "mode": "dynamic"}, count


def read(
    generation: Generation, series: Iterable[Series], window: Window, spans: Sequence[Span]
) -> dict[Component, dict[str, Account]]:
    """Per component and Pod what its counters tell, in millijoules; a Pod's counters of one component are added."""
    counters: dict[tuple[Component, str, str], dict[str, list[Series]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for one in series:
        component = _component(generation, one)
        if component is not None:
            pod = one.labels.get("pod_id") or one.labels.get("pod_name", "")
            parts = {k: v for k, v in one.labels.items() if k in generation.parts}
            others = {k: v for k, v in one.labels.items() if k not in generation.parts | _SAME_COUNTER}
            counters[component, pod, _key(parts)][_key(others)].append(one)
    accounts: dict[Component, dict[str, Account]] = {}
    for (component, pod, _), replicas in sorted(counters.items()):
        curves = [merged(counted(s.samples, 1000) for s in states) for states in replicas.values()]
        readings = joined(curves)
        if not readings:
            continue
        since = since_of(readings[0].at_us, spans)
        born = began_within(readings, window.start_us, since)
        found = account(readings, born=born, since_us=since, watts_per_unit=1e-3)
        by_pod = accounts.setdefault(component, {})
        by_pod[pod] = found if pod not in by_pod else _added(by_pod[pod], found)
    return accounts


def _component(generation: Generation, one: Series) -> Component | None:
    component = generation.metrics.get(one.metric)
    if component is not None or one.metric not in generation.metrics:
        return component
    zone = _ZONES.fullmatch(one.labels.get("zone", ""))
    return _COMPONENTS[zone[1]] if zone else None


def _key(labels: Mapping[str, str]) -> str:
    return repr(sorted(labels.items()))


def _added(one: Account, other: Account) -> Account:
    return Account(one.drawn + other.drawn, one.seen + other.seen, max(one.samples, other.samples))


def build(settings: Mapping[str, Any], context: Context) -> KeplerMeter:
    """The meter; with an empty table it knows nothing and asks nobody. Raises ConfigurationError naming every fault."""
    table = Table("kepler", settings, KEYS)
    server = server_of(table, settings, context.clock)
    table.close()
    return KeplerMeter(server)
