"""Submitting: `sbatch` as its user typed it, held for as long as it takes to plan, and let go whatever happens.

Slurm reads its own options, not we: the job is submitted held, looked at, told when and where to start, and released. What goes
wrong goes open: the job is released unchanged, and the exit is sbatch's. Standard library only until sbatch runs.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from cleanhours_plugins.clusters.slurm import recording
from cleanhours_plugins.clusters.slurm.arguments import Said
from cleanhours_plugins.clusters.slurm.commands.sbatch import WORDS
from cleanhours_plugins.clusters.slurm.interrupting import (
    USUAL_PATIENCE_S,
    Stopped,
    patience_s,
    stopped_by_signals,
    time_limit,
    undisturbed,
)
from cleanhours_plugins.clusters.slurm.previewing import Preview
from cleanhours_plugins.clusters.slurm.recording import Record
from cleanhours_plugins.clusters.slurm.watchdog import leave_watchdog

if TYPE_CHECKING:
    from cleanhours.ports import Context

_ANSWER: Final = re.compile(r"(\d+)(?:;([A-Za-z0-9._-]+))?", re.ASCII)
_COULD_NOT: Final = 1
_LOOK_S: Final = 0.05
_REFUSED_S: Final = 3.0
"""An sbatch that failed later may not have been refused, but given up; see `MessageTimeout`."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What sbatch answered."""

    job: str
    cluster: str
    line: str

    def printed(self, said: Said) -> str:
        """What sbatch would have printed without our `--parsable`; with `--quiet` it prints nothing, parsable or not."""
        if said.quiet:
            return ""
        if said.parsable:
            return self.line
        where = f" on cluster {self.cluster}" if self.cluster else ""
        return f"Submitted batch job {self.job}{where}\n"


def submit(real: str, arguments: Sequence[str], words: str, seen: Preview, context: Context) -> int:
    """Submits as `sbatch ARGUMENTS` would, with the job in its clean hour. Returns sbatch's exit status."""
    said = seen.said
    now = int(context.clock.now().timestamp())
    record = recording.new_record(_user(), os.environ, now, clusters=said.clusters, held=said.held)
    path = _prepare(record, context)
    if path is None:  # without a record nobody could repair what we break
        _tell("no record can be written: submitted without a plan")
        return subprocess.run([real, *arguments], stdin=seen.rewound(), check=False).returncode
    with stopped_by_signals():
        try:
            return _submit(real, arguments, words, seen, (path, record), context)
        except Stopped as stopped:
            return 128 + stopped.number


def _prepare(record: Record, context: Context) -> Path | None:
    """The place of the record, with a watchdog over it."""
    try:
        folder = recording.folder_of(os.environ)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{record.submitted}-{os.getpid()}.json"
        # the record before the watchdog: one that finds no record ends at once
        recording.write(path, record)
        leave_watchdog(folder, lambda: int(context.clock.now().timestamp()))
    except OSError:
        return None
    return path


def _submit(
    real: str,
    arguments: Sequence[str],
    words: str,
    seen: Preview,
    kept: tuple[Path, Record],
    context: Context,
) -> int:
    """The submission itself, in a session of its own, by whose number Slurm tells it from every other."""
    path, record = kept
    said = seen.said

    def lead_and_record() -> None:
        os.setsid()
        recording.write(path, replace(record, session=os.getpid()))

    began_s = time.monotonic()
    try:
        process = subprocess.Popen(
            [real, "--parsable", "--hold", *arguments],
            stdin=seen.rewound(),
            stdout=subprocess.PIPE,
            preexec_fn=lead_and_record,  # noqa: PLW1509
        )
    except (OSError, subprocess.SubprocessError) as fault:
        path.unlink(missing_ok=True)
        _tell(f"{real}: {fault}")
        return _COULD_NOT
    submitted: Submitted | None = None
    try:
        _warm_up()
        submitted = _quiet_answer(process, path) if said.quiet else _answer(process)
        if submitted is not None:
            recording.with_job(path, submitted.job, submitted.cluster)
            _plan_and_release(submitted, said, words, path, context)
            sys.stdout.write(submitted.printed(said))
            sys.stdout.flush()
        code = _wait(process)
        if submitted is None and _came_to_nothing(code, time.monotonic() - began_s, said):
            path.unlink(missing_ok=True)
    except Stopped as stopped:
        _stop(process, stopped.number)
        late = submitted or _answer(process)
        if late is not None and path.exists():
            _release(late, path, said)
        raise
    return code


