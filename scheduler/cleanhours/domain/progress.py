"""How far a job has come: what it ran, and what of that served its work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.jobs import RunSegment
from cleanhours.domain.requests import JobRequest

_NOTHING: Final = timedelta(0)


def ran(segments: Sequence[RunSegment], now: datetime) -> timedelta:
    """Running time of all segments, an open one until `now`."""
    return sum(((part.end or now) - part.start for part in segments), _NOTHING)


def remaining_work(request: JobRequest, segments: Sequence[RunSegment], now: datetime) -> timedelta | None:
    """Running time still to do; None where the duration is unknown.

    Each run after the first spends `checkpoint` on getting back to where it was: that does not serve the work, and while
    it lasts, the rest of it is still to do too. A paused job's next restart is not in it: `latest_safe_start` takes that
    apart. Never below nothing, though a job may run longer than its owner thought.
    """
    if request.duration is None:
        return None
    left = request.duration
    for place, part in enumerate(segments):
        served = (part.end or now) - part.start - (request.checkpoint if place else _NOTHING)
        left -= served if part.end is None else max(served, _NOTHING)
    return max(left, _NOTHING)
