"""Everything: all that we hold is let go, with the controllers' Lease in hand, and looked for again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from cleanhours.domain.errors import CleanhoursError
from cleanhours.ports import Context
from cleanhours_plugins.clusters.kubernetes.announcing import Announcer
from cleanhours_plugins.clusters.kubernetes.api import Api, connect
from cleanhours_plugins.clusters.kubernetes.commands.options import Asked
from cleanhours_plugins.clusters.kubernetes.commands.targets import Target, target_of
from cleanhours_plugins.clusters.kubernetes.electing import LeaseLeadership
from cleanhours_plugins.clusters.kubernetes.leading import lease_namespace
from cleanhours_plugins.clusters.kubernetes.pacing import Pace
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.releasing import Released, Releaser, find_held

_ROUNDS: Final = 5
"""While admission is still there, another job may be held behind our back."""
_POLL_S: Final = 0.25
_EVENTS_S: Final = 10.0
_STOPPING_S: Final = 60.0
"""So long Pods of a paused job are given to stop, before it is started beside them."""
_REST_POLL_S: Final = 2.0
_WHY: Final = "cleanhours lets go of everything that it holds"


def release_everything(
    world: Context,
    asked: Asked,
    wait: timedelta,
    lease: tuple[str | None, str | None],
    warn: Callable[[str], None],
) -> tuple[list[Released], list[str]]:
    """What was let go, and a line for whatever is left. Raises ConfigurationError where there is no cluster to speak to.

    `lease`, name and namespace, stands over the settings'. `warn` is told what people should know meanwhile.
    """
    target = target_of(world, asked)
    api = connect(target.kubeconfig, target.context)
    leadership = _leadership(world, api, target, *lease)
    announcer = Announcer(api)
    releaser = Releaser(api.through(pace=Pace()), world.clock.now, announcer)
    if not _lead(leadership, wait):
        holder = f" ({leadership.holder} has it)" if leadership.holder else ""
        warn(f"the Lease was not to be had within the time{holder}: releasing all the same")
    try:
        done, left = _release(api, releaser, target)
        announcer.wait(_EVENTS_S)
    finally:
        leadership.stop()
    return done, left


def _leadership(
    world: Context, api: Api, target: Target, lease: str | None, namespace: str | None
) -> LeaseLeadership:
    space = lease_namespace(namespace or target.lease_namespace, api.namespace)
    return LeaseLeadership(api, space, lease or target.lease, now=world.clock.now)


def _lead(leadership: LeaseLeadership, wait: timedelta) -> bool:
    """Whether we lead within the time. The Lease is kept until `stop`."""
    until_s = time.monotonic() + wait.total_seconds()
    if wait > timedelta():
        leadership.start()
    while not leadership.may_act() and time.monotonic() < until_s:
        time.sleep(_POLL_S)
    return leadership.may_act()


def _release(api: Api, releaser: Releaser, target: Target) -> tuple[list[Released], list[str]]:
    """All that was let go, and a line for whatever is still held or could not be looked at."""
    done: dict[str, Released] = {}
    until_s = time.monotonic() + _STOPPING_S
    rounds = 0
    while True:
        found = find_held(api, target.namespaces, target.kinds)
        ready = [one for one in found.records if time.monotonic() >= until_s or _at_rest(releaser, one)]
        rounds += bool(ready)
        if not found.records or rounds > _ROUNDS:
            break
        for record in ready:
            result = releaser.release(record, _WHY)
            if result is not None:
                done[record.uid] = result
        if not ready:
            releaser.sleep(_REST_POLL_S)
    left = [_left(record, done.get(record.uid)) for record in found.records]
    return [one for one in done.values() if not one.error], [*left, *found.faults]


def _at_rest(releaser: Releaser, record: Record) -> bool:
    try:
        return releaser.at_rest(record)
    except CleanhoursError:
        return True


def _left(record: Record, result: Released | None) -> str:
    if result is not None and result.error:
        return result.sentence
    return f"still held: {record.kind.name} {record.namespace}/{record.name}"
