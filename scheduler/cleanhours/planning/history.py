"""Forecasting a grid zone from nothing but its own past: an exponential hour-of-day profile and a decaying anomaly.

The method is measured, with its rivals, in docs/forecasts.md as `e4`: P is the mean of past values at one UTC hour of
day with weights that halve every four days, a = (newest value - what P said of its hour before it was known), and the
forecast h hours later is P[hour] + a x 0.93^h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from cleanhours.domain.errors import SeriesError
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.intervals import HIGHEST_G_PER_KWH, Integers
from cleanhours.domain.times import epoch_after, format_instant, instant_of

Floats = npt.NDArray[np.float64]

HALF_LIFE_DAYS: Final = 4.0
DECAY_PER_HOUR: Final = 0.93
SHORTEST_H: Final = 24
"""One day: every hour of the day was seen once."""
MEMORY_H: Final = 56 * 24
"""What is older weighs less than 2^-14 and is left out."""
LONGEST_LEAD_H: Final = 31 * 24
_HOUR: Final = 3_600
_DAY: Final = 24


@dataclass(frozen=True, eq=False)
class HistoryForecast:
    """What the past says of the future, and how wrong that has been.

    `series` begins where the history ends, hourly from the next full hour on. `values` is the history behind it, hourly
    means in gCO2e/kWh, NaN where unknown; `profile` what `running_profile` makes of them; `leads` the hours from the
    newest of them to each interval of `series`.
    """

    series: IntensitySeries
    values: Floats
    profile: Floats
    leads: Integers

    @property
    def mean_abs_error_g_per_kwh(self) -> Floats:
        """The mean absolute error of each interval's lead over the history given; NaN where that is too short to tell."""
        return self._errors[0]

    @property
    def sd_g_per_kwh(self) -> Floats:
        """The root mean square error of each interval's lead over the history given; NaN where too short to tell."""
        return self._errors[1]

    @cached_property
    def _errors(self) -> tuple[Floats, Floats]:
        return _errors(self.values, self.profile, self.leads)


