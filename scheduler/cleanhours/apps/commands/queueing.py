"""`submit`, `jobs`, `explain`, `pause`, `resume`, `cancel`: the owner's side of a queue."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from cleanhours.apps.commands.finding import EVER, find_finished, find_unfinished
from cleanhours.apps.commands.submitting import COMMAND, submission_options, submit_command
from cleanhours.apps.commands.wishing import request_options
from cleanhours.apps.escaping import escape_terminal
from cleanhours.apps.wiring import Wiring
from cleanhours.control.explaining import explain
from cleanhours.control.history import Draw, draw_of, rests_on_history
from cleanhours.control.zoning import places_of, unserved_of
from cleanhours.domain.errors import CleanhoursError, InvalidRequest, NotSupported
from cleanhours.domain.jobs import WAITING, FinishedRun, Job
from cleanhours.domain.plans import Reason
from cleanhours.domain.times import format_instant
from cleanhours.domain.zones import say_unserved
from cleanhours.ports import Advising, Cancelling, Cluster, OwnerPausing


@click.command(context_settings=COMMAND)
@request_options
@submission_options
@click.option("--json", "as_json", is_flag=True, help="Print the job's identity and plan.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def submit(wiring: Wiring, /, wishes: Mapping[str, Any], command: tuple[str, ...], **options: Any) -> None:
    """Queue a command; it starts in clean hours, in time."""
    cluster, key = submit_command(wiring, wishes, command, options)
    if not options["as_json"]:
        click.echo(f"{key.cluster}:{key.uid}")
        sys.stdout.flush()  # whoever scripts this need not wait for a provider
    job = wiring.find(cluster, key)
    planned = wiring.plan(job.request) if job is not None else None
    if options["as_json"]:
        plan = None if planned is None else planned.to_json()
        click.echo(json.dumps({"cluster": key.cluster, "id": key.uid, "plan": plan}, indent=2))
        return
    if planned is not None:
        click.echo(planned.sentence, err=True)
    if wiring.leadership.leader_pid() is None:
        latest = "" if planned is None else f" at {format_instant(planned.latest_start)}"
        click.echo(
            f"No controller runs: the watchdog starts it at its latest safe start{latest}. "
            "For clean hours keep `cleanhours controller` running.",
            err=True,
        )


@click.command()
@click.option("--all", "show_all", is_flag=True, help="Finished jobs too.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_obj
def jobs(wiring: Wiring, show_all: bool, as_json: bool) -> None:
    """List what waits, runs and has finished."""
    unfinished = [
        job for cluster in wiring.clusters.values() for job in [*cluster.pending(), *cluster.running()]
    ]
    over = [run for cluster in wiring.clusters.values() for run in cluster.finished(EVER)] if show_all else []
    if as_json:
        rows = [*map(job_json, unfinished), *map(run_json, over)]
        click.echo(json.dumps(rows, indent=2))
        return
    header: tuple[str, ...] = ("ID", "NAMESPACE", "NAME", "STATE", "LOCATION", "PLANNED", "LATEST", "REASON")
    rows_shown = [header, *map(_job_row, unfinished), *map(_run_row, over)]
    if len({row[1] for row in rows_shown[1:]}) < 2:
        rows_shown = [(row[0], *row[2:]) for row in rows_shown]
    widths = [max(map(len, column)) for column in zip(*rows_shown, strict=True)]
    for row in rows_shown:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@click.command("explain")
@click.argument("job_text", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="Print the job and its plan as JSON.")
@click.pass_obj
def explain_job(wiring: Wiring, job_text: str, as_json: bool) -> None:
    """Say in one sentence why a job waits or runs."""
    try:
        _, job = find_unfinished(wiring.clusters, job_text)
    except InvalidRequest:
        run = find_finished(wiring.clusters, job_text)
        if run is None:
            raise
        click.echo(json.dumps(run_json(run), indent=2) if as_json else escape_terminal(_epitaph(run)))
        return
    sentence = explain(job, wiring.clock.now(), _draw_of(wiring, job), _unserved_for(wiring, job))
    click.echo(
        json.dumps({**job_json(job), "explanation": sentence}, indent=2)
        if as_json
        else escape_terminal(sentence)
    )


def _draw_of(wiring: Wiring, job: Job) -> Draw | None:
    """What earlier runs drew, where the plan rests on it: then there is a ledger. It may be out of reach."""
    if not rests_on_history(job):
        return None
    try:
        return draw_of(job, wiring.ledger)
    except CleanhoursError:
        return None


def _unserved_for(wiring: Wiring, job: Job) -> str:
    """Which zones are why a job has no forecast. The settings may name a source that cannot be built."""
    if job.plan is None or job.plan.reason is not Reason.NO_FORECAST:
        return ""
    places = places_of(job.home, job.request.locations, wiring.locations)
    try:
        return say_unserved(unserved_of(wiring.outlook, (place.zone for place in places)), places)
    except CleanhoursError:
        return ""


@click.command()
@click.argument("job_text", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_obj
def cancel(wiring: Wiring, job_text: str, as_json: bool) -> None:
    """End a job, whether it waits or runs."""
    cluster, job = find_unfinished(wiring.clusters, job_text)
    if not isinstance(cluster, Cancelling):
        raise _own_tool(cluster, job, "cancel")
    _said(as_json, "cancelled", job, cluster.cancel(job.key))


@click.command()
@click.argument("job_text", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_obj
def pause(wiring: Wiring, job_text: str, as_json: bool) -> None:
    """Stop a job until you resume it. While you do, its deadline is yours to keep."""
    cluster, job = find_unfinished(wiring.clusters, job_text)
    _said(as_json, "paused", job, _pausing(cluster, job, "pause").owner_pause(job.key))


@click.command()
@click.argument("job_text", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_obj
def resume(wiring: Wiring, job_text: str, as_json: bool) -> None:
    """Give a job that you paused back to the scheduler."""
    cluster, job = find_unfinished(wiring.clusters, job_text)
    _said(as_json, "resumed", job, _pausing(cluster, job, "resume").owner_resume(job.key))


def _pausing(cluster: Cluster, job: Job, verb: str) -> OwnerPausing:
    if not isinstance(cluster, OwnerPausing):
        raise _own_tool(cluster, job, verb)
    return cluster


def _own_tool(cluster: Cluster, job: Job, verb: str) -> NotSupported:
    """What its owner types instead, where the cluster knows it."""
    if not isinstance(cluster, Advising):
        return NotSupported(f"cluster {cluster.name!r}: its owners {verb} jobs with its own tool")
    command = cluster.advice(job.key, verb)
    return NotSupported(
        f"{job.name}: {verb} it with: {command}" if command else f"{job.name}: nothing can {verb} it"
    )


def _said(as_json: bool, what: str, job: Job, done: bool) -> None:
    if as_json:
        click.echo(json.dumps({"cluster": job.key.cluster, "id": job.key.uid, what: done}, indent=2))
    else:
        click.echo(f"{escape_terminal(job.name)}: {what if done else 'nothing to do'}")
    if not done:
        raise click.exceptions.Exit(1)


def job_json(job: Job) -> dict[str, Any]:
    """A job for `--json`."""
    return {
        "cluster": job.key.cluster,
        "id": job.key.uid,
        "name": job.name,
        "namespace": job.namespace,
        "state": job.state.value,
        "location": job.location,
        "home": job.home,
        "request": job.request.to_json(),
        "plan": None if job.plan is None else job.plan.to_json(),
    }


def run_json(run: FinishedRun) -> dict[str, Any]:
    """A finished run for `--json`."""
    return {
        "cluster": run.key.cluster,
        "id": run.key.uid,
        "name": run.name,
        "namespace": run.namespace,
        "state": run.state.value,
        "home": run.home,
        "started": None if run.started_at is None else format_instant(run.started_at),
        "finished": format_instant(run.finished_at),
        "exit_code": run.exit_code,
        "message": run.message,
        "request": run.request.to_json(),
        "plan": None if run.plan is None else run.plan.to_json(),
    }


def _job_row(job: Job) -> tuple[str, ...]:
    planned, latest, reason, place = "-", "-", "-", job.location or job.home
    if job.plan is not None:
        place = job.plan.location if job.state in WAITING else place
        planned, latest, reason = (
            format_instant(job.plan.start),
            format_instant(job.plan.latest_start),
            job.plan.reason.value,
        )
    name = escape_terminal(job.name, 32)
    space = escape_terminal(job.namespace, 32)
    return (job.key.uid, space, name, job.state.value, place, planned, latest, reason)


def _run_row(run: FinishedRun) -> tuple[str, ...]:
    place = run.segments[-1].location if run.segments else run.home
    reason = "-" if run.plan is None else run.plan.reason.value
    return (
        run.key.uid,
        escape_terminal(run.namespace, 32),
        escape_terminal(run.name, 32),
        run.state.value,
        place,
        format_instant(run.finished_at),
        "-",
        reason,
    )


def _epitaph(run: FinishedRun) -> str:
    text = f"{run.name} {run.state} at {format_instant(run.finished_at)}"
    if run.exit_code is not None:
        text += f" with exit code {run.exit_code}"
    if run.message:
        text += f" ({run.message})"
    return text + ("" if run.plan is None else f". Its last plan: {run.plan.sentence}")
