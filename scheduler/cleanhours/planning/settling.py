"""Settling: what a finished run really cost, what it would have cost at home at once, and which of our acts avoided what.

The measured energy is replayed on actual intensity five times, changing one thing at a time from the baseline to what
was: started later, elsewhere, paused, scaled, capped. Everything is whole millijoules and micrograms; a slice of energy is
rounded once, to the nearest microgram, in each replay, so that the differences between replays add up exactly. Of a run
that kept a power cap, all but the last replay the energy that it would have drawn without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cleanhours.domain.accounts import Cause, Entry, IntensityUsed, MethodShare, Settled
from cleanhours.domain.deadlines import released_from
from cleanhours.domain.energy import EnergyProfile, Method
from cleanhours.domain.errors import ConfigurationError, SeriesError
from cleanhours.domain.intensity import IntensitySeries, Measure
from cleanhours.domain.jobs import FinishedRun, JobState
from cleanhours.domain.locations import Location
from cleanhours.domain.times import instant_at, microseconds
from cleanhours.planning.counterfactuals import transfers, without_transfers
from cleanhours.planning.finality import TYPICAL_AFTER, NotYet, state_of
from cleanhours.planning.grids import Grid, grid_of
from cleanhours.planning.lots import Bulk, cut
from cleanhours.planning.replaying import Piece, apportion, stretches
from cleanhours.planning.uncapping import cap_of
from cleanhours.planning.weighing import (
    emissions_on,
    replays_of,
    sums_of,
    touched_by,
    touched_by_any,
    used_over,
    with_pue,
)


def spans(run: FinishedRun, locations: Mapping[str, Location]) -> dict[str, tuple[datetime, datetime]]:
    """Per grid zone, [start, end) of the actual intensity that settling the run needs: the real run's and the baseline's."""
    track = stretches(run)
    if not track:
        return {}
    homes = [run.home, *(stretch.location for stretch in track)]
    _check_known(homes, locations)
    begin = min(track[0].start, microseconds(released_from(run.request)))
    end = max(stretch.end for stretch in track)
    useful = track[-1].done + track[-1].end - track[-1].overhead_end
    # of a run that began before its submission (a clock was set back) the baseline lies after it
    end = max(end, microseconds(released_from(run.request)) + useful, begin + 1)
    # a whole second more: series know whole seconds
    span = (instant_at(begin), instant_at(end) + timedelta(seconds=1))
    return {locations[name].zone: span for name in homes}


def settle(  # noqa: PLR0913 - each is a word of its own
    run: FinishedRun,
    profile: EnergyProfile,
    actuals: Mapping[str, IntensitySeries],
    locations: Mapping[str, Location],
    *,
    now: datetime,
    final_after: timedelta | Mapping[str, timedelta],
    transfer_kwh_per_gb: float = 0.0,
    typical_after: timedelta = TYPICAL_AFTER,
    unmeasured: str = "",
) -> Entry | NotYet:
    """The account of `run`, whose meters found `profile` (before PUE), on `actuals` per grid zone.

    FINAL when every interval that the run and its replays touch is actual and older than `final_after` (per zone, or
    one for all); PROVISIONAL while some is young or estimated; TYPICAL when `typical_after` has passed and some is
    known only as typical. Where something is not covered, or typical only and the wait not over: NotYet.

    A run with an empty profile becomes an entry without amounts that says why (`unmeasured`). Moving `data_bytes` from
    home costs `transfer_kwh_per_gb` per 10^9 bytes the first time the run goes to each other location, half of it at
    each end's intensity, without PUE; a profile that an earlier settlement extended by it may be handed in again. Raises ConfigurationError for a location that is no longer configured and
    SeriesError for actuals that measure different things.
    """
    if not run.segments:
        return _unmeasured(run, profile, now, unmeasured or "it never ran")
    if not profile.slices:
        return _unmeasured(run, profile, now, unmeasured or "no meter knew its energy")
    found = weigh(
        run, profile, actuals, locations,
        now=now, final_after=final_after, transfer_kwh_per_gb=transfer_kwh_per_gb, typical_after=typical_after,
    )  # fmt: skip
    if isinstance(found, NotYet):
        return found
    return Entry(
        run=run,
        location=found.location,
        settled=found.settled,
        settled_at=now,
        measure=found.measure,
        providers=found.providers,
        profile=found.profile,
        emissions_ug=found.micrograms[-1],
        baseline_ug=found.micrograms[0],
        avoided_ug=by_cause(found.micrograms),
        energy_avoided_mj=by_cause(found.millijoules),
        shares=_shares(found.profile, found.micrograms[-1], found.micrograms[0]),
        intensity=found.intensity,
        baseline_intensity=found.baseline_intensity,
        deadline_kept=promise_kept(run),
    )


@dataclass(frozen=True, slots=True)
class Weighed:
    """A run and its replays, from the baseline to what was, on one measure. `profile` includes what moving data cost."""

    settled: Settled
    measure: Measure
    providers: tuple[str, ...]
    location: str
    profile: EnergyProfile
    micrograms: Sequence[int]
    millijoules: Sequence[int]
    intensity: tuple[IntensityUsed, ...]
    baseline_intensity: tuple[IntensityUsed, ...]


def weigh(
    run: FinishedRun,
    profile: EnergyProfile,
    actuals: Mapping[str, IntensitySeries],
    locations: Mapping[str, Location],
    *,
    now: datetime,
    final_after: timedelta | Mapping[str, timedelta],
    transfer_kwh_per_gb: float,
    typical_after: timedelta | None,
) -> Weighed | NotYet:
    """What `settle` says of a run that has energy, before it becomes an account. Raises as that does.

    With None for `typical_after`, typical values never do.
    """
    _check_known([run.home, *(segment.location for segment in run.segments)], locations)
    if run.request.data_bytes:
        profile = without_transfers(profile)
    moves = transfers(run, transfer_kwh_per_gb)
    cutting = cut(run, profile)
    replays = replays_of(run, profile, cutting, moves, locations)
    grids = {zone: grid_of(series) for zone, series in actuals.items()}
    touched = {id(replay): touched_by(replay) for replay in {id(one): one for one in replays}.values()}
    used = touched_by_any(touched.values())
    state = state_of(run, used, grids, now, final_after, typical_after)
    if isinstance(state, NotYet):
        return state
    grids = {zone: grids[zone] for zone in used}
    return Weighed(
        settled=state,
        measure=_measure(grids),
        providers=tuple(sorted({grid.provider for grid in grids.values()})),
        location=_main_location(run, *cutting),
        profile=profile.with_slices((*profile.slices, *moves)) if moves else profile,
        micrograms=sums_of(replays, emissions_on(grids)),
        millijoules=sums_of(replays, with_pue),
        intensity=used_over(touched[id(replays[-1])], grids),
        baseline_intensity=used_over(touched[id(replays[0])], grids),
    )


def by_cause(amounts: Sequence[int]) -> dict[Cause, int]:
    """What each cause avoided: the differences of replays that follow each other."""
    return {cause: amounts[index] - amounts[index + 1] for index, cause in enumerate(Cause)}


def _shares(profile: EnergyProfile, emissions: int, baseline: int) -> tuple[MethodShare, ...]:
    """Grams split in proportion to joules: a method's slice of the energy is its slice of the emissions."""
    known: dict[Method, int] = {}
    named: dict[Method, set[str]] = {}
    for (_, method, meter), millijoules in profile.slices.drawn().items():
        known[method] = known.get(method, 0) + millijoules
        named.setdefault(method, set()).add(meter)
    methods = [method for method in Method if method in known]
    energy = [known[method] for method in methods]
    meters = [tuple(sorted(named[method])) for method in methods]
    rows = zip(
        methods, meters, energy, apportion(emissions, energy), apportion(baseline, energy), strict=True
    )
    return tuple(MethodShare(*row) for row in rows)


