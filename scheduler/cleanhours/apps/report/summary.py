"""The sums of a report: whole micrograms and millijoules, each measure for itself, each settlement apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cleanhours.domain.accounts import Cause, Entry, Settled
from cleanhours.domain.energy import Method
from cleanhours.domain.intensity import Measure


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums over some runs: metered energy before PUE, emissions with PUE, and how many runs they are."""

    runs: int = 0
    millijoules: int = 0
    emissions_ug: int = 0
    baseline_ug: int = 0
    energy_avoided_mj: int = 0

    @property
    def avoided_ug(self) -> int:
        """Baseline less emissions; may be negative."""
        return self.baseline_ug - self.emissions_ug

    def to_json(self) -> dict[str, int]:
        return {
            "runs": self.runs,
            "energy_mj": self.millijoules,
            "emissions_ug": self.emissions_ug,
            "baseline_ug": self.baseline_ug,
            "avoided_ug": self.avoided_ug,
            "energy_avoided_mj": self.energy_avoided_mj,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that one measure (signal, scope, basis) may be summed over. `unmeasured` runs are in no sum."""

    measure: Measure
    providers: tuple[str, ...]
    by_settled: Mapping[Settled, Sums]
    by_cause: Mapping[Cause, Mapping[Settled, int]]
    energy_by_cause: Mapping[Cause, Mapping[Settled, int]]
    by_method: Mapping[Method, Mapping[Settled, Sums]]
    by_location: Mapping[str, Mapping[Settled, Sums]]
    coverage: float | None
    """Share of the running time that a meter saw, over all measured runs; None without any."""
    unmeasured: tuple[Entry, ...]
    deadlines_kept: int
    deadlines_missed: int

    @property
    def provisional_share(self) -> float | None:
        """The energy of provisional runs over that of final and provisional ones; None without energy."""
        final = self.by_settled[Settled.FINAL].millijoules
        provisional = self.by_settled[Settled.PROVISIONAL].millijoules
        return provisional / (final + provisional) if final + provisional else None

    @property
    def leading(self) -> Settled:
        """The settlement whose sums stand first: final ones, while there are none provisional ones, then typical."""
        return next((one for one in Settled if self.by_settled[one].runs), Settled.FINAL)

    def to_json(self) -> dict[str, Any]:
        return {
            "signal": self.measure.signal.value,
            "scope": self.measure.scope.value,
            "basis": self.measure.basis.value,
            "providers": list(self.providers),
            "settled": {settled.value: sums.to_json() for settled, sums in self.by_settled.items()},
            "avoided_by_cause_ug": _plain(self.by_cause, int),
            "energy_avoided_by_cause_mj": _plain(self.energy_by_cause, int),
            "by_method": _plain(self.by_method, _of_shares),
            "by_location": _plain(self.by_location, Sums.to_json),
            "coverage": self.coverage,
            "provisional_share": self.provisional_share,
            "unmeasured_runs": len(self.unmeasured),
            "deadlines": {"kept": self.deadlines_kept, "missed": self.deadlines_missed},
        }


def summarise(entries: Iterable[Entry]) -> tuple[Summary, ...]:
    """One summary a measure, the one with the most runs first. Average and marginal grams are never added."""
    groups: dict[Measure, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.measure, []).append(entry)
    return tuple(
        _summary(measure, group) for measure, group in sorted(groups.items(), key=_size, reverse=True)
    )


def in_known_measures(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The same, those without known energy in the measure of most others: they were asked of no intensity, and have none."""
    usual = Counter(entry.measure for entry in entries if measured(entry)).most_common(1)
    if not usual:
        return entries
    return [entry if measured(entry) else replace(entry, measure=usual[0][0]) for entry in entries]


def measured(entry: Entry) -> bool:
    """Whether the run has amounts at all."""
    return entry.emissions_ug is not None and entry.baseline_ug is not None


def _size(group: tuple[Measure, Sequence[Entry]]) -> int:
    return len(group[1])


def _summary(measure: Measure, entries: Sequence[Entry]) -> Summary:
    known = [entry for entry in entries if measured(entry)]
    kept = Counter(entry.deadline_kept for entry in entries)
    return Summary(
        measure=measure,
        providers=tuple(sorted({provider for entry in entries for provider in entry.providers})),
        by_settled={one: _sums(entry for entry in known if entry.settled is one) for one in Settled},
        by_cause=_by_cause(known, lambda entry: entry.avoided_ug),
        energy_by_cause=_by_cause(known, lambda entry: entry.energy_avoided_mj),
        by_method=_by_method(known),
        by_location=_by_location(known),
        coverage=_coverage(known),
        unmeasured=tuple(entry for entry in entries if not measured(entry)),
        deadlines_kept=kept[True],
        deadlines_missed=kept[False],
    )


def _sums(entries: Iterable[Entry]) -> Sums:
    runs = list(entries)
    return Sums(
        runs=len(runs),
        millijoules=sum(entry.profile.millijoules for entry in runs),
        emissions_ug=sum(entry.emissions_ug or 0 for entry in runs),
        baseline_ug=sum(entry.baseline_ug or 0 for entry in runs),
        energy_avoided_mj=sum(sum(entry.energy_avoided_mj.values()) for entry in runs),
    )


def _by_cause(
    entries: Sequence[Entry], of: Callable[[Entry], Mapping[Cause, int]]
) -> dict[Cause, dict[Settled, int]]:
    causes = [cause for cause in Cause if any(cause in of(entry) for entry in entries)]
    return {
        cause: {
            one: sum(of(entry).get(cause, 0) for entry in entries if entry.settled is one) for one in Settled
        }
        for cause in causes
    }


def _by_method(entries: Sequence[Entry]) -> dict[Method, dict[Settled, Sums]]:
    """A run known by two methods counts as a run of each; its energy and grams are split, never doubled."""
    result: dict[Method, dict[Settled, Sums]] = {}
    for method in Method:
        rows = {
            one: _sum_of_shares(method, (entry for entry in entries if entry.settled is one))
            for one in Settled
        }
        if any(sums.runs for sums in rows.values()):
            result[method] = rows
    return result


def _sum_of_shares(method: Method, entries: Iterable[Entry]) -> Sums:
    shares = [[share for share in entry.shares if share.method is method] for entry in entries]
    flat = [share for group in shares for share in group]
    return Sums(
        runs=sum(1 for group in shares if group),
        millijoules=sum(share.millijoules for share in flat),
        emissions_ug=sum(share.emissions_ug for share in flat),
        baseline_ug=sum(share.baseline_ug for share in flat),
    )


def _by_location(entries: Sequence[Entry]) -> dict[str, dict[Settled, Sums]]:
    return {
        location: {
            one: _sums(entry for entry in entries if entry.location == location and entry.settled is one)
            for one in Settled
        }
        for location in sorted({entry.location for entry in entries})
    }


def _coverage(entries: Sequence[Entry]) -> float | None:
    seconds = [
        sum(((part.end or entry.run.finished_at) - part.start).total_seconds() for part in entry.run.segments)
        for entry in entries
    ]
    whole = sum(seconds)
    if not whole:
        return None
    return sum(s * entry.profile.coverage for s, entry in zip(seconds, entries, strict=True)) / whole


def _of_shares(sums: Sums) -> dict[str, int]:
    """What shares add up to. What was avoided of the energy is a run's, and no share of it is a method's."""
    found = sums.to_json()
    del found["energy_avoided_mj"]
    return found


def _plain(groups: Mapping[Any, Mapping[Settled, Any]], convert: Any) -> dict[str, dict[str, Any]]:
    return {
        str(key): {settled.value: convert(value) for settled, value in row.items()}
        for key, row in groups.items()
    }
