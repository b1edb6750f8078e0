"""The live view of the demonstration on a terminal: the day's intensity, and under it a bar for each job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final, TextIO

from cleanhours.apps.charts import strip
from cleanhours.apps.demo.screen import NAME_WIDTH, Row, Snapshot, avoided_so_far, rows
from cleanhours.apps.escaping import escape_terminal
from cleanhours.apps.report.figures import format_ug
from cleanhours.domain.jobs import JobState
from cleanhours.domain.times import epoch

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

_STYLES: Final = {
    JobState.HELD: "cyan",
    JobState.PENDING: "cyan",
    JobState.PAUSED: "yellow",
    JobState.PAUSING: "yellow",
    JobState.RUNNING: "bold green",
    JobState.RELEASED: "green",
    JobState.SUCCEEDED: "dim",
    JobState.FAILED: "bold red",
    JobState.CANCELLED: "red",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of words; on a terminal narrower than `from_width` it makes room for the bars."""

    name: str
    width: int
    from_width: int = 0


_COLUMNS: Final = (
    Column("job", NAME_WIDTH),
    Column("state", 9),
    Column("why", 16, 78),
    Column("where", 8, 96),
)
_AVOIDED_WIDTH: Final = 9
_GAP: Final = 2


class LiveScreen:
    """A table that is redrawn in place."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream, highlight=False)
        self._live: Live | None = Live(console=self._console, auto_refresh=False, transient=False)
        self._live.start()

    def show(self, snapshot: Snapshot) -> None:
        """Redraws everything."""
        if self._live is not None:
            self._live.update(live_view(snapshot, self._console.width), refresh=True)

    def close(self) -> None:
        """Leaves the last picture standing."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def live_view(snapshot: Snapshot, width: int) -> RenderableType:
    """The picture: the clock and what was avoided, the day's intensity, and a bar for each job beneath it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    words = [column for column in _COLUMNS if width >= column.from_width]
    taken = sum(column.width + _GAP for column in words) + _AVOIDED_WIDTH + _GAP
    bar = max(min(width - taken, 96), 12)
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    for column in words:
        table.add_column(column.name, width=column.width, no_wrap=True)
    table.add_column(Text(_hours_axis(snapshot, bar)), width=bar, no_wrap=True)
    table.add_column("avoided", justify="right", width=_AVOIDED_WIDTH, no_wrap=True)
    if snapshot.series is not None:
        day = strip(snapshot.series, snapshot.start, snapshot.end, bar)
        about = {"job": escape_terminal(snapshot.series.zone, NAME_WIDTH), "state": "g/kWh"}
        cells = [Text(about.get(column.name, ""), style="dim") for column in words]
        table.add_row(*cells, _marked(day, snapshot, bar), "")
    for row in rows(snapshot):
        avoided = "" if row.avoided_ug is None else format_ug(row.avoided_ug, signed=True)
        told = {
            "job": Text(escape_terminal(row.name, NAME_WIDTH)),
            "state": Text(row.state.value, style=_STYLES.get(row.state, "")),
            "why": Text(row.reason, style="dim"),
            "where": Text(escape_terminal(row.location, 8), style="dim"),
        }
        table.add_row(
            *(told[column.name] for column in words),
            _bar(row, snapshot, bar),
            Text(avoided, style="green" if (row.avoided_ug or 0) >= 0 else "red"),
        )
    head = Text(f"{snapshot.now.astimezone(UTC):%A %H:%M} UTC", style="bold")
    head.append(f"   {snapshot.rate:,.0f}x real time   ", style="dim")
    head.append(f"{format_ug(avoided_so_far(snapshot.entries), signed=True)} CO2e avoided so far")
    key = Text("█ ran  ░ planned  ! deadline  │ now", style="dim")
    return Group(head, table, key)


def _hours_axis(snapshot: Snapshot, width: int) -> str:
    cells = [" "] * width
    first = epoch(snapshot.start)
    step = 10_800 if width >= 40 else 21_600
    for second in range(-(-first // step) * step, epoch(snapshot.end), step):
        label = f"{second % 86_400 // 3600:02d}"
        column = _column(second, snapshot, width)
        if column + len(label) <= width:
            cells[column : column + len(label)] = label
    return "".join(cells)


def _column(second: int, snapshot: Snapshot, width: int) -> int:
    first, last = epoch(snapshot.start), epoch(snapshot.end)
    return min(max((second - first) * width // (last - first), 0), width - 1)


def _marked(cells: str, snapshot: Snapshot, width: int) -> Text:
    from rich.text import Text

    text = Text(cells, style="yellow")
    now = _column(epoch(snapshot.now), snapshot, width)
    text.stylize("reverse", now, now + 1)
    return text


def _bar(row: Row, snapshot: Snapshot, width: int) -> Text:
    """Planned stretches, what really ran over them, the deadline, and now."""
    from rich.text import Text

    cells, styles = [" "] * width, [""] * width
    for spans, mark, style in ((row.planned, "░", "cyan"), (row.ran, "█", "green")):
        for start, end in spans:
            first = _column(epoch(start), snapshot, width)
            last = max(_column(epoch(end), snapshot, width), first + 1)
            for column in range(first, min(last, width)):
                cells[column], styles[column] = mark, style
    if row.deadline is not None and row.deadline <= snapshot.end:
        at = _column(epoch(row.deadline), snapshot, width)
        cells[at], styles[at] = "!", "red"
    now = _column(epoch(snapshot.now), snapshot, width)
    if cells[now] == " ":
        cells[now], styles[now] = "│", "dim"
    return Text.assemble(*zip(cells, styles, strict=True))
