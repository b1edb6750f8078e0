"""`cleanhours report`: what was emitted and avoided, as a page, a table or data."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cleanhours.apps.commands.opening import find_books
from cleanhours.apps.commands.trying import tried
from cleanhours.apps.escaping import escape_terminal
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.accounts import Entry
from cleanhours.domain.errors import (
    CleanhoursError,
    Complaint,
    InvalidRequest,
    NotSupported,
    TemporaryError,
)
from cleanhours.domain.times import format_instant, parse_past

if TYPE_CHECKING:
    from cleanhours.adapters.forecast_chain import Chain
    from cleanhours.apps.report import Dimension, ZoneSeries

DRAWN: Final = timedelta(days=14)
"""How far back the intensity is drawn: a year of half hours is no picture."""
_FORMS: Final = {"": "html", ".html": "html", ".htm": "html", ".csv": "csv", ".json": "json"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is to be about: runs that finished in [since, until), as settled by `as_of`, and by what apart."""

    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None
    by: Sequence[Dimension] = ()
    per: str = "job"


@click.command()
@click.option("--since", metavar="T", help="Runs finished from here on: RFC 3339, or 7d ago as 7d.")
@click.option("--until", metavar="T", help="Runs finished before: RFC 3339, or 1d ago as 1d.")
@click.option("--as-of", metavar="T", help="As the ledger stood then: the same answer whenever it is asked.")
@click.option(
    "--by",
    multiple=True,
    metavar="WHAT",
    help="Sums apart by namespace, user, location, month, cluster, team (a label) or label:NAME; repeat or use commas.",
)
@click.option(
    "--per", default="job", metavar="R", help="The unit of an SCI: job, or label:NAME (see [embodied])."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "csv", "json"]),
    help="Default: by the file's name, else html. With --by, csv is a line a group.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    help="Where to write (default: standard output; HTML not to a terminal).",
)
@click.pass_obj
def report(wiring: Wiring, /, form: str | None, as_json: bool, output: str | None, **words: Any) -> None:
    """Write what was emitted and avoided. Every figure says its method, its signal and what of it is provisional."""
    wrong: list[Complaint] = []
    chosen = tried(wrong, lambda: _form_of(form, as_json, output))
    asked = tried(wrong, lambda: _asked(words, wiring.clock.now()))
    if chosen is None or asked is None:
        raise InvalidRequest(wrong)
    if output is None and chosen == "html" and sys.stdout.isatty():
        raise NotSupported(
            "a page of HTML is not for a terminal: write it to a file with --output report.html, "
            "or ask for --format csv or --format json"
        )
    text = write_report(wiring, chosen, asked)
    if output is None:
        # a page, a table and JSON are UTF-8, whatever the terminal's language
        sys.stdout.buffer.write(text.encode())
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as fault:
        raise TemporaryError(f"the report could not be written to {output}: {fault.strerror}") from None
    click.echo(f"report written to {output}", err=True)


def write_report(wiring: Wiring, form: str, asked: Asked | None = None) -> str:
    """The report of the runs that are asked about, as `html`, `csv` or `json` text."""
    from cleanhours.apps import report as reports

    asked = asked or Asked()
    settings, books = wiring.settings, find_books(wiring)
    entries = reports.in_known_measures(
        [] if books is None else books.current(asked.since, asked.until, as_of=asked.as_of)
    )
    question = reports.Question(
        by=asked.by,
        as_of=asked.as_of,
        embodying=reports.Embodying(settings.hardware, settings.hardware_at, asked.per),
        attributions=[] if books is None else _attributions(wiring, entries),
    )
    if form == "csv":
        beyond = 0 if asked.by else len(reports.labels_by_use(entries)) - reports.MOST_LABELS
        if beyond > 0:
            click.echo(
                f"{beyond} labels that fewer runs wear have no column: see --json, or --by label:NAME",
                err=True,
            )
        return (reports.groups_csv if asked.by else reports.report_csv)(entries, question)
    if form == "json":
        return json.dumps(reports.report_json(entries, question), indent=2) + "\n"
    return reports.report_html(
        entries,
        series=_series(wiring, entries),
        generated_at=wiring.clock.now(),
        forecast_errors=() if books is None else books.forecast_errors(),
        question=question,
    )


