"""Submitting: what `run` and `submit` share, from the words of a command to a job in the queue."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cleanhours.apps.commands.labelling import parse_labels
from cleanhours.apps.commands.trying import tried
from cleanhours.apps.commands.wishing import read_request
from cleanhours.apps.wiring import Wiring
from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.jobs import JobKey
from cleanhours.ports import Cluster, Submission

COMMAND = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def submit_command(
    wiring: Wiring, wishes: Mapping[str, Any], command: tuple[str, ...], options: Mapping[str, Any]
) -> tuple[Cluster, JobKey]:
    """Queues `command` on the cluster that accepts processes. Raises InvalidRequest with every complaint."""
    cluster = wiring.queue(options.get("cluster"))
    wrong: list[Complaint] = []
    labels = tried(wrong, lambda: parse_labels(options.get("labels") or ()))
    restart = tried(wrong, lambda: _split(options.get("restart") or ""))
    request = tried(
        wrong,
        lambda: read_request(
            wishes, created=wiring.clock.now(), locations=wiring.locations, defaults=wiring.default_words
        ),
    )
    if labels is None or restart is None or request is None:
        raise InvalidRequest(wrong)
    submission = Submission(
        name=options.get("name") or Path(command[0]).name,
        command=command,
        request=request,
        folder=Path.cwd(),
        environment=dict(os.environ),
        namespace=options.get("namespace") or "",
        restart=tuple(restart),
        labels=labels,
    )
    return cluster, cluster.submit(submission)


def _split(text: str) -> list[str]:
    import shlex

    try:
        return shlex.split(text)
    except ValueError as fault:
        raise InvalidRequest([Complaint("restart", text, f"a shell-quoted command ({fault})")]) from None


def submission_options(command: Any) -> Any:
    """The options that name a submission, beside those of its request."""
    for option in (
        click.option("--name", help="What to call the job (default: the program's name)."),
        click.option("--namespace", help="Whose books it goes to (default: your user name)."),
        click.option(
            "--label",
            "labels",
            multiple=True,
            metavar="KEY=VALUE",
            help="What reports may group by (--by team, --by label:KEY); repeat for several.",
        ),
        click.option("--restart", metavar="COMMAND", help="Pause by SIGTERM and go on with this command."),
        click.option("--cluster", metavar="NAME", help="Which queue, where several are configured."),
    ):
        command = option(command)
    return command
