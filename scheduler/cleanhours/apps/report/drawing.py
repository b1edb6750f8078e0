"""Inline SVG, just enough of it: elements whose text is always escaped, linear scales, axes with round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cleanhours.apps.escaping import escape_html
from cleanhours.domain.times import epoch, instant_of

WIDTH: Final = 960
LEFT: Final = 56
RIGHT: Final = 12
_HOURS: Final = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440)
_MINUTE: Final = 60


class Markup(str):
    """Text that is markup already. Whatever is not is escaped where it is put in."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """One element. `class_` is class, underscores are hyphens; numbers get one decimal; None leaves the attribute out."""
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        text = number(value) if isinstance(value, int | float) else escape_html(value)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{text}"')
    content = "".join(child if isinstance(child, Markup) else escape_html(child) for child in children)
    return Markup(f"<{' '.join(parts)}>{content}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """Pieces one after the other; those that are no markup are escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape_html(part) for part in parts))


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough, and keeps pages small."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values to pixels."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        if self.high == self.low:
            return (self.first + self.last) / 2
        return self.first + (value - self.low) * (self.last - self.first) / (self.high - self.low)


def figure(
    height: float, title: str, description: str, *parts: str, name: str, width: float = WIDTH
) -> Markup:
    """An SVG that says in words what it shows; `name` makes its ids unique on the page."""
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *parts,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def text(x: float, y: float, words: str, **attributes: str | float | None) -> Markup:
    """Words at a point."""
    return element("text", words, x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def steps(
    borders: Sequence[int], values: Sequence[float], x: Scale, y: Scale, class_: str, style: str | None = None
) -> Markup:
    """A step line: each value holds over its half-open interval, as it is meant, without slopes."""
    path = [f"M{number(x(borders[0]))} {number(y(values[0]))}"]
    for index, value in enumerate(values):
        if index:
            path.append(f"V{number(y(value))}")
        path.append(f"H{number(x(borders[index + 1]))}")
    return element("path", d="".join(path), class_=class_, style=style)


def area(borders: Sequence[int], values: Sequence[float], x: Scale, y: Scale, class_: str) -> Markup:
    """The surface between a step line and zero."""
    path = [f"M{number(x(borders[0]))} {number(y(0))}"]
    for index, value in enumerate(values):
        path.append(f"V{number(y(value))}H{number(x(borders[index + 1]))}")
    path.append(f"V{number(y(0))}Z")
    return element("path", d="".join(path), class_=class_)


def round_steps(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, about `count` apart; 0 is one of them if inside."""
    span = (high - low) or 1.0
    raw = span / count
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(f * magnitude for f in (1, 2, 2.5, 5, 10) if f * magnitude >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def value_axis(y: Scale, ticks: Sequence[float], unit: str) -> Markup:
    """Grid lines with their numbers at the left, the unit above them."""
    parts = []
    for tick in ticks:
        at = y(tick)
        parts.append(line(LEFT, at, WIDTH - RIGHT, at, "zero" if tick == 0 else "grid"))
        label = f"{tick:g}".replace("-", "−")
        parts.append(text(LEFT - 8, at + 4, label, text_anchor="end"))
    parts.append(text(0, y(ticks[-1]) - 12, unit, class_="unit"))
    return joined(parts)


def time_axis(x: Scale, top: float, bottom: float) -> Markup:
    """Vertical lines at round hours UTC; days are named where they begin, and under the first tick."""
    span = x.high - x.low
    hours = next((h for h in _HOURS if span / (h * 3600) <= 12), math.ceil(span / (12 * 86_400)) * 24)
    width = hours * 3600
    parts = []
    for second in range(-(-int(x.low) // width) * width, int(x.high) + 1, width):
        at, instant = x(second), instant_of(second)
        midnight = instant.hour == 0
        parts.append(line(at, top, at, bottom, "day" if midnight and hours < 24 else "grid"))
        if hours < 24:
            parts.append(text(at, bottom + 16, f"{instant:%H:%M}", text_anchor="middle"))
        if midnight or hours >= 24:
            parts.append(
                text(
                    at,
                    bottom + (32 if hours < 24 else 16),
                    f"{instant:%-d %b}",
                    text_anchor="middle",
                    class_="date",
                )
            )
    parts.append(text(0, bottom + 16, "UTC", class_="unit"))
    return joined(parts)


def time_scale(start: datetime, end: datetime) -> Scale:
    """Epoch seconds across the drawing."""
    return Scale(
        epoch(start), max(epoch(end), epoch(start + timedelta(seconds=_MINUTE))), LEFT, WIDTH - RIGHT
    )
