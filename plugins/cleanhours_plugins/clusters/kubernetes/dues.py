"""Dues: when an object that we hold must be let go at the latest, read from itself alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cleanhours.domain.deadlines import Margins, latest_safe_start, released_from
from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.jobs import JobState
from cleanhours.domain.progress import remaining_work
from cleanhours.domain.words import parse_words
from cleanhours_plugins.clusters.kubernetes.jobs import state_of
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.tables import words_over

MARGINS: Final = Margins(safety=1.1, queue=timedelta(minutes=2))
"""What is kept back where no settings can be read: the defaults, with a cluster's own time to start Pods."""
_HELD: Final = frozenset({JobState.HELD, JobState.PAUSED, JobState.PAUSING, JobState.MOVING})
_NO_WORDS: Final[Mapping[str, str]] = {}


class Due(NamedTuple):
    """When, and why then, in words for people. `certain`: by its plan, or by words that say how long it runs."""

    at: datetime
    why: str
    certain: bool = True


def is_held(record: Record) -> bool:
    """Whether it waits because of us: held, paused, or stopping for a pause or a move. Never what its owner suspended."""
    return state_of(record) in _HELD


def due_of(record: Record, margins: Margins, defaults: Mapping[str, str] = _NO_WORDS) -> Due:
    """Its latest start: by its plan, else by its words and its namespace's `defaults`.

    A plan may be older than the words: of an object that never ran the earlier of both counts. Where the words tell no
    duration, or cannot be read, it is due from the start, but never before the earliest start that its owner named.
    """
    by_words = _by_words(record, margins, defaults)
    if record.plan is None:
        return by_words
    planned = Due(record.plan.latest_start, "latest start of its plan")
    earlier = by_words.certain and not record.runs and by_words.at < planned.at
    return by_words if earlier else planned


def _by_words(record: Record, margins: Margins, defaults: Mapping[str, str]) -> Due:
    if record.fault:
        return Due(record.created, f"it cannot be read ({record.fault})", certain=False)
    words = words_over(defaults, dict(record.words))
    try:
        request = parse_words(words, created=record.created, demand=record.demand)
    except InvalidRequest as fault:
        return Due(record.created, f"its words cannot be read ({fault})", certain=False)
    earliest = released_from(request)
    duration = record.limit if request.duration is None else request.duration
    if not request.flexible:
        return Due(earliest, "its words give no time to wait", certain=False)
    if duration is None:
        return Due(earliest, "nothing tells how long it runs", certain=False)
    # as for every front door: what ran before a pause is behind it, what the next start loses is not
    known = replace(request, duration=duration)
    remaining = remaining_work(known, record.runs, record.created) or timedelta()
    restart = request.checkpoint if record.runs else timedelta()
    latest = latest_safe_start(known, remaining, margins, restart=restart)
    return Due(max(latest, earliest), "latest start by its words")
