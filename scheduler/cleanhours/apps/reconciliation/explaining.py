"""Explaining: why a provider's figure is not ours, with what the rows tell of each cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC

from cleanhours.apps.reconciliation.figures import Export, Provider
from cleanhours.apps.report.figures import format_count, format_percent, format_ug
from cleanhours.domain.accounts import Entry, Settled
from cleanhours.domain.energy import Method
from cleanhours.domain.locations import Location


def explain(
    export: Export, entries: Sequence[Entry], locations: Mapping[str, Location], marginal: int
) -> Iterator[str]:
    """Sentences, the provider's side first. `entries` are those that stand beside a figure."""
    yield from _accounting(export)
    yield from _scopes(export)
    yield (
        "not our jobs: the provider counts everything of the account, and its share of idle and shared machines, storage "
        "and networks; we count the energy of managed jobs that have finished"
    )
    yield (
        "intensity: we use that of each hour at the place, the provider its own factors, mostly of a month or a year"
    )
    yield from _overheads(entries, locations)
    yield from _rows(entries, marginal)
    if export.incomplete:
        yield f"the export is not complete: {'; '.join(export.incomplete)}"
    else:
        yield "the export: providers publish a month weeks later, and restate it; one that was saved early is too small"


def _accounting(export: Export) -> Iterator[str]:
    if any(figure.amounts.market_ug is not None for figure in export.figures):
        yield (
            "market-based figures count the electricity that the provider bought, by contract; they say nothing of the "
            "grid, and are not compared with ours, which are location-based"
        )
    if export.provider is Provider.AZURE:
        yield "accounting: Azure's answer does not say whether it is location-based or market-based"


def _scopes(export: Export) -> Iterator[str]:
    told = [one.amounts.scope3_ug for one in export.figures if one.amounts.scope3_ug is not None]
    inside = f"{format_ug(sum(told))} of it is scope 3" if told else "it may contain scopes 1 and 3"
    yield (
        f"embodied: the provider's total is more than electricity; {inside} (making of machines and buildings, fuel); "
        "ours is electricity alone"
    )


def _overheads(entries: Sequence[Entry], locations: Mapping[str, Location]) -> Iterator[str]:
    used = sorted({entry.location for entry in entries})
    if used:
        known = [f"{name} {locations[name].pue:g}" for name in used if name in locations]
        yield f"PUE: ours is that of the settings ({', '.join(known) or 'no longer configured'}), the provider's its own"
    scopes = sorted({entry.measure.scope.value for entry in entries if entry.emissions_ug is not None})
    if scopes:
        yield f"grid: our intensity is {' and '.join(scopes)}; the provider's factors may count otherwise"


def _rows(entries: Sequence[Entry], marginal: int) -> Iterator[str]:
    """What of our own rows is not as firm as the rest."""
    crossed = [entry for entry in entries if _crosses(entry)]
    if crossed:
        grams = format_ug(sum(entry.emissions_ug or 0 for entry in crossed))
        yield (
            f"month: {format_count(len(crossed), 'run')} ({grams}) began in an earlier month (UTC) and count whole in the "
            "one they ended in"
        )
    known = [entry for entry in entries if entry.emissions_ug is not None]
    provisional = [entry for entry in known if entry.settled is Settled.PROVISIONAL]
    typical = [entry for entry in known if entry.settled is Settled.TYPICAL]
    if provisional:
        yield f"provisional: {len(provisional)} of our {format_count(len(known), 'run')} may still change"
    if typical:
        yield f"typical: {format_count(len(typical), 'run')} had no actual intensity, and are in no sum of ours"
    if len(known) < len(entries):
        yield f"unmeasured: the energy of {format_count(len(entries) - len(known), 'run')} is not known, and not 0"
    if marginal:
        yield f"marginal: {format_count(marginal, 'run')} settled on a marginal signal cannot be compared"
    shares = [share for entry in known for share in entry.shares]
    whole = sum(share.millijoules for share in shares)
    guessed = sum(s.millijoules for s in shares if s.method in {Method.MODELLED, Method.DECLARED})
    if guessed:
        yield f"method: {format_percent(guessed, whole)} of our energy is modelled or declared, not metered"


def _crosses(entry: Entry) -> bool:
    start, end = entry.run.started_at, entry.run.finished_at.astimezone(UTC)
    if start is None:
        return False
    begun = start.astimezone(UTC)
    return (begun.year, begun.month) != (end.year, end.month)
