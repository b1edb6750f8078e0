"""The plot of emissions avoided by day: stacked by cause, what was added below zero, provisional amounts hatched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cleanhours.apps.report import drawing
from cleanhours.apps.report.drawing import LEFT, RIGHT, WIDTH, Markup, Scale
from cleanhours.apps.report.figures import format_day, format_ug
from cleanhours.apps.report.summary import measured
from cleanhours.domain.accounts import Cause, Entry, Settled

COUNTED: Final = (Settled.FINAL, Settled.PROVISIONAL)
"""What is drawn: typical amounts are never added to others."""
Amounts = dict[tuple[Cause, Settled], int]
_TOP: Final = 28
_HEIGHT: Final = 180
_WIDEST: Final = 56
_MOST: Final = 62


def by_day(entries: Iterable[Entry]) -> list[tuple[datetime, timedelta, Amounts]]:
    """Micrograms avoided per stretch (a UTC day; a week or four where days are too many) in which runs finished.

    Stretches without runs are there too, empty, so that time stays even.
    """
    runs = [entry for entry in entries if measured(entry) and entry.settled in COUNTED]
    if not runs:
        return []
    first, last = min(map(_day, runs)), max(map(_day, runs))
    days = next(
        width for width in (1, 7, 28, 364, 3640, 36_400, 364_000) if (last - first).days / width < _MOST
    )
    if days > 1:
        first -= timedelta(days=first.weekday())
    count = (last - first).days // days + 1
    amounts: list[Amounts] = [{} for _ in range(count)]
    for entry in runs:
        cell = amounts[(_day(entry) - first).days // days]
        for cause, micrograms in entry.avoided_ug.items():
            cell[cause, entry.settled] = cell.get((cause, entry.settled), 0) + micrograms
    width = timedelta(days=days)
    return [(first + index * width, width, cell) for index, cell in enumerate(amounts)]


def draw(days: Sequence[tuple[datetime, timedelta, Amounts]], name: str) -> Markup:
    """The bars as an SVG."""
    highest = max((sum(v for v in cell.values() if v > 0) for _, _, cell in days), default=0)
    lowest = min((sum(v for v in cell.values() if v < 0) for _, _, cell in days), default=0)
    size, unit = _unit(max(highest, -lowest))
    ticks = drawing.round_steps(lowest / size, max(highest / size, 0.0) or (0.0 if lowest else 1.0))
    y = Scale(ticks[0], ticks[-1], _TOP + _HEIGHT, _TOP)
    slot = (WIDTH - LEFT - RIGHT) / max(len(days), 1)
    every = -(-len(days) // 14)
    parts: list[str] = [_hatch(name), drawing.value_axis(y, ticks, f"{unit} CO2e")]
    for index, bar in enumerate(days):
        middle = LEFT + (index + 0.5) * slot
        parts.append(_stack(bar, middle, min(slot * 0.7, _WIDEST), y, size, f"{name}-hatch"))
        if index % every == 0:
            parts.append(
                drawing.text(
                    middle, _TOP + _HEIGHT + 18, f"{bar[0]:%-d %b}", text_anchor="middle", class_="date"
                )
            )
    told = f"{len(days)} bars: {_apart([cell for *_, cell in days])}. What was added instead of avoided is below zero."
    return drawing.figure(_TOP + _HEIGHT + 30, "Emissions avoided by day and cause", told, *parts, name=name)


def _day(entry: Entry) -> datetime:
    return entry.run.finished_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _unit(micrograms: int) -> tuple[int, str]:
    return next(
        (one for one in ((10**12, "t"), (10**9, "kg"), (10**6, "g"), (10**3, "mg")) if micrograms >= one[0]),
        (1, "µg"),
    )


def _stack(
    bar: tuple[datetime, timedelta, Amounts],
    middle: float,
    width: float,
    y: Scale,
    size: int,
    hatch: str,
) -> Markup:
    """Causes upwards from zero, negative ones downwards; a bar across shows the net where both exist."""
    day, length, cell = bar
    up = down = 0
    label = format_day(day) if length == timedelta(days=1) else f"{length.days} days from {format_day(day)}"
    parts = [drawing.element("title", f"{label}: {_apart([cell])}")]
    for cause in Cause:
        for settled in COUNTED:
            value = cell.get((cause, settled), 0)
            if not value:
                continue
            base = up if value > 0 else down
            ends = sorted((y(base / size), y((base + value) / size)))
            height = max(ends[1] - ends[0], 0.6)
            box = {"x": middle - width / 2, "y": ends[0], "width": width, "height": height}
            parts.append(drawing.element("rect", **box, class_=f"cause {cause}"))
            if settled is Settled.PROVISIONAL:
                parts.append(drawing.element("rect", **box, class_="hatched", fill=f"url(#{hatch})"))
            up, down = (up + value, down) if value > 0 else (up, down + value)
    if up and down:
        net = y((up + down) / size)
        parts.append(drawing.line(middle - width / 2 - 4, net, middle + width / 2 + 4, net, "net"))
    return drawing.element("g", *parts)


def _apart(cells: Sequence[Amounts]) -> str:
    """What was avoided in words, each settlement for itself."""
    sums = {
        one: [v for cell in cells for (_, settled), v in cell.items() if settled is one] for one in COUNTED
    }
    return ", ".join(f"{format_ug(sum(found), signed=True)} {one}" for one, found in sums.items() if found)


def _hatch(name: str) -> Markup:
    stripe = drawing.element("path", d="M0 6 6 0", class_="stripe")
    pattern = drawing.element(
        "pattern", stripe, id=f"{name}-hatch", width=6, height=6, patternUnits="userSpaceOnUse"
    )
    return drawing.element("defs", pattern)