def forecast_from_history(
    history: IntensitySeries | Sequence[IntensitySeries], until: datetime
) -> HistoryForecast:
    """The forecast of `history`'s zone from where it ends to `until`, or 31 days on if that is earlier.

    `history` is the past in one or several parts, in order, of any steps (hours lacking between parts are left out of
    the profile); each hour of the day must be known once. Raises SeriesError when it is not, when the parts do not
    belong together, or when `until` is past already. Source: docs/forecasts.md, method e4.
    """
    parts = [history] if isinstance(history, IntensitySeries) else list(history)
    newest = _newest(parts)
    first_hour, values = hourly_means(parts)
    profile = running_profile(values)
    origin = values.size - 1
    begin, end = int(newest.borders[-1]), epoch_after(until)
    if end <= begin:
        raise SeriesError(
            f"{newest.zone}: the history reaches to {format_instant(newest.end)}, beyond {format_instant(until)}: "
            "nothing is left to forecast"
        )
    origin_s = first_hour + origin * _HOUR
    lead_count = min(-(-(end - origin_s) // _HOUR) - 1, LONGEST_LEAD_H)
    # an hour that is known in part goes on as its known part: lead 0
    leads = np.arange(0 if begin < origin_s + _HOUR else 1, lead_count + 1)
    predicted = _predicted(values, profile, np.array([origin]), leads)[0]
    if np.isnan(predicted).any():
        raise SeriesError(
            f"{newest.zone}: {np.isfinite(values).sum()} hours of history do not show every hour of the day, "
            "accepted: a day at least"
        )
    starts = origin_s + leads * _HOUR
    ends = np.minimum(starts + _HOUR, end)
    starts[0] = begin
    series = IntensitySeries.of(
        newest.zone,
        starts,
        np.clip(predicted, 0.0, HIGHEST_G_PER_KWH),
        ends=ends,
        kind=Kind.FORECAST,
        measure=newest.measure,
        provider=newest.provider,
        issued_at=newest.end,
    )
    return HistoryForecast(series, values, profile, leads)


def hourly_means(parts: Sequence[IntensitySeries]) -> tuple[int, Floats]:
    """The first hour (epoch seconds) and the mean of each UTC hour from it on in gCO2e/kWh, NaN where unknown.

    An hour known in part counts with its known part when it is the last one, else when half of it is known. At most 56
    days are kept.
    """
    last = int(parts[-1].borders[-1])
    end_hour = -(-last // _HOUR)
    begin_hour = max(int(parts[0].borders[0]) // _HOUR, end_hour - MEMORY_H)
    borders = np.arange(begin_hour, end_hour + 1, dtype=np.int64) * _HOUR
    sums, known = np.zeros(borders.size - 1), np.zeros(borders.size - 1, np.int64)
    for part in parts:
        inside = np.clip(borders, part.borders[0], part.borders[-1])
        sums += np.diff(part.integral_at(inside))
        known += np.diff(inside)
    enough = known * 2 >= _HOUR
    enough[-1] = known[-1] > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        return int(borders[0]), np.where(enough, sums / (known * 1e6), np.nan)


def running_profile(values: Floats) -> Floats:
    """P[t]: the weighted mean of `values` at t, t - 24, t - 48 ... (hours), as known when t is; NaN before any was."""
    days = -(-values.size // _DAY)
    table = np.full((days, _DAY), np.nan)
    table.reshape(-1)[: values.size] = values
    kept = 2.0 ** (-1.0 / HALF_LIFE_DAYS)
    total, weight = np.zeros(_DAY), np.zeros(_DAY)
    profile = np.empty_like(table)
    for day, row in enumerate(table):
        seen = np.isfinite(row)
        total = kept * total + np.where(seen, row, 0.0)
        weight = kept * weight + seen
        with np.errstate(invalid="ignore"):
            profile[day] = total / weight
    return profile.reshape(-1)[: values.size]


def _predicted(values: Floats, profile: Floats, origins: Integers, leads: Integers) -> Floats:
    """What was to be expected at each of `origins` (rows) for each of `leads` hours later (columns); lead 0 is known."""
    before = profile[np.maximum(origins - _DAY, 0)]
    anomaly = np.where(origins >= _DAY, values[origins] - before, 0.0)
    # the profile of the target's hour as it stood at the origin: its newest value lies a whole number of days earlier
    back = leads - _DAY * -(-leads // _DAY)
    at = origins[:, None] + back[None, :]
    shape = np.where(at >= 0, profile[np.maximum(at, 0)], np.nan)
    expected: Floats = shape + np.nan_to_num(anomaly)[:, None] * DECAY_PER_HOUR ** leads[None, :]
    return np.where(leads[None, :] == 0, values[origins][:, None], expected)


def _errors(values: Floats, profile: Floats, leads: Integers) -> tuple[Floats, Floats]:
    """Mean absolute and root mean square error per lead, over every origin that had two days to learn from."""
    shortest = 2 * _DAY
    mean_abs, square = np.full(leads.size, np.nan), np.full(leads.size, np.nan)
    origins = np.arange(shortest - 1, values.size)
    if not origins.size:
        return mean_abs, square
    predicted = _predicted(values, profile, origins, leads)
    target = origins[:, None] + leads[None, :]
    missed = np.where(target < values.size, predicted - values[np.minimum(target, values.size - 1)], np.nan)
    known = np.isfinite(missed)
    count, missed = known.sum(axis=0), np.where(known, missed, 0.0)
    some = count > 0
    mean_abs[some] = np.abs(missed).sum(axis=0)[some] / count[some]
    square[some] = np.sqrt((missed**2).sum(axis=0)[some] / count[some])
    return mean_abs, square


def _newest(parts: Sequence[IntensitySeries]) -> IntensitySeries:
    if not parts:
        raise SeriesError("no history at all: a forecast from history needs a day of it")
    for earlier, later in pairwise(parts):
        if (earlier.zone, earlier.measure) != (later.zone, later.measure):
            raise SeriesError(
                f"{earlier.zone} ({earlier.measure}) and {later.zone} ({later.measure}) are no history of one thing"
            )
        if later.borders[0] < earlier.borders[-1]:
            raise SeriesError(
                f"{later.zone}: the part of {format_instant(instant_of(later.borders[0]))} begins before the one before "
                f"it ends at {format_instant(earlier.end)}"
            )
    return parts[-1]
