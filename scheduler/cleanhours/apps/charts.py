"""Small charts for a terminal: intensity over time, with the chosen run marked. Pure: values in, lines of text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Protocol

import numpy as np

from cleanhours.apps.escaping import escape_terminal
from cleanhours.domain.intensity import MICROGRAMS, IntensitySeries
from cleanhours.domain.plans import Plan, Segment
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import epoch, instant_of

NARROWEST: Final = 40
WIDEST: Final = 120
_ROWS: Final = 6
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_ASCII: Final = " .:#"
_TICK_HOURS: Final = (1, 2, 3, 6, 12, 24, 48, 168, 336)
_GREEN: Final = "\x1b[32m"
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a terminal can show: columns, block characters, colour."""

    width: int = 80
    unicode: bool = True
    colour: bool = False

    def blocks(self) -> str:
        """Bar characters from empty to full."""
        return _EIGHTHS if self.unicode else _ASCII


class Terminal(Protocol):
    """The part of a text stream that says what it can show."""

    @property
    def encoding(self) -> str | None: ...

    def isatty(self) -> bool: ...


def drawing_for(stream: Terminal, environment: Mapping[str, str], columns: int) -> Drawing:
    """What can be drawn on `stream`, `columns` wide: no colour off a terminal, under NO_COLOR or on a dumb one."""
    try:
        (_EIGHTHS + "─━┬│╎·").encode(stream.encoding or "ascii")
        unicode = True
    except (UnicodeEncodeError, LookupError):
        unicode = False
    colour = stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return Drawing(min(max(columns, NARROWEST), WIDEST), unicode, colour)


def plan_chart(
    series: Mapping[str, IntensitySeries],
    plan: Plan,
    request: JobRequest,
    now: datetime,
    drawing: Drawing = Drawing(),
) -> list[str]:
    """The plan on its forecasts (location name to series): bars from zero, the run, now, latest start and deadline.

    One location gets a chart of several rows, more get one row each on a common scale. Hours without forecast are dots.
    Empty without any series.
    """
    window = _window(plan, request, now)
    used = {segment.location for segment in plan.segments} | {plan.location}
    names = sorted(series, key=lambda name: (name not in used, name))
    marks = [(now, "now"), (plan.latest_start, "latest start")]
    if request.deadline is not None:
        marks.append((request.deadline, "deadline"))
    return _chart({name: series[name] for name in names}, plan.segments, marks, window, drawing)


def intensity_chart(series: IntensitySeries, now: datetime, drawing: Drawing = Drawing()) -> list[str]:
    """One series over all that is known of it, with now marked."""
    window = (epoch(series.start), epoch(series.end))
    return _chart({series.zone: series}, (), [(now, "now")], window, drawing)


def strip(
    series: IntensitySeries, start: datetime, end: datetime, width: int, *, unicode: bool = True
) -> str:
    """One row of `width` bars over [start, end), from zero to the greatest value in it; dots where nothing is known."""
    columns = _columns(series, _borders(epoch(start), epoch(end), width))
    highest = max((value for value in columns if value is not None), default=0.0)
    return "".join(_row(columns, highest, 0, 1, Drawing(unicode=unicode)))


def _window(plan: Plan, request: JobRequest, now: datetime) -> tuple[int, int]:
    ends = [plan.latest_start + (request.duration or timedelta(hours=1)), now + timedelta(hours=1)]
    ends += [instant for instant in (plan.end, request.deadline) if instant is not None]
    return epoch(min(now, plan.start)), epoch(max(ends))


def _chart(
    series: Mapping[str, IntensitySeries],
    segments: Sequence[Segment],
    marks: Sequence[tuple[datetime, str]],
    window: tuple[int, int],
    drawing: Drawing,
) -> list[str]:
    if not series:
        return []
    gutter = 6 if len(series) == 1 else min(max(len(escape_terminal(name)) for name in series), 14)
    borders = _borders(*window, drawing.width - gutter - 2)
    columns = {name: _columns(one, borders) for name, one in series.items()}
    highest = max((v for values in columns.values() for v in values if v is not None), default=0.0)
    lines = [_heading(series, highest, drawing)]
    for name, values in columns.items():
        chosen = _chosen(segments, name, borders, alone=len(series) == 1)
        rows = _ROWS if len(series) == 1 else 1
        for row in reversed(range(rows)):
            label = _level(row, rows, highest) if rows > 1 else escape_terminal(name, gutter)
            bar = "|" if not drawing.unicode else "│"
            cells = _row(values, highest, row, rows, drawing)
            painted = _paint(cells, chosen, drawing)
            pad = label.rjust(gutter) if rows > 1 else label.ljust(gutter)
            lines.append(f"{pad} {bar}{painted}".rstrip())
        if any(chosen):
            lines.append(_run_row(chosen, gutter, drawing))
    lines += _axis(borders, gutter, drawing)
    lines += _mark_rows(marks, borders, gutter, drawing)
    return [line.rstrip() for line in lines]


