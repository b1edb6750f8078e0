"""Shadowing: what would be done with jobs that are watched and not touched, and what that would save."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Room
from cleanhours.domain.plans import Plan
from cleanhours.domain.rules import ForecastLevels, Rules
from cleanhours.planning.fleet import plan_all
from cleanhours.ports import Ledger, Telemetry

log = logging.getLogger(__name__)

FRESH: Final = timedelta(minutes=10)
"""A job seen later after its submission is not imagined: a plan from then on would not be the one it would have had."""


@dataclass(slots=True)
class Shadows:
    """One imagined plan a job: made when it is first seen, as if it waited, kept while it lives, counted once."""

    _plans: dict[JobKey, Plan | None] = field(default_factory=dict)

    def imagine(
        self,
        now: datetime,
        jobs: Sequence[Job],
        rooms: Mapping[str, Room],
        levels: ForecastLevels,
        rules: Rules,
        ledger: Ledger,
        telemetry: Telemetry,
    ) -> dict[JobKey, Plan]:
        """The imagined plans of `jobs`; newcomers' are made, recorded in the ledger and counted. Never raises."""
        alive = {job.key for job in jobs}
        for key in [key for key in self._plans if key not in alive]:
            del self._plans[key]
        fresh = [job for job in jobs if job.key not in self._plans and not self._remember(job, now, ledger)]
        made, _ = plan_all(now, [as_waiting(job) for job in fresh], rooms, levels, rules)
        for job in fresh:
            self._plans[job.key] = made.get(job.key)
            count(telemetry, job, made.get(job.key))
        _record(ledger, [(job.key, job.name, made[job.key]) for job in fresh if job.key in made], now)
        return {key: plan for key, plan in self._plans.items() if plan is not None}

    def _remember(self, job: Job, now: datetime, ledger: Ledger) -> bool:
        """Whether there is nothing to imagine: it was done before this process lived, or is too late to be done."""
        try:
            told = ledger.plans(job.key)
        except CleanhoursError:
            told = []
        if not told and now - job.request.submitted <= FRESH:
            return False
        self._plans[job.key] = told[0][1] if told else None
        return True


def as_waiting(job: Job) -> Job:
    """The job as it would wait if it were held."""
    return replace(
        job, state=JobState.HELD, plan=None, started_at=None, segments=(), remaining=job.request.duration,
        location=None,
    )  # fmt: skip


def count(telemetry: Telemetry, job: Job, plan: Plan | None) -> None:
    """Adds what the plan was expected to emit, and what running at once was, where both are known."""
    if plan is None or plan.expected_g is None or plan.baseline_g is None:
        return
    labels = {"cluster": job.key.cluster, "namespace": job.namespace}
    telemetry.count("shadow_emissions_grams_total", plan.expected_g, **labels)
    telemetry.count("shadow_baseline_grams_total", plan.baseline_g, **labels)


def _record(ledger: Ledger, plans: Sequence[tuple[JobKey, str, Plan]], now: datetime) -> None:
    if not plans:
        return
    try:
        ledger.record_plans(plans, now)
    except CleanhoursError as fault:
        log.warning("imagined plans not recorded count=%d error=%s", len(plans), fault)
