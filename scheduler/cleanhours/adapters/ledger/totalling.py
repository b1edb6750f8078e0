"""Totalling: sums of the ledger that grow with what was added, exact, and the same when summed anew after a restart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, case, func, select

from cleanhours.adapters.ledger.schema import besides, entries, shares
from cleanhours.domain.accounts import (
    COVERAGE_WINDOW,
    AvoidedTotal,
    BesideTotal,
    Cause,
    RunsTotal,
    Settled,
    Total,
    Totals,
)
from cleanhours.domain.energy import Method
from cleanhours.domain.measures import Scope, Signal

_CAUSES: Final = tuple(Cause)
_LABELS: Final = (entries.c.cluster, entries.c.location, entries.c.namespace)
_HOUR_US: Final = 3_600_000_000
_WINDOW_HOURS: Final = COVERAGE_WINDOW // timedelta(hours=1)
_METHODS: Final = tuple(Method)
_UNKNOWN: Final = ""


def _numbers() -> defaultdict[Any, list[int]]:
    return defaultdict(lambda: [0] * 12)


@dataclass(slots=True)
class Tally:
    """Running sums over all rows up to `seen`. Rows never change, so only newer ones are asked for.

    `counted`: per label set [millijoules, emissions, baseline]; `in_force`: per label set [rows, µg by cause, mJ by
    cause]; `beside`: per label set [rows, emissions, baseline]; `coverage`: per method and hour in which runs ended [rows,
    parts per million], as far back as is told; `runs`: per place and method [runs].
    """

    seen: int = 0
    first_seen: dict[str, int] = field(default_factory=dict)
    counted: defaultdict[tuple[str, str, str, str], list[int]] = field(default_factory=_numbers)
    in_force: defaultdict[tuple[str, str, str, str], list[int]] = field(default_factory=_numbers)
    beside: defaultdict[tuple[str, str, str, str, str], list[int]] = field(default_factory=_numbers)
    coverage: defaultdict[tuple[str, int], list[int]] = field(default_factory=_numbers)
    newest_hour: int = 0
    runs: defaultdict[tuple[str, str, str], list[int]] = field(default_factory=_numbers)
    rows: int = 0
    provisional: int = 0
    corrections_ug: int = 0
    misses: dict[str, int] = field(default_factory=dict)
    _told: Totals | None = None

    def catch_up(self, connection: Connection) -> None:
        """Adds what was written since."""
        top = connection.execute(select(func.coalesce(func.max(entries.c.id), 0))).scalar_one()
        if top <= self.seen:
            return
        fresh = and_(entries.c.id > self.seen, entries.c.id <= top)
        self._order(connection, fresh)
        self._count(connection, fresh)
        self._weigh(connection, fresh)
        self._weigh_beside(connection, fresh)
        self._cover(connection, fresh)
        self._run(connection, fresh)
        self._correct(connection, fresh)
        self.seen = top
        self._told = None

    def totals(self) -> Totals:
        """The sums as values, in the order in which namespaces were first settled; the same object until a row is added."""
        if self._told is None:
            self._told = self._sums()
        return self._told

    def namespaces(self) -> Sequence[str]:
        """Those that have a figure, in the order in which they were first settled."""
        return sorted(self.first_seen, key=lambda namespace: self.first_seen[namespace])

    def _sums(self) -> Totals:
        counted = [
            Total(cluster, location, namespace, Method(method), *numbers[:3])
            for (cluster, location, namespace, method), numbers in self.counted.items()
        ]
        avoided = [
            AvoidedTotal(
                cluster, location, namespace, cause, Settled(settled), numbers[1 + index], numbers[6 + index]
            )
            for (cluster, location, namespace, settled), numbers in self.in_force.items()
            if numbers[0]
            for index, cause in enumerate(_CAUSES)
        ]
        return Totals(
            counted=tuple(sorted(counted, key=self._place)),
            avoided=tuple(sorted(avoided, key=self._place)),
            beside=tuple(
                BesideTotal(cluster, location, Signal(signal), Scope(scope), Settled(settled), *numbers[1:3])
                for (cluster, location, signal, scope, settled), numbers in sorted(self.beside.items())
                if numbers[0]
            ),
            runs=tuple(
                RunsTotal(cluster, location, Method(method) if method else None, numbers[0])
                for (cluster, location, method), numbers in sorted(self.runs.items())
            ),
            corrections_ug=self.corrections_ug,
            provisional_ratio=self.provisional / self.rows if self.rows else None,
            coverage=self._coverage(),
            deadline_misses=dict(self.misses),
        )

    def _coverage(self) -> dict[Method, float]:
        sums: defaultdict[str, list[int]] = _numbers()
        for (method, _), numbers in self.coverage.items():
            sums[method][0] += numbers[0]
            sums[method][1] += numbers[1]
        return {
            method: sums[method.value][1] / sums[method.value][0] / 1_000_000
            for method in Method
            if sums[method.value][0]
        }

    def _place(self, total: Total | AvoidedTotal) -> tuple[Any, ...]:
        last = total.method if isinstance(total, Total) else (total.settled, _CAUSES.index(total.cause))
        return (self.first_seen.get(total.namespace, 0), total.namespace, total.cluster, total.location, last)

    def _order(self, connection: Connection, fresh: Any) -> None:
        query = (
            select(entries.c.namespace, func.min(entries.c.id))
            .where(fresh, entries.c.emissions_ug.is_not(None))
            .group_by(entries.c.namespace)
        )
        for namespace, first in connection.execute(query):
            self.first_seen.setdefault(namespace, first)

    def _count(self, connection: Connection, fresh: Any) -> None:
        energy, grams = entries.c.counts_energy, entries.c.counts_grams
        query = (
            select(
                *_LABELS,
                shares.c.method,
                _sum(case((energy, shares.c.millijoules), else_=0)),
                _sum(case((grams, shares.c.emissions_ug), else_=0)),
                _sum(case((grams, shares.c.baseline_ug), else_=0)),
            )
            .join(shares, shares.c.entry_id == entries.c.id)
            .where(fresh, energy | grams)
            .group_by(*_LABELS, shares.c.method)
        )
        _add(self.counted, connection.execute(query), labels=4)

    def _weigh(self, connection: Connection, fresh: Any) -> None:
        """New rows come into force, the rows that they supersede go out."""
        old = entries.alias("old")
        for table, link, sign in ((entries, None, 1), (old, old.c.id == entries.c.supersedes, -1)):
            columns = table.c
            query = select(
                columns.cluster,
                columns.location,
                columns.namespace,
                columns.settled,
                func.count(),
                *(_sum(columns[f"{cause.value}_ug"]) for cause in _CAUSES),
                *(_sum(columns[f"{cause.value}_mj"]) for cause in _CAUSES),
            ).where(fresh, columns.emissions_ug.is_not(None))
            query = query if link is None else query.select_from(entries.join(old, link))
            query = query.group_by(columns.cluster, columns.location, columns.namespace, columns.settled)
            found = list(connection.execute(query))
            _add(self.in_force, found, labels=4, sign=sign)
            self.rows += sign * sum(row[4] for row in found)
            self.provisional += sign * sum(row[4] for row in found if row[3] == Settled.PROVISIONAL)

    def _weigh_beside(self, connection: Connection, fresh: Any) -> None:
        old = entries.alias("old")
        for table, link, sign in ((entries, None, 1), (old, old.c.id == entries.c.supersedes, -1)):
            source = entries if link is None else entries.join(old, link)
            labels = (
                table.c.cluster,
                table.c.location,
                besides.c.signal,
                besides.c.scope,
                besides.c.settled,
            )
            query: Select[Any] = (
                select(*labels, func.count(), _sum(besides.c.emissions_ug), _sum(besides.c.baseline_ug))
                .select_from(source.join(besides, besides.c.entry_id == table.c.id))
                .where(fresh, besides.c.emissions_ug.is_not(None))
                .group_by(*labels)
            )
            _add(self.beside, connection.execute(query), labels=5, sign=sign)

    def _cover(self, connection: Connection, fresh: Any) -> None:
        """Of the newest hours only: a mean over years would take months to show that a meter broke."""
        newest = connection.execute(
            select(func.coalesce(func.max(entries.c.finished_us), 0)).where(fresh)
        ).scalar_one()
        self.newest_hour = max(self.newest_hour, newest // _HOUR_US)
        oldest = self.newest_hour - _WINDOW_HOURS
        old = entries.alias("old")
        for table, link, sign in ((entries, None, 1), (old, old.c.id == entries.c.supersedes, -1)):
            source = entries if link is None else entries.join(old, link)
            hour = (table.c.finished_us // _HOUR_US).label("hour")
            query: Select[Any] = (
                select(shares.c.method, hour, func.count(), _sum(table.c.coverage_ppm))
                .select_from(source.join(shares, shares.c.entry_id == table.c.id))
                .where(fresh, table.c.finished_us >= (oldest + 1) * _HOUR_US)
                .group_by(shares.c.method, hour)
            )
            _add(self.coverage, connection.execute(query), labels=2, sign=sign)
        for key in [key for key in self.coverage if key[1] <= oldest]:
            del self.coverage[key]

    def _run(self, connection: Connection, fresh: Any) -> None:
        """Who never ran drew no energy that a meter could have missed."""
        rank = case({method.value: place for place, method in enumerate(_METHODS)}, value=shares.c.method)
        ranked = (
            select(
                shares.c.entry_id,
                shares.c.method,
                func.row_number()
                .over(partition_by=shares.c.entry_id, order_by=(shares.c.millijoules.desc(), rank))
                .label("place"),
            )
            .join(entries, entries.c.id == shares.c.entry_id)
            .where(fresh, entries.c.revision == 1)
            .subquery()
        )
        method = func.coalesce(ranked.c.method, _UNKNOWN).label("best")
        query = (
            select(entries.c.cluster, entries.c.location, method, func.count())
            .select_from(
                entries.outerjoin(ranked, and_(ranked.c.entry_id == entries.c.id, ranked.c.place == 1))
            )
            .where(fresh, entries.c.revision == 1, entries.c.running_us > 0)
            .group_by(entries.c.cluster, entries.c.location, method)
        )
        _add(self.runs, connection.execute(query), labels=3)

    def _correct(self, connection: Connection, fresh: Any) -> None:
        query = select(_sum(entries.c.correction_ug)).where(fresh)
        self.corrections_ug += int(connection.execute(query).scalar_one())
        missed = (
            select(entries.c.cluster, func.count())
            .where(fresh, entries.c.revision == 1, entries.c.deadline_kept.is_(False))
            .group_by(entries.c.cluster)
        )
        for cluster, count in connection.execute(missed):
            self.misses[cluster] = self.misses.get(cluster, 0) + count


def _sum(column: Any) -> Any:
    return func.coalesce(func.sum(column), 0)


def _add(sums: defaultdict[Any, list[int]], rows: Iterable[Any], *, labels: int, sign: int = 1) -> None:
    for row in rows:
        key = tuple(row[:labels]) if labels > 1 else row[0]
        for index, number in enumerate(row[labels:]):
            sums[key][index] += sign * int(number)
