"""Telling: the profile of a run from what the counters and gauges of its components said, or that it is not known. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cleanhours.domain.energy import Component, EnergyProfile, EnergySlices, Method, Source
from cleanhours_plugins.meters.prometheus.counters import Account
from cleanhours_plugins.meters.prometheus.profiles import Span, laid, share_seen, slices

UNKNOWN: Final = EnergyProfile(coverage=0.0)
FEWEST: Final = 3
"""Samples of a series, below which its line is not known."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one component. `share` is how much of it was told of at all: Pods seen of those known."""

    component: Component
    method: Method
    meter: str
    accounts: Sequence[Account]
    share: float = 1.0
    upper_estimate: bool = False
    keep_all: bool = True
    """Whether all that was drawn is the run's, also what was drawn a little outside its running."""


def told(parts: Iterable[Told], spans: Sequence[Span], enough: float) -> EnergyProfile:
    """The slices of each component that is known for `enough` of the running time; else only how much was seen of it.

    A part of a run is not the run: where too little was seen, another meter that knows all of it tells more, and it is not
    asked while this one speaks.
    """
    found: list[EnergySlices] = []
    covered: list[float] = []
    lacking: list[float] = []
    upper = False
    for part in parts:
        coverage = min(1.0, part.share) * share_seen(
            (span for account in part.accounts for span in account.seen), spans
        )
        drawn = (each for account in part.accounts for each in account.drawn)
        if coverage < enough or max((a.samples for a in part.accounts), default=0) < FEWEST:
            lacking.append(coverage)
            continue
        source = Source(part.component, part.method, part.meter)
        own = slices(laid(drawn, spans, keep_all=part.keep_all), source)
        if own:
            found.append(own)
            covered.append(coverage)
            upper = upper or part.upper_estimate
    if not found:
        return EnergyProfile(coverage=min(lacking, default=0.0))
    return EnergyProfile(EnergySlices.joined(found), min(covered), upper)
