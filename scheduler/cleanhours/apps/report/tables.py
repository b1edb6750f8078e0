"""The tables of the report: every figure with its unit, what is unknown as a dash, names escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from cleanhours.apps.report import intensity
from cleanhours.apps.report.avoided import COUNTED, Amounts
from cleanhours.apps.report.drawing import Markup, element, joined
from cleanhours.apps.report.figures import (
    NOTHING,
    format_count,
    format_day,
    format_mj,
    format_percent,
    format_time,
    format_ug,
)
from cleanhours.apps.report.summary import Summary, Sums
from cleanhours.domain.accounts import Cause, Entry, ForecastError, Settled
from cleanhours.planning.uncapping import cap_kept, cap_of

MOST_RUNS: Final = 500
_NUMBER: Final = "number"
_TIME: Final = "time"


def table(
    caption: str, heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], class_: str | None = None
) -> Markup:
    """A table that scrolls by itself; `heads` are (words, class of the column), the first cell of a row is its header."""
    head = element("tr", *(element("th", words, scope="col", class_=kind or None) for words, kind in heads))
    body = joined(
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(
                element("td", cell, class_=kind or None)
                for cell, (_, kind) in zip(row[1:], heads[1:], strict=True)
            ),
        )
        for row in rows
    )
    whole = element(
        "table", element("caption", caption), element("thead", head), element("tbody", body), class_=class_
    )
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def signed_ug(micrograms: int | None) -> Markup:
    """An avoided amount, green when positive, red when it was added instead."""
    return _coloured(micrograms, format_ug(micrograms, signed=True))


def signed_mj(millijoules: int) -> Markup:
    """The same of energy."""
    return _coloured(millijoules, format_mj(millijoules, signed=True))


def _coloured(amount: int | None, words: str) -> Markup:
    return element(
        "span", words, class_="good" if (amount or 0) > 0 else "bad" if (amount or 0) < 0 else None
    )


def settlements(summary: Summary) -> Markup:
    """Final, provisional and typical sums, one a line and never added."""
    rows = [_sum_row([settled.value], sums) for settled, sums in summary.by_settled.items() if sums.runs]
    return table("Settlement: what is final, and what may still change", _sum_heads("settled"), rows)


def by_group(caption: str, head: str, groups: Mapping[Any, Mapping[Settled, Sums]]) -> Markup:
    """Sums by method or location, each settlement apart."""
    rows = [
        _sum_row([str(key), settled.value], sums)
        for key, row in groups.items()
        for settled, sums in row.items()
        if sums.runs
    ]
    return table(caption, [(head, ""), *_sum_heads("settled")], rows)


def by_cause(summary: Summary) -> Markup:
    """Avoided emissions by what avoided them, and what they add up to."""
    whole = {settled: sums.avoided_ug for settled, sums in summary.by_settled.items() if sums.runs}
    return _causes("Avoided emissions (CO2e) by cause", summary.by_cause, whole, signed_ug)


def energy_by_cause(summary: Summary) -> Markup:
    """Avoided energy in the same way."""
    whole = {settled: sums.energy_avoided_mj for settled, sums in summary.by_settled.items() if sums.runs}
    return _causes("Avoided energy (with PUE) by cause", summary.energy_by_cause, whole, signed_mj)


def _causes(
    caption: str,
    amounts: Mapping[Cause, Mapping[Settled, int]],
    whole: Mapping[Settled, int],
    show: Callable[[int], Markup],
) -> Markup:
    rows = [[cause.value, *(show(row[one]) for one in whole)] for cause, row in amounts.items()]
    rows.append(["sum", *(show(total) for total in whole.values())])
    return table(caption, [("cause", ""), *((one.value, _NUMBER) for one in whole)], rows)


def runs(entries: Sequence[Entry]) -> Markup:
    """One line a run, the latest first."""
    latest = sorted(entries, key=lambda entry: entry.run.finished_at, reverse=True)[:MOST_RUNS]
    heads = [
        ("job", ""), ("submitted", _TIME), ("started", _TIME), ("finished", _TIME), ("deadline", _TIME),
        ("energy", _NUMBER), ("emissions", _NUMBER), ("baseline", _NUMBER), ("avoided", _NUMBER),
        ("method", ""), ("settled", ""), ("reason", ""),
    ]  # fmt: skip
    caption = f"{len(latest)} of {len(entries)} runs, the latest first; times in UTC, masses in CO2e"
    return table(caption, heads, [_run(entry) for entry in latest], class_="runs")


def days(bars: Sequence[tuple[Any, Any, Amounts]]) -> Markup:
    """The numbers behind the plot by day."""
    causes = [cause for cause in Cause if any((cause, one) in cell for *_, cell in bars for one in COUNTED)]
    heads = [("from", ""), ("settled", ""), *((cause.value, _NUMBER) for cause in causes), ("sum", _NUMBER)]
    rows = [
        [
            format_day(day),
            one.value,
            *(signed_ug(cell.get((cause, one), 0)) for cause in causes),
            signed_ug(sum(value for (_, settled), value in cell.items() if settled is one)),
        ]
        for day, _, cell in bars
        for one in COUNTED
        if any(settled is one for _, settled in cell)
    ]
    return table("Avoided (CO2e) by day of the end of the run", heads, rows)


def samples(panel: intensity.ZoneRuns) -> Markup:
    """The numbers behind a zone's plot."""
    rows = [
        [format_time(start), format_time(end), _level(actual), _level(forecast)]
        for start, end, actual, forecast in intensity.samples(panel)
    ]
    heads = [("from", ""), ("to", _TIME), ("actual", _NUMBER), ("forecast", _NUMBER)]
    return table("Mean carbon intensity, g CO2e/kWh, times in UTC", heads, rows)


