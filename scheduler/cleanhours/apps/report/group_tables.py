"""The table of groups: each with all that a sum must say of itself, and the total under them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cleanhours.apps.report.drawing import Markup, element, joined
from cleanhours.apps.report.figures import NOTHING, format_count, format_mj, format_percent, format_ug
from cleanhours.apps.report.grouping import UNMEASURED, Grouping, settled_apart
from cleanhours.apps.report.headline import measure_words
from cleanhours.apps.report.summary import Summary
from cleanhours.apps.report.tables import signed_ug, table
from cleanhours.domain.accounts import Entry, Settled

UNKNOWN: Final = "(not said)"
"""Stands for the value of runs that wear no such label."""

MOST_GROUPS: Final = 500


def groups(grouping: Grouping, summaries: Sequence[Summary]) -> Markup:
    """A line for each group, measure and settlement; `summaries` are those of all rows together."""
    rows: list[list[str]] = []
    alone = len(summaries) == 1
    for group in grouping.groups[:MOST_GROUPS]:
        name = " · ".join(UNKNOWN if value is None else value for value in group.values)
        for summary in group.summaries:
            rows += _lines(name if alone else _named(name, summary), group.entries, summary)
    everything = [entry for group in grouping.groups for entry in group.entries]
    for summary in summaries:
        rows += _lines("all" if alone else _named("all", summary), everything, summary)
    heads = [(" · ".join(one.name for one in grouping.dimensions), ""), ("settled", "")]
    heads += [(word, "number") for word in ("runs", "energy", "emissions", "baseline", "avoided")]
    heads += [("deadlines", ""), ("provisional", "number"), ("coverage", "number"), ("method", "")]
    caption = "Sums by group; masses in CO2e"
    if len(grouping.groups) > MOST_GROUPS:
        caption += (
            f"; the first {MOST_GROUPS} of {len(grouping.groups)} groups, all of them are in CSV and JSON"
        )
    return table(caption, heads, rows, class_="runs")


def _named(name: str, summary: Summary) -> Markup:
    return joined([name, element("small", measure_words(summary))])


def _lines(name: str, entries: Sequence[Entry], whole: Summary) -> Iterator[list[str]]:
    for settled, summary in settled_apart(entries, whole.measure):
        kept, missed = summary.deadlines_kept, summary.deadlines_missed
        deadlines = f"{kept} of {kept + missed}" if kept + missed else NOTHING
        if settled == UNMEASURED:
            runs = format_count(len(summary.unmeasured), "run")
            yield [name, settled, runs, *[NOTHING] * 4, deadlines, *[NOTHING] * 3]
            continue
        sums = summary.by_settled[Settled(settled)]
        causes = [
            f"{cause} {format_ug(sum(row.values()), signed=True)}"
            for cause, row in summary.by_cause.items()
            if any(row.values())
        ]
        methods = [
            f"{method} {format_percent(row[Settled(settled)].millijoules, sums.millijoules)}"
            for method, row in summary.by_method.items()
        ]
        yield [
            name,
            settled,
            str(sums.runs),
            format_mj(sums.millijoules),
            format_ug(sums.emissions_ug),
            format_ug(sums.baseline_ug),
            joined([signed_ug(sums.avoided_ug), element("small", ", ".join(causes))]),
            deadlines,
            format_percent(whole.provisional_share, 1) if settled != Settled.TYPICAL else NOTHING,
            format_percent(summary.coverage, 1),
            ", ".join(methods) or NOTHING,
        ]
