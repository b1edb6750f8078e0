"""Families: every metric by name, its labels and what it says. The documentation and the exposition are made from this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "cleanhours_"
SERIES_LIMIT: Final = 1_700
"""Series of the families that come from settled runs, at full expansion: beyond it no further namespace has its own."""

JOBS_LIMIT: Final = 500
"""Living jobs that have a series of their own."""

OTHER: Final = "other"
UNKNOWN: Final = "unknown"
"""The method of a run whose energy nobody knows."""

LEADS_H: Final = (1, 6, 24)
AHEAD_H: Final = 48
"""Hours from now of which each is told, of every grid zone."""


class Kind(StrEnum):
    """Prometheus' metric types that are used."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Teller(StrEnum):
    """Who knows the value, and so who exports it."""

    LEDGER = "the ledger; only the leader exports it"
    SNAPSHOT = "the last tick"
    TELEMETRY = "this process, since its start"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `name` is without prefix; a counter's ends in `_total`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    teller: Teller
    buckets: tuple[float, ...] = ()


_SETTLED = ("cluster", "location", "namespace", "method")
_AVOIDED = ("cluster", "location", "namespace", "cause", "settled")
_BESIDE = ("cluster", "location", "signal", "scope", "settled")
_DELAYS = (
    1.0,
    10.0,
    60.0,
    300.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
    14400.0,
    28800.0,
    43200.0,
    86400.0,
    172800.0,
)
_LAGS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_L, _S, _T = Teller.LEDGER, Teller.SNAPSHOT, Teller.TELEMETRY

FAMILIES: Final[Mapping[str, Family]] = {
    family.name: family
    for family in (
        Family("energy_joules_total", _C, _SETTLED, "Energy of finished runs, before PUE, counted once when a run becomes final or is closed as typical.", _L),
        Family("emissions_grams_total", _C, _SETTLED, "Emissions of finished runs in gCO2e, PUE included, counted once when a run becomes final.", _L),
        Family("emissions_baseline_grams_total", _C, _SETTLED, "What the same runs would have emitted at home at once, in gCO2e, counted once when a run becomes final.", _L),
        Family("emissions_avoided_grams", _G, _AVOIDED, "Baseline less emissions of the rows in force, in gCO2e, by cause; may fall and be negative.", _L),
        Family("energy_avoided_joules", _G, _AVOIDED, "Baseline less actual energy of the rows in force, PUE included, by cause; may fall and be negative.", _L),
        Family("emissions_beside_grams", _G, _BESIDE, "Emissions of the rows in force in the second measure ([forecasts] beside), in gCO2e; never to be added to the others.", _L),
        Family("emissions_baseline_beside_grams", _G, _BESIDE, "What the same runs would have emitted at home at once, in the second measure, in gCO2e.", _L),
        Family("corrections_grams", _G, (), "What later settlements changed in emissions that were already counted as final, in gCO2e.", _L),
        Family("provisional_ratio", _G, (), "Share of the rows in force that are provisional.", _L),
        Family("runs_settled_total", _C, ("cluster", "location", "method"), "Finished runs that ran, counted once when first settled, by the method that knows most of their energy; unknown where none does.", _L),
        Family("meter_coverage_ratio", _G, ("method",), "Mean share of the running time that meters of this method observed, of the runs that ended within the 7 days before the end of the newest one.", _L),
        Family("deadline_misses_total", _C, ("cluster",), "Runs that finished after their deadline or lost more time than they allowed.", _L),
        Family("forecast_error_ratio", _G, ("zone", "provider", "lead"), "Mean absolute error of forecasts over the mean actual intensity, of the last 28 days.", _L),
        Family("settled_series_limit", _G, (), "Series that the families of settled runs may have, if every namespace with a label has every kind of row at every place.", _L),
        Family("namespaces_in_other", _G, (), "Settled namespaces that have no label of their own.", _L),
        Family("jobs", _G, ("cluster", "namespace", "state"), "Unfinished jobs.", _S),
        Family("jobs_planned", _G, ("cluster", "location", "starts"), "Waiting jobs by when they are planned to start: within 1h, 6h, 24h, or later.", _S),
        Family("jobs_planned_ahead", _G, ("zone", "ahead"), "Jobs planned to run in each of the next 48 hours (00: the one from now), mean over the hour; those of unknown duration are in none.", _S),
        Family("jobs_at_risk", _G, ("cluster",), "Unfinished jobs that can hardly keep their deadline.", _S),
        Family("capacity", _G, ("cluster", "location", "resource", "use"), "Capacity of locations: cpus in cores, memory in bytes, gpus, slots; total, ours, others.", _S),
        Family("location_info", _G, ("location", "zone"), "1 for each location, with the grid zone that it is in: joins what is told by location with what is told by zone.", _S),
        Family("carbon_intensity_grams_per_kwh", _G, ("zone", "kind", "signal", "lead"), "Carbon intensity now (0h) and as forecast for 1, 6 and 24 hours ahead, in gCO2e per kWh.", _S),
        Family("carbon_intensity_ahead_grams_per_kwh", _G, ("zone", "ahead"), "Mean carbon intensity of each of the next 48 hours (00: the one from now) as far as it is forecast, or typical, in gCO2e per kWh.", _S),
        Family("forecast_age_seconds", _G, ("zone", "provider"), "Time since the forecast in use was issued; where typical values stand in for it, since the last one that had been in use.", _S),
        Family("leader", _G, (), "1 while this process may act.", _S),
        Family("job_state", _G, ("cluster", "namespace", "job", "state", "location", "reason"), "1 for each living job, at most 500, those at risk first.", _S),
        Family("decisions_total", _C, ("cluster", "reason"), "Decisions carried out, by the reason of their plan.", _T),
        Family("shadow_emissions_grams_total", _C, ("cluster", "namespace"), "What the plans of jobs that are only watched (shadow mode) were expected to emit, in gCO2e.", _T),
        Family("shadow_baseline_grams_total", _C, ("cluster", "namespace"), "What the same jobs were expected to emit at home at once, in gCO2e.", _T),
        Family("start_delay_seconds", _H, ("cluster",), "Time from submission to release.", _T, _DELAYS),
        Family("release_lag_seconds", _H, ("cluster",), "Time from the planned start to the release.", _T, _LAGS),
        Family("provider_requests_total", _C, ("provider", "outcome"), "Questions asked of forecast providers.", _T),
        Family("watch_age_seconds", _G, ("kind",), "Time since a watch last heard from its cluster.", _T),
        Family("watch_relists_total", _C, ("kind",), "Full lists of a watched kind, the first one included.", _T),
        Family("watch_errors_total", _C, ("kind", "reason"), "Watches and lists that failed, and objects that could not be read.", _T),
        Family("api_requests_total", _C, ("verb", "outcome"), "Requests to a Kubernetes API, watches not included, by how they ended.", _T),
        Family("faults_total", _C, ("part",), "What failed unforeseen in this process, or got lost, by the part of it.", _T),
    )
}  # fmt: skip