def _attributions(wiring: Wiring, entries: Sequence[Entry]) -> list[str]:
    """The credits of the configured sources, and of others that rows were settled on before the settings changed.

    A source that cannot be built keeps nobody from the figures.
    """
    from cleanhours.adapters.discovery import Group

    due = [*_credits(lambda: wiring.outlook), *_credits(lambda: wiring.beside)]
    besides = (entry.beside.providers for entry in entries if entry.beside is not None)
    providers = {name for named in (*(entry.providers for entry in entries), *besides) for name in named}
    installed = wiring.plugins.names(Group.FORECASTS)
    for name in sorted(providers - {known for known, _ in due}):
        if name in installed:
            alone = wiring.at(wiring.clock.now(), name)
            due += _credits(partial(getattr, alone, "outlook"))
        else:
            click.echo(f"credits left out: no source {escape_terminal(repr(name))} is installed", err=True)
    return [credit for _, credit in due if credit]


def _credits(build: Callable[[], Chain | None]) -> list[tuple[str, str]]:
    """What each source asks for, after its name."""
    try:
        chain = build()
        return [] if chain is None else [(source.name, source.attribution) for source in chain.every]
    except CleanhoursError as fault:
        click.echo(f"credits left out: {escape_terminal(str(fault))}", err=True)
        return []


def _series(wiring: Wiring, entries: Sequence[Entry]) -> list[ZoneSeries]:
    """What was and what is forecast in the zones of the runs, over their time: the page draws the runs on it."""
    from cleanhours.apps.report import ZoneSeries

    zones = sorted({used.zone for entry in entries for used in (*entry.intensity, *entry.baseline_intensity)})
    if not zones:
        return []
    starts = [used.start for entry in entries for used in (*entry.intensity, *entry.baseline_intensity)]
    now = wiring.clock.now()
    start = max(min(starts), now - DRAWN)
    level = wiring.outlook.levels(zones, now, now + timedelta(days=1))
    forecasts = {zone: series for known in reversed(level) for zone, series in known.items()}
    drawn = []
    for zone in zones:
        try:
            actual = wiring.outlook.actual(zone, start, now)
        except CleanhoursError:
            actual = None
        drawn.append(ZoneSeries(zone, actual, forecasts.get(zone)))
    return drawn


def _form_of(form: str | None, as_json: bool, output: str | None) -> str:
    """What was asked for, else what the file's name says. Raises InvalidRequest."""
    if as_json and form not in (None, "json"):
        raise InvalidRequest([Complaint("format", str(form), "json, or no --json beside it")])
    chosen = "json" if as_json else form or _FORMS.get(Path(output or "").suffix.lower())
    if chosen is None:
        accepted = "a name that ends in .html, .csv or .json, or --format beside it"
        raise InvalidRequest([Complaint("output", str(output), accepted)])
    return chosen


def _asked(words: Mapping[str, Any], now: datetime) -> Asked:
    """What the options ask. Raises InvalidRequest with every fault of them."""
    from cleanhours.apps.report import check_unit, parse_dimensions

    wrong: list[Complaint] = []
    since, until, as_of = (
        tried(wrong, partial(_instant, name, words[name], now)) for name in ("since", "until", "as_of")
    )
    if since is not None and until is not None and until <= since:
        wrong.append(Complaint("until", words["until"], f"later than --since, {format_instant(since)}"))
    by = tried(wrong, lambda: parse_dimensions(words["by"]))
    per = tried(wrong, lambda: check_unit(words["per"]))
    if by is None or per is None or wrong:
        raise InvalidRequest(wrong)
    return Asked(since, until, as_of, by, per)


def _instant(field: str, text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_past(text, now)
    except ValueError as fault:
        raise InvalidRequest([Complaint(field.replace("_", "-"), text, str(fault))]) from None
