"""What the ledger itself says where a dashboard shows it: by dashboard, panel and query, from whole numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cleanhours.adapters.exposition.families import FAMILIES, UNKNOWN, Teller
from cleanhours.domain.accounts import ForecastError, Settled, Totals
from tests.dashboards import Query, series_named

Labelled = Mapping[frozenset[tuple[str, str]], float]
_AVOIDED: Final = (Settled.FINAL,)
_WITNESS: Final = "cleanhours:corrections_grams:max"
"""In a difference of two ends, it only says whether the ledger was known at the earlier one."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The ledger in three states, and how to add up what it says."""

    a_week_ago: Totals
    a_day_ago: Totals
    now: Totals
    errors: tuple[ForecastError, ...]

    @staticmethod
    def concern(query: Query) -> bool:
        """Whether the query asks for what the ledger knows."""
        names = {name.split(":")[1] for name in series_named(query.expr)[1]}
        return any(FAMILIES[name].teller is Teller.LEDGER for name in names)

    def counted(self, what: str, *labels: str) -> Labelled:
        """Of runs that became final within the day: `millijoules`, `emissions_ug` or `baseline_ug`, in joules or grams."""
        return _difference(_counted(self.now, what, labels), _counted(self.a_day_ago, what, labels))

    def counted_ever(self, what: str, *labels: str) -> Labelled:
        """The same since the ledger began."""
        return _counted(self.now, what, labels)

    def avoided(self, *labels: str, energy: bool = False, since: Totals | None = None) -> Labelled:
        """What became final within the day, or since another state."""
        before = self.a_day_ago if since is None else since
        return _difference(
            _avoided(self.now, labels, _AVOIDED, energy), _avoided(before, labels, _AVOIDED, energy)
        )

    def avoided_ever(self, *labels: str, settled: tuple[Settled, ...]) -> Labelled:
        """What is in force now."""
        return _avoided(self.now, labels, settled, energy=False)

    def beside(self, *labels: str) -> Labelled:
        """Baseline less emissions in the second measure, of what is in force now."""
        sums: Counter[frozenset[tuple[str, str]]] = Counter()
        for total in self.now.beside:
            sums[_chosen(total, labels)] += total.baseline_ug - total.emissions_ug
        return {chosen: amount / 1e6 for chosen, amount in sums.items()}

    def share(self) -> Labelled:
        """Avoided of the baseline, of what became final within the day."""
        (avoided,), (baseline,) = self.avoided().values(), self.counted("baseline_ug").values()
        return one(avoided / baseline)

    def runs(self, label: str, *, unknown: bool = False) -> Labelled:
        """Runs first settled within the day, or those without any energy, by `method` or `cluster`."""
        return _difference(_runs(self.now, label, unknown), _runs(self.a_day_ago, label, unknown))

    def without_energy(self) -> Labelled:
        """By cluster, of the runs first settled within the day."""
        every, unknown = self.runs("cluster"), self.runs("cluster", unknown=True)
        return {labels: unknown.get(labels, 0.0) / runs for labels, runs in every.items()}

    def negative(self) -> Labelled:
        """Where more was emitted, ever."""
        both = (Settled.FINAL, Settled.PROVISIONAL)
        sums = self.avoided_ever("cluster", "namespace", "location", "cause", settled=both)
        return {labels: grams for labels, grams in sums.items() if grams < 0}

    def worst_errors(self) -> Labelled:
        """Of each provider and lead, the zone with the largest."""
        found: dict[frozenset[tuple[str, str]], float] = {}
        for error in self.errors:
            labels = frozenset({("provider", error.provider), ("lead", f"{error.lead_hours}h")})
            found[labels] = max(found.get(labels, 0.0), error.ratio)
        return found


def one(value: float | None) -> Labelled:
    """A figure without labels."""
    assert value is not None
    return {frozenset(): value}


def _counted(totals: Totals, what: str, labels: tuple[str, ...]) -> Labelled:
    sums: Counter[frozenset[tuple[str, str]]] = Counter()
    for total in totals.counted:
        sums[_chosen(total, labels)] += getattr(total, what)
    return {chosen: amount / (1e3 if what == "millijoules" else 1e6) for chosen, amount in sums.items()}


def _avoided(totals: Totals, labels: tuple[str, ...], settled: tuple[Settled, ...], energy: bool) -> Labelled:
    sums: Counter[frozenset[tuple[str, str]]] = Counter()
    for total in totals.avoided:
        if total.settled in settled:
            sums[_chosen(total, labels)] += total.energy_avoided_mj if energy else total.avoided_ug
    return {chosen: amount / (1e3 if energy else 1e6) for chosen, amount in sums.items()}


