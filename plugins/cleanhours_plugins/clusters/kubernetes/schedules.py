"""Schedules: what a CronJob's next run leaves to the run before it. Pure, but for the one who reads CronJobs."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from cleanhours.domain.deadlines import released_from
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import LONGEST, parse_instant
from cleanhours_plugins.clusters.kubernetes.crontab import next_after, parse_crontab
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object
from cleanhours_plugins.clusters.kubernetes.looking import Getting, Looking

log = logging.getLogger(__name__)

SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
"""Annotation of a child: when it was due (stable since 1.32)."""
KEEP: Final = timedelta(minutes=5)
_MINUTES: Final = re.compile(r"-(\d{8})")
_LATE: Final = timedelta(days=32)
_NOTHING: Final = timedelta(0)


class Concurrency(StrEnum):
    """`concurrencyPolicy`: what becomes of a run that is due while the last one is not finished."""

    ALLOW = "Allow"
    """It starts beside it: of runs that we hold, more and more would pile up."""
    FORBID = "Forbid"
    """It is skipped, held or running: the one before must have finished."""
    REPLACE = "Replace"
    """The one before is deleted, held or running: it must have finished."""


@dataclass(frozen=True, slots=True)
class CronRecord:
    """What is kept of a `batch/v1` CronJob. `suspended`: no run comes."""

    schedule: str
    time_zone: str | None
    policy: Concurrency
    suspended: bool = False


def read_cronjob(obj: Object) -> CronRecord:
    """The record of a CronJob."""
    spec = obj["spec"]
    return CronRecord(
        schedule=spec["schedule"],
        time_zone=spec.get("timeZone"),
        policy=Concurrency(spec.get("concurrencyPolicy") or Concurrency.ALLOW),
        suspended=spec.get("suspend") is True,
    )


def fault_of(cron: CronRecord) -> str:
    """Why its schedule cannot be read; empty where it can."""
    try:
        parse_crontab(cron.schedule, cron.time_zone)
    except ValueError as fault:
        return str(fault)
    return ""


@lru_cache(maxsize=16_384)
def next_schedule(cron: CronRecord, after: datetime) -> datetime | None:
    """When it runs next after an instant; None where that cannot be read, or it never does."""
    if cron.suspended or fault_of(cron):
        return None
    return next_after(parse_crontab(cron.schedule, cron.time_zone), after)


def scheduled_at(obj_name: str, cron_name: str, created: datetime) -> datetime:
    """When a child was due: its name ends in minutes since 1970; else its creation, as for one made by hand.

    Source: pkg/controller/cronjob (`getJobName`); the annotation SCHEDULED says the same, to the second.
    """
    ending = obj_name.removeprefix(cron_name)
    match = _MINUTES.fullmatch(ending) if obj_name.startswith(cron_name) else None
    if match is None:
        return created
    due = datetime.fromtimestamp(60 * int(match[1]), UTC)
    return due if _NOTHING <= created - due <= _LATE else created


def read_scheduled(obj: Object) -> datetime:
    """The same from the object itself: its annotation, else its creation."""
    meta = obj["metadata"]
    created = parse_instant(meta["creationTimestamp"])
    try:
        return parse_instant((meta.get("annotations") or {})[SCHEDULED])
    except (KeyError, ValueError, TypeError):
        return created


def narrowed(request: JobRequest, cron: CronRecord, created: datetime) -> JobRequest:
    """The request of a CronJob's child within what the next run leaves it; `created` is when the child was due.

    Where the next run is skipped because of this one (Forbid), or ends it (Replace), this one must have finished by then;
    where it comes anyway (Allow), this one must have started. A request without any flexibility stays so, and a schedule
    that cannot be read caps nothing (`fault_of` says why).
    """
    if not request.flexible:
        return request
    following = next_schedule(cron, created)
    if following is None:
        return request
    if cron.policy is Concurrency.ALLOW:
        wait = max(following - released_from(request), _NOTHING)
        bounds = [length for length in (request.max_delay, wait) if length is not None]
        return request if wait > LONGEST else replace(request, max_delay=min(bounds))
    deadline = following if request.deadline is None else min(request.deadline, following)
    return replace(request, deadline=deadline)


class CronJobs:
    """CronJobs of one cluster, read one by one when a child of theirs is seen. RBAC: get."""

    def __init__(self, api: Getting) -> None:
        self._looking = Looking(api, read_cronjob, "the CronJob", lambda _: KEEP)
        self._said: set[str] = set()

    def find(self, namespace: str, name: str, now: datetime) -> CronRecord | None:
        """The CronJob of that name; None where there is none any more, or it cannot be read now."""
        path = f"/apis/batch/v1/namespaces/{namespace}/cronjobs/{name}"
        cron = self._looking.at(path, now).value
        if cron is not None and (fault := fault_of(cron)) and path not in self._said:
            self._said.add(path)
            log.warning("the CronJob at %s: its schedule caps no delay: %s", path, fault)
        return cron

    def forget_old(self, now: datetime) -> None:
        """Drops what nobody asks for any more."""
        self._looking.forget_old(now)
