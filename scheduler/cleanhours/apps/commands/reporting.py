"""`cleanhours report`: what was emitted and avoided, as a page, a table or data."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cleanhours.apps.wiring import Wiring
from cleanhours.domain.accounts import Entry
from cleanhours.domain.errors import CleanhoursError, Complaint, InvalidRequest, TemporaryError
from cleanhours.domain.times import parse_past

if TYPE_CHECKING:
    from cleanhours.apps.report import ZoneSeries

DRAWN: Final = timedelta(days=14)
"""How far back the intensity is drawn: a year of half hours is no picture."""


@click.command()
@click.option("--since", metavar="T", help="Runs finished from here on: RFC 3339, or 7d ago as 7d.")
@click.option("--until", metavar="T", help="Runs finished before: RFC 3339, or 1d ago as 1d.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "csv", "json"]),
    help="Default: by the file's name, else html.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--output", "-o", metavar="FILE", help="Where to write (default: standard output).")
@click.pass_obj
def report(
    wiring: Wiring, since: str | None, until: str | None, form: str | None, as_json: bool, output: str | None
) -> None:
    """Write what was emitted and avoided. Every figure says its method, its signal and what of it is provisional."""
    now = wiring.clock.now()
    start, end = _instant("since", since, now), _instant("until", until, now)
    form = "json" if as_json else form or _form_of(output)
    text = write_report(wiring, form, start, end)
    if output is None:
        # a page, a table and JSON are UTF-8, whatever the terminal's language
        sys.stdout.buffer.write(text.encode())
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as fault:
        raise TemporaryError(f"the report could not be written to {output}: {fault.strerror}") from None
    click.echo(f"report written to {output}", err=True)


def write_report(
    wiring: Wiring, form: str, start: datetime | None = None, end: datetime | None = None
) -> str:
    """The report of runs that finished in [start, end), as `html`, `csv` or `json` text."""
    entries = wiring.ledger.current(start, end)
    if form == "csv":
        from cleanhours.apps.report import report_csv

        return report_csv(entries)
    if form == "json":
        from cleanhours.apps.report import report_json

        return json.dumps(report_json(entries), indent=2) + "\n"
    from cleanhours.apps.report import report_html

    return report_html(
        entries,
        series=_series(wiring, entries),
        attributions=[source.attribution for source in wiring.outlook.every if source.attribution],
        generated_at=wiring.clock.now(),
        forecast_errors=wiring.ledger.forecast_errors(),
    )


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
        raise InvalidRequest([Complaint(field, text, str(fault))]) from None
