"""DCGM: the energy counters of NVIDIA GPUs, from a Prometheus server that scrapes NVIDIA's exporter.

`DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION` counts a device's millijoules since its driver was loaded, so a run's are the
differences between its samples, and never the first value (https://github.com/NVIDIA/dcgm-exporter). Where a site exports
only `DCGM_FI_DEV_POWER_USAGE` (watts), that is integrated, and the meter's name is `dcgm/power`. Until a run was found by
its counters both are asked for at once.

The exporter labels a device with the namespace and name of the Pod that holds it, in `pod` or, where the scrape keeps its
own labels, in `exported_pod`; newer ones with `pod_uid` if they are told to. Names come from `kube_pod_info`. A device that
is split (MIG) or shared (time slices) wears its whole energy on each of its Pods: counted once for a run, and an upper
estimate of its part, `dcgm/shared`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.times import MICROSECOND
from cleanhours.ports import Context
from cleanhours_plugins.meters.keys import Table
from cleanhours_plugins.meters.prometheus import pods
from cleanhours_plugins.meters.prometheus.asking import Series, Window, labels_of, one_of
from cleanhours_plugins.meters.prometheus.counters import Account, account, counted, joined, merged
from cleanhours_plugins.meters.prometheus.fetching import Over, fetch, lots, named
from cleanhours_plugins.meters.prometheus.gauges import integral, longest
from cleanhours_plugins.meters.prometheus.inquiring import inquire_of_pods
from cleanhours_plugins.meters.prometheus.pods import Pod
from cleanhours_plugins.meters.prometheus.profiles import Span, common, union, window_of
from cleanhours_plugins.meters.prometheus.server import Server
from cleanhours_plugins.meters.prometheus.settings import KEYS, max_gap, server_of
from cleanhours_plugins.meters.prometheus.telling import UNKNOWN, Told, told

ENERGY: Final = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
POWER: Final = "DCGM_FI_DEV_POWER_USAGE"
_SPLIT: Final = ("GPU_I_ID", "vgpu")
"""Labels of a device's parts: a MIG instance, a time slice."""


@dataclass(frozen=True, slots=True)
class Naming:
    """Which labels say whose device it is."""

    pod: str
    namespace: str = ""

    @property
    def by_uid(self) -> bool:
        return not self.namespace


_NAMINGS: Final = (
    Naming("pod_uid"),
    Naming("exported_pod", "exported_namespace"),
    Naming("pod", "namespace"),
)


@dataclass(frozen=True, slots=True)
class Devices:
    """What was found of each device, in millijoules, and whether any of them is split or shared."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    shared: bool = False


@dataclass(slots=True)
class DcgmMeter:
    """Asks for the devices that a run's Pods held. Without a server it knows nothing."""

    server: Server | None = None
    longest_gap: timedelta = timedelta(minutes=5)
    name: str = "dcgm"
    _naming: Naming | None = None
    _counted: bool = False
    """Whether the last run that was found was found by its counters: then only these are asked for at first."""

    def energy(self, run: FinishedRun) -> EnergyProfile:
        return inquire_of_pods(self.server, run, self._asked)

    def _asked(self, server: Server, run: FinishedRun, spans: Sequence[Span]) -> EnergyProfile:
        window = window_of(spans)
        self._naming = self._naming or naming(server.words(labels_of((ENERGY, POWER), window)))
        if self._naming is None:
            return UNKNOWN
        found: Sequence[Pod] = ()
        if pods.is_whole(run) or not self._naming.by_uid:
            found = pods.read(server.series(pods.question(run, pods.uids_of(run), window)))
        asked = list(_matchers(self._naming, pods.uids_known(run, found), found))
        series: list[Series] = []
        for metrics in ((ENERGY,), (POWER,)) if self._counted else ((ENERGY, POWER),):
            series = _fetched(server, metrics, asked, window, run.allocated.gpus)
            if any(one.samples for one in series):
                break
        devices = read((one for one in series if one.metric == ENERGY), self._naming)
        self._counted = bool(devices.accounts)
        if not self._counted:
            gap_us = self.longest_gap // MICROSECOND
            devices = read((one for one in series if one.metric == POWER), self._naming, gap_us=gap_us)
        if not devices.accounts:
            self._naming = None  # the scrape may be labelled otherwise by now
        return self._told(devices, "" if self._counted else "/power", run, spans)

    def _told(self, devices: Devices, kind: str, run: FinishedRun, spans: Sequence[Span]) -> EnergyProfile:
        server = self.server
        if server is None or not devices.accounts:
            return UNKNOWN
        share = len(devices.accounts) / run.allocated.gpus if run.allocated.gpus else 1.0
        name = f"{self.name}{kind}" + ("/shared" if devices.shared else "")
        accounts = tuple(devices.accounts.values())
        part = Told(
            Component.GPU,
            Method.MEASURED,
            name,
            accounts,
            share,
            upper_estimate=devices.shared,
            keep_all=False,  # before and after its running a device is on by itself
        )
        return told((part,), spans, server.enough)


