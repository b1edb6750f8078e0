"""Overdue: which held objects fall due before the dead-man looks again, and the order in which they are let go."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cleanhours.domain.errors import CleanhoursError
from cleanhours.ports import Context
from cleanhours_plugins.clusters.kubernetes.announcing import Announcer
from cleanhours_plugins.clusters.kubernetes.api import connect
from cleanhours_plugins.clusters.kubernetes.commands.options import Asked
from cleanhours_plugins.clusters.kubernetes.commands.targets import Target, target_of
from cleanhours_plugins.clusters.kubernetes.dues import Due, due_of, is_held
from cleanhours_plugins.clusters.kubernetes.pacing import Pace
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.releasing import Released, Releaser, find_held

AHEAD: Final = timedelta(minutes=1)
"""Beyond the next run: it may be late itself."""
_POLL_S: Final = 2.0
_EVENTS_S: Final = 10.0


class Outcome(NamedTuple):
    """What became of what was due, and what could not be looked at."""

    done: list[Released]
    faults: tuple[str, ...]


def release_due(world: Context, asked: Asked, every: timedelta, grace: timedelta) -> Outcome:
    """One run. Raises ConfigurationError where there is no cluster to speak to."""
    target = target_of(world, asked)
    api = connect(target.kubeconfig, target.context)
    announcer = Announcer(api)
    releaser = Releaser(api.through(pace=Pace()), world.clock.now, announcer)
    found = find_held(api, target.namespaces, target.kinds)
    done = _Overdue(world, target, releaser, every, grace).release(found.records)
    announcer.wait(_EVENTS_S)
    return Outcome(done, found.faults)


class _Overdue:
    """One run."""

    def __init__(
        self, world: Context, target: Target, releaser: Releaser, every: timedelta, grace: timedelta
    ) -> None:
        self._world = world
        self._target = target
        self._releaser = releaser
        self._grace = grace
        self._horizon = world.clock.now() + every + AHEAD
        self._patience_s = 0.8 * every.total_seconds()
        """Part of the time to the next run: who waits longer for Pods to stop would be skipped over."""

    def release(self, records: tuple[Record, ...]) -> list[Released]:
        dues = [(record, self._due(record)) for record in records]
        mine = sorted((one for one in dues if self._is_mine(*one)), key=lambda one: one[1].at)
        results = []
        stopping = []
        for record, due in mine:
            if self._at_rest(record):
                results.append(self._let_go(record, due))
            else:
                stopping.append((record, due))
        results += self._when_at_rest(stopping)
        return [one for one in results if one is not None]

    def _due(self, record: Record) -> Due:
        return due_of(record, self._target.margins, self._target.usual_words(record.namespace))

    def _is_mine(self, record: Record, due: Due) -> bool:
        now = self._world.clock.now()
        if due.certain:
            return due.at <= self._horizon
        young = record.plan is None and now < record.created + self._grace
        return due.at <= now and not young

    def _still(self, record: Record) -> bool:
        return is_held(record) and self._is_mine(record, self._due(record))

    def _let_go(self, record: Record, due: Due) -> Released | None:
        return self._releaser.release(record, due.why, due.at, self._still)

    def _at_rest(self, record: Record) -> bool:
        try:
            return self._releaser.at_rest(record)
        except CleanhoursError:
            return False

    def _when_at_rest(self, resting: list[tuple[Record, Due]]) -> list[Released | None]:
        """Pods that still stop are waited for, until the job is due: a deadline is worth more than a clean stop."""
        results = []
        until_s = time.monotonic() + self._patience_s
        while resting:
            waiting = []
            for record, due in resting:
                seen = self._releaser.again(record)
                if seen is None:
                    continue
                if self._now() >= due.at or time.monotonic() >= until_s or self._at_rest(seen):
                    results.append(self._let_go(seen, due))
                else:
                    waiting.append((seen, due))
            resting = waiting
            if resting:
                self._releaser.sleep(_POLL_S)
        return results

    def _now(self) -> datetime:
        return self._world.clock.now()
