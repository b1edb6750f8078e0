"""What a run really cost and avoided: the rows of the ledger. Whole millijoules and micrograms, so that sums are exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cleanhours.domain.energy import EnergyProfile, Method
from cleanhours.domain.jobs import FinishedRun, RunKey
from cleanhours.domain.measures import Kind, Measure, Scope, Signal

COVERAGE_WINDOW: Final = timedelta(days=7)
"""Coverage is told of the runs that finished so long before the newest one: a meter that broke today is seen within days."""


class Settled(StrEnum):
    """How far a row may still change: not at all, until actuals are final, or closed on typical values."""

    FINAL = "final"
    PROVISIONAL = "provisional"
    TYPICAL = "typical"


class Cause(StrEnum):
    """What avoided it. Differences of changing one thing at a time, in this order, from baseline to actual."""

    DELAYED = "delayed"
    RELOCATED = "relocated"
    PAUSED = "paused"
    SCALED = "scaled"
    CAPPED = "capped"


@dataclass(frozen=True, slots=True)
class IntensityUsed:
    """One stretch of the intensity a row was settled on."""

    zone: str
    start: datetime
    end: datetime
    micrograms_per_kwh: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class MethodShare:
    """The part of a row known by one method at one location: metered millijoules, micrograms emitted and of the baseline."""

    method: Method
    meters: tuple[str, ...]
    millijoules: int
    emissions_ug: int
    baseline_ug: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The same run and its baseline in another measure (marginal intensity, say): beside its account, never added to it.

    None for amounts that are not known, with the reason in `unknown`: the account itself waits for none of this.
    """

    settled: Settled
    measure: Measure | None = None
    providers: tuple[str, ...] = ()
    emissions_ug: int | None = None
    baseline_ug: int | None = None
    avoided_ug: Mapping[Cause, int] = field(default_factory=dict)
    intensity: tuple[IntensityUsed, ...] = ()
    baseline_intensity: tuple[IntensityUsed, ...] = ()
    unknown: str = ""

    @property
    def total_avoided_ug(self) -> int | None:
        """Baseline less emissions; may be negative. None where unknown."""
        if self.emissions_ug is None or self.baseline_ug is None:
            return None
        return self.baseline_ug - self.emissions_ug


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that ended and has no row yet. `profile` is None until its meters were asked; `why` says which of them failed."""

    run: FinishedRun
    profile: EnergyProfile | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One settled run. Append-only: a later settlement of the same run supersedes, it never edits.

    `profile` is the metered energy, before PUE; `energy_avoided_mj` and all grams include PUE, once. Causes sum exactly
    to baseline - emissions; negatives are kept. A run whose energy nobody knows has an empty profile, None for its
    amounts, and says why in `unmeasured`: missing is never zero.
    """

    run: FinishedRun
    location: str
    settled: Settled
    settled_at: datetime
    measure: Measure
    providers: tuple[str, ...]
    profile: EnergyProfile
    emissions_ug: int | None
    baseline_ug: int | None
    avoided_ug: Mapping[Cause, int] = field(default_factory=dict)
    energy_avoided_mj: Mapping[Cause, int] = field(default_factory=dict)
    shares: tuple[MethodShare, ...] = ()
    intensity: tuple[IntensityUsed, ...] = ()
    baseline_intensity: tuple[IntensityUsed, ...] = ()
    deadline_kept: bool | None = None
    """None where there was no deadline to keep."""
    unmeasured: str = ""
    beside: Beside | None = None
    """None where no second measure was configured."""

    @property
    def key(self) -> RunKey:
        return self.run.key

    @property
    def total_avoided_ug(self) -> int | None:
        """Baseline less emissions; may be negative. None where unmeasured."""
        if self.emissions_ug is None or self.baseline_ug is None:
            return None
        return self.baseline_ug - self.emissions_ug

    @property
    def may_change(self) -> bool:
        """Whether a later settlement may say something else, of the account or of what stands beside it."""
        beside = self.beside is not None and self.beside.settled is Settled.PROVISIONAL
        return beside or self.settled is Settled.PROVISIONAL


@dataclass(frozen=True, slots=True)
class Total:
    """Sums of final (or typical) rows for one set of counter labels."""

    cluster: str
    location: str
    namespace: str
    method: Method
    millijoules: int
    emissions_ug: int
    baseline_ug: int


@dataclass(frozen=True, slots=True)
class AvoidedTotal:
    """Sums of the rows now in force for one set of gauge labels."""

    cluster: str
    location: str
    namespace: str
    cause: Cause
    settled: Settled
    avoided_ug: int
    energy_avoided_mj: int


@dataclass(frozen=True, slots=True)
class BesideTotal:
    """Sums of what stands beside the rows now in force, for one set of gauge labels."""

    cluster: str
    location: str
    signal: Signal
    scope: Scope
    settled: Settled
    emissions_ug: int
    baseline_ug: int


@dataclass(frozen=True, slots=True)
class RunsTotal:
    """How many runs ran at one place, each counted at its first row. `method` knows most of their energy; None: nobody does."""

    cluster: str
    location: str
    method: Method | None
    runs: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything the exposition needs of the ledger, as of one instant.

    `counted` sums each run's first final (or typical: energy only) row, so that it never falls; `avoided` sums the rows
    in force, `beside` what they say in a second measure; `corrections_ug` is what later rows changed after a first final one.
    `coverage` is the mean over the runs of COVERAGE_WINDOW, in whole hours of their end.
    """

    counted: tuple[Total, ...] = ()
    avoided: tuple[AvoidedTotal, ...] = ()
    beside: tuple[BesideTotal, ...] = ()
    runs: tuple[RunsTotal, ...] = ()
    corrections_ug: int = 0
    provisional_ratio: float | None = None
    coverage: Mapping[Method, float] = field(default_factory=dict)
    deadline_misses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForecastError:
    """How wrong forecasts of a zone were: mean |forecast - actual| / mean actual, over `count` points at about `lead_hours`."""

    zone: str
    provider: str
    lead_hours: int
    ratio: float
    count: int
