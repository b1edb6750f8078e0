"""Great Britain's Carbon Intensity API (NESO): the nation, its 18 regions and its postcodes; live and without a key.

Zones: `GB`; `GB:1` to `GB:18` (1 to 14 distribution networks, 15 England, 16 Scotland, 17 Wales, 18 Great Britain as
modelled); `GB:postcode:RG10` (the outward half). gCO2/kWh of half hours, direct, at the consumer. Settings: `base_url`.
Source: https://carbon-intensity.github.io/api-definitions; data CC BY 4.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from cleanhours.domain.errors import ConfigurationError, SeriesError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure, Scope
from cleanhours.domain.times import epoch, epoch_after, format_instant, instant_of, parse_instant
from cleanhours.ports import Clock, Context
from cleanhours_plugins.forecasts.options import Options

if TYPE_CHECKING:
    from cleanhours.http import Session

BASE_URL: Final = "https://api.carbonintensity.org.uk"
REGIONS: Final = (
    "North Scotland", "South Scotland", "North West England", "North East England", "Yorkshire", "North Wales",
    "South Wales", "West Midlands", "East Midlands", "East England", "South West England", "South England", "London",
    "South East England", "England", "Scotland", "Wales", "GB",
)  # fmt: skip
HORIZON: Final = timedelta(hours=48)
LONGEST_RANGE: Final = timedelta(days=13)
"""The API answers at most 14 days at once."""
_SLOT_S: Final = 1_800
_POSTCODE: Final = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]?")


def build(settings: Mapping[str, Any], context: Context) -> NesoForecasts:
    """The source that `settings` describe. Raises ConfigurationError naming every fault; asks nobody yet."""
    options = Options("neso", settings, ("base_url",))
    base_url = options.parsed("base_url", _web_address, f"a web address such as {BASE_URL}")
    options.close()
    return NesoForecasts(context.clock, base_url or BASE_URL)


@dataclass(frozen=True, slots=True)
class Place:
    """A part of Great Britain as the API addresses it; neither a region nor a postcode is the whole."""

    zone: str
    region: int | None = None
    postcode: str | None = None

    @property
    def suffix(self) -> str:
        return f"/regionid/{self.region}" if self.region is not None else f"/postcode/{self.postcode}"

    @property
    def whole(self) -> bool:
        return self.region is None and self.postcode is None


def place_of(zone: str) -> Place:
    """The place a zone names. Raises UnknownZone."""
    spelled = zone.upper().strip()
    if spelled == "GB":
        return Place(zone)
    region = re.fullmatch(r"GB:(\d{1,2})", spelled)
    if region and 1 <= int(region[1]) <= len(REGIONS):
        return Place(zone, region=int(region[1]))
    # what follows the outward half of a postcode is of no use, and of nobody's business
    postcode = re.fullmatch(r"GB:POSTCODE:(\S+)(?: .*)?", spelled)
    if postcode and _POSTCODE.fullmatch(postcode[1]):
        return Place(zone, postcode=postcode[1])
    raise UnknownZone(zone, "neso", ("GB", "GB:1 to GB:18", "GB:postcode:RG10 and so on"))


def question(place: Place, start: datetime, end: datetime | None = None) -> str:
    """The path that asks for the 48 h from the half hour that holds `start`, or for all half hours up to `end`.

    Times are asked one minute into a half hour: one that lies on a border is answered with the half hour before it.
    """
    first = _minute_into(epoch(start) // _SLOT_S * _SLOT_S)
    rest = "fw48h" if end is None else _minute_into((epoch_after(end) - 1) // _SLOT_S * _SLOT_S)
    if place.whole:
        return f"/intensity/{first}/{rest}"
    return f"/regional/intensity/{first}/{rest}{place.suffix}"


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One row of an answer, gCO2/kWh; None is missing, and a 0 is a 0."""

    start: int
    end: int
    forecast: float | None
    actual: float | None


def read(text: str, start: datetime) -> list[HalfHour]:
    """The half hours of an answer, in order, each once, from the one that holds `start` on.

    Accepts every envelope the API has: a list of rows, an object with such a list inside (ranges of a region), and a
    list with such an object (postcodes). Nothing at all, `{}` and an empty list are no rows. Raises SeriesError for
    everything else.
    """
    if not text.strip():
        return []
    try:
        answer = json.loads(text)
    except ValueError:
        raise SeriesError(f"neso: no JSON but {text.strip()[:60]!r}") from None
    first = epoch(start)
    found = {row.start: row for row in map(_half_hour, _rows(answer)) if row.end > first}
    return [found[key] for key in sorted(found)]


