"""The cycle: observe, read, forecast, plan, decide, act, settle, expose. On ports only; every step survives one job's trouble."""

from __future__ import annotations

import logging
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from cleanhours.control.deciding import decide, next_due, ramp
from cleanhours.control.history import History
from cleanhours.control.shadowing import Shadows, count
from cleanhours.control.watching import ForecastWatch
from cleanhours.control.zoning import ZoneWatch
from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.jobs import WAITING, Action, Applied, Decision, Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.rules import Rules
from cleanhours.domain.snapshots import Snapshot
from cleanhours.planning.fleet import plan_all
from cleanhours.ports import Clock, Cluster, HavingCapacity, Leadership, Ledger, Submitting, Telemetry

log = logging.getLogger(__name__)

PLANNING_BUDGET_S: Final = 0.2
"""Real seconds after which a tick plans no further: plans in force stay, jobs without one get theirs in the next tick, which
follows at once. A late release is worse than a plan that comes a second later; the least slack is planned first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything the cycle works on."""

    clusters: Sequence[Cluster]
    forecasts: ForecastWatch
    ledger: Ledger
    locations: Mapping[str, Location]
    rules: Rules
    clock: Clock
    telemetry: Telemetry
    leadership: Leadership
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tick did, and when the next decision falls due (None: nothing is planned)."""

    now: datetime
    applied: tuple[Applied, ...] = ()
    next_due: datetime | None = None
    unfinished: int = 0


@dataclass(slots=True)
class Reconciler:
    """Brings every job in line with the best plan known. `tick` is idempotent: twice is once."""

    world: World
    snapshot: Snapshot | None = None
    _memory: object | None = None
    history: History = field(default_factory=History)
    _shadows: Shadows = field(default_factory=Shadows)
    _lost: set[str] = field(default_factory=set)
    _zoning: ZoneWatch = field(init=False)

    def __post_init__(self) -> None:
        self._zoning = ZoneWatch(self.world.forecasts.outlook)

    @property
    def lost(self) -> frozenset[str]:
        """Clusters that did not answer when they were asked last."""
        return frozenset(self._lost)

    def tick(self) -> Outcome:
        """One cycle. Never raises for a job, a cluster or a provider; raises what makes the whole controller useless."""
        world = self.world
        # plans begin on whole seconds: rounded up, a start that is due now would for ever be due in a second
        now = world.clock.now().replace(microsecond=0)
        jobs, rooms, powers = self._observe()
        jobs = self.history.complete(jobs, world.ledger, now)
        levels = world.forecasts.levels(_zones(jobs, rooms), now)
        self._zoning.look(rooms, levels)
        watched = [job for job in jobs if self._only_watched(job)]
        jobs = [job for job in jobs if not self._only_watched(job)] if watched else jobs
        started = time.monotonic()
        plans, self._memory = plan_all(
            now,
            jobs,
            rooms,
            levels,
            world.rules,
            memory=self._memory,
            out_of_time=lambda: time.monotonic() - started > PLANNING_BUDGET_S,
        )
        plans = self._zoning.explained(jobs, plans, rooms)
        decisions = self._decide(jobs, plans, now, powers)
        applied = self._act(decisions, {job.key: job for job in jobs}, now, powers)
        self._keep(jobs, plans, applied, now)
        worn = plans | self._shadows.imagine(
            now, watched, rooms, levels, world.rules, world.ledger, world.telemetry
        )
        shown = tuple(_wearing(job, worn.get(job.key)) for job in [*jobs, *watched])
        leader = world.leadership.may_act()
        forecasts = world.forecasts
        self.snapshot = Snapshot(now, leader, shown, rooms, forecasts.best(), forecasts.issued())
        return Outcome(now, tuple(applied), self._next_due(jobs, plans, applied, now), len(jobs))

    def _observe(self) -> tuple[list[Job], dict[str, Room], dict[str, frozenset[Action]]]:
        """Every cluster's jobs and room. A cluster that cannot be read sits this tick out; its jobs keep their plans."""
        jobs: list[Job] = []
        rooms = {name: Room(location) for name, location in self.world.locations.items()}
        powers: dict[str, frozenset[Action]] = {}
        for cluster in self.world.clusters:
            try:
                seen = [*cluster.pending(), *cluster.running()]
                if isinstance(cluster, HavingCapacity):
                    rooms.update(cluster.capacity())
            except (CleanhoursError, OSError) as fault:
                self._say_lost(cluster.name, fault)
                continue
            self._say_back(cluster.name)
            powers[cluster.name] = cluster.powers
            jobs += {job.key: job for job in seen}.values()
        return jobs, rooms, powers

    def _decide(
        self,
        jobs: Sequence[Job],
        plans: Mapping[JobKey, Plan],
        now: datetime,
        powers: Mapping[str, frozenset[Action]],
    ) -> list[Decision]:
        if self.world.shadow:
            return self._decide_in_shadow(jobs, plans)
        wanted = (
            decide(job, plans[job.key], now, powers[job.key.cluster]) for job in jobs if job.key in plans
        )
        by_key = {job.key: job for job in jobs}
        return ramp((one for one in wanted if one is not None), by_key, self.world.rules.releases_per_tick)

    def _only_watched(self, job: Job) -> bool:
        """Whether a job is planned and never touched. A queue of ours is touched: nobody else would start its jobs."""
        return job.shadow or (self.world.shadow and job.key.cluster not in self._queues)

    @property
    def _queues(self) -> frozenset[str]:
        return frozenset(one.name for one in self.world.clusters if isinstance(one, Submitting))

    def _decide_in_shadow(self, jobs: Iterable[Job], plans: Mapping[JobKey, Plan]) -> list[Decision]:
        """Touches nothing; only a queue of ours that nobody else would ever start runs its jobs at once."""
        return [
            Decision(job.key, Action.RELEASE, plans[job.key], Reason.SHADOW)
            for job in jobs
            if job.key.cluster in self._queues
            and job.key in plans
            and job.state in {JobState.PENDING, JobState.HELD}
        ]

    def _act(
        self,
        decisions: Sequence[Decision],
        jobs: Mapping[JobKey, Job],
        now: datetime,
        read: Container[str],
    ) -> list[Applied]:
        """Tells the clusters that could be `read`."""
        applied: list[Applied] = []
        for cluster in self.world.clusters:
            if cluster.name not in read:
                continue
            mine = [decision for decision in decisions if decision.key.cluster == cluster.name]
            if not self.world.leadership.may_act() or (self.world.shadow and not mine):
                continue
            try:
                applied += cluster.apply(mine)
            except (CleanhoursError, OSError) as fault:
                self._say_lost(cluster.name, fault)
        for one in applied:
            self._tell(one, jobs[one.decision.key], now)
        return applied

    def _tell(self, applied: Applied, job: Job, now: datetime) -> None:
        decision = applied.decision
        if not applied.done:
            log.warning("not done action=%s job=%s error=%s", decision.action, job.name, applied.error)
            return
        if decision.action is not Action.REMARK:
            log.info(
                "%s cluster=%s job=%s reason=%s plan=%s",
                decision.action, job.key.cluster, job.name, decision.reason, decision.plan.sentence,
            )  # fmt: skip
        telemetry, cluster = self.world.telemetry, job.key.cluster
        telemetry.count("decisions_total", cluster=cluster, reason=decision.reason.value)
        if decision.reason is Reason.SHADOW:
            count(telemetry, job, decision.plan)
        if decision.action is Action.RELEASE:
            waited = (now - job.request.submitted).total_seconds()
            telemetry.observe("start_delay_seconds", max(waited, 0.0), cluster=cluster)
        if (
            decision.action in {Action.RELEASE, Action.RESUME}
            and job.plan is not None
            and job.plan.start <= now
        ):
            telemetry.observe("release_lag_seconds", (now - job.plan.start).total_seconds(), cluster=cluster)

    def _keep(
        self, jobs: Sequence[Job], plans: Mapping[JobKey, Plan], applied: Iterable[Applied], now: datetime
    ) -> None:
        """Records the plans that changed, as they were carried out."""
        names = {job.key: job.name for job in jobs}
        before = {job.key: job.plan for job in jobs}
        changed = [
            (one.decision.key, names[one.decision.key], one.decision.plan)
            for one in applied
            if one.done and one.decision.plan.changed_from(before[one.decision.key])
        ]
        if not changed:
            return
        try:
            self.world.ledger.record_plans(changed, now)
        except CleanhoursError as fault:
            log.warning("plans not recorded count=%d error=%s", len(changed), fault)

    def _next_due(
        self, jobs: Sequence[Job], plans: Mapping[JobKey, Plan], applied: Sequence[Applied], now: datetime
    ) -> datetime | None:
        """A real second from now where the ramp, a refusal or the planning budget left something undone."""
        done = {one.decision.key for one in applied if one.done}
        waiting = any(
            job.key not in plans or (plans[job.key].start <= now and job.key not in done)
            for job in jobs
            if job.state in WAITING
        )
        soon = now + timedelta(seconds=self.world.clock.rate) if waiting and not self.world.shadow else None
        due = next_due(jobs, plans, now)
        return min((instant for instant in (soon, due) if instant is not None), default=None)

    def _say_lost(self, name: str, fault: Exception) -> None:
        if name not in self._lost:
            self._lost.add(name)
            log.warning("cluster lost cluster=%s error=%s", name, fault)

    def _say_back(self, name: str) -> None:
        if name in self._lost:
            self._lost.discard(name)
            log.info("cluster back cluster=%s", name)


def _wearing(job: Job, plan: Plan | None) -> Job:
    return job if plan is None or plan is job.plan else replace(job, plan=plan)


def _zones(jobs: Iterable[Job], rooms: Mapping[str, Room]) -> list[str]:
    """The grid zones that matter now: those of every configured location (few), known to no job or to many."""
    return sorted({room.location.zone for room in rooms.values()})
