"""`forecast ZONE` and `sources`: what is known, from whom."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import datetime, timedelta

import click

from cleanhours.apps.escaping import escape_terminal
from cleanhours.apps.sourcing import source_rows
from cleanhours.apps.wiring import Wiring
from cleanhours.control.zoning import unserved_of
from cleanhours.domain.errors import UnknownZone
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.times import format_instant, instant_of
from cleanhours.domain.zones import meant_by, say_unserved


@click.command()
@click.argument("zone")
@click.option("--hours", type=click.IntRange(1, 192), default=48, show_default=True, help="How far ahead.")
@click.option(
    "--forecast", "spec", metavar="SPEC", help="Ask this source alone: csv:FILE, neso, climatology."
)
@click.option("--json", "as_json", is_flag=True, help="Print the series as JSON.")
@click.pass_obj
def forecast(wiring: Wiring, zone: str, hours: int, spec: str | None, as_json: bool) -> None:
    """Show the carbon intensity ahead in a grid zone, by the first source that knows it."""
    now = wiring.clock.now()
    if spec:
        wiring = wiring.at(now, spec, zone)
    for level in wiring.outlook.levels([zone], now, now + timedelta(hours=hours)):
        if zone in level:
            _show(level[zone], now, as_json)
            return
    served = wiring.zones()
    raise UnknownZone(zone, "the forecast chain", served, meant_by(zone, served))


def _show(series: IntensitySeries, now: datetime, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_series_json(series), indent=2))
        return
    from cleanhours.apps.charts import drawing_for, intensity_chart

    drawing = drawing_for(sys.stdout, os.environ, shutil.get_terminal_size((100, 24)).columns)
    for line in intensity_chart(series, now, drawing):
        click.echo(line)
    issued = "" if series.issued_at is None else f", issued {format_instant(series.issued_at)}"
    measure = series.measure
    click.echo(
        f"{escape_terminal(series.zone)}: {len(series)} values by {series.provider}{issued}; {measure.signal}, "
        f"{measure.scope}, {measure.basis}; known until {format_instant(series.end)}"
    )
    for note in series.notes:
        click.echo(escape_terminal(note))


def _series_json(series: IntensitySeries) -> dict[str, object]:
    rows = zip(series.borders[:-1], series.borders[1:], series.g_per_kwh, series.known_as, strict=True)
    return {
        "zone": series.zone,
        "provider": series.provider,
        "issued_at": None if series.issued_at is None else format_instant(series.issued_at),
        "signal": series.measure.signal.value,
        "scope": series.measure.scope.value,
        "basis": series.measure.basis.value,
        "intervals": [
            {
                "start": format_instant(instant_of(start)),
                "end": format_instant(instant_of(end)),
                "g_per_kwh": float(value),
                "kind": kind.value,
            }
            for start, end, value, kind in rows
        ],
    }


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_obj
def sources(wiring: Wiring, as_json: bool) -> None:
    """List forecast sources, what they measure and whom to credit."""
    _warn_of_unserved(wiring)
    rows = source_rows(wiring.outlook, wiring.beside, wiring.settings, wiring.plugins)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        mark = f"level {row['level']}" if row["level"] else "installed"
        click.echo(f"{row['name']} ({mark}): {escape_terminal(str(row['says']))}")
        if row["attribution"]:
            click.echo(f"    credit: {escape_terminal(str(row['attribution']))}")


def _warn_of_unserved(wiring: Wiring) -> None:
    places = wiring.locations.values()
    said = say_unserved(unserved_of(wiring.outlook, (place.zone for place in places)), places)
    if said:
        click.echo(f"cleanhours: {escape_terminal(said)}; jobs that may run there start at once", err=True)
