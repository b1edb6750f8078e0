"""Utilisation: energy modelled from the processor time that cAdvisor counts for each Pod, from a Prometheus server.

Cloud Carbon Footprint's model (Apache-2.0, https://www.cloudcarbonfootprint.org/docs/methodology): a vCPU draws
`minimum + utilisation x (maximum - minimum)` watts (`proportionality`), memory 0.392 W per 10^9 bytes. With utilisation =
CPU seconds / (vCPUs x seconds) that is

    joules = vCPUs x seconds x minimum + CPU seconds x (maximum - minimum)

vCPUs are those that the run requested, or its mean use where that is more; without a request as many as its mean use fills.
Memory is what it requested, else its working set. A model: which processor it is, and what the machine draws besides, it
does not know.

`container_cpu_usage_seconds_total` is found by the Pod's UID in the label `id`, a path of control groups that spells it
with `-` or `_`; where the scrape drops `id`, by the names that `kube_pod_info` tells. The Pod's own group counts all of its
containers; where only theirs are kept, they are added.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cleanhours.domain.energy import Component, EnergyProfile, EnergySlices, Method, Source
from cleanhours.domain.jobs import FinishedRun
from cleanhours.ports import Context
from cleanhours_plugins.meters.keys import Table, number
from cleanhours_plugins.meters.processes import WATTS_PER_CORE, family
from cleanhours_plugins.meters.prometheus import pods
from cleanhours_plugins.meters.prometheus.asking import Series, Window, one_of
from cleanhours_plugins.meters.prometheus.counters import (
    Account,
    Drawn,
    account,
    began_within,
    counted,
    joined,
)
from cleanhours_plugins.meters.prometheus.fetching import Over, fetch, lots, named
from cleanhours_plugins.meters.prometheus.gauges import integral, longest
from cleanhours_plugins.meters.prometheus.inquiring import inquire_of_pods
from cleanhours_plugins.meters.prometheus.pods import Pod
from cleanhours_plugins.meters.prometheus.profiles import (
    Span,
    laid,
    length,
    share_seen,
    since_of,
    slices,
    window_of,
)
from cleanhours_plugins.meters.prometheus.server import Server
from cleanhours_plugins.meters.prometheus.settings import KEYS, server_of
from cleanhours_plugins.meters.prometheus.telling import FEWEST
from cleanhours_plugins.meters.proportionality import proportional

CPU: Final = "container_cpu_usage_seconds_total"
MEMORY: Final = "container_memory_working_set_bytes"
MEMORY_W_PER_GB: Final = 0.392
LONGEST_GAP_US: Final = 300_000_000
_UID: Final = re.compile(r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}")
_KEYS: Final = ("processor", "minimum_watts_per_vcpu", "maximum_watts_per_vcpu", "memory_watts_per_gb")
_PAUSE: Final = "POD"
"""What old kubelets call the container that only holds a Pod's network."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Watts of a vCPU that does nothing and of one that is busy, and of 10^9 bytes of memory."""

    minimum_w: float = WATTS_PER_CORE["average"][0]
    maximum_w: float = WATTS_PER_CORE["average"][1]
    memory_w_per_gb: float = MEMORY_W_PER_GB


@dataclass(slots=True)
class UtilisationMeter:
    """Asks for the processor time of a run's Pods. Without a server it knows nothing."""

    server: Server | None = None
    watts: Coefficients = Coefficients()
    name: str = "utilisation"
    _names: bool = False
    """Whether the last run was found by its Pods' names only: then nobody asks for UIDs first."""

    def energy(self, run: FinishedRun) -> EnergyProfile:
        return inquire_of_pods(self.server, run, self._asked)

    def _asked(self, server: Server, run: FinishedRun, spans: Sequence[Span]) -> EnergyProfile:
        window = window_of(spans)
        found: Sequence[Pod] = ()
        if pods.is_whole(run) or self._names:
            found = pods.read(server.series(pods.question(run, pods.uids_of(run), window)))
        uids = pods.uids_known(run, found)
        metrics = {CPU: Over.LAST}
        if not run.allocated.memory_bytes:
            metrics[MEMORY] = Over.MEAN
        told: list[Series] = []
        series: list[Series] = []
        for names in (True,) if self._names else (False, True):
            if names:
                found = found or pods.read(server.series(pods.question(run, uids, window)))
            told = _fetched(server, metrics, _by_name(found) if names else _by_uid(uids), window)
            series = [one for one in told if one.metric == CPU]
            self._names = names and bool(series)
            if series:
                break
        accounts = [busy(each, window, spans) for each in by_pod(series).values()]
        coverage = share_seen((span for one in accounts for span in one.seen), spans)
        coverage *= min(1.0, len(accounts) / len(uids))
        if coverage < server.enough or max((one.samples for one in accounts), default=0) < FEWEST:
            return EnergyProfile(coverage=coverage)
        drawn = [part for one in accounts for part in one.drawn]
        processors = cpu_slices(drawn, spans, run.allocated.cpu_millicores / 1000, self.watts, self.name)
        known = EnergySlices.joined((processors, self._memory(run, told, spans)))
        return EnergyProfile(known, coverage if known else 0.0)

    def _memory(self, run: FinishedRun, told: Iterable[Series], spans: Sequence[Span]) -> EnergySlices:
        """Of what was requested, else of the working set."""
        per_byte = self.watts.memory_w_per_gb / 1e9
        if run.allocated.memory_bytes:
            mw = run.allocated.memory_bytes * per_byte * 1000
            drawn = [Drawn(a, b, round(mw * (b - a) / 1_000_000)) for a, b in spans]
        else:
            series = [one for one in told if one.metric == MEMORY]
            drawn = [
                part
                for group in by_pod(series).values()
                for one in counters_of(group).values()
                for part in integral(longest(one), watts=per_byte, longest_gap_us=LONGEST_GAP_US).drawn
            ]
        amounts = laid(drawn, spans, keep_all=False)
        return slices(amounts, Source(Component.MEMORY, Method.MODELLED, self.name))


