"""The plot of forecast against actual intensity, and how far apart they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cleanhours.apps.report import drawing
from cleanhours.apps.report.drawing import Markup, Scale
from cleanhours.apps.report.intensity import ZoneSeries
from cleanhours.domain.intensity import MICROGRAMS, IntensitySeries, Kind

Floats = npt.NDArray[np.float64]
_SIDE: Final = 300
_LEFT: Final = 48
_TOP: Final = 26
_BOTTOM: Final = 38
_POINTS: Final = 400


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Forecast and actual over the same intervals in g/kWh, weighted by their length."""

    zone: str
    actual: Floats
    forecast: Floats
    seconds: Floats

    @property
    def mean_absolute_error(self) -> float:
        """g/kWh."""
        return float(np.average(np.abs(self.forecast - self.actual), weights=self.seconds))

    @property
    def bias(self) -> float:
        """Mean of forecast - actual in g/kWh: above 0 the grid was cleaner than said."""
        return float(np.average(self.forecast - self.actual, weights=self.seconds))

    @property
    def mean_actual(self) -> float:
        """g/kWh."""
        return float(np.average(self.actual, weights=self.seconds))

    @property
    def hours(self) -> float:
        """How much time was compared."""
        return float(self.seconds.sum()) / 3600


def compare(series: Sequence[ZoneSeries]) -> list[Accuracy]:
    """Zones whose forecast and actual overlap and measure the same. Only what was forecast, and came to be, is compared."""
    pairs = [(one.zone, one.actual, one.forecast) for one in series]
    found = [
        _accuracy(zone, actual, forecast)
        for zone, actual, forecast in pairs
        if actual is not None and forecast is not None and actual.measure == forecast.measure
    ]
    return [one for one in found if one is not None]


def draw(one: Accuracy, name: str) -> Markup:
    """The scatter of a zone, both axes alike; on the diagonal the forecast was right."""
    highest = float(max(one.actual.max(), one.forecast.max(), 1.0))
    ticks = drawing.round_steps(0, highest, 3)
    x = Scale(0, ticks[-1], _LEFT, _SIDE - 8)
    y = Scale(0, ticks[-1], _SIDE - _BOTTOM, _TOP)
    parts: list[Markup] = []
    for tick in ticks:
        parts.append(drawing.line(_LEFT, y(tick), _SIDE - 8, y(tick), "zero" if tick == 0 else "grid"))
        parts.append(drawing.line(x(tick), _TOP, x(tick), _SIDE - _BOTTOM, "zero" if tick == 0 else "grid"))
        parts.append(drawing.text(_LEFT - 7, y(tick) + 4, f"{tick:g}", text_anchor="end"))
        parts.append(drawing.text(x(tick), _SIDE - _BOTTOM + 15, f"{tick:g}", text_anchor="middle"))
    parts.append(drawing.line(x(0), y(0), x(ticks[-1]), y(ticks[-1]), "diagonal"))
    every = -(-one.actual.size // _POINTS)
    points = zip(one.actual[::every].tolist(), one.forecast[::every].tolist(), strict=True)
    parts += [drawing.element("circle", cx=x(a), cy=y(f), r=2.6, class_="point") for a, f in points]
    parts.append(drawing.text(0, 12, "forecast, g CO2e/kWh", class_="unit"))
    parts.append(drawing.text(_SIDE - 8, _SIDE - 4, "actual, g CO2e/kWh", class_="unit", text_anchor="end"))
    told = f"{one.hours:.0f} hours compared; mean absolute error {one.mean_absolute_error:.0f} g/kWh."
    title = f"Forecast against actual intensity of {one.zone}"
    return drawing.figure(_SIDE, title, told, *parts, name=name, width=_SIDE)


def _accuracy(zone: str, actual: IntensitySeries, forecast: IntensitySeries) -> Accuracy | None:
    first = max(int(actual.borders[0]), int(forecast.borders[0]))
    last = min(int(actual.borders[-1]), int(forecast.borders[-1]))
    if first >= last:
        return None
    borders = np.union1d(actual.borders, forecast.borders)
    borders = borders[(borders >= first) & (borders <= last)]
    seconds = np.diff(borders)
    was = np.diff(actual.integral_at(borders)) / (seconds * MICROGRAMS)
    said = np.diff(forecast.integral_at(borders)) / (seconds * MICROGRAMS)
    index = np.searchsorted(forecast.borders, borders[:-1], side="right") - 1
    # a forecast series begins with the interval that holds its issue, which is often known already: no merit in that
    ahead = np.array([kind is Kind.FORECAST for kind in forecast.known_as])[index]
    if not ahead.any():
        return None
    return Accuracy(zone, was[ahead], said[ahead], seconds[ahead].astype(np.float64))
