"""`cleanhours release-all`: the uninstaller's last word. Nothing stays held by us."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from cleanhours_plugins.clusters.kubernetes.commands.options import Asked, Duration, targeting

if TYPE_CHECKING:
    from cleanhours.ports import Context
    from cleanhours_plugins.clusters.kubernetes.releasing import Released


@click.command("release-all", short_help="Kubernetes: release every job that we hold.")
@targeting
@click.option(
    "--wait-lease", type=Duration(), default="20s", show_default=True,
    help="How long to wait until no controller leads; then it is done all the same.",
)  # fmt: skip
@click.option("--lease", help="Name of the controllers' Lease, instead of the settings'.")
@click.option("--lease-namespace", help="Its namespace, instead of the settings' or the Pod's own.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@click.pass_obj
def release_all(
    world: Context,
    asked: Asked,
    wait_lease: timedelta,
    lease: str | None,
    lease_namespace: str | None,
    as_json: bool,
) -> None:
    """Release every job that we hold or paused, and look again whether nothing is left.

    Takes the controllers' Lease first, so that none of them holds anything meanwhile. What its owner suspended stays so.
    Exits with 1 when something stays held.
    """
    from cleanhours_plugins.clusters.kubernetes.commands.everything import release_everything

    def warn(line: str) -> None:
        click.echo(line, err=True)

    done, left = release_everything(world, asked, wait_lease, (lease, lease_namespace), warn)
    _tell(done, left, as_json)
    if left:
        raise click.exceptions.Exit(1)


def _tell(done: list[Released], left: list[str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"released": [one.to_json() for one in done], "left": left}))
        return
    for one in done:
        click.echo(one.sentence)
    for line in left:
        click.echo(line, err=True)