def _by_uid(uids: Sequence[str]) -> Iterable[tuple[Mapping[str, str], int]]:
    for lot in lots(uids):
        spelled = "|".join(uid.replace("-", ".") for uid in lot)  # one spells it with -, another with _
        yield {"id": f".*pod({spelled}).*"}, len(lot)


def _by_name(found: Sequence[Pod]) -> Iterable[tuple[Mapping[str, str], int]]:
    for namespace, names, count in named(found):
        yield {"namespace": one_of([namespace]), "pod": names}, count


def _fetched(
    server: Server,
    metrics: Mapping[str, Over],
    asked: Iterable[tuple[Mapping[str, str], int]],
    window: Window,
) -> list[Series]:
    """The series of all lots, a question each."""
    return [
        one
        for matchers, count in asked
        for one in fetch(server, metrics, matchers, window, series=3 * count * len(metrics))
    ]


def by_pod(series: Iterable[Series]) -> dict[str, list[Series]]:
    """Series of each Pod: those of its own control group where there are any, else those of its containers."""
    whole: dict[str, list[Series]] = defaultdict(list)
    parts: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        path = one.labels.get("id", "")
        container = one.labels.get("container", "")
        uid = _UID.search(path)
        pod = (
            uid[0].replace("_", "-")
            if uid
            else f"{one.labels.get('namespace', '')}/{one.labels.get('pod', '')}"
        )
        own = _UID.search(path.rpartition("/")[2]) if uid else container == ""
        if own:
            whole[pod].append(one)
        elif container not in ("", _PAUSE):
            parts[pod].append(one)
    return {**parts, **whole}


def counters_of(series: Iterable[Series]) -> dict[str, list[Series]]:
    """Replicas of each control group and processor; the sum over processors alone where it is there."""
    found: dict[str, list[Series]] = defaultdict(list)
    kept = list(series)
    total = any(one.labels.get("cpu", "total") == "total" for one in kept)
    for one in kept:
        cpu = one.labels.get("cpu", "total")
        if not total or cpu == "total":
            where = one.labels.get("id") or f"{one.labels.get('container', '')}/{one.labels.get('name', '')}"
            found[f"{where} {cpu}"].append(one)
    return found


def busy(series: Iterable[Series], window: Window, spans: Sequence[Span]) -> Account:
    """Microseconds of processor time of one Pod."""
    drawn: list[Drawn] = []
    seen: list[Span] = []
    samples = 0
    for replicas in counters_of(series).values():
        readings = joined(counted(one.samples, 1_000_000) for one in replicas)
        if readings:
            since = since_of(readings[0].at_us, spans)
            born = began_within(readings, window.start_us, since)
            own = account(readings, born=born, since_us=since, watts_per_unit=1e-6)
            drawn += own.drawn
            seen += own.seen
            samples = max(samples, own.samples)
    return Account(tuple(drawn), tuple(seen), samples)


def cpu_slices(
    drawn: Iterable[Drawn], spans: Sequence[Span], requested: float, watts: Coefficients, meter: str
) -> EnergySlices:
    """The model on microseconds of processor time; `requested` vCPUs are held all the time."""
    used = laid(drawn, spans, keep_all=True)
    mean = sum(used.values()) / length(spans)
    vcpus = max(requested, mean) if requested else math.ceil(mean)
    # every quarter of an hour is there: what is held draws its minimum
    cells = {**laid((Drawn(a, b, 0) for a, b in spans), spans, keep_all=False), **used}
    amounts = {
        (start, end): round(
            proportional(vcpus * (end - start), cells[start, end], watts.minimum_w, watts.maximum_w) / 1000
        )
        for start, end in sorted(cells)
    }
    return slices(amounts, Source(Component.CPU, Method.MODELLED, meter))


def build(settings: Mapping[str, Any], context: Context) -> UtilisationMeter:
    """The meter; with an empty table it knows nothing and asks nobody. Raises ConfigurationError naming every fault."""
    table = Table("utilisation", settings, (*KEYS, *_KEYS))
    server = server_of(table, settings, context.clock)
    families = ", ".join(WATTS_PER_CORE)
    least, most = table.take("processor", WATTS_PER_CORE["average"], family, f"one of {families}")
    least = table.take("minimum_watts_per_vcpu", least, number, "watts, 0 or more")
    most = table.take("maximum_watts_per_vcpu", most, number, "watts, 0 or more")
    if most < least:
        table.fault("maximum_watts_per_vcpu", most, f"at least the minimum, {least:g}")
    memory = table.take("memory_watts_per_gb", MEMORY_W_PER_GB, number, "watts, 0 or more")
    table.close()
    return UtilisationMeter(server, Coefficients(least, most, memory))
