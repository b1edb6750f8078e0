"""`cleanhours reconcile`: a cloud provider's monthly export beside our own sums, with the difference explained."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cleanhours.apps.commands.opening import find_books
from cleanhours.apps.escaping import escape_terminal, fit_encoding
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.errors import Complaint, InvalidRequest

if TYPE_CHECKING:
    from cleanhours.apps.reconciliation import Comparison, Export
    from cleanhours.apps.reconciliation.comparing import Line

LARGEST: Final = 256 * 2**20


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--provider",
    type=click.Choice(["aws", "google", "azure"]),
    help="Whose export it is (default: by its columns).",
)
@click.option(
    "--month", metavar="YYYY-MM", help="The month of figures that name none (a summary of Azure's)."
)
@click.option(
    "--location",
    "places",
    multiple=True,
    metavar="NAME=REGION",
    help="Where a location lies (default: the region that its match or its name is); repeat for several.",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, in whole micrograms.")
@click.pass_obj
def reconcile(
    wiring: Wiring,
    /,
    file: str,
    provider: str | None,
    month: str | None,
    places: tuple[str, ...],
    as_json: bool,
) -> None:
    """Set a cloud provider's monthly export beside our own sums, and say why they differ. It decides nothing.

    FILE is an AWS Data Exports carbon CSV, a Google Carbon Footprint table (CSV or JSON lines), or the JSON answer of
    Azure's carbonEmissionReports.
    """
    from cleanhours.apps import reconciliation
    from cleanhours.apps.reconciliation.comparing import months_of

    export = _export(file, provider, month, places)
    books, locations = find_books(wiring), wiring.settings.locations
    entries = [] if books is None else books.current(*months_of(export))
    names = {*locations, *(entry.location for entry in entries)}
    mapped = reconciliation.parse_places(places, export, names)
    found = reconciliation.compare(export, entries, locations, mapped)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
        return
    for line in _shown(found):
        click.echo(fit_encoding(escape_terminal(line), sys.stdout.encoding).rstrip())


def _export(file: str, provider: str | None, month: str | None, places: Sequence[str]) -> Export:
    """The export in the file. Raises InvalidRequest with what is wrong of it, of the month and of the places, together."""
    from cleanhours.apps.reconciliation import Provider, read_export
    from cleanhours.apps.reconciliation.comparing import place_faults
    from cleanhours.apps.reconciliation.reading import month_faults

    wrong, export = month_faults(month), None
    chosen = None if provider is None else Provider(provider)
    try:
        # with any month, where the one asked for is none: what else is wrong shows all the same
        export = read_export(_bytes(file), chosen, "2000-01" if wrong else month)
    except InvalidRequest as invalid:
        wrong += invalid.complaints
    if export is None or wrong:
        raise InvalidRequest([*wrong, *place_faults(places, export, None)])
    return export


def _bytes(file: str) -> bytes:
    path = Path(file)
    try:
        if path.stat().st_size > LARGEST:
            raise InvalidRequest([Complaint("file", file, "an export of at most 256 MiB")])
        return path.read_bytes()
    except OSError as fault:
        raise InvalidRequest(
            [Complaint("file", file, f"a file that can be read ({fault.strerror})")]
        ) from None


def _shown(found: Comparison) -> list[str]:
    heads = ("MONTH", "REGION", "LOCATIONS", "LOCATION-BASED", "MARKET-BASED", "OURS", "RUNS", "DIFFERENCE")
    rows = [heads, *map(_row, found.lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    if found.unmapped_locations:
        names = ", ".join(found.unmapped_locations)
        shown.append(f"In no region of the export: {names}; say --location NAME=REGION where one is.")
    if found.unmapped_regions:
        shown.append(f"No location of ours: {', '.join(found.unmapped_regions)}.")
    return [*shown, "Why they differ:", *(f"- {reason}" for reason in found.reasons)]


def _row(line: Line) -> tuple[str, ...]:
    from cleanhours.apps.report.figures import NOTHING, format_ug

    theirs, ours = line.theirs, line.ours
    mine = NOTHING
    if ours is not None:
        mark = " provisional" if ours.final_ug is None else " partly provisional"
        mine = format_ug(ours.total_ug) + (mark if ours.provisional_ug is not None else "")
    unstated = theirs.unstated_ug is not None
    return (
        line.month,
        line.region or "(none named)",
        ", ".join(line.locations) or NOTHING,
        f"{format_ug(theirs.unstated_ug)} (not said)" if unstated else format_ug(theirs.location_ug),
        format_ug(theirs.market_ug),
        mine,
        NOTHING if ours is None else str(ours.runs),
        format_ug(line.difference_ug, signed=True),
    )
