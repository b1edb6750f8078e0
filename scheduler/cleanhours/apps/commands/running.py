"""`cleanhours run -- CMD`: submit, follow, and return what the command returned."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from cleanhours.apps.commands.submitting import COMMAND, submission_options, submit_command
from cleanhours.apps.commands.wishing import request_options
from cleanhours.apps.escaping import escape_terminal
from cleanhours.apps.waiting import WaitBar
from cleanhours.apps.wiring import Wiring
from cleanhours.control.explaining import explain
from cleanhours.domain.errors import CleanhoursError
from cleanhours.domain.jobs import FinishedRun, JobKey
from cleanhours.ports import Cancelling, Cluster

OURS: Final = 125
"""What `run` returns when it is at fault and not the command; as env, timeout and docker do."""

INTERRUPTED: Final = 130
LOOK_EVERY_S: Final = 0.2


@click.command(context_settings=COMMAND)
@request_options
@submission_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def run(wiring: Wiring, /, wishes: Mapping[str, Any], command: tuple[str, ...], **options: Any) -> None:
    """Run a command in clean hours and wait for it; returns the command's exit code, 125 if it could not be run.

    Ctrl-C cancels the job. With no controller this process plans for the queue while it waits.
    """
    cluster, key = submit_command(wiring, wishes, command, options)
    led = wiring.leadership.acquire()
    controller = wiring.controller() if led else None
    try:
        if controller is not None:
            controller.start()
        over = _follow(wiring, cluster, key)
        if controller is not None:  # what the machine's counters said of the run is in this process alone
            controller.settle()
    except KeyboardInterrupt:
        if isinstance(cluster, Cancelling):
            cluster.cancel(key)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except CleanhoursError as fault:
        click.echo(f"cleanhours: {escape_terminal(str(fault))}; the job stays queued", err=True)
        raise click.exceptions.Exit(OURS) from None
    finally:
        if controller is not None:
            controller.stop()
        wiring.close()
    raise click.exceptions.Exit(_code(over))


def _code(over: FinishedRun) -> int:
    if over.exit_code is None:
        click.echo(f"cleanhours: {escape_terminal(over.message or over.state)}", err=True)
        return OURS
    if over.message:
        click.echo(f"cleanhours: {escape_terminal(over.message)}", err=True)
    return over.exit_code if over.exit_code >= 0 else 128 - over.exit_code


def _follow(wiring: Wiring, cluster: Cluster, key: JobKey) -> FinishedRun:
    """Shows the job's output, each new explanation, and how long it still waits, until it is over."""
    streams = (sys.stdout, sys.stderr)
    tails = [_Tail(path, stream) for path, stream in zip(wiring.outputs(cluster, key), streams, strict=False)]
    bar, said, since = WaitBar(), "", wiring.clock.now() - timedelta(hours=1)
    try:
        while True:
            over = next((one for one in cluster.finished(since) if one.key[:2] == key), None)
            for tail in tails:
                tail.show()
            if over is not None:
                return over
            job = wiring.find(cluster, key)
            if job is not None and job.plan is not None:
                if (sentence := f"{job.state}: {job.plan.sentence}") != said:
                    bar.close()
                    click.echo(f"cleanhours: {escape_terminal(explain(job, wiring.clock.now()))}", err=True)
                    said = sentence
                bar.show(job, wiring.clock.now())
            time.sleep(LOOK_EVERY_S)
    finally:
        bar.close()


class _Tail:
    """What a growing file has gained since it was last shown, byte for byte."""

    def __init__(self, path: Path, stream: Any) -> None:
        self._path, self._stream, self._offset = path, stream, 0

    def show(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                fresh = file.read()
        except FileNotFoundError:
            return
        if fresh:
            self._offset += len(fresh)
            self._stream.buffer.write(fresh)
            self._stream.flush()
