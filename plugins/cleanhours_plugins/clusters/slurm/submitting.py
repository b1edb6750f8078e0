"""Submitting: `sbatch` as its user typed it, held for as long as it takes to plan, and let go whatever happens.

Slurm reads its own options, not we: the job is submitted held, looked at, told when and where to start, and released. What goes
wrong goes open: the job is released unchanged, and the exit is sbatch's. Standard library only until sbatch runs.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cleanhours_plugins.clusters.slurm import recording
from cleanhours_plugins.clusters.slurm.answers import Submitted, answer, quiet_answer, stop, unsaid, wait
from cleanhours_plugins.clusters.slurm.arguments import Said
from cleanhours_plugins.clusters.slurm.commands.sbatch import WORDS
from cleanhours_plugins.clusters.slurm.interrupting import (
    Patience,
    Stopped,
    stopped_by_signals,
    time_limit,
    undisturbed,
)
from cleanhours_plugins.clusters.slurm.previewing import Preview
from cleanhours_plugins.clusters.slurm.recording import Record
from cleanhours_plugins.clusters.slurm.repairing import asks_for_hold
from cleanhours_plugins.clusters.slurm.speaking import pass_on, tell
from cleanhours_plugins.clusters.slurm.watchdog import leave_watchdog

if TYPE_CHECKING:
    from cleanhours.ports import Context
    from cleanhours_plugins.clusters.slurm.calling import Slurm
    from cleanhours_plugins.clusters.slurm.trying import Tried

_COULD_NOT: Final = 1
_REFUSED_S: Final = 3.0
"""An sbatch that failed later may not have been refused, but given up; see `MessageTimeout`."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One that is under way: what its user typed, what a trial said of it, and the record of it."""

    real: str
    arguments: Sequence[str]
    words: str
    seen: Preview
    path: Path
    context: Context
    patience: Patience
    tried: Tried

    @property
    def said(self) -> Said:
        return self.seen.said

    @property
    def free(self) -> bool:
        """Whether it is not held: Slurm finds no node for it now."""
        return self.tried.nowhere

    def now(self) -> int:
        return _now(self.context)


def submit(
    real: str,
    arguments: Sequence[str],
    words: str,
    seen: Preview,
    context: Context,
    patience: Patience,
    tried: Tried,
) -> int:
    """Submits as `sbatch ARGUMENTS` would, with the job in its clean hour. Returns sbatch's exit status.

    Where Slurm finds no node for it now it is not held, so that Slurm refuses what no node could ever run, and is planned while
    it waits; if it starts before that, it runs as it would have.
    """
    said = seen.said
    record = recording.new_record(
        _user(), os.environ, _now(context), clusters=said.clusters, held=said.held, ignores_pbs=said.ignores_pbs,
        free=tried.nowhere,
    )  # fmt: skip
    path = _prepare(record, context)
    if path is None:  # without a record nobody could repair what we break
        return _without_us(real, arguments, seen)
    with stopped_by_signals():
        try:
            one = Submission(real, arguments, words, seen, path, context, patience, tried)
            return _submit(one, record)
        except Stopped as stopped:
            return 128 + stopped.number


def _now(context: Context) -> int:
    return int(context.clock.now().timestamp())


def _without_us(real: str, arguments: Sequence[str], seen: Preview) -> int:
    tell("no record can be written: submitted without a plan")
    return subprocess.run([real, *arguments], stdin=seen.rewound(), close_fds=False, check=False).returncode


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


def _submit(one: Submission, record: Record) -> int:
    """The submission itself, in a session of its own, by whose number Slurm tells it from every other."""

    def lead_and_record() -> None:
        os.setsid()
        recording.write(one.path, replace(record, session=os.getpid()))

    began_s = time.monotonic()
    try:
        process = subprocess.Popen(
            [one.real, "--parsable", *([] if one.free else ["--hold"]), *one.arguments],
            stdin=one.seen.rewound(),
            stdout=subprocess.PIPE,
            close_fds=False,  # some of sbatch's own options name a descriptor
            preexec_fn=lead_and_record,  # noqa: PLW1509
        )
    except subprocess.SubprocessError:  # the disk is full by now: sbatch was not started
        one.path.unlink(missing_ok=True)
        return _without_us(one.real, one.arguments, one.seen)
    except OSError as fault:
        one.path.unlink(missing_ok=True)
        tell(f"{one.real}: {fault}")
        return _COULD_NOT
    submitted, said_so = None, False
    try:
        warm_up("cleanhours_plugins.clusters.slurm.wishing")
        submitted = _answered(process, one)
        if submitted is not None:
            _plan_and_release(submitted, one)
            said_so = True
            pass_on(submitted.printed(one.said))
        code = wait(process)
        if submitted is None:
            _end_without_number(code, time.monotonic() - began_s, one)
    except Stopped as stopped:
        stop(process, stopped.number)
        submitted = submitted or answer(process)
        if submitted is None:
            raise
        _release(submitted, one, one.said)
        if not said_so:  # it is submitted, and whoever stopped us must not submit it again
            pass_on(submitted.printed(one.said))
        return wait(process)
    return code