def naming(labels: Sequence[str]) -> Naming | None:
    """How these labels name Pods; None where no metric has any."""
    return next((one for one in _NAMINGS if one.pod in labels), None)


def _matchers(
    naming: Naming, uids: Sequence[str], found: Sequence[Pod]
) -> Iterable[tuple[Mapping[str, str], int]]:
    """What to ask for, in lots, and how many Pods each is of."""
    if naming.by_uid:
        for lot in lots(uids):
            yield {naming.pod: one_of(lot)}, len(lot)
        return
    for namespace, names, count in named(found):
        yield {naming.namespace: one_of([namespace]), naming.pod: names}, count


def _fetched(
    server: Server,
    metrics: Sequence[str],
    asked: Sequence[tuple[Mapping[str, str], int]],
    window: Window,
    gpus: int,
) -> list[Series]:
    """What is told of these metrics: of counters and gauges together each in its own way, and a question a lot."""
    over = {name: Over.LAST if name == ENERGY else Over.MEAN for name in metrics}
    return [
        one
        for matchers, count in asked
        for one in fetch(server, over, matchers, window, series=len(over) * max(count, gpus))
    ]


def read(series: Iterable[Series], naming: Naming, *, gap_us: int = 0) -> Devices:
    """What the series tell of each device: counters of millijoules, or gauges of watts."""
    devices: dict[str, dict[str, list[Series]]] = defaultdict(lambda: defaultdict(list))
    shared = False
    for one in series:
        if one.metric in (ENERGY, POWER) and one.samples:
            pod = f"{one.labels.get(naming.namespace, '')}/{one.labels.get(naming.pod, '')}"
            devices[_device(one)][pod].append(one)
            shared = shared or any(one.labels.get(label) for label in _SPLIT)
    accounts: dict[str, Account] = {}
    for device, holders in sorted(devices.items()):
        for replicas in holders.values():
            if replicas[0].metric == POWER:
                own = integral(longest(replicas), watts=1.0, longest_gap_us=gap_us)
            else:
                readings = joined(merged([counted(each.samples, 1)]) for each in replicas)
                own = account(readings, born=False, since_us=0, watts_per_unit=1e-3)
            accounts[device] = _besides(accounts[device], own) if device in accounts else own
    return Devices(accounts, shared)


def _device(one: Series) -> str:
    return one.labels.get("UUID") or f"{one.labels.get('Hostname', '')}/{one.labels.get('gpu', '')}"


def _besides(one: Account, other: Account) -> Account:
    """Both, where the second tells of a time of which the first does not: two Pods of a run on one device count it once."""
    seen = union(one.seen)
    drawn = tuple(d for d in other.drawn if not common([(d.start_us, d.end_us)], seen))
    spans = tuple((d.start_us, d.end_us) for d in drawn)
    return Account(one.drawn + drawn, one.seen + spans, max(one.samples, other.samples))


def build(settings: Mapping[str, Any], context: Context) -> DcgmMeter:
    """The meter; with an empty table it knows nothing and asks nobody. Raises ConfigurationError naming every fault."""
    table = Table("dcgm", settings, (*KEYS, "max_gap"))
    server = server_of(table, settings, context.clock)
    gap = max_gap(table)
    table.close()
    return DcgmMeter(server, gap)
