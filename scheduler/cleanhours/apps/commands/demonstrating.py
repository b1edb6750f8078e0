"""`cleanhours demo`: a day on this machine in about a minute."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cleanhours.apps.commands.wishing import Number
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.accounts import Entry
from cleanhours.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from cleanhours.adapters.exposition import MetricsServer
    from cleanhours.apps.controller import Controller

LISTEN: Final = ("127.0.0.1", 9464)


@click.command()
@click.option("--rate", type=Number(60, 3600), default=1440, show_default=True, help="How fast time runs.")
@click.option(
    "--keep", metavar="FOLDER", type=click.Path(file_okay=False), help="Where queue, ledger and report stay."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the accounts as JSON at the end; the rest on stderr."
)
def demo(rate: float, keep: str | None, as_json: bool) -> None:
    """Watch eight real jobs live through a day in about a minute. Needs no network, account or cluster.

    Exit code 1 if a job did not finish or a deadline was missed.
    """
    from cleanhours.apps.demo.playing import MARGIN_S, TICK_S, Play, demo_controller, demo_report, demo_world
    from cleanhours.apps.demo.screen import final_table, open_screen, pretended, wrapped
    from cleanhours.apps.report import report_json

    folder = Path(keep) if keep else Path(tempfile.mkdtemp(prefix="cleanhours-demo-"))
    stream = sys.stderr if as_json else sys.stdout
    width = shutil.get_terminal_size().columns if stream.isatty() else None
    for line in wrapped(pretended(rate, TICK_S, MARGIN_S), width):
        click.echo(line, stream)
    world, grid = demo_world(folder.absolute(), rate=rate)
    if not world.leadership.acquire():
        raise ConfigurationError(f"another demonstration runs in {folder}; choose another folder with --keep")
    controller = demo_controller(world)
    server = _serving(world, controller)
    click.echo("Metrics meanwhile: http://{}:{}/metrics".format(*server.address), stream)
    try:
        entries = Play(world, grid, open_screen(stream), controller).run()
    finally:
        server.stop()
    page = folder / "report.html"
    page.write_text(demo_report(world, grid), encoding="utf-8")
    world.close()
    for line in final_table(entries, width):
        click.echo(line, stream)
    click.echo(f"Report: {page}", stream)
    if as_json:
        click.echo(json.dumps(report_json(entries), indent=2))
    _judge(entries)


def _judge(entries: list[Entry]) -> None:
    from cleanhours.apps.demo.jobs import DEMO_JOBS

    missed = [entry.run.name for entry in entries if entry.deadline_kept is False]
    failed = [entry.run.name for entry in entries if entry.run.exit_code != 0]
    absent = sorted({job.name for job in DEMO_JOBS} - {entry.run.name for entry in entries})
    faults = {"missed their deadline": missed, "failed": failed, "did not finish": absent}
    for what, names in faults.items():
        if names:
            click.echo(f"cleanhours: {what}: {', '.join(names)}", err=True)
    if any(faults.values()):
        raise click.exceptions.Exit(1)


def _serving(world: Wiring, controller: Controller) -> MetricsServer:
    """The usual port, or a free one where it is taken: a demonstration beside a real controller is fine."""
    try:
        server = world.metrics(controller, LISTEN)
        server.start()
    except ConfigurationError:
        server = world.metrics(controller, (LISTEN[0], 0))
        server.start()
    return server
