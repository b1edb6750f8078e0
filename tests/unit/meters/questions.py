"""How often each meter asks its Prometheus for one run: sites as they export, and Jobs of one Pod and of a hundred."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from cleanhours.domain.jobs import FinishedRun, RunKey
from cleanhours.testing.meters import HOUR
from cleanhours_plugins.meters import dcgm, kepler, power, utilisation
from tests.unit.meters.archives import JOB, URL, Archive, Line, World, a_run, at, matrix, vector, words

PER_RUN: Final = 3
"""Questions that a meter may ask for a run, once it has learned how its site labels."""

Labels = Mapping[str, str]
Naming = Callable[[int], Labels]


@dataclass(frozen=True)
class Site:
    """A meter and what its Prometheus has of each Pod: metrics with their labels."""

    name: str
    build: Callable[..., Any]
    metrics: Sequence[str]
    naming: Naming
    words: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    in_vain: str = ""
    """What stands in questions that find nothing here."""
    promised: int = PER_RUN

    def asked(self, pods: int, length: timedelta = HOUR) -> Asked:
        """Of the first run, of the next, and of one that nobody knows: questions, and the longest address of them."""
        archive = Archive(answers=[("/label", words(*self.words))])
        archive.put("kube_pod_", vector(*(pod(n) for n in range(pods))))
        if self.in_vain:
            archive.put(self.in_vain, matrix())
        archive.keep(*self.series(pods, length))
        world = World()
        world.clock.set(world.clock.now() + length)
        meter = self.build({"url": URL, **self.settings}, world.context)
        meter.server.session = archive.session
        counts = []
        for uid in ("1", "2"):
            assert meter.energy(a_job(pods, length, uid)).slices or length > HOUR, self.name
            counts.append(len(archive.asked))
        archive.kept = []
        assert not meter.energy(a_job(pods, length, "3")).slices
        cold, both = counts
        longest = max(len(f"{URL}{path}?{urlencode(params)}") for path, params in archive.asked)
        return Asked(cold, both - cold, len(archive.asked) - both, longest)

    def series(self, pods: int, length: timedelta) -> list[Line]:
        """Sixty samples each: of a week they tell whose they are, and not what it drew."""
        minutes = [n * length / HOUR for n in range(61)]
        return [
            ({"__name__": metric, **self.naming(n)}, [(at(m), 600.0 * m + 1) for m in minutes])
            for metric in self.metrics
            for n in range(pods)
        ]


@dataclass(frozen=True)
class Asked:
    """Numbers of questions, and the characters of the longest."""

    cold: int
    warm: int
    unknown: int
    longest: int


def a_job(pods: int, length: timedelta, uid: str) -> FinishedRun:
    """Above sixteen Pods only the Job itself is known."""
    if pods == 1:
        return a_run(pod(0)["uid"], length=length, key=RunKey("k", uid, 1))
    return a_run(JOB, length=length, key=RunKey("k", JOB, 1))


def pod(n: int) -> dict[str, str]:
    """As kube-state-metrics tells it."""
    uid = f"{n:08d}-2222-3333-4444-555555555555"
    return {"namespace": "ml", "pod": f"resnet50-imagenet-large-{n:03d}-x7k2p", "uid": uid}


def _called(namespace: str, name: str, **more: str) -> Naming:
    return lambda n: {namespace: pod(n)["namespace"], name: pod(n)["pod"], **more}


def _gauges(*labels: str) -> dict[str, Any]:
    parts = zip(("cpu", "memory", "gpu"), labels, strict=True)
    return {
        "gauges": [
            {"metric": f"{kind}_watts", "labels": {label: "{pod}"}, "component": kind, "unit": "mW"}
            for kind, label in parts
        ]
    }


_WATTS: Final = ("cpu_watts", "memory_watts", "gpu_watts")

SITES: Final = (
    Site(
        "kepler, from 0.10 on",
        kepler.build,
        ("kepler_pod_cpu_joules_total",),
        lambda n: {"pod_id": pod(n)["uid"], "zone": "package"},
        ("kepler_pod_cpu_joules_total",),
    ),
    Site(
        "kepler, before 0.10",
        kepler.build,
        ("kepler_container_package_joules_total",),
        _called("container_namespace", "pod_name", mode="dynamic"),
        ("kepler_container_package_joules_total",),
    ),
    Site(
        "dcgm, by the Pod's UID",
        dcgm.build,
        (dcgm.ENERGY, dcgm.POWER),
        lambda n: {"pod_uid": pod(n)["uid"], "UUID": f"GPU-{n}"},
        ("pod", "pod_uid"),
    ),
    Site(
        "dcgm, by the Pod's name",
        dcgm.build,
        (dcgm.ENERGY, dcgm.POWER),
        lambda n: {**_called("namespace", "pod")(n), "UUID": f"GPU-{n}"},
        ("pod",),
    ),
    Site(
        "dcgm, watts alone",
        dcgm.build,
        (dcgm.POWER,),
        lambda n: {**_called("namespace", "pod")(n), "UUID": f"GPU-{n}"},
        ("pod",),
    ),
    Site(
        "utilisation, by the Pod's UID",
        utilisation.build,
        (utilisation.CPU, utilisation.MEMORY),
        lambda n: {"id": f"/kubepods.slice/kubepods-pod{pod(n)['uid'].replace('-', '_')}.slice"},
    ),
    Site(
        "utilisation, by the Pod's name",
        utilisation.build,
        (utilisation.CPU, utilisation.MEMORY),
        _called("namespace", "pod"),
        in_vain=",id=~",
    ),
    Site("power, a gauge by location", power.build, ("node_watts",), lambda n: {"node": "home"},
         settings={"gauges": [{"metric": "node_watts", "labels": {"node": "{location}"}}]}),
    Site("power, three gauges by the same labels", power.build, _WATTS, lambda n: {"pod": pod(n)["pod"]},
         settings=_gauges("pod", "pod", "pod")),
    Site("power, three gauges by three labels", power.build, _WATTS,
         lambda n: dict.fromkeys(("pod", "pod_name", "exported_pod"), pod(n)["pod"]),
         settings=_gauges("pod", "pod_name", "exported_pod"), promised=PER_RUN + 1),
)  # fmt: skip