def _runs(totals: Totals, label: str, unknown: bool) -> Labelled:
    sums: Counter[frozenset[tuple[str, str]]] = Counter()
    for total in totals.runs:
        if total.method is None or not unknown:
            told = total.cluster if label == "cluster" else total.method.value if total.method else UNKNOWN
            sums[frozenset({(label, told)})] += total.runs
    return {labels: float(runs) for labels, runs in sums.items()}


def _chosen(total: object, labels: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((label, str(getattr(total, label))) for label in labels)


def _difference(now: Labelled, before: Labelled) -> Labelled:
    """What has no earlier value began at zero."""
    return {labels: amount - before.get(labels, 0.0) for labels, amount in now.items()}


def _misses(figures: Figures) -> Labelled:
    now, before = figures.now.deadline_misses, figures.a_day_ago.deadline_misses
    return one(float(sum(now.values()) - sum(before.values())))


_PROVISIONAL, _TYPICAL = (Settled.PROVISIONAL,), (Settled.TYPICAL,)
_GRAMS: Final = ("emissions_ug", "baseline_ug")

FIGURES: Final[Mapping[tuple[str, str, str], Callable[[Figures], Labelled]]] = {
    ("fleet", "Avoided", "A"): lambda f: f.avoided(),
    ("fleet", "Avoided of the baseline", "A"): lambda f: f.share(),
    ("fleet", "Avoided, provisional", "A"): lambda f: f.avoided_ever(settled=_PROVISIONAL),
    ("fleet", "Emitted", "A"): lambda f: f.counted("emissions_ug"),
    ("fleet", "Energy", "A"): lambda f: f.counted("millijoules"),
    ("fleet", "Energy avoided", "A"): lambda f: f.avoided(energy=True),
    ("fleet", "Deadlines missed", "A"): _misses,
    ("fleet", "Baseline beside actual", "A"): lambda f: f.counted("emissions_ug"),
    ("fleet", "Baseline beside actual", "B"): lambda f: f.counted("baseline_ug"),
    ("fleet", "Avoided by cause", "A"): lambda f: f.avoided("cause"),
    ("fleet", "By namespace", "A"): lambda f: f.counted("baseline_ug", "namespace"),
    ("fleet", "By namespace", "B"): lambda f: f.counted("emissions_ug", "namespace"),
    ("fleet", "By namespace", "C"): lambda f: f.avoided("namespace"),
    ("fleet", "By namespace", "D"): lambda f: f.avoided_ever("namespace", settled=_PROVISIONAL),
    ("fleet", "By location", "A"): lambda f: f.counted("baseline_ug", "location"),
    ("fleet", "By location", "B"): lambda f: f.counted("emissions_ug", "location"),
    ("fleet", "By location", "C"): lambda f: f.avoided("location"),
    ("fleet", "By location", "D"): lambda f: f.avoided_ever("location", settled=_PROVISIONAL),
    ("fleet", "Emissions avoided by cause", "A"): lambda f: f.avoided("cause"),
    ("fleet", "Energy avoided by cause", "A"): lambda f: f.avoided("cause", energy=True),
    ("trust", "Provisional", "A"): lambda f: one(f.now.provisional_ratio),
    ("trust", "Lowest coverage", "A"): lambda f: one(min(f.now.coverage.values())),
    ("trust", "Avoided in a week", "A"): lambda f: f.avoided(since=f.a_week_ago),
    ("trust", "Corrections", "A"): lambda f: one(f.now.corrections_ug / 1e6),
    ("trust", "Avoided, typical only", "A"): lambda f: f.avoided_ever(settled=_TYPICAL),
    ("trust", "Namespaces in `other`", "A"): lambda _: one(0.0),
    ("trust", "Forecast error by lead", "A"): lambda f: {
        frozenset({("zone", e.zone), ("provider", e.provider), ("lead", f"{e.lead_hours}h")}): e.ratio
        for e in f.errors
    },
    ("trust", "Forecast error by provider", "A"): lambda f: f.worst_errors(),
    ("trust", "Meter coverage by method", "A"): lambda f: {
        frozenset({("method", method.value)}): share for method, share in f.now.coverage.items()
    },
    ("trust", "Runs by who knows their energy", "A"): lambda f: f.runs("method"),
    ("trust", "Runs without energy", "A"): lambda f: f.without_energy(),
    ("trust", "Energy by method", "A"): lambda f: f.counted_ever("millijoules", "method"),
    ("trust", "Provisional share", "A"): lambda f: one(f.now.provisional_ratio),
    ("trust", "Negative savings", "A"): lambda f: f.negative(),
    ("trust", "Avoided in the week before", "A"): lambda f: f.avoided("cluster", since=f.a_week_ago),
    ("trust", "Avoided, by how sure", "A"): lambda f: f.avoided_ever("settled", settled=tuple(Settled)),
    ("trust", "Avoided in the second measure", "A"): lambda f: f.beside("signal", "settled"),
    ("trust", "Corrections over time", "A"): lambda f: one(f.now.corrections_ug / 1e6),
}
