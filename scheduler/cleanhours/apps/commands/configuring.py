"""`config show`: the settings in force and where each comes from."""

from __future__ import annotations

import json

import click

from cleanhours.apps.escaping import escape_terminal
from cleanhours.apps.wiring import Wiring


@click.group()
def config() -> None:
    """Show the settings in force and where each comes from."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_obj
def show(wiring: Wiring, as_json: bool) -> None:
    """Every setting, its value and its origin; secrets are masked."""
    if as_json:
        click.echo(json.dumps(wiring.settings.to_json(), indent=2))
        return
    for line in wiring.origins():
        click.echo(escape_terminal(line))