def _main_location(run: FinishedRun, bulk: Bulk | None, parts: Sequence[Piece]) -> str:
    """Where most of the energy was drawn, the first of equals: a row wears one location."""
    drawn = dict.fromkeys((segment.location for segment in run.segments), 0)
    for part in parts:
        drawn[part.location] += part.millijoules
    if bulk is not None and len(drawn) > 1:
        for index, segment in enumerate(run.segments):
            drawn[segment.location] += int(bulk.millijoules[bulk.segments == index].sum())
    return max(drawn, key=lambda name: drawn[name])


def _measure(grids: Mapping[str, Grid]) -> Measure:
    measures = {grid.measure: zone for zone, grid in grids.items()}
    if len(measures) > 1:
        found = "; ".join(f"{zone}: {measure}" for measure, zone in measures.items())
        raise SeriesError(f"a run cannot be settled on intensities that measure different things: {found}")
    return next(iter(measures))


def promise_kept(run: FinishedRun) -> bool | None:
    """Whether the run kept its deadline and its bound on lost time; None where there was none, or it ended otherwise.

    Lost is whatever was not useful running between the first allowed start and the end: waiting, pauses, the checkpoints
    of our pauses, and what a power cap of ours made it slower. A run that failed before its deadline neither kept nor broke it.
    """
    request = run.request
    if not request.flexible or run.state is JobState.CANCELLED:
        return None
    late = request.deadline is not None and run.finished_at > request.deadline
    if request.max_delay is not None:
        useful = sum(stretch.end - stretch.overhead_end for stretch in stretches(run))
        cap = cap_of(run)
        if cap is not None:
            useful = int(useful / cap.slowdown)
        lost = run.finished_at - released_from(request) - timedelta(microseconds=useful)
        late = late or lost > request.max_delay
    return False if late else True if run.state is JobState.SUCCEEDED else None


def _unmeasured(run: FinishedRun, profile: EnergyProfile, now: datetime, why: str) -> Entry:
    return Entry(
        run=run,
        location=run.segments[-1].location if run.segments else run.home,
        settled=Settled.FINAL,
        settled_at=now,
        measure=Measure(),
        providers=(),
        profile=profile,
        emissions_ug=None,
        baseline_ug=None,
        deadline_kept=promise_kept(run),
        unmeasured=why,
    )


def _check_known(names: Sequence[str], locations: Mapping[str, Location]) -> None:
    unknown = sorted(set(names) - set(locations))
    if unknown:
        raise ConfigurationError(
            f"runs were at {', '.join(map(repr, unknown))}, which is no configured location; known: "
            + (", ".join(sorted(locations)) or "none")
        )
