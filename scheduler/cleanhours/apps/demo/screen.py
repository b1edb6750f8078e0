"""What the demonstration shows: a live view on a terminal, a line a change elsewhere, and the closing table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from textwrap import wrap
from typing import Final, Protocol, TextIO

from cleanhours.apps.escaping import escape_terminal, fit_encoding
from cleanhours.apps.report.figures import NO_BREAK, NOTHING, format_mj, format_ug
from cleanhours.domain.accounts import Entry, Settled
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.jobs import WAITING, FinishedRun, Job, JobState
from cleanhours.domain.plans import Plan
from cleanhours.domain.times import format_duration

NAME_WIDTH: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that is shown, as of `now`. `series` is the home zone's intensity over [start, end), the whole day."""

    now: datetime
    start: datetime
    end: datetime
    rate: float
    jobs: Sequence[Job] = ()
    finished: Sequence[FinishedRun] = ()
    entries: Sequence[Entry] = ()
    series: IntensitySeries | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One job of the live view."""

    name: str
    submitted: datetime
    state: JobState
    reason: str
    location: str
    ran: tuple[tuple[datetime, datetime], ...]
    planned: tuple[tuple[datetime, datetime], ...]
    deadline: datetime | None
    avoided_ug: int | None


class Screen(Protocol):
    """Where snapshots are shown."""

    def show(self, snapshot: Snapshot) -> None:
        """Draws what is new."""

    def close(self) -> None:
        """Leaves the terminal as it was; idempotent."""


def open_screen(stream: TextIO = sys.stdout) -> Screen:
    """A live view where `stream` is a terminal, plain lines otherwise."""
    from cleanhours.apps.charts import drawing_for

    if stream.isatty() and drawing_for(stream, {}, 80).unicode:
        from cleanhours.apps.demo.picture import LiveScreen

        return LiveScreen(stream)
    return PlainScreen(stream)


def pretended(rate: float, tick_s: float, margin_s: float) -> list[str]:
    """What is not real here, said before anything is shown; both lengths in real seconds."""
    margin = format_duration(timedelta(seconds=round(margin_s * rate)))
    fast = f"time runs {rate:,.0f} times as fast (a day in {86_400 / rate:.0f} s)"
    return [
        f"Pretended: {fast}; the grid is generated; the power of the jobs is declared, not measured.",
        f"So the controller decides every {tick_s:g} s and keeps {margin_s:g} s ({margin} of the clock) before a deadline.",
        "Real: the controller, the queue, the training processes with their pauses and checkpoints, ledger and metrics.",
    ]


def rows(snapshot: Snapshot) -> list[Row]:
    """Every job, in the order of submission."""
    avoided = {entry.key[:2]: entry.total_avoided_ug for entry in snapshot.entries}
    live = [_live_row(job, snapshot.now) for job in snapshot.jobs]
    over = [_finished_row(run, avoided.get(run.key[:2])) for run in snapshot.finished]
    return sorted([*live, *over], key=lambda row: (row.submitted, row.name))


def changes(before: Mapping[str, JobState], snapshot: Snapshot) -> list[str]:
    """One line for each job whose state is not what it was, with the plan's reason and when it is to run."""
    shown = f"{snapshot.now.astimezone(UTC):%a %H:%M}"
    lines = []
    for row in rows(snapshot):
        if before.get(row.name) is row.state:
            continue
        words = [
            shown,
            escape_terminal(row.name, NAME_WIDTH).ljust(NAME_WIDTH),
            row.state.value.ljust(9),
            row.reason,
        ]
        if row.planned and row.state in WAITING:
            words.append(f"until {row.planned[0][0].astimezone(UTC):%a %H:%M}")
        if row.avoided_ug is not None:
            words.append(f"{format_ug(row.avoided_ug, signed=True)} avoided")
        lines.append("  ".join(words).rstrip().replace(NO_BREAK, " "))
    return lines


def avoided_so_far(entries: Sequence[Entry]) -> int:
    """Micrograms avoided by settled runs, typical ones apart."""
    return sum(entry.total_avoided_ug or 0 for entry in entries if entry.settled is not Settled.TYPICAL)


def wrapped(lines: Sequence[str], width: int | None) -> list[str]:
    """The lines broken between words where a terminal is narrower; `width` None is no terminal."""
    return list(lines) if width is None else [part for line in lines for part in wrap(line, width)]


