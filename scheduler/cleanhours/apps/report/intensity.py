"""The plot of a zone's intensity with the runs marked: where they ran, and where they would have run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from cleanhours.apps.report import drawing
from cleanhours.apps.report.drawing import LEFT, RIGHT, WIDTH, Markup, Scale
from cleanhours.apps.report.figures import format_time, format_ug
from cleanhours.domain.accounts import Entry, IntensityUsed
from cleanhours.domain.intensity import MICROGRAMS, IntensitySeries
from cleanhours.domain.times import epoch, instant_of

MOST_RUNS: Final = 16
_TOP: Final = 28
_HEIGHT: Final = 200
_LANE: Final = 20
_POINTS: Final = 700
_MARGIN: Final = timedelta(hours=1)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC, microsecond=0)


@dataclass(frozen=True, slots=True)
class ZoneSeries:
    """What the caller knows of one zone's intensity: what was, and what had been forecast for the same hours."""

    zone: str
    actual: IntensitySeries | None = None
    forecast: IntensitySeries | None = None


@dataclass(frozen=True, slots=True)
class ZoneRuns:
    """One panel: a zone, its series, and the runs that used it."""

    series: ZoneSeries
    pieces: tuple[IntensitySeries, ...]
    """The actual series, or what the rows themselves were settled on, which may have holes."""
    runs: tuple[Entry, ...]
    hidden: int
    """Runs that are not drawn because there are too many."""
    start: datetime
    end: datetime

    @property
    def shows_forecast(self) -> bool:
        """Whether a forecast is known for any of the hours drawn."""
        forecast = self.series.forecast
        return forecast is not None and _overlaps(forecast, self.start, self.end)


def panels(entries: Sequence[Entry], series: Sequence[ZoneSeries]) -> list[ZoneRuns]:
    """One panel a zone in which something ran or of which a series was given. Draws the runs that changed most."""
    known = {one.zone: one for one in series}
    used = sorted({stretch.zone for entry in entries for stretch in entry.intensity} | set(known))
    result = []
    for zone in used:
        runs = [e for e in entries if any(stretch.zone == zone for stretch in e.intensity)]
        one = known.get(zone, ZoneSeries(zone))
        pieces = (one.actual,) if one.actual is not None else _pieces(entries, zone)
        span = _span(runs, one, pieces)
        if span is None:
            continue
        shown = sorted(runs, key=lambda entry: -abs(entry.total_avoided_ug or 0))[:MOST_RUNS]
        shown.sort(key=lambda entry: (entry.run.started_at or entry.run.finished_at, entry.run.name))
        result.append(ZoneRuns(one, pieces, tuple(shown), len(runs) - len(shown), *span))
    return result


def draw(panel: ZoneRuns, name: str) -> Markup:
    """The panel as an SVG: lines above, one lane a run beneath."""
    x = drawing.time_scale(panel.start, panel.end)
    lines = [one for one in (*panel.pieces, panel.series.forecast) if one is not None]
    inside = [one.cut(panel.start, panel.end) for one in lines if _overlaps(one, panel.start, panel.end)]
    highest = max((float(one.g_per_kwh.max()) for one in inside), default=1.0)
    ticks = drawing.round_steps(0, max(highest, 1.0))
    bottom = _TOP + _HEIGHT
    y = Scale(0, ticks[-1], bottom, _TOP)
    lanes_top = bottom + 46
    parts = [
        drawing.value_axis(y, ticks, "g CO2e/kWh"),
        drawing.time_axis(x, _TOP, bottom),
        *_ran_areas(panel, x, y),
        *(_line(panel.series.forecast, panel, x, y, "forecast") if panel.series.forecast else ()),
        *(part for piece in panel.pieces for part in _line(piece, panel, x, y, "actual")),
        *(_lane(entry, panel, x, lanes_top + index * _LANE) for index, entry in enumerate(panel.runs)),
    ]
    zone = panel.series.zone
    words = f"From {format_time(panel.start)} to {format_time(panel.end)} UTC, with {len(panel.runs)} runs beneath."
    height = lanes_top + len(panel.runs) * _LANE + 4
    return drawing.figure(height, f"Carbon intensity of {zone} and its runs", words, *parts, name=name)


