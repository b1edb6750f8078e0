"""The sections of the report: each plot in its card, with a legend, and its numbers in a table behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cleanhours.apps.report import accuracy, avoided, besides, group_tables, intensity, tables
from cleanhours.apps.report.drawing import Markup, element, joined
from cleanhours.apps.report.embodied import NOTES, Embodying, sci_table
from cleanhours.apps.report.figures import format_percent, format_span
from cleanhours.apps.report.grouping import Grouping
from cleanhours.apps.report.headline import measure_words
from cleanhours.apps.report.intensity import ZoneSeries
from cleanhours.apps.report.summary import Summary
from cleanhours.domain.accounts import Cause, Entry, ForecastError, Settled
from cleanhours.domain.times import format_instant

_LINK: Final = re.compile(r"(https?://[^\s<>\"')]+[^\s<>\"').,;])")


def card(title: str, *parts: str) -> Markup:
    """A section with its heading."""
    return element("section", element("h2", title), *parts, class_="card")


def heading(words: str) -> Markup:
    """A heading inside a card."""
    return element("h3", words)


def prose(sentences: Sequence[str]) -> Markup:
    """A list to read."""
    return element("div", element("ul", *(element("li", one) for one in sentences)), class_="prose")


def avoided_by_day(entries: Sequence[Entry], summary: Summary, name: str) -> Markup:
    """What was avoided, day by day; nothing where no run counts."""
    bars = avoided.by_day(entries)
    if not bars:
        return Markup("")
    causes = [cause for cause in Cause if cause in summary.by_cause]
    keys = [("rect", f"cause {cause}", cause.value) for cause in causes]
    if any(one is Settled.PROVISIONAL for *_, cell in bars for _, one in cell):
        keys.append(("hatch", f"{name}-hatch", "provisional"))
    note = "Baseline less emissions, by the day on which runs finished (UTC). What was added instead is below zero."
    return card(
        "Avoided by day",
        element("p", f"{note} Signal: {measure_words(summary)}.", class_="note"),
        _legend(keys),
        _plot(avoided.draw(bars, name), "Avoided by day", tables.days(bars)),
    )


def intensities(entries: Sequence[Entry], series: Sequence[ZoneSeries]) -> Markup:
    """Each zone with its runs; nothing where no intensity is known."""
    found = intensity.panels(entries, series)
    if not found:
        return Markup("")
    parts: list[Markup] = []
    for index, panel in enumerate(found):
        parts.append(heading(panel.series.zone))
        if panel.hidden:
            parts.append(
                element(
                    "p",
                    f"The {len(panel.runs)} runs that changed most; {panel.hidden} more are in the table of runs.",
                    class_="note",
                )
            )
        parts.append(_plot(intensity.draw(panel, f"zone-{index}"), panel.series.zone, tables.samples(panel)))
    keys = [
        ("line", "actual", "actual"),
        ("rect", "ran", "ran"),
        ("rect", "would", "would have run"),
        ("line", "deadline", "deadline"),
    ]
    if any(panel.shows_forecast for panel in found):
        keys.insert(1, ("line", "forecast", "forecast"))
    return card("Intensity and runs", _legend(keys), *parts)


def accuracies(series: Sequence[ZoneSeries], forecast_errors: Sequence[ForecastError]) -> Markup:
    """How right the forecasts were; nothing where none can be compared."""
    found = accuracy.compare(series)
    if not found and not forecast_errors:
        return Markup("")
    squares = [
        element(
            "figure",
            accuracy.draw(one, f"accuracy-{index}"),
            element("figcaption", element("strong", one.zone), Markup("<br>"), _error_words(one)),
        )
        for index, one in enumerate(found)
    ]
    table = (tables.errors(forecast_errors),) if forecast_errors else ()
    note = "Each dot is one interval; on the diagonal the forecast was right, above it the grid was cleaner than said."
    plots = (element("p", note, class_="note"), element("div", *squares, class_="squares")) if found else ()
    return card("Forecast against actual", *plots, *table)


def _error_words(one: accuracy.Accuracy) -> str:
    error = f"{one.mean_absolute_error:.0f} g CO2e/kWh ({format_percent(one.mean_absolute_error, one.mean_actual)})"
    side = "too high" if one.bias > 0 else "too low"
    return f"mean absolute error {error}, on average {abs(one.bias):.0f} g {side}, over {format_span(timedelta(hours=one.hours))}"


def breakdown(summary: Summary, *, alone: bool) -> Markup:
    """The sums by settlement, cause, method and location."""
    return card("Sums" if alone else f"Sums: {measure_words(summary)}", *_sums(summary))


def beside(summary: Summary) -> Markup:
    """The sums of a second measure, apart from all other figures."""
    return card(
        f"Beside: {measure_words(summary)}", element("p", besides.NOTE, class_="note"), *_sums(summary)
    )


def _sums(summary: Summary) -> list[Markup]:
    location = tables.by_group("By location where it ran", "location", summary.by_location)
    causes = [tables.by_cause(summary)] if summary.by_cause else []
    if summary.energy_by_cause:
        causes.append(tables.energy_by_cause(summary))
    methods = tables.by_group("By method", "method", summary.by_method)
    return [tables.settlements(summary), *causes, methods, location]


def groups(grouping: Grouping, summaries: Sequence[Summary]) -> Markup:
    """The sums of every group and, under them, what they add up to."""
    words = ", ".join(dimension.name for dimension in grouping.dimensions)
    note = "Sums of whole millijoules and micrograms: the groups of a settlement add up to its total exactly."
    return card(f"By {words}", element("p", note, class_="note"), group_tables.groups(grouping, summaries))


def embodied_carbon(entries: Sequence[Entry], embodying: Embodying) -> Markup:
    """M and the SCI of every run, apart from all other figures."""
    return card("Embodied carbon and SCI", prose(NOTES), sci_table(entries, embodying))


def attribution(attributions: Sequence[str], generated_at: datetime) -> Markup:
    """The credits that the providers' licences ask for; the only links of the page."""
    lines = [element("p", "Data: ", *_linked(one)) for one in dict.fromkeys(attributions)]
    made = element(
        "p", f"Made by cleanhours at {format_instant(generated_at.astimezone(UTC))}. This page loads nothing."
    )
    return element("footer", *lines, made)


def _linked(words: str) -> list[Markup]:
    """The words with their addresses as links."""
    pieces = _LINK.split(words)
    return [
        element("a", piece, href=piece, rel="noopener noreferrer") if index % 2 else joined([piece])
        for index, piece in enumerate(pieces)
    ]


def _plot(drawn: Markup, words: str, numbers: Markup) -> Markup:
    region = element("div", drawn, class_="scroll wide", tabindex="0", role="region", aria_label=words)
    return element("figure", region, element("details", element("summary", "The numbers"), numbers))


def _legend(keys: Sequence[tuple[str, str, str]]) -> Markup:
    return element(
        "ul", *(element("li", _key(kind, how), words) for kind, how, words in keys), class_="legend"
    )


def _key(kind: str, how: str) -> Markup:
    if kind == "line":
        vertical = how == "deadline"
        shape = element("path", d="M13 0V12" if vertical else "M0 6H26", class_=how)
    elif kind == "hatch":
        box = {"x": 6, "y": 0.0, "width": 14, "height": 12}
        shape = joined([element("rect", **box, class_="would"), element("rect", **box, fill=f"url(#{how})")])
    else:
        shape = element("rect", x=1, y=1, width=24, height=10, rx=2, class_=how)
    return element("svg", shape, viewBox="0 0 26 12", aria_hidden="true")