def final_table(entries: Sequence[Entry], width: int | None = None) -> list[str]:
    """The closing table: one line a run, in the order of submission, then the sum.

    Where it is wider than a terminal of `width`, it comes as two: when everything happened, and what it cost.
    """
    ordered = sorted(entries, key=lambda entry: (entry.run.request.submitted, entry.run.name))
    head = [
        "job",
        "submitted",
        "started",
        "finished",
        "deadline",
        "energy",
        "emissions",
        "baseline",
        "avoided",
        "reason",
    ]
    body = [_final_row(entry) for entry in ordered]
    counted = [
        entry for entry in ordered if entry.settled is not Settled.TYPICAL and entry.emissions_ug is not None
    ]
    body.append([
        "sum", "", "", "", "",
        format_mj(sum(entry.profile.millijoules for entry in counted)),
        format_ug(sum(entry.emissions_ug or 0 for entry in counted)),
        format_ug(sum(entry.baseline_ug or 0 for entry in counted)),
        format_ug(avoided_so_far(counted), signed=True),
        "" if len(counted) == len(ordered) else f"{len(ordered) - len(counted)} not counted",
    ])  # fmt: skip
    table = _table([head, *body], right=range(5, 9))
    if width is None or len(table[1]) <= width:
        return table
    times = [[row[column] for column in (0, 1, 2, 3, 4, 9)] for row in [head, *body[:-1]]]
    costs = [[row[column] for column in (0, 5, 6, 7, 8)] for row in [head, *body]]
    return [*_table(times, right=range(0), sums=False), "", *_table(costs, right=range(1, 5))]


def _table(rows: Sequence[Sequence[str]], right: range, *, sums: bool = True) -> list[str]:
    """Rows as lines, a rule under the first, and over the last where that holds the sums."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.replace(NO_BREAK, " ").rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * max(len(line) for line in lines)
    return [lines[0], rule, *lines[1:-1], *([rule] if sums else []), lines[-1]]


class PlainScreen:
    """State changes only, one line each: for pipes, logs and machines that build."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._states: dict[str, JobState] = {}

    def show(self, snapshot: Snapshot) -> None:
        """Prints what changed."""
        for line in changes(self._states, snapshot):
            print(fit_encoding(line, self._stream.encoding), file=self._stream, flush=True)
        self._states = {row.name: row.state for row in rows(snapshot)}

    def close(self) -> None:
        """Nothing to leave behind."""


def _live_row(job: Job, now: datetime) -> Row:
    ran = tuple((part.start, part.end or now) for part in job.segments)
    planned = _planned(job.plan, now)
    return Row(
        name=job.name,
        submitted=job.request.submitted,
        state=job.state,
        reason="" if job.plan is None else job.plan.reason.value,
        location=job.location or "",
        ran=ran,
        planned=planned,
        deadline=job.request.deadline,
        avoided_ug=None,
    )


def _planned(plan: Plan | None, now: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """What is still to come of a plan."""
    if plan is None:
        return ()
    return tuple((max(part.start, now), part.end) for part in plan.segments if part.end > now)


def _finished_row(run: FinishedRun, avoided_ug: int | None) -> Row:
    return Row(
        name=run.name,
        submitted=run.request.submitted,
        state=run.state,
        reason="" if run.plan is None else run.plan.reason.value,
        location=run.segments[-1].location if run.segments else "",
        ran=tuple((part.start, part.end or run.finished_at) for part in run.segments),
        planned=(),
        deadline=run.request.deadline,
        avoided_ug=avoided_ug,
    )


def _final_row(entry: Entry) -> list[str]:
    run = entry.run
    verdict = {True: "kept", False: "MISSED", None: "none set"}[entry.deadline_kept]
    return [
        escape_terminal(run.name, 24),
        _clock(run.request.submitted),
        _clock(run.started_at),
        _clock(run.finished_at),
        verdict,
        format_mj(entry.profile.millijoules if entry.profile.slices else None),
        format_ug(entry.emissions_ug),
        format_ug(entry.baseline_ug),
        format_ug(entry.total_avoided_ug, signed=True),
        "" if run.plan is None else run.plan.reason.value,
    ]


def _clock(instant: datetime | None) -> str:
    return NOTHING if instant is None else f"{instant.astimezone(UTC):%a %H:%M}"
