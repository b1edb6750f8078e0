"""Takes a submission into the queue: checked completely, then durable."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from cleanhours.domain.deadlines import Margins, latest_safe_start, released_from
from cleanhours.domain.errors import Complaint, InvalidRequest
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import microseconds
from cleanhours.ports import Submission
from cleanhours_plugins.clusters.local.queue import Queue
from cleanhours_plugins.clusters.local.settings import LocalSettings
from cleanhours_plugins.clusters.local.spawning import job_folder

_LONGEST_NAME: Final = 128
_LONGEST_COMMAND: Final = 131_072
"""Linux takes no single argument longer than this (MAX_ARG_STRLEN)."""


def check(submission: Submission, location: str) -> None:
    """Raises InvalidRequest with every complaint at once."""
    complaints = [
        *_word_faults("name", submission.name, 1),
        *_word_faults("namespace", submission.namespace, 0),
        *_command_faults("command", submission.command, least=1),
        *_command_faults("restart", submission.restart, least=0),
        *_environment_faults(submission.environment),
    ]
    for key, value in submission.labels.items():
        complaints += [*_word_faults("labels", key, 1), *_word_faults(f"labels.{key}", value, 0)]
    if not os.path.isdir(submission.folder):  # noqa: PTH112
        complaints.append(Complaint("folder", str(submission.folder), "a folder that exists"))
    asked = submission.request.locations
    if asked and location not in asked:
        complaints.append(Complaint("locations", ",".join(asked), f"{location}, where this cluster is"))
    if complaints:
        raise InvalidRequest(complaints)


def enqueue(queue: Queue, submission: Submission, settings: LocalSettings) -> str:
    """Writes a checked submission, held; its uid. Durable when this returns. Raises sqlite3.OperationalError."""
    uid = os.urandom(5).hex()
    user = _user()
    variables = json.dumps({**os.environ, **submission.environment}, sort_keys=True)
    digest = hashlib.sha256(variables.encode()).hexdigest()
    request = submission.request
    row = {
        "uid": uid,
        "name": submission.name,
        "namespace": submission.namespace or user,
        "owner": user,
        "labels": json.dumps(dict(submission.labels)),
        "command": json.dumps(submission.command),
        "restart": json.dumps(submission.restart),
        "folder": json.dumps(os.path.abspath(submission.folder)),  # noqa: PTH100
        "environment": digest,
        "request": json.dumps(request.to_json()),
        "home": settings.location,
        "slots": request.demand.slots,
        "guarded": request.flexible and request.duration is not None,
        "state": "held",
        "latest_us": microseconds(latest_start(request, settings.margins)),
        "submitted_us": microseconds(request.submitted),
    }
    _prepare_output(job_folder(queue.folder, uid))
    with queue.writing() as change:
        queue.connection.execute("INSERT OR IGNORE INTO environments VALUES (?, ?)", (digest, variables))
        queue.connection.execute(
            f"INSERT INTO jobs (change, {', '.join(row)}) VALUES ({', '.join('?' * (len(row) + 1))})",  # noqa: S608
            (change, *row.values()),
        )
    return uid


def latest_start(request: JobRequest, margins: Margins) -> datetime:
    """When the watchdog starts a job that nobody planned; one of unknown length as soon as its owner lets it."""
    if request.duration is None:
        return released_from(request)
    return latest_safe_start(request, request.duration, margins)


def _prepare_output(folder: str) -> None:
    """The files that it will write to exist from now on: on a disk that is full by then, it can start all the same."""
    os.makedirs(folder, mode=0o700)  # noqa: PTH103
    for stream in ("stdout", "stderr", "supervisor.log"):
        os.close(os.open(f"{folder}/{stream}", os.O_WRONLY | os.O_CREAT, 0o600))


def _word_faults(field: str, word: str, least: int) -> Iterator[Complaint]:
    if not (word.isprintable() and least <= len(word) <= _LONGEST_NAME) or word != word.strip():
        yield Complaint(field, word, f"{least} to {_LONGEST_NAME} printable characters, no space at the ends")


def _command_faults(field: str, command: Sequence[str], *, least: int) -> Iterator[Complaint]:
    accepted = "a program and its arguments, without NUL characters"
    if len(command) < least or (command and not command[0]):
        yield Complaint(field, " ".join(command), accepted)
    for place, word in enumerate(command):
        if "\0" in word or len(word) >= _LONGEST_COMMAND:
            yield Complaint(f"{field}[{place}]", word[:80], accepted)


def _environment_faults(environment: Mapping[str, str]) -> Iterator[Complaint]:
    for key, value in environment.items():
        if not key or "=" in key or "\0" in key + value:
            yield Complaint("environment", key, "names without '=', values without NUL")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return str(os.getuid())
