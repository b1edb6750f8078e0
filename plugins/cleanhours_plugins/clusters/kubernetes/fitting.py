"""Fitting: the parts of one cluster, each made when it is first used, and how they are joined."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from cleanhours.domain.locations import Room
from cleanhours.domain.resources import Demand
from cleanhours.ports import Context, Service
from cleanhours_plugins.clusters.kubernetes.announcing import EVENTS_BURST, EVENTS_PER_S, Announcer
from cleanhours_plugins.clusters.kubernetes.api import Api, connect
from cleanhours_plugins.clusters.kubernetes.electing import LeaseLeadership
from cleanhours_plugins.clusters.kubernetes.hands import Hands
from cleanhours_plugins.clusters.kubernetes.jobs import Reporting
from cleanhours_plugins.clusters.kubernetes.leading import Election, lease_namespace
from cleanhours_plugins.clusters.kubernetes.mirror import Mirror
from cleanhours_plugins.clusters.kubernetes.namespaces import Namespaces
from cleanhours_plugins.clusters.kubernetes.pacing import Pace
from cleanhours_plugins.clusters.kubernetes.quotas import Quotas, within
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.roster import Roster
from cleanhours_plugins.clusters.kubernetes.settings import KubernetesSettings
from cleanhours_plugins.clusters.kubernetes.sighting import Sight
from cleanhours_plugins.clusters.kubernetes.watching import Reflector
from cleanhours_plugins.clusters.kubernetes.workloads import Workloads
from cleanhours_plugins.clusters.kubernetes.yard import Yard

FAULTS: Final = "faults_total"
AGE: Final = "watch_age_seconds"


class Parts:
    """The parts of one cluster. `noticed` is called, in any thread, when something made a decision due."""

    def __init__(self, settings: KubernetesSettings, context: Context, noticed: Callable[[], None]) -> None:
        self._settings = settings
        self._context = context
        self._noticed = noticed
        self._quotas: Quotas | None = None
        self._lock = threading.Lock()

    @property
    def connected(self) -> bool:
        """Whether anything was asked yet."""
        return "api" in self.__dict__

    @cached_property
    def api(self) -> Api:
        return connect(self._settings.kubeconfig, self._settings.context, self._count)

    @cached_property
    def namespaces(self) -> Namespaces:
        return Namespaces(
            self.api,
            shadow=self._settings.shadow,
            relabelled=self._relabelled,
            count=self._count,
        )

    @cached_property
    def mirror(self) -> Mirror:
        settings = self._settings
        return Mirror(
            self.api,
            settings.kinds,
            settings.namespaces,
            self.namespaces,
            now=self._context.clock.now,
            noticed=self._noticed,
            count=self._count,
        )

    @cached_property
    def yard(self) -> Yard:
        settings = self._settings
        here = {name: self._context.locations[name] for name in settings.places.labels}
        return Yard(self.api, here, settings.topology_label, settings.namespaces, count=self._count)

    @cached_property
    def workloads(self) -> Workloads:
        return Workloads(self.api, self._settings.namespaces, count=self._count)

    @cached_property
    def reporting(self) -> Reporting:
        settings = self._settings
        return Reporting(
            name=settings.name,
            places=settings.places,
            defaults=settings.defaults,
            queue_margin=settings.queue_margin,
            shadow=settings.shadow,
            around=self.yard,
        )

    @cached_property
    def roster(self) -> Roster:
        return Roster(self.mirror, self.yard, self.reporting)

    @cached_property
    def election(self) -> Election:
        settings = self._settings
        space = lease_namespace(settings.lease_namespace, self.api.namespace)
        api = self.api.through(pace=Pace(5.0, 10))
        return Election(LeaseLeadership(api, space, settings.lease, now=self._context.clock.now))

    @cached_property
    def announcer(self) -> Announcer:
        api = self.api.through(pace=Pace(EVENTS_PER_S, EVENTS_BURST), fence=self.election.may_act)
        return Announcer(api, count=lambda _: self.failed("announcing"))

    @cached_property
    def pace(self) -> Pace:
        """Of what is written on jobs."""
        return Pace(self._settings.qps, self._settings.burst)

    @cached_property
    def hands(self) -> Hands:
        context = self._context
        return Hands(
            self.api.through(pace=self.pace, fence=self.election.may_act),
            self.mirror,
            self.reporting,
            self.announcer,
            self.workloads,
            context.clock,
            {name: location.zone for name, location in context.locations.items()},
            failed=lambda: self.failed("acting"),
        )

    def admission(self) -> Sequence[Service]:
        """What serves new objects, where the table says anything of it. Raises ConfigurationError."""
        settings = self._settings
        if settings.admission is None:
            return ()
        from cleanhours_plugins.clusters.kubernetes import admission

        told = admission.read_settings(settings.admission, lease_namespace(None, self.api.namespace))
        return admission.services(
            told,
            api=self.api.through(pace=Pace(5.0, 10)),
            leadership=self.election,
            clock=self._context.clock,
            terms=admission.Terms(defaults=settings.defaults, locations=tuple(settings.places.labels)),
            failed=lambda: self.failed("admission"),
        )

    # -- beside the questions ---------------------------------------------------------------------------------------

    @property
    def reflectors(self) -> list[Reflector[Any]]:
        """All that were started."""
        quotas = [] if self._quotas is None else self._quotas.reflectors
        return [
            self.namespaces.reflector,
            *self.mirror.reflectors,
            *self.yard.reflectors,
            *self.workloads.reflectors,
            *quotas,
        ]

    def tend(self) -> None:
        """Follows what the server serves by now, and tells how old is what is known. For a started cluster."""
        with self._lock:
            self._follow_kueue()
        ages: dict[str, float] = {}
        for one in self.reflectors:
            if one.sight is not Sight.UNSERVED and one.age_s is not None:
                ages[one.kind] = max(ages.get(one.kind, 0.0), one.age_s)
        for kind, age_s in ages.items():
            self._context.telemetry.set(AGE, age_s, kind=kind)

    def _follow_kueue(self) -> None:
        self.workloads.tend()
        version = self.workloads.version
        if version is None or (self._quotas is not None and self._quotas.version == version):
            return
        if self._quotas is not None:
            self._quotas.stop()
        self._quotas = Quotas(self.api, version, self._settings.namespaces, count=self._count)
        self._quotas.start()

    def stop(self) -> None:
        """Ends all watches."""
        for one in self.reflectors:
            one.stop()

    def rooms(self, unfinished: Iterable[tuple[Record, str | None]]) -> Mapping[str, Room]:
        """The room at each location; `unfinished` are our jobs, and where each is that does not wait (else None)."""
        every = [(record, at) for record, at in unfinished if not record.shadow]
        now = self._context.clock.now()
        rooms = self.yard.rooms((record for record, at in every if at is not None), now)
        left = self._left_of_quotas([record for record, _ in every])
        if not left:
            return rooms
        ours = [(at, record.demand) for record, at in every if at is not None and self._reserved(record)]
        return within(rooms, left, ours, now)

    def _left_of_quotas(self, records: Sequence[Record]) -> Mapping[str, Any] | None:
        """By location; None where quotas are not known, or bind only some of our jobs."""
        if self._quotas is None or not records or not all(record.queue for record in records):
            return None
        queues = frozenset((record.namespace, record.queue) for record in records)
        places = self._settings.places
        found = {key: self._quotas.left(queues, key) or {} for key in places.keys}
        return {
            name: found[key][value] for name, (key, value) in places.labels.items() if value in found[key]
        }

    def _reserved(self, record: Record) -> bool:
        workload = self.workloads.of(record.uid)
        return workload is not None and workload.quota_reserved and record.demand != Demand()

    def failed(self, part: str) -> None:
        """Counts what failed unforeseen, or got lost, in a part of us."""
        self._context.telemetry.count(FAULTS, part=part)

    def _relabelled(self, namespace: str) -> None:
        self.mirror.look_again(namespace)

    def _count(self, name: str, /, **labels: str) -> None:
        self._context.telemetry.count(name, 1, **labels)
