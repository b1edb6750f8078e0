"""Besides: a settled run once more in another measure, such as marginal intensity; beside its account and never in it."""

from __future__ import annotations

from datetime import datetime

from cleanhours.domain.accounts import Beside, Settled
from cleanhours.domain.jobs import FinishedRun
from cleanhours.planning.finality import TYPICAL_AFTER, NotYet
from cleanhours.planning.settling import Weighed, by_cause


def beside_of(run: FinishedRun, found: Weighed | NotYet, now: datetime) -> Beside:
    """What `weigh` found on the intensity of the other measure, typical values apart: a second opinion on those is none."""
    if isinstance(found, NotYet):
        return unknown_beside(run, found.reason, now)
    return Beside(
        settled=found.settled,
        measure=found.measure,
        providers=found.providers,
        emissions_ug=found.micrograms[-1],
        baseline_ug=found.micrograms[0],
        avoided_ug=by_cause(found.micrograms),
        intensity=found.intensity,
        baseline_intensity=found.baseline_intensity,
    )


def unknown_beside(run: FinishedRun, why: str, now: datetime) -> Beside:
    """Nothing is known, for this reason; final once nobody will publish it any more."""
    over = now >= run.finished_at + TYPICAL_AFTER
    return Beside(settled=Settled.FINAL if over else Settled.PROVISIONAL, unknown=why)
