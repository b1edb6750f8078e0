"""Ahead: the next two days hour by hour, how clean each grid zone will be and what is planned to run there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from cleanhours.adapters.exposition.families import AHEAD_H
from cleanhours.domain.intensity import MICROGRAMS, IntensitySeries
from cleanhours.domain.jobs import Job, JobState
from cleanhours.domain.times import epoch

_HOURS: Final = np.arange(AHEAD_H + 1)
_NAMES: Final = tuple(f"{hour:02}" for hour in range(AHEAD_H))
"""Two digits each, so that they are in order as text, which labels are."""

Rows = dict[tuple[str, ...], float]


def planned_ahead(jobs: Iterable[Job], zones: Iterable[str], now: datetime) -> Rows:
    """Jobs that run by their plan, mean over each hour; none is 0, for every plan is known."""
    stretches: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for job in jobs:
        if job.plan is not None and job.state is not JobState.UNMANAGED:
            for part in job.plan.segments:
                stretches[part.zone].append((_hours(part.start - now), _hours(part.end - now)))
    rows: Rows = {}
    for zone in sorted({*zones, *stretches}):
        begun, ended = np.array(stretches[zone], float).reshape(-1, 2).T[:, :, None]
        run = np.diff(np.clip(_HOURS, begun, ended)).sum(axis=0)
        rows |= {(zone, name): float(jobs) for name, jobs in zip(_NAMES, run, strict=True)}
    return rows


def intensity_ahead(series: Mapping[str, IntensitySeries], now: datetime) -> Rows:
    """The mean over each hour that is known as a whole."""
    rows: Rows = {}
    borders = epoch(now) + 3600 * _HOURS
    for zone, one in series.items():
        known = (one.borders[0] <= borders[:-1]) & (borders[1:] <= one.borders[-1])
        means = np.diff(one.integral_at(np.clip(borders, one.borders[0], one.borders[-1]))) / (
            3600 * MICROGRAMS
        )
        rows |= {(zone, _NAMES[hour]): float(means[hour]) for hour in np.flatnonzero(known)}
    return rows


def _hours(span: timedelta) -> float:
    return span / timedelta(hours=1)
