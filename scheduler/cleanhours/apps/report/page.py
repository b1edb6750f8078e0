"""The report as one HTML page that loads nothing: summary, plots with their tables, runs, and how the figures are made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cleanhours.apps.report import sections, tables
from cleanhours.apps.report.asking import NOTHING_ASKED, Question
from cleanhours.apps.report.besides import summarise_beside
from cleanhours.apps.report.drawing import Markup, element
from cleanhours.apps.report.figures import format_count, format_day
from cleanhours.apps.report.grouping import grouped
from cleanhours.apps.report.headline import headline
from cleanhours.apps.report.intensity import ZoneSeries
from cleanhours.apps.report.notes import METHOD, NOT_COUNTED
from cleanhours.apps.report.style import STYLE
from cleanhours.apps.report.summary import summarise
from cleanhours.domain.accounts import Entry, ForecastError
from cleanhours.domain.times import format_instant

# Nothing may be loaded, run or sent, whatever a hostile name tries.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def report_html(
    entries: Sequence[Entry],
    *,
    series: Sequence[ZoneSeries] = (),
    generated_at: datetime,
    title: str = "Carbon report",
    forecast_errors: Sequence[ForecastError] = (),
    question: Question = NOTHING_ASKED,
) -> str:
    """The whole page. `series` are drawn beside the runs."""
    summaries = summarise(entries)
    body = [_header(entries, title, generated_at, question.as_of)]
    if not entries:
        body.append(element("p", "No run has finished and been settled yet.", class_="lead"))
    body += [headline(summary, alone=len(summaries) == 1) for summary in summaries]
    if question.by and entries:
        body.append(sections.groups(grouped(entries, question.by), summaries))
    body.append(sections.intensities(entries, series))
    for index, summary in enumerate(summaries):
        own = [entry for entry in entries if entry.measure == summary.measure]
        body.append(sections.avoided_by_day(own, summary, f"avoided-{index}"))
    body.append(sections.accuracies(series, forecast_errors))
    if entries:
        body.append(sections.card("Runs", tables.runs(entries)))
        if question.embodying.wanted:
            body.append(sections.embodied_carbon(entries, question.embodying))
        body += [sections.breakdown(summary, alone=len(summaries) == 1) for summary in summaries]
        body += [sections.beside(summary) for summary in summarise_beside(entries)]
    body.append(
        sections.card(
            "How these figures are made",
            sections.prose(METHOD),
            sections.heading("What is not counted"),
            sections.prose(NOT_COUNTED),
        )
    )
    body.append(sections.attribution(question.credits_due, generated_at))
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Markup('<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'),
        element("title", title),
        Markup(f"<style>{STYLE}</style>"),
    )
    page = element("html", head, element("body", element("main", *body)), lang="en")
    return f"<!doctype html>\n{page}\n"


def _header(entries: Sequence[Entry], title: str, generated_at: datetime, as_of: datetime | None) -> Markup:
    words = [format_count(len(entries), "run")]
    if entries:
        first = min(entry.run.request.submitted for entry in entries)
        last = max(entry.run.finished_at for entry in entries)
        days = [format_day(first), format_day(last)]
        words.append(" to ".join(dict.fromkeys(days)))
    if as_of is not None:
        words.append(f"as settled by {format_instant(as_of)}")
    words.append(f"generated {format_day(generated_at)}, {generated_at.astimezone(UTC):%H:%M} UTC")
    return element(
        "header",
        element("p", "cleanhours", class_="brand"),
        element("h1", title),
        element("p", " · ".join(words), class_="meta"),
    )
