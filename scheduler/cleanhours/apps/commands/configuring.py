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
    """Every setting, its value and its origin; secrets are masked. Exit 2 where a meter refuses its table."""
    if as_json:
        click.echo(json.dumps(wiring.settings.to_json(), indent=2))
    else:
        for line in wiring.origins():
            click.echo(escape_terminal(line))
    check_meters(wiring)


def check_meters(wiring: Wiring) -> None:
    """Builds each meter that has a table: a controller leaves out those that fail, and accounts without them.

    Raises ConfigurationError naming the faults of all of them.
    """
    from cleanhours.domain.errors import CleanhoursError, ConfigurationError

    faults: list[str] = []
    for name, table in wiring.settings.meters.items():
        try:
            wiring.plugins.meter(name, table, wiring)
        except CleanhoursError as fault:
            faults.append(str(fault))
    if faults:
        raise ConfigurationError("\n".join(("a controller would leave meters out:", *faults)))
