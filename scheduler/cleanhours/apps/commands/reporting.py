"""`cleanhours report`: what was emitted and avoided, as a page, a table or data."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cleanhours.apps.escaping import escape_terminal
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.accounts import Entry
from cleanhours.domain.errors import CleanhoursError, Complaint, InvalidRequest, TemporaryError
from cleanhours.domain.times import parse_past

if TYPE_CHECKING:
    from cleanhours.adapters.forecast_chain import Chain
    from cleanhours.apps.report import ZoneSeries

DRAWN: Final = timedelta(days=14)
"""How far back the intensity is drawn: a year of half hours is no picture."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is to be about: runs that finished in [since, until), as settled by `as_of`, and by what apart."""

    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None
    by: tuple[str, ...] = ()
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
@click.option("--output", "-o", metavar="FILE", help="Where to write (default: standard output).")
@click.pass_obj
def report(wiring: Wiring, /, form: str | None, as_json: bool, output: str | None, **asked: Any) -> None:
    """Write what was emitted and avoided. Every figure says its method, its signal and what of it is provisional."""
    now = wiring.clock.now()
    when = {name: _instant(name, asked.pop(name), now) for name in ("since", "until", "as_of")}
    form = "json" if as_json else form or _form_of(output)
    text = write_report(wiring, form, Asked(**{**when, **asked}))
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
    dimensions, unit = reports.parse_dimensions(asked.by), reports.check_unit(asked.per)
    settings = wiring.settings
    entries = wiring.ledger.current(asked.since, asked.until, as_of=asked.as_of)
    question = reports.Question(
        by=dimensions,
        as_of=asked.as_of,
        embodying=reports.Embodying(settings.hardware, settings.hardware_at, unit),
        attributions=_attributions(wiring),
    )
    if form == "csv":
        return (reports.groups_csv if dimensions else reports.report_csv)(entries, question)
    if form == "json":
        return json.dumps(reports.report_json(entries, question), indent=2) + "\n"
    return reports.report_html(
        entries,
        series=_series(wiring, entries),
        generated_at=wiring.clock.now(),
        forecast_errors=wiring.ledger.forecast_errors(),
        question=question,
    )


def _attributions(wiring: Wiring) -> list[str]:
    """The credits of the configured sources; a source that cannot be built keeps nobody from the figures."""
    return [*_credits(lambda: wiring.outlook), *_credits(lambda: wiring.beside)]


def _credits(build: Callable[[], Chain | None]) -> list[str]:
    try:
        chain = build()
        return [] if chain is None else [source.attribution for source in chain.every if source.attribution]
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


def _form_of(output: str | None) -> str:
    suffix = Path(output).suffix if output else ""
    return {".csv": "csv", ".json": "json"}.get(suffix, "html")


def _instant(field: str, text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_past(text, now)
    except ValueError as fault:
        raise InvalidRequest([Complaint(field.replace("_", "-"), text, str(fault))]) from None
