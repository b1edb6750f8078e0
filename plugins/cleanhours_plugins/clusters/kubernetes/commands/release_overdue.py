"""`cleanhours release-overdue`: the dead-man. Releases what falls due, whether a controller lives or not."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from cleanhours_plugins.clusters.kubernetes.commands.options import Asked, Duration, targeting

if TYPE_CHECKING:
    from cleanhours.ports import Context
    from cleanhours_plugins.clusters.kubernetes.releasing import Released


@click.command(
    "release-overdue", short_help="Kubernetes: release held jobs that fall due, without a controller."
)
@targeting
@click.option(
    "--every", type=Duration(), default="5m", show_default=True, help="How often this command is run."
)
@click.option(
    "--grace",
    type=Duration(),
    default="1m",
    show_default=True,
    help="Leave so young a job without a plan to the controller, where its words alone do not tell when it is due.",
)
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@click.pass_obj
def release_overdue(
    world: Context,
    asked: Asked,
    every: timedelta,
    grace: timedelta,
    as_json: bool,
) -> None:
    """Release every held or paused job whose latest start lies before the next run of this command and a minute.

    The dead-man of a Kubernetes cluster, to be run by a CronJob: it needs nothing but the API. What its owner suspended
    stays so. Exits with 1 when something due could not be released.
    """
    from cleanhours_plugins.clusters.kubernetes.commands.overdue import release_due

    done, faults = release_due(world, asked, every, grace)
    _tell(done, faults, as_json)
    if faults or any(one.error for one in done):
        raise click.exceptions.Exit(1)


def _tell(done: list[Released], faults: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        rows = [one.to_json() for one in done]
        told = {
            "released": [row for row in rows if not row["error"]],
            "failed": [row for row in rows if row["error"]],
            "faults": list(faults),
        }
        click.echo(json.dumps(told))
        return
    for one in done:
        click.echo(one.sentence, err=bool(one.error))
    for fault in faults:
        click.echo(fault, err=True)