def samples(panel: ZoneRuns, most: int = 48) -> list[tuple[datetime, datetime, float | None, float | None]]:
    """The numbers behind the panel: start, end, mean actual and mean forecast in g/kWh, over at most `most` stretches."""
    first, last = epoch(panel.start), epoch(panel.end)
    fitting = (h * 3600 for h in (1, 2, 3, 6, 12, 24, 48, 168, 720, 8760) if last - first <= most * h * 3600)
    # a run whose machine took it for 1970 stretches the page over decades
    width = next(fitting, -((first - last) // most))
    inner = range(first - first % width + width, last, width)
    rows = []
    for left, right in pairwise([first, *inner, last]):
        actual = next((m for piece in panel.pieces if (m := _mean(piece, left, right)) is not None), None)
        forecast = None if panel.series.forecast is None else _mean(panel.series.forecast, left, right)
        rows.append((instant_of(left), instant_of(right), actual, forecast))
    return rows


def _mean(series: IntensitySeries, left: int, right: int) -> float | None:
    start, end = instant_of(left), instant_of(right)
    return series.mean(start, end) if series.covers(start, end) else None


def _pieces(entries: Iterable[Entry], zone: str) -> tuple[IntensitySeries, ...]:
    """What rows say they were settled on, as series without holes. Where two rows differ, the later settled one stands."""
    known: dict[int, IntensityUsed] = {}
    for entry in sorted(entries, key=lambda entry: entry.settled_at):
        for stretch in (*entry.baseline_intensity, *entry.intensity):
            # what began and ended within one second has no width on any page
            if stretch.zone == zone and epoch(stretch.start) < epoch(stretch.end):
                known[epoch(stretch.start)] = stretch
    pieces: list[list[IntensityUsed]] = []
    for _, stretch in sorted(known.items()):
        if pieces and stretch.start < pieces[-1][-1].end:
            continue
        if pieces and stretch.start == pieces[-1][-1].end:
            pieces[-1].append(stretch)
        else:
            pieces.append([stretch])
    return tuple(_series(zone, piece) for piece in pieces)


def _series(zone: str, piece: Sequence[IntensityUsed]) -> IntensitySeries:
    return IntensitySeries.of(
        zone,
        [stretch.start for stretch in piece],
        [stretch.micrograms_per_kwh / MICROGRAMS for stretch in piece],
        ends=[stretch.end for stretch in piece],
        kind=[stretch.kind for stretch in piece],
    )


def _span(
    runs: Sequence[Entry], one: ZoneSeries, pieces: Sequence[IntensitySeries]
) -> tuple[datetime, datetime] | None:
    """From the first submission to the last end; without runs, all that is known."""
    if runs:
        starts = [
            min(entry.run.request.submitted, entry.run.started_at or entry.run.finished_at) for entry in runs
        ]
        first, last = min(starts), max(entry.run.finished_at for entry in runs)
        return max(first, _FIRST + _MARGIN) - _MARGIN, min(last, _LAST - _MARGIN) + _MARGIN
    known = [*pieces, *([one.forecast] if one.forecast is not None else [])]
    if not known:
        return None
    return min(series.start for series in known), max(series.end for series in known)


def _overlaps(series: IntensitySeries, start: datetime, end: datetime) -> bool:
    return max(int(series.borders[0]), epoch(start)) < min(int(series.borders[-1]), epoch(end))


def _line(series: IntensitySeries, panel: ZoneRuns, x: Scale, y: Scale, class_: str) -> list[Markup]:
    if not _overlaps(series, panel.start, panel.end):
        return []
    part = series.cut(panel.start, panel.end)
    if len(part) > _POINTS:
        hours = -(-int(part.borders[-1] - part.borders[0]) // (_POINTS * 3600))
        part = part.resample(timedelta(hours=hours))
    return [drawing.steps(part.borders.tolist(), part.g_per_kwh.tolist(), x, y, class_)]


def _ran_areas(panel: ZoneRuns, x: Scale, y: Scale) -> list[Markup]:
    """The surface under the line while anything ran, overlaps once."""
    spans = sorted(
        (segment.start, segment.end or entry.run.finished_at)
        for entry in panel.runs
        for segment in entry.run.segments
        if any(stretch.start < (segment.end or entry.run.finished_at) and segment.start < stretch.end
               for stretch in entry.intensity if stretch.zone == panel.series.zone)
    )  # fmt: skip
    merged: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return [
        drawing.area(part.borders.tolist(), part.g_per_kwh.tolist(), x, y, "ran-area")
        for start, end in merged
        for piece in panel.pieces
        if _overlaps(piece, start, end)
        for part in [piece.cut(start, end)]
    ]


def _lane(entry: Entry, panel: ZoneRuns, x: Scale, top: float) -> Markup:
    """A run's lane: dashed where it would have run, filled where it ran, a tick at its deadline, its name beside it."""
    run, left, right = entry.run, panel.start, panel.end
    parts = [drawing.line(LEFT, top + _LANE / 2, WIDTH - RIGHT, top + _LANE / 2, "lane")]
    if entry.baseline_intensity:
        start = max(entry.baseline_intensity[0].start, left)
        end = min(entry.baseline_intensity[-1].end, right)
        parts.append(_bar(x, start, end, top, "would"))
    ends = []
    for segment in run.segments:
        end = min(segment.end or run.finished_at, right)
        ends.append(x(epoch(end)))
        parts.append(_bar(x, max(segment.start, left), end, top, "ran"))
    deadline = run.request.deadline
    if deadline is not None and left <= deadline <= right:
        at = x(epoch(deadline))
        parts.append(drawing.line(at, top + 2, at, top + _LANE - 2, "deadline"))
    at = max(ends, default=LEFT)
    name = run.name if len(run.name) <= 28 else run.name[:27] + "…"
    beside = at + 8 + 6.5 * len(name) < WIDTH - RIGHT
    first = min((x(epoch(segment.start)) for segment in run.segments), default=at)
    where = at + 7 if beside else first - 7
    anchor = "start" if beside else "end"
    parts.append(drawing.text(where, top + _LANE / 2 + 4, name, class_="job", text_anchor=anchor))
    told = f"{run.name}: started {format_time(run.started_at)}, finished {format_time(run.finished_at)} UTC"
    avoided = f", avoided {format_ug(entry.total_avoided_ug, signed=True)} ({entry.settled})"
    return drawing.element("g", drawing.element("title", told + avoided), *parts)


def _bar(x: Scale, start: datetime, end: datetime, top: float, class_: str) -> Markup:
    first = x(epoch(start))
    width = max(x(epoch(end)) - first, 2)
    inset = 4 if class_ == "ran" else 2
    return drawing.element(
        "rect", x=first, y=top + inset, width=width, height=_LANE - 2 * inset, rx=2, class_=class_
    )
