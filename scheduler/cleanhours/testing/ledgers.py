"""A ledger in memory that keeps the promises of `cleanhours.ports.Ledger`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cleanhours.domain.accounts import (
    COVERAGE_WINDOW,
    AvoidedTotal,
    BesideTotal,
    Cause,
    Entry,
    ForecastError,
    RunsTotal,
    Settled,
    Total,
    Totals,
)
from cleanhours.domain.energy import ENOUGH, Method
from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Scope, Signal
from cleanhours.domain.jobs import JobKey, JobState, RunKey
from cleanhours.domain.plans import Plan
from cleanhours.planning.counterfactuals import TRANSFER
from cleanhours.planning.uncapping import uncapped_running

HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_METHODS = list(Method)


@dataclass(slots=True)
class Pages:
    """What a fake ledger remembers; two fakes on the same pages are two doors to one ledger."""

    rows: list[Entry] = field(default_factory=list)
    plans: list[tuple[JobKey, datetime, Plan]] = field(default_factory=list)
    points: dict[tuple[str, str, Measure, int, datetime], tuple[datetime, float]] = field(
        default_factory=dict
    )
    actuals: dict[tuple[str, str, Measure, int, datetime], float] = field(default_factory=dict)
    labelled: dict[str, bool] = field(default_factory=dict)


class FakeLedger:
    """A ledger in memory: the simplest thing that keeps every promise."""

    def __init__(self, pages: Pages | None = None) -> None:
        self.pages = pages or Pages()

    def record(self, entry: Entry) -> bool:
        rows = self._rows_of(entry.key)
        if rows and replace(rows[-1], settled_at=entry.settled_at) == entry:
            return False
        self.pages.rows.append(entry)
        return True

    def current(
        self, since: datetime | None = None, until: datetime | None = None, *, as_of: datetime | None = None
    ) -> Sequence[Entry]:
        return sorted(
            (
                entry
                for entry in self._in_force(as_of)
                if (since is None or entry.run.finished_at >= since)
                and (until is None or entry.run.finished_at < until)
            ),
            key=lambda entry: entry.run.finished_at,
        )

    def known(self, keys: Sequence[RunKey]) -> frozenset[RunKey]:
        return frozenset(keys) & {entry.key for entry in self.pages.rows}

    def provisional(self, damaged: Callable[[CleanhoursError], None] | None = None) -> Sequence[Entry]:
        return [entry for entry in self.current() if entry.may_change]

    def totals(self) -> Totals:
        in_force = [entry for entry in self._in_force() if entry.emissions_ug is not None]
        counted: dict[tuple[str, str, str, Method], list[int]] = {}
        for key in dict.fromkeys(entry.key for entry in self.pages.rows):
            self._count(self._rows_of(key), counted)
        provisional = sum(entry.settled is Settled.PROVISIONAL for entry in in_force)
        firsts = {entry.key: entry for entry in reversed(self.pages.rows)}
        misses: dict[str, int] = {}
        for entry in firsts.values():
            if entry.deadline_kept is False:
                misses[entry.key.cluster] = misses.get(entry.key.cluster, 0) + 1
        namespaces = list(
            dict.fromkeys(e.run.namespace for e in self.pages.rows if e.emissions_ug is not None)
        )
        return Totals(
            counted=tuple(
                Total(*labels, *sums)
                for labels, sums in sorted(
                    counted.items(), key=lambda item: (namespaces.index(item[0][2]), item[0])
                )
            ),
            avoided=self._avoided(in_force, namespaces),
            beside=_beside(self._in_force()),
            runs=_runs(firsts.values()),
            corrections_ug=sum(self._correction(self._rows_of(key)) for key in firsts),
            provisional_ratio=provisional / len(in_force) if in_force else None,
            coverage=self._coverage(in_force),
            deadline_misses=misses,
        )

    def label_namespaces(self, most: int) -> Sequence[str]:
        labelled = self.pages.labelled
        for entry in self.pages.rows:
            if entry.emissions_ug is not None and entry.run.namespace not in labelled:
                labelled[entry.run.namespace] = sum(labelled.values()) < most
        return [namespace for namespace, own in labelled.items() if own]

    def record_plans(self, changed: Sequence[tuple[JobKey, str, Plan]], now: datetime) -> None:
        self.pages.plans += [(key, now, Plan.from_json(plan.to_json())) for key, _, plan in changed]

    def plans(self, key: JobKey) -> Sequence[tuple[datetime, Plan]]:
        return [(when, plan) for kept, when, plan in self.pages.plans if kept == key]

    def remembered(self, cluster: str, namespace: str, names: Collection[str]) -> frozenset[str]:
        return frozenset(name for name in names if self.durations(cluster, namespace, name))

    def durations(self, cluster: str, namespace: str, name: str) -> Sequence[timedelta]:
        runs = {
            entry.key: entry
            for entry in self.pages.rows
            if (entry.key.cluster, entry.run.namespace, entry.run.name) == (cluster, namespace, name)
            and entry.run.state is JobState.SUCCEEDED
        }
        newest = sorted(runs.values(), key=lambda entry: entry.run.finished_at, reverse=True)[:50]
        return [uncapped_running(entry.run, entry.profile) for entry in newest]

    def powers(self, cluster: str, namespace: str, name: str) -> Sequence[float]:
        firsts = {entry.key: entry for entry in reversed(self.pages.rows)}
        known = [
            entry
            for entry in firsts.values()
            if (entry.key.cluster, entry.run.namespace, entry.run.name) == (cluster, namespace, name)
            and entry.run.state is JobState.SUCCEEDED
            and entry.profile.coverage >= ENOUGH
            and not entry.energy_avoided_mj.get(Cause.CAPPED)
            and not any(one.method is Method.DECLARED or TRANSFER in one.meters for one in entry.shares)
        ]
        found = []
        for entry in sorted(known, key=lambda entry: entry.run.finished_at, reverse=True):
            run, millijoules = entry.run, sum(share.millijoules for share in entry.shares)
            ran = sum(((part.end or run.finished_at) - part.start for part in run.segments), timedelta(0))
            if ran and millijoules:
                found.append(millijoules / 1000 / ran.total_seconds())
        return found[:50]

    def record_forecast(self, series: IntensitySeries, now: datetime) -> None:
        for lead in (1, 6, 24):
            target = now + lead * HOUR
            if series.start <= target < series.end:
                part = series.cut(target, target + timedelta(seconds=1))
                index = max(i for i, border in enumerate(series.borders) if border <= part.borders[0])
                start, end = (datetime.fromtimestamp(int(series.borders[i]), UTC) for i in (index, index + 1))
                point = (series.zone, series.provider, series.measure, lead, start)
                self.pages.points.setdefault(point, (end, float(series.micrograms[index])))

    def record_actual(self, series: IntensitySeries) -> None:
        for point, (end, _) in self.pages.points.items():
            zone, _, measure, _, start = point
            if (zone, measure) != (series.zone, series.measure) or not series.covers(start, end):
                continue
            if series.worst_kind(start, end) is Kind.ACTUAL:
                self.pages.actuals.setdefault(point, series.mean(start, end) * 1e6)

    def forecast_errors(self) -> Sequence[ForecastError]:
        newest = max((self.pages.points[point][0] for point in self.pages.actuals), default=None)
        groups: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
        for (zone, provider, measure, lead, start), actual in self.pages.actuals.items():
            end, predicted = self.pages.points[zone, provider, measure, lead, start]
            if newest is not None and end > newest - timedelta(days=28):
                groups.setdefault((zone, provider, lead), []).append((predicted, actual))
        return [
            ForecastError(*labels, sum(abs(f - a) for f, a in pairs) / sum(a for _, a in pairs), len(pairs))
            for labels, pairs in sorted(groups.items())
            if any(a for _, a in pairs)
        ]

    def close(self) -> None:
        """Nothing to release."""

    def _rows_of(self, key: RunKey) -> list[Entry]:
        return [entry for entry in self.pages.rows if entry.key == key]

    def _in_force(self, as_of: datetime | None = None) -> list[Entry]:
        written = (entry for entry in self.pages.rows if as_of is None or entry.settled_at <= as_of)
        return list({entry.key: entry for entry in written}.values())

    def _count(self, rows: Iterable[Entry], counted: dict[tuple[str, str, str, Method], list[int]]) -> None:
        measured = [entry for entry in rows if entry.emissions_ug is not None]
        closed = next((entry for entry in measured if entry.settled is not Settled.PROVISIONAL), None)
        final = next((entry for entry in measured if entry.settled is Settled.FINAL), None)
        for entry, energy in ((closed, True), (final, False)):
            for share in entry.shares if entry else ():
                assert entry is not None
                labels = (entry.key.cluster, entry.location, entry.run.namespace, share.method)
                sums = counted.setdefault(labels, [0, 0, 0])
                sums[0] += share.millijoules if energy else 0
                sums[1] += 0 if energy else share.emissions_ug
                sums[2] += 0 if energy else share.baseline_ug

    def _correction(self, rows: Iterable[Entry]) -> int:
        measured = [entry for entry in rows if entry.emissions_ug is not None]
        first = next((i for i, entry in enumerate(measured) if entry.settled is Settled.FINAL), None)
        if first is None:
            return 0
        return (measured[-1].emissions_ug or 0) - (measured[first].emissions_ug or 0)

    def _coverage(self, in_force: Iterable[Entry]) -> dict[Method, float]:
        hours = [(entry.run.finished_at - _EPOCH) // HOUR for entry in self.pages.rows]
        oldest = max(hours, default=0) - COVERAGE_WINDOW // HOUR
        found: dict[Method, list[float]] = {}
        for entry in in_force:
            if (entry.run.finished_at - _EPOCH) // HOUR > oldest:
                for share in entry.shares:
                    found.setdefault(share.method, []).append(entry.profile.coverage)
        return {method: sum(found[method]) / len(found[method]) for method in Method if method in found}

    def _avoided(self, in_force: Iterable[Entry], namespaces: Sequence[str]) -> tuple[AvoidedTotal, ...]:
        sums: dict[tuple[str, str, str, Settled, Cause], list[int]] = {}
        for entry in in_force:
            for cause in Cause:
                labels = (entry.key.cluster, entry.location, entry.run.namespace, entry.settled, cause)
                both = sums.setdefault(labels, [0, 0])
                both[0] += entry.avoided_ug.get(cause, 0)
                both[1] += entry.energy_avoided_mj.get(cause, 0)
        causes = list(Cause)
        ordered = sorted(
            sums.items(),
            key=lambda item: (
                namespaces.index(item[0][2]),
                *item[0][:2],
                item[0][3],
                causes.index(item[0][4]),
            ),
        )
        return tuple(AvoidedTotal(c, loc, ns, cause, s, *both) for (c, loc, ns, s, cause), both in ordered)


def _beside(in_force: Iterable[Entry]) -> tuple[BesideTotal, ...]:
    sums: dict[tuple[str, str, Signal, Scope, Settled], list[int]] = {}
    for entry in in_force:
        one = entry.beside
        if one is None or one.measure is None or one.emissions_ug is None or one.baseline_ug is None:
            continue
        labels = (entry.key.cluster, entry.location, one.measure.signal, one.measure.scope, one.settled)
        both = sums.setdefault(labels, [0, 0])
        both[0] += one.emissions_ug
        both[1] += one.baseline_ug
    return tuple(BesideTotal(*labels, *both) for labels, both in sorted(sums.items()))


def _runs(firsts: Iterable[Entry]) -> tuple[RunsTotal, ...]:
    counted: Counter[tuple[str, str, str]] = Counter()
    for entry in firsts:
        if uncapped_running(entry.run, entry.profile) > timedelta(0):
            best = sorted(entry.shares, key=lambda share: (-share.millijoules, _METHODS.index(share.method)))
            most = next(iter(best), None)
            counted[entry.key.cluster, entry.location, most.method.value if most else ""] += 1
    return tuple(
        RunsTotal(cluster, location, Method(method) if method else None, runs)
        for (cluster, location, method), runs in sorted(counted.items())
    )
