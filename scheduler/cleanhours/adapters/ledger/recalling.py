"""Recalling: how long earlier successful runs of a work ran, and what they drew, newest first."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, exists, func, or_, select

from cleanhours.adapters.ledger.schema import entries, shares
from cleanhours.domain.energy import ENOUGH, Method
from cleanhours.domain.jobs import JobState
from cleanhours.planning.counterfactuals import TRANSFER

_MOST_RUNS: Final = 50
_NAMES_AT_ONCE: Final = 1_000
_ENOUGH_PPM: Final = round(ENOUGH * 1_000_000)


def remembered(connection: Connection, cluster: str, namespace: str, names: Collection[str]) -> set[str]:
    """Works that succeeded once, as `cleanhours.ports.Ledger.remembered`."""
    found: set[str] = set()
    rest = iter(names)
    while chunk := list(islice(rest, _NAMES_AT_ONCE)):
        query = select(entries.c.name).where(*_successes(cluster, namespace), entries.c.name.in_(chunk))
        found.update(connection.execute(query.distinct()).scalars())
    return found


def durations(connection: Connection, cluster: str, namespace: str, name: str) -> list[timedelta]:
    """Running times, as `cleanhours.ports.Ledger.durations`."""
    query = (
        select(entries.c.running_us)
        .where(*_successes(cluster, namespace), entries.c.name == name)
        .order_by(entries.c.finished_us.desc(), entries.c.id.desc())
        .limit(_MOST_RUNS)
    )
    return [timedelta(microseconds=length) for length in connection.execute(query).scalars()]


def powers(connection: Connection, cluster: str, namespace: str, name: str) -> list[float]:
    """Mean watts before PUE, as `cleanhours.ports.Ledger.powers`."""
    own = shares.c.entry_id == entries.c.id
    energy = select(func.sum(shares.c.millijoules)).where(own).scalar_subquery()
    moved = ("," + shares.c.meters + ",").like(f"%,{TRANSFER},%")
    strange = exists().where(own, or_(shares.c.method == Method.DECLARED.value, moved))
    query = (
        select(entries.c.running_us, energy)
        .where(
            *_successes(cluster, namespace),
            entries.c.name == name,
            entries.c.coverage_ppm >= _ENOUGH_PPM,
            entries.c.running_us > 0,
            entries.c.capped_mj == 0,
            energy > 0,
            ~strange,
        )
        .order_by(entries.c.finished_us.desc(), entries.c.id.desc())
        .limit(_MOST_RUNS)
    )
    return [int(millijoules) * 1000 / ran for ran, millijoules in connection.execute(query)]


def _successes(cluster: str, namespace: str) -> tuple[Any, ...]:
    """Each run once: neither its length nor its energy changes when it is settled again."""
    return (
        entries.c.cluster == cluster,
        entries.c.namespace == namespace,
        entries.c.revision == 1,
        entries.c.state == JobState.SUCCEEDED.value,
    )