def _answered(process: subprocess.Popen[bytes], one: Submission) -> Submitted | None:
    """What sbatch answered, kept in the record."""
    submitted = quiet_answer(process, one.path) if one.said.quiet else answer(process)
    if submitted is None and not one.said.quiet and not one.said.tries and process.wait() == 0:
        submitted = unsaid(one.path)  # a site's own sbatch may say it in other words
    if submitted is not None:
        recording.with_job(one.path, submitted.job, submitted.cluster)
    return submitted


def _end_without_number(code: int, took_s: float, one: Submission) -> None:
    """Nothing is left to do, or nobody but the watchdog can do it: then who asked for a plan hears that there is none."""
    if _came_to_nothing(code, took_s, one):
        one.path.unlink(missing_ok=True)
    elif code == 0:
        held = "" if one.free else ", released within a minute or so"
        tell(f"sbatch did not say which job this is: it runs without a plan{held}")


def _came_to_nothing(code: int, took_s: float, one: Submission) -> bool:
    """Whether nothing was submitted, for certain: it was refused, or a question (--help, --test-only).

    An sbatch that waited in vain for an answer may have been heard, and one that told nobody may have submitted: the watchdog
    asks Slurm.
    """
    return took_s < _REFUSED_S if code != 0 else one.said.tries


def _plan_and_release(submitted: Submitted, one: Submission) -> None:
    """Whatever happens in the planning, and however it ends, the job is released, once."""
    from cleanhours_plugins.clusters.slurm.calling import Slurm

    stopped: Stopped | None = None
    said, whole_s = one.said, one.patience.whole_s
    try:
        with one.patience.spent() as left_s, time_limit(left_s):
            from cleanhours_plugins.clusters.slurm.wishing import plan_job

            slurm, texts = Slurm(None, submitted.cluster or None), (os.environ.get(WORDS, ""), one.words)
            let_go = partial(_release, submitted, one, said)
            said |= plan_job(
                submitted.job,
                texts,
                said,
                slurm,
                one.context,
                starts=one.tried.starts,
                tell=tell,
                let_go=let_go,
            )
    except Stopped as one_stop:
        if one_stop.number == signal.SIGALRM:
            tell(f"no plan within {whole_s:g} s: the job runs as if submitted by sbatch")
        else:
            stopped = one_stop
    except Exception as fault:  # noqa: BLE001 - whatever it was, the job runs
        tell(f"{_said(fault)}: the job runs as if submitted by sbatch")
    _release(submitted, one, said)
    if stopped is not None:
        raise stopped


def _release(submitted: Submitted, one: Submission, said: Said) -> bool:
    """Lets it go, once, unless its owner himself asked for a hold. What cannot be released now, the watchdog releases: False."""
    from cleanhours.domain.errors import CleanhoursError
    from cleanhours_plugins.clusters.slurm.calling import Slurm

    with undisturbed():
        try:
            if recording.is_released(one.path):
                return True
            slurm = Slurm(None, submitted.cluster or None)
            if _keeps_its_hold(submitted, one, said, slurm):
                one.path.unlink(missing_ok=True)
            else:
                slurm.ask("scontrol", "release", submitted.job)
                recording.with_release(one.path, one.now())
        except CleanhoursError as fault:
            tell(f"{_said(fault)}: the job is released as soon as Slurm answers")
            return False
    return True


def _keeps_its_hold(submitted: Submitted, one: Submission, said: Said, slurm: Slurm) -> bool:
    """Whether its owner asked for one, in a script that was perhaps not seen yet; whatever holds a free one is none of ours."""
    unread = one.seen.words is None and said == one.said
    return (
        one.free
        or said.held
        or (unread and asks_for_hold(submitted.job, slurm, ignores_pbs=said.ignores_pbs))
    )


def _said(fault: Exception) -> str:
    return " ".join(str(fault).split()) or type(fault).__name__


def warm_up(module: str) -> None:
    """What will be needed is imported while Slurm has something to do: it costs nothing then."""
    with suppress(Exception):
        import_module(module)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