def _heading(series: Mapping[str, IntensitySeries], highest: float, drawing: Drawing) -> str:
    first = next(iter(series.values()))
    dot = " · " if drawing.unicode else ", "
    words = [escape_terminal(first.zone)] if len(series) == 1 else [f"each row 0 to {highest:.0f}"]
    words += ["gCO2e/kWh", first.measure.signal, first.measure.scope, escape_terminal(first.provider)]
    return escape_terminal(dot.join(word for word in words if word), drawing.width)


def _borders(start: int, end: int, count: int) -> list[int]:
    """`count` + 1 whole seconds, evenly spread; never an empty column."""
    count = max(min(count, end - start), 1)
    return [start + (end - start) * index // count for index in range(count + 1)]


def _columns(series: IntensitySeries, borders: Sequence[int]) -> list[float | None]:
    """The exact mean of each column in g/kWh over what is known of it; None where nothing is."""
    known = np.clip(np.array(borders, np.int64), series.borders[0], series.borders[-1])
    sums, seconds = np.diff(series.integral_at(known)), np.diff(known)
    return [
        float(total) / (int(length) * MICROGRAMS) if length else None
        for total, length in zip(sums, seconds, strict=True)
    ]


def _row(values: Iterable[float | None], highest: float, row: int, rows: int, drawing: Drawing) -> list[str]:
    """The cells of one of `rows` rows, counted from the bottom."""
    blocks = drawing.blocks()
    full = len(blocks) - 1
    unknown = ("·" if drawing.unicode else "?") if row == 0 else " "
    cells = []
    for value in values:
        if value is None:
            cells.append(unknown)
            continue
        filled = round(value / highest * rows * full) if highest else 0
        # a genuine zero or nearly so stays visible as the lowest bar: an empty cell would read as missing
        filled = max(filled, 1)
        cells.append(blocks[min(max(filled - row * full, 0), full)])
    return cells


def _level(row: int, rows: int, highest: float) -> str:
    if row == rows - 1:
        return f"{highest:.0f}"
    return "0" if row == 0 else f"{highest / 2:.0f}" if row == rows // 2 else ""


def _chosen(segments: Sequence[Segment], name: str, borders: Sequence[int], *, alone: bool) -> list[bool]:
    """Which columns the plan runs in, at this location: any overlap counts, so that a short run is seen."""
    spans = [(epoch(s.start), epoch(s.end)) for s in segments if alone or s.location == name]
    return [any(first < right and left < last for first, last in spans) for left, right in pairwise(borders)]


def _paint(cells: Sequence[str], chosen: Sequence[bool], drawing: Drawing) -> str:
    if not drawing.colour:
        return "".join(cells)
    text, state = [], None
    for cell, wanted in zip(cells, chosen, strict=True):
        if wanted is not state:
            text.append((_PLAIN if state is not None else "") + (_GREEN if wanted else _DIM))
            state = wanted
        text.append(cell)
    return "".join(text) + _PLAIN


def _run_row(chosen: Sequence[bool], gutter: int, drawing: Drawing) -> str:
    bar = "━" if drawing.unicode else "="
    line = "".join(bar if wanted else " " for wanted in chosen).rstrip()
    if drawing.colour:
        line = f"{_GREEN}{line}{_PLAIN}"
    return f"{'run'.rjust(gutter)}  {line}"


def _axis(borders: Sequence[int], gutter: int, drawing: Drawing) -> list[str]:
    """A line with ticks at round hours UTC, and their labels: the hour, the day with midnight."""
    count = len(borders) - 1
    per_column = (borders[-1] - borders[0]) / count
    hours = next((h for h in _TICK_HOURS if h * 3600 / per_column >= 8), _TICK_HOURS[-1])
    width = hours * 3600
    line, labels = [("─" if drawing.unicode else "-")] * count, [" "] * (count + 8)
    for second in range(-(-borders[0] // width) * width, borders[-1], width):
        column = _column_of(second, borders)
        instant = instant_of(second)
        label = f"{instant:%-d %b}" if instant.hour == 0 else f"{instant:%H:%M}"
        if column + len(label) > count:
            continue
        line[column] = "┬" if drawing.unicode else "+"
        labels[column : column + len(label)] = label
    corner = "└" if drawing.unicode else "+"
    text = "".join(labels).rstrip()
    return [f"{' ' * gutter} {corner}{''.join(line)}", f"{'UTC'.rjust(gutter)}  {text}"]


def _column_of(second: int, borders: Sequence[int]) -> int:
    span = borders[-1] - borders[0]
    return min(max((second - borders[0]) * (len(borders) - 1) // span, 0), len(borders) - 2)


def _mark_rows(
    marks: Sequence[tuple[datetime, str]], borders: Sequence[int], gutter: int, drawing: Drawing
) -> list[str]:
    """One row a mark, so that no two labels collide; the label stands left of its mark near the right edge."""
    pointer = "▲" if drawing.unicode else "^"
    rows = []
    for instant, name in marks:
        second = epoch(instant)
        label = f"{name} {instant.astimezone(UTC):%a %H:%M}"
        if second < borders[0]:
            label = f"{label} (passed)"
        column = _column_of(second, borders)
        if column + 2 + len(label) <= len(borders) - 1:
            text = " " * column + f"{pointer} {label}"
        else:
            text = f"{label} {pointer}".rjust(column + 1)
        rows.append(f"{' ' * gutter}  {text}")
    return rows
