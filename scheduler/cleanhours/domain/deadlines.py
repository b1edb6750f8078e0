"""The promise never to cost a deadline, as one function that every front door calls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cleanhours.domain.requests import JobRequest

_NOTHING: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Margins:
    """What is kept back from a deadline: `safety` times the remaining work, and the time a release may queue."""

    safety: float = 1.1
    queue: timedelta = timedelta(seconds=60)


def latest_safe_start(
    request: JobRequest,
    remaining: timedelta,
    margins: Margins,
    *,
    restart: timedelta = _NOTHING,
) -> datetime:
    """The last instant at which the job may start, or resume after `restart` of lost time, and keep its promises.

    Under a deadline: deadline - remaining x safety - restart - queue margin. Under max-delay: submission (or the owner's
    own earliest start) + delay + work already done - restart - queue margin, without safety factor, so that a day-long
    job may wait two hours. With both, the earlier. A request without either has no slack: its submission. Whole
    seconds, rounded down; may lie in the past.
    """
    bound: datetime | None = None
    if request.deadline is not None:
        bound = request.deadline - timedelta(seconds=math.ceil(remaining.total_seconds() * margins.safety))
    if request.max_delay is not None:
        done = _NOTHING if request.duration is None else max(request.duration - remaining, _NOTHING)
        delayed = released_from(request) + request.max_delay + done
        bound = delayed if bound is None else min(bound, delayed)
    if bound is None:
        return released_from(request)
    latest = bound - (restart + margins.queue)
    return latest.replace(microsecond=0) if latest.microsecond else latest


def released_from(request: JobRequest) -> datetime:
    """When the owner's own wishes first allow a start: submission, or a later `earliest`."""
    return request.submitted if request.earliest is None else max(request.submitted, request.earliest)
