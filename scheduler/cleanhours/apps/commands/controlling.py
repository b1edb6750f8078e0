"""`cleanhours controller`: the process that does it."""

from __future__ import annotations

import json
import logging
import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from cleanhours.apps.escaping import escape_terminal
from cleanhours.apps.garbage import collect_seldom
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.jobs import Decision
from cleanhours.domain.times import format_instant

if TYPE_CHECKING:
    from cleanhours.apps.controller import Controller


LOOK_EVERY_S: Final = 1.0


@click.command()
@click.option("--once", is_flag=True, help="One tick and one settlement, then leave (for cron).")
@click.option("--shadow", is_flag=True, help="Plan and account, touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print what was done as JSON.")
@click.pass_obj
def controller(wiring: Wiring, once: bool, shadow: bool, as_json: bool) -> None:
    """Plan, start, pause and account jobs until stopped (Ctrl-C or SIGTERM). Metrics on 127.0.0.1:9464 by default."""
    collect_seldom()
    wiring = replace(wiring, scraped=not once)
    if not wiring.leadership.acquire():
        pid = wiring.leadership.leader_pid()
        raise TemporaryError(
            f"another controller leads here (pid {pid}); stop it first, or use another --state"
        )
    running = wiring.controller(shadow=shadow)
    try:
        if once:
            outcome = running.once()
            _show(outcome.unfinished, [one.decision for one in outcome.applied if one.done], as_json)
            if running.reconciler.lost:
                raise TemporaryError(f"no answer from {', '.join(sorted(running.reconciler.lost))}")
            return
        _until_stopped(wiring, running)
    finally:
        wiring.close()


def _until_stopped(wiring: Wiring, running: Controller) -> None:
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    for line in wiring.origins():
        click.echo(escape_terminal(line), err=True)
    logging.getLogger("cleanhours").setLevel(min(logging.INFO, logging.getLogger().level))
    listen = wiring.settings.listen
    server = None if listen is None else wiring.metrics(running, listen)
    where = "off"
    try:
        if server is not None:
            server.start()
            where = "http://{}:{}/metrics".format(*server.address)
        running.start()
        click.echo(f"cleanhours: controlling; metrics {where}", err=True)
        # a signal that arrives just before a wait begins is only noticed when that wait ends
        while not stopped.wait(LOOK_EVERY_S):
            pass
    finally:
        running.stop()
        if server is not None:
            server.stop()


def _show(unfinished: int, done: list[Decision], as_json: bool) -> None:
    if as_json:
        rows = [{"id": one.key.uid, "action": one.action.value, "plan": one.plan.to_json()} for one in done]
        click.echo(json.dumps({"unfinished": unfinished, "done": rows}, indent=2))
        return
    for one in done:
        click.echo(f"{one.action} {one.key.uid} {one.reason} start {format_instant(one.plan.start)}")
    click.echo(f"{unfinished} unfinished, {len(done)} acted on")
