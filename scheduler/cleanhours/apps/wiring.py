"""The wiring: the only place that chooses what is fitted where. Each part is built when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cleanhours.adapters.clock import StoppedClock, SystemClock
from cleanhours.adapters.discovery import Plugins
from cleanhours.adapters.leadership import FileLeadership
from cleanhours.domain.errors import (
    Complaint,
    ConfigurationError,
    InvalidRequest,
    NotConfigured,
    NotSupported,
    UnknownZone,
)
from cleanhours.domain.locations import Location

if TYPE_CHECKING:  # the sbatch wrapper waits for each import, and not every job is planned
    from cleanhours.adapters.exposition import MetricsServer
    from cleanhours.adapters.forecast_chain import Chain
    from cleanhours.adapters.forecast_patience import Patience
    from cleanhours.adapters.settings import Settings
    from cleanhours.apps.controller import Beats, Controller
    from cleanhours.domain.intensity import IntensitySeries
    from cleanhours.domain.jobs import Job, JobKey
    from cleanhours.domain.plans import Plan
    from cleanhours.domain.requests import JobRequest
    from cleanhours.domain.rules import ForecastLevels, Rules
    from cleanhours.ports import Backlog, Clock, Cluster, ForecastSource, Ledger, Meter, Queue, Telemetry


@dataclass(frozen=True)
class Wiring:
    """One process's world, and the `Context` that plugins are given.

    `at` makes another one whose clock stands still, on one forecast source or in one grid zone alone. `sources` replaces the configured chain
    and `only_meters` names the meters to use instead of all (the demonstration: a generated grid, declared power).
    """

    load: Callable[[], Settings]
    """Returns the settings; called once, when something needs them."""
    clock: Clock = field(default_factory=SystemClock)
    sources: Sequence[ForecastSource] = ()
    spec: str | None = None
    zone: str | None = None
    only_meters: tuple[str, ...] = ()
    scraped: bool = False
    """Whether somebody reads what is measured here: then telemetry is kept for Prometheus."""
    plugins: Plugins = field(default_factory=Plugins)
    patience: Patience | None = None
    """How long providers are waited for, all told; None is as long as they take."""

    @classmethod
    def lazily(cls, config_file: str | None, state_folder: str | None) -> Wiring:
        """A world whose settings are read when they are needed."""

        def load() -> Settings:
            from cleanhours.adapters.settings import load_settings

            config = None if config_file is None else Path(config_file)
            return load_settings(config=config, flags={"state.folder": state_folder})

        return cls(load)

    def at(self, now: datetime, spec: str | None = None, zone: str | None = None) -> Wiring:
        """The same world stopped at `now`; with `spec`, planning on that source alone, with `zone`, at a place in it."""
        return replace(self, clock=StoppedClock(now), spec=spec, zone=zone)

    # -- settings -------------------------------------------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        return self.load()

    @property
    def rules(self) -> Rules:
        return self.settings.rules

    @property
    def default_words(self) -> Mapping[str, str]:
        words = self.settings.defaults
        # they name places of the settings, of which a zone alone has none
        return words if self._at_settings else {k: v for k, v in words.items() if k != "locations"}

    @property
    def _at_settings(self) -> bool:
        """Whether jobs are planned for the places of the settings, and not for a grid zone alone."""
        return self.spec is None and self.zone is None

    def origins(self) -> list[str]:
        """Every setting in force, a line each, with where it was said; secrets are masked."""
        return [
            f"{one.key} = {one.value}  ({one.origin}{': ' + one.source if one.source else ''})"
            for one in self.settings.effective
        ]

    @cached_property
    def state_folder(self) -> Path:
        folder = self.settings.state_folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as fault:
            raise ConfigurationError(
                f"state folder {folder}: {fault.strerror}; choose another with --state"
            ) from None
        return folder

    # -- places and forecasts ---------------------------------------------------------------------------------------

    @cached_property
    def locations(self) -> Mapping[str, Location]:
        if self._at_settings:
            return self.settings.locations
        zone = self.zone or self._only_zone()
        return {zone: Location(zone, zone)}

    @property
    def home(self) -> str:
        """Where a job runs that says nothing of places: the first configured location."""
        return next(iter(self.locations))

    @cached_property
    def outlook(self) -> Chain:
        from cleanhours.adapters.forecast_chain import Chain
        from cleanhours.apps.sourcing import build_chain, build_link, wrap

        if self.sources:
            return Chain([wrap(source, self) for source in self.sources])
        cache = self._cache_folder
        if self.spec is not None:
            return Chain([build_link(self.spec, self.settings, self.plugins, self, cache, self.patience)])
        return build_chain(self.settings, self.plugins, self, cache, self.patience)

    @cached_property
    def beside(self) -> Chain | None:
        """Where the second measure of accounts is asked for; None where none is configured."""
        from cleanhours.apps.sourcing import build_beside

        if self.sources or self.spec is not None:
            return None
        return build_beside(self.settings, self.plugins, self, self._cache_folder)

    @property
    def _cache_folder(self) -> Path | None:
        """Where forecasts are kept; nowhere on a machine that lets us write nothing: planning needs no disk."""
        try:
            return self.state_folder / "forecasts"
        except ConfigurationError:
            return None

    def zones(self) -> list[str]:
        """Every grid zone that some source of the chain says it serves."""
        return sorted({zone for source in self.outlook.every for zone in source.zones or ()})

    def _only_zone(self) -> str:
        zones = self.zones()
        if len(zones) != 1:
            known = f"one of {', '.join(zones[:20])}" if zones else "the grid zone that the file is about"
            raise InvalidRequest([Complaint("zone", "none", known)])
        return zones[0]

    def plan(
        self,
        request: JobRequest,
        rules: Rules | None = None,
        *,
        home: str | None = None,
        queue_margin: timedelta | None = None,
    ) -> Plan:
        """The plan that the settings (or `rules`) make for one job, now, as if it were alone. See `ports.Context`."""
        from cleanhours.control.watching import HORIZON
        from cleanhours.planning.policies import make_plan

        if home is not None and home not in self.locations:
            known = ", ".join(sorted(self.locations))
            raise NotConfigured(f"no location {home!r} is configured; known: {known}")
        now = self.clock.now().replace(microsecond=0)
        named = [name for name in request.locations if name in self.locations]
        at = home or (named[0] if named else self.home)
        zones = sorted({self.locations[name].zone for name in (at, *named)})
        rules = rules or self.rules
        if queue_margin is not None:
            rules = replace(rules, margins=replace(rules.margins, queue=queue_margin))

        def made(levels: ForecastLevels) -> Plan:
            return make_plan(request, levels, now=now, locations=self.locations, home=at, rules=rules)

        levels: ForecastLevels = ()
        for levels in self.outlook.deepening(zones, now, now + HORIZON):
            plan = made(levels)
            if plan.forecast is not None:  # the levels below would change nothing
                return plan
        if not any(levels):
            self._complain(self.locations[at].zone, now)
        return self._explained(made(levels), at, named)

    def _complain(self, zone: str, now: datetime) -> None:
        """Who asked for one source or one zone by name is answered with what is wrong with it, not with a plan without it."""
        from cleanhours.control.watching import HORIZON
        from cleanhours.domain.zones import meant_by

        if self.spec is not None:
            self.outlook.default[0].wrapped.forecast(zone, now, now + HORIZON)
        elif self.zone is not None and (unserved := self.outlook.unserved(zone)) is not None:
            served = unserved.served
            raise UnknownZone(zone, "the forecast chain", served, meant_by(zone, served))

    def _explained(self, plan: Plan, home: str, named: Sequence[str]) -> Plan:
        """The plan; one without a forecast names the zones that no source serves, where they are why."""
        from cleanhours.domain.plans import Reason

        if plan.reason is not Reason.NO_FORECAST:  # as nearly always: somebody waits for the import
            return plan
        from cleanhours.control.zoning import places_of, unserved_of, with_reason_named

        places = places_of(home, named, self.locations)
        return with_reason_named(plan, places, unserved_of(self.outlook, (place.zone for place in places)))

    def series_shown(self, plan: Plan) -> Mapping[str, IntensitySeries]:
        """The forecasts behind a plan, by location, for a picture."""
        from cleanhours.control.watching import HORIZON

        now = self.clock.now()
        names = {plan.location, *(segment.location for segment in plan.segments)}
        zones = {name: self.locations[name].zone for name in names if name in self.locations}
        for level in self.outlook.levels(sorted(set(zones.values())), now, now + HORIZON):
            if plan.forecast is not None and all(zone in level for zone in zones.values()):
                return {name: level[zone] for name, zone in zones.items()}
        return {}

    # -- clusters, ledger, meters -----------------------------------------------------------------------------------

    @cached_property
    def clusters(self) -> Mapping[str, Cluster]:
        return {name: self.cluster(name) for name in self.settings.clusters}

    def cluster(self, name: str) -> Cluster:
        """A configured cluster; the others are not built for it. Raises NotConfigured naming the known ones."""
        if name not in self._built:
            if name not in self.settings.clusters:
                known = ", ".join(sorted(self.settings.clusters))
                raise NotConfigured(f"no cluster {name!r} is configured; known: {known}")
            table = self.settings.clusters[name]
            self._built[name] = self.plugins.cluster(table.type, {"name": name, **table.table}, self)
        return self._built[name]

    @cached_property
    def _built(self) -> dict[str, Cluster]:
        return {}

    def queue(self, name: str | None = None) -> Queue:
        """The cluster that accepts processes: `name`, else the first that can. Raises NotSupported, ConfigurationError."""
        from cleanhours.ports import Queue

        for cluster in self.clusters.values() if name is None else [self.cluster(name)]:
            if isinstance(cluster, Queue):
                return cluster
        if name is not None:
            raise NotSupported(f"cluster {name!r} takes no commands: submit with its own tool")
        raise ConfigurationError('no configured cluster takes commands; add [clusters.local] type = "local"')

    def find(self, cluster: Cluster, key: JobKey) -> Job | None:
        """An unfinished job by its identity."""
        return next((job for job in [*cluster.pending(), *cluster.running()] if job.key == key), None)

    def outputs(self, cluster: Cluster, key: JobKey) -> tuple[Path, ...]:
        """The files of a job's standard output and error, where its cluster keeps them."""
        from cleanhours.ports import KeepingOutput

        if not isinstance(cluster, KeepingOutput):
            return ()
        folder = cluster.output(key)
        return (folder / "stdout", folder / "stderr")

    @cached_property
    def ledger(self) -> Ledger:
        from cleanhours.adapters.ledger import open_ledger

        return open_ledger(self.settings.ledger_url)

    @cached_property
    def backlog(self) -> Backlog:
        from cleanhours.adapters.ledger.backlog import SqlBacklog

        return SqlBacklog(self.settings.ledger_url)

    @cached_property
    def books(self) -> Ledger | None:
        """The ledger for questions alone, None where nothing was settled yet: who only asks leaves no file behind."""
        from cleanhours.adapters.ledger import find_ledger

        return find_ledger(self.settings.ledger_url)

    @cached_property
    def meters(self) -> Sequence[Meter]:
        if self.only_meters:
            return [
                self.plugins.meter(name, self.settings.meters.get(name, {}), self)
                for name in self.only_meters
            ]
        built, _ = self.plugins.meters(self.settings.meters, self)
        return built

    @cached_property
    def leadership(self) -> FileLeadership:
        return FileLeadership(self.state_folder / "controller.lock")

    @cached_property
    def telemetry(self) -> Telemetry:
        if self.scraped:
            from cleanhours.adapters.exposition import PrometheusTelemetry

            return PrometheusTelemetry()
        from cleanhours.adapters.telemetry import Silent

        return Silent()

    def metrics(self, controller: Controller, listen: tuple[str, int]) -> MetricsServer:
        """A server, not started, that shows what `controller` knows after each tick. Needs a `scraped` world."""
        from cleanhours.adapters.exposition import Exposition, MetricsServer, PrometheusTelemetry

        if not isinstance(self.telemetry, PrometheusTelemetry):
            raise ConfigurationError("this process keeps no metrics")
        places = len(self.clusters) * len(self.locations)
        exposition = Exposition(self.ledger, self.telemetry, clusters=tuple(self.clusters), places=places)
        controller.show, controller.sum_up = exposition.show, exposition.sum_up
        return MetricsServer(
            listen, exposition.registry, ready=lambda: exposition.shown, healthy=lambda: controller.healthy
        )

    def controller(self, *, shadow: bool = False, beats: Beats | None = None) -> Controller:
        """The whole cycle on this world, not started."""
        from cleanhours.apps.controller import Beats, Controller
        from cleanhours.control.reconciling import Reconciler, World
        from cleanhours.control.settling import Settler
        from cleanhours.control.watching import ForecastWatch
        from cleanhours.ports import Leading, Serving, Waking

        clusters = tuple(self.clusters.values())
        elected = (cluster.leadership() for cluster in clusters if isinstance(cluster, Leading))
        world = World(
            clusters=clusters,
            forecasts=ForecastWatch(self.outlook),
            ledger=self.ledger,
            locations=self.locations,
            rules=self.rules,
            clock=self.clock,
            telemetry=self.telemetry,
            leadership=next(elected, self.leadership),
            shadow=shadow,
        )
        reconciler = Reconciler(world)
        settler = Settler(world, self.meters, reconciler.history, beside=self.beside, backlog=self.backlog)
        serving = (cluster.services() for cluster in clusters if isinstance(cluster, Serving))
        services = tuple(service for each in serving for service in each)
        controller = Controller(
            reconciler, settler, beats or Beats(tick=self.settings.tick), services=services
        )
        for cluster in clusters:
            if isinstance(cluster, Waking):
                cluster.on_change(controller.notice)
        return controller

    def close(self) -> None:
        """Gives back what was opened."""
        for opened in ("ledger", "books", "backlog"):
            if self.__dict__.get(opened) is not None:
                self.__dict__[opened].close()
        if "leadership" in self.__dict__:
            self.leadership.release()