def _answer(process: subprocess.Popen[bytes]) -> Submitted | None:
    """The first line of sbatch, which with `--wait` goes on; None for an error, or a question that submits nothing."""
    line = _output(process).readline().decode(errors="surrogateescape")
    match = _ANSWER.fullmatch(line.strip())
    if match is None:
        sys.stdout.write(line)
        return None
    return Submitted(match[1], match[2] or "", line)


def _quiet_answer(process: subprocess.Popen[bytes], path: Path) -> Submitted | None:
    """With `--quiet` sbatch says nothing, and with `--wait` not even an end: Slurm knows what came of its session."""
    from cleanhours.domain.errors import CleanhoursError

    ended, pause_s = False, _LOOK_S
    while not ended:
        ended = process.poll() is not None
        with suppress(CleanhoursError, OSError, ValueError):
            for job, cluster in recording.held_jobs(recording.read(path)):
                return Submitted(job, cluster, "")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _REFUSED_S)
    return None


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return process.stdout or BytesIO()


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Passes on what sbatch still prints, and its exit status."""
    sys.stdout.flush()
    for more in _output(process):
        sys.stdout.buffer.write(more)
    sys.stdout.flush()
    code = process.wait()
    return code if code >= 0 else 128 - code


def _came_to_nothing(code: int, took_s: float, said: Said) -> bool:
    """Whether nothing was submitted, for certain: it was refused, or a question (--help, --test-only).

    An sbatch that waited in vain for an answer may have been heard, and a quiet one told nobody: the watchdog asks Slurm.
    """
    return took_s < _REFUSED_S if code != 0 else not said.quiet


def _plan_and_release(submitted: Submitted, said: Said, words: str, path: Path, context: Context) -> None:
    """Whatever happens in the planning, and however it ends, the job is released, once."""
    from cleanhours_plugins.clusters.slurm.calling import Slurm

    stopped: Stopped | None = None
    patience = patience_s(os.environ)
    try:
        with time_limit(patience):
            from cleanhours_plugins.clusters.slurm.wishing import plan_job

            slurm, texts = Slurm(None, submitted.cluster or None), (os.environ.get(WORDS, ""), words)
            let_go = partial(_release, submitted, path, said)
            said |= plan_job(submitted.job, texts, said, slurm, context, tell=_tell, let_go=let_go)
    except Stopped as stop:
        if stop.number == signal.SIGALRM:
            _tell(f"no plan within {patience:g} s: the job runs as if submitted by sbatch")
        else:
            stopped = stop
    except Exception as fault:  # noqa: BLE001 - whatever it was, the job runs
        _tell(f"{_said(fault)}: the job runs as if submitted by sbatch")
    if path.exists():
        _release(submitted, path, said)
    if stopped is not None:
        raise stopped


def _release(submitted: Submitted, path: Path, said: Said) -> bool:
    """Lets it go, unless its owner himself asked for a hold. What cannot be released now, the watchdog releases: False."""
    from cleanhours.domain.errors import CleanhoursError
    from cleanhours_plugins.clusters.slurm.calling import Slurm

    with undisturbed():
        try:
            if not said.held:
                Slurm(None, submitted.cluster or None).ask("scontrol", "release", submitted.job)
            path.unlink(missing_ok=True)
        except CleanhoursError as fault:
            _tell(f"{_said(fault)}: the job is released as soon as Slurm answers")
            return False
    return True


def _said(fault: Exception) -> str:
    return " ".join(str(fault).split()) or type(fault).__name__


def _tell(text: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(f"cleanhours: {text}\n")
        sys.stderr.flush()


def _warm_up() -> None:
    """What will be needed is imported while sbatch runs: it costs nothing then."""
    with suppress(Exception):
        import_module("cleanhours_plugins.clusters.slurm.wishing")
        import_module("cleanhours_plugins.clusters.slurm.starting")


def _stop(process: subprocess.Popen[bytes], number: int) -> None:
    """Passes a signal on: sbatch leads a session of its own, and the terminal's does not reach it."""
    with suppress(ProcessLookupError):
        process.send_signal(number)
    with suppress(subprocess.TimeoutExpired):
        process.wait(USUAL_PATIENCE_S)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