def errors(found: Sequence[ForecastError]) -> Markup:
    """What the ledger keeps of forecasts: how wrong they were at which lead."""
    rows = [
        [one.zone, one.provider, f"{one.lead_hours} h", format_percent(one.ratio, 1), str(one.count)]
        for one in sorted(found, key=lambda one: (one.zone, one.provider, one.lead_hours))
    ]
    heads = [
        ("zone", ""),
        ("provider", ""),
        ("lead", _NUMBER),
        ("mean error", _NUMBER),
        ("compared", _NUMBER),
    ]
    return table("Forecast error by lead, over the last 28 days", heads, rows)


def _sum_heads(first: str) -> list[tuple[str, str]]:
    words = ("runs", "energy", "emissions", "baseline", "avoided", "of baseline")
    return [(first, ""), *((word, _NUMBER) for word in words)]


def _sum_row(start: Sequence[str], sums: Sums) -> list[str]:
    return [
        *start,
        str(sums.runs),
        format_mj(sums.millijoules),
        format_ug(sums.emissions_ug),
        format_ug(sums.baseline_ug),
        signed_ug(sums.avoided_ug),
        format_percent(sums.avoided_ug, sums.baseline_ug, signed=True),
    ]


def _run(entry: Entry) -> list[str]:
    run, plan = entry.run, entry.run.plan
    where = entry.location if entry.location == run.home else f"{entry.location}, home {run.home}"
    pauses = max(len(run.segments) - 1, 0)
    owner = " · ".join(
        word
        for word in (run.namespace, where, format_count(pauses, "pause") if pauses else "", _ending(entry))
        if word
    )
    energy = entry.profile.millijoules if entry.profile.slices else None
    methods = ", ".join(dict.fromkeys(share.method.value for share in entry.shares)) or NOTHING
    return [
        joined([run.name, element("small", owner)]),
        format_time(run.request.submitted),
        format_time(run.started_at),
        format_time(run.finished_at),
        _deadline(entry),
        format_mj(energy),
        format_ug(entry.emissions_ug),
        format_ug(entry.baseline_ug),
        signed_ug(entry.total_avoided_ug),
        joined([methods, element("small", entry.unmeasured or _coverage(entry))]),
        joined([entry.settled.value, element("small", f"{entry.measure.signal}, {entry.measure.scope}")]),
        NOTHING if plan is None else plan.reason.value,
    ]


def _coverage(entry: Entry) -> str:
    words = format_percent(entry.profile.coverage, 1) + " seen" if entry.profile.coverage < 1 else ""
    ceiling = "at most" if entry.profile.upper_estimate else ""
    return ", ".join(word for word in (words, ceiling, _cap(entry)) if word)


_KEPT: Final = {True: "kept", False: "not kept", None: "not confirmed by a meter"}


def _cap(entry: Entry) -> str:
    cap = cap_of(entry.run)
    return "" if cap is None else f"cap of {cap.limit_w:g} W {_KEPT[cap_kept(entry.run, entry.profile)]}"


def _deadline(entry: Entry) -> str:
    if entry.deadline_kept is None:
        return NOTHING
    due = entry.run.request.deadline
    verdict = (
        element("small", "kept", class_="good")
        if entry.deadline_kept
        else element("small", "missed", class_="bad")
    )
    return joined([format_time(due) if due is not None else "max delay", verdict])


def _ending(entry: Entry) -> str:
    return "" if entry.run.state.value == "succeeded" else entry.run.state.value


def _level(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0f}"
