"""`cleanhours plan`: one job, one plan, one picture."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from cleanhours.apps.commands.wishing import Number, read_request, request_options
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.deadlines import Margins
from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.rules import Rules
from cleanhours.domain.times import parse_duration, parse_instant


@click.command()
@request_options
@click.option(
    "--forecast",
    "spec",
    metavar="SPEC",
    help="Plan on this source alone: csv:FILE[?scope=direct], neso, climatology.",
)
@click.option(
    "--zone", metavar="ZONE", help="Plan for this grid zone alone, not for the locations of the settings."
)
@click.option("--now", "now_text", metavar="T", help="Plan as of this instant (default: now).")
@click.option(
    "--min-saving",
    metavar="PERCENT",
    type=Number(0, 100),
    help="A wait that saves less is not worth it.",
)
@click.option(
    "--safety",
    metavar="FACTOR",
    type=Number(1, 10),
    help="Kept back: this many times the remaining work.",
)
@click.option("--queue-margin", metavar="D", help="Kept back for a release that queues.")
@click.option("--json", "as_json", is_flag=True, help="Print plan version 1.")
@click.pass_obj
def plan(wiring: Wiring, /, wishes: Mapping[str, Any], **options: Any) -> None:
    """Show when one job would best run, and what that saves."""
    if options["spec"]:
        # one source, asked for by name: if it fails, the refusal says so
        logging.getLogger("cleanhours.adapters.forecast_watch").setLevel(logging.ERROR)
    now = _instant("now", options["now_text"]) or wiring.clock.now()
    wiring = wiring.at(now, options["spec"] or None, _zone(options["zone"]))
    rules = _rules(wiring.rules, options)
    request = read_request(wishes, created=now, locations=wiring.locations, defaults=wiring.default_words)
    planned = wiring.plan(request, rules)
    if options["as_json"]:
        click.echo(json.dumps(planned.to_json(), indent=2))
        return
    from cleanhours.apps.charts import drawing_for, plan_chart

    drawing = drawing_for(sys.stdout, os.environ, shutil.get_terminal_size((100, 24)).columns)
    for line in plan_chart(wiring.series_shown(planned), planned, request, now, drawing):
        click.echo(line)
    click.echo(planned.sentence)


def _rules(rules: Rules, options: Mapping[str, Any]) -> Rules:
    """The site's rules with what the command line says otherwise."""
    margins = rules.margins
    if options["safety"] is not None:
        margins = Margins(options["safety"], margins.queue)
    if options["queue_margin"] is not None:
        try:
            margins = Margins(margins.safety, parse_duration(options["queue_margin"]))
        except ValueError as fault:
            raise InvalidRequest([Complaint("queue-margin", options["queue_margin"], str(fault))]) from None
    if options["min_saving"] is not None:
        rules = replace(rules, minimum_saving_percent=options["min_saving"])
    return replace(rules, margins=margins)


def _zone(text: str | None) -> str | None:
    if text is not None and not text.strip():  # a variable of the shell that is not set
        raise InvalidRequest([Complaint("zone", text, "a grid zone such as GB or DE")])
    return text


def _instant(field: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as fault:
        raise InvalidRequest([Complaint(field, text, str(fault))]) from None
