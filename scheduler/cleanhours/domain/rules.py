"""The knobs of planning, with their defaults, units and consequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from cleanhours.domain.caps import PowerCurve
from cleanhours.domain.deadlines import Margins

if TYPE_CHECKING:
    from cleanhours.domain.intensity import IntensitySeries

ForecastLevels = Sequence[Mapping[str, "IntensitySeries"]]
"""The forecast chain, best level first: what each level knows of each grid zone. Levels are never mixed for one job."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How plans are chosen, cluster-wide.

    `minimum_saving_percent`: a wait that saves less is not worth it. `hysteresis_percent`: a running plan is replaced
    only when the new one saves more. `delay_g_per_hour`: what `carbon-time` charges for an hour of waiting.
    `transfer_kwh_per_gb`: energy of moving 10^9 bytes once, priced at the mean intensity of both ends.
    `releases_per_tick`: ramp, per location; releases that a deadline forces are not counted. `power_curves`: what jobs
    that name one may be capped by.
    """

    margins: Margins = Margins()
    minimum_saving_percent: float = 0.5
    hysteresis_percent: float = 2.0
    delay_g_per_hour: float = 0.0
    transfer_kwh_per_gb: float = 0.001
    minimum_run: timedelta = timedelta(0)
    maximum_pauses: int | None = None
    releases_per_tick: int = 100
    power_curves: Mapping[str, PowerCurve] = field(default_factory=dict)