class NesoForecasts:
    """The live API. Every answer is asked for; a cache around it keeps to its half-hourly rhythm."""

    name = "neso"
    measure = Measure(scope=Scope.DIRECT)
    attribution = "NESO Carbon Intensity API, CC BY 4.0"
    final_after = timedelta(days=7)

    def __init__(self, clock: Clock, base_url: str = BASE_URL, session: Session | None = None) -> None:
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._session = session

    def zones(self) -> Sequence[str]:
        """The nation and its regions; postcodes are too many to list."""
        return sorted(["GB", *(f"GB:{region}" for region in range(1, len(REGIONS) + 1))])

    def serves(self, zone: str) -> bool:
        """Whether it is a place in Great Britain; a postcode may turn out to be none."""
        try:
            place_of(zone)
        except UnknownZone:
            return False
        return True

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """What is published for [start, end), 48 h at most: of the past what really was, where that is known."""
        place = place_of(zone)
        answer = self._ask(place, question(place, start))
        if place.postcode is not None and not answer.strip():
            raise UnknownZone(zone, self.name)
        rows = read(answer, start)
        told = [(row, row.forecast if row.actual is None else row.actual) for row in rows]
        return self._series(place, told, start, end, late=False)

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """What was published of [start, end) up to now; regions have no measurement: theirs is an estimate."""
        place, now = place_of(zone), self._clock.now()
        last, began = min(end, now), start
        if last <= start:
            raise TemporaryError(f"neso: {format_instant(start)} is not over yet")
        told: list[tuple[HalfHour, float | None]] = []
        while start < last:
            upto = min(start + LONGEST_RANGE, last)
            rows = read(self._ask(place, question(place, start, upto)), start)
            known = told[-1][0].end if told else 0
            told += [
                (row, row.actual if place.whole else row.forecast)
                for row in rows
                if row.start >= known and row.start < epoch_after(upto)
            ]
            start = upto
        # a region's half hour is modelled until it is over
        over = [(row, value) for row, value in told if place.whole or row.end <= epoch(now)]
        return self._series(place, over, began, last, late=True)

    def _ask(self, place: Place, path: str) -> str:
        from cleanhours.http import Refused, Session

        self._session = self._session or Session()
        try:
            return self._session.get(self._base_url + path, headers={"Accept": "application/json"}).text
        except Refused as refused:
            if place.postcode is not None and refused.status == 400:
                raise UnknownZone(place.zone, self.name) from None
            if refused.status == 404:
                raise ConfigurationError(f"neso: base_url: {refused}") from None
            raise TemporaryError(f"neso: {refused}", delay=timedelta(minutes=10)) from None

    def _series(
        self,
        place: Place,
        told: Sequence[tuple[HalfHour, float | None]],
        start: datetime,
        end: datetime,
        *,
        late: bool,
    ) -> IntensitySeries:
        """The part of the rows without a gap from the first known one on. Raises TemporaryError where there is none."""
        until, now = epoch_after(end), epoch(self._clock.now())
        rows: list[tuple[HalfHour, float]] = []
        for row, value in told:
            follows = not rows or row.start == rows[-1][0].end
            if value is not None and follows and row.start < until:
                rows.append((row, value))
            elif rows or not late:
                break
        if not rows or (not late and rows[0][0].start > epoch(start)):
            raise TemporaryError(
                f"neso: {place.zone}: nothing known at {format_instant(start)} yet",
                delay=timedelta(minutes=10),
            )
        return IntensitySeries.of(
            place.zone,
            [instant_of(row.start) for row, _ in rows],
            [value for _, value in rows],
            ends=[instant_of(row.end) for row, _ in rows],
            kind=[self._kind(row, place, now) for row, _ in rows],
            measure=self.measure,
            provider=self.name,
            issued_at=self._clock.now(),
        )

    def _kind(self, row: HalfHour, place: Place, now: int) -> Kind:
        if place.whole:
            return Kind.FORECAST if row.actual is None else Kind.ACTUAL
        return Kind.ESTIMATED if row.end <= now else Kind.FORECAST


def _rows(answer: object) -> Sequence[object]:
    """The rows inside whichever envelope."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if data is None:
        if answer == {}:
            return []
        raise SeriesError(f"neso: an answer without data: {str(answer)[:80]!r}")
    if isinstance(data, list) and data and isinstance(data[0], dict) and "data" in data[0]:
        data = data[0]
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, list):
        raise SeriesError(f"neso: data is no list of half hours: {str(data)[:80]!r}")
    return data


def _half_hour(row: object) -> HalfHour:
    try:
        if not isinstance(row, dict):
            raise TypeError("no object")
        start, end = (epoch(parse_instant(row[edge])) for edge in ("from", "to"))
        intensity = row["intensity"]
        values = [_value(intensity.get(key)) for key in ("forecast", "actual")]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SeriesError(
            f"neso: no half hour: {str(row)[:80]!r} ({type(error).__name__}: {error})"
        ) from None
    if end - start != _SLOT_S or start % _SLOT_S:
        raise SeriesError(f"neso: no half hour: from {row['from']} to {row['to']}")
    return HalfHour(start, end, *values)


def _value(number: object) -> float | None:
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"intensity {number!r}, accepted: a number or null")
    return float(number)


def _minute_into(slot: int) -> str:
    return instant_of(slot + 60).strftime("%Y-%m-%dT%H:%MZ")


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(text)
    return text
