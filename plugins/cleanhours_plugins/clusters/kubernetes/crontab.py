"""Crontab: when a CronJob's schedule comes next, read as Kubernetes reads it. Pure.

Source: github.com/robfig/cron v3.0.1 (`ParseStandard`, `SpecSchedule.Next`), which the CronJob controller calls. Other
dialects differ where it costs a deadline: a weekday 7, `L` and `#` are refused here, a step (`*/2`) in a day field does
not count as a star, an hour that daylight saving skips has no run, and an hour that it repeats has two. (Where it is midnight that is skipped, the original may miss the day; here it never does.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ACCEPTED: Final = "five fields such as '0 3 * * 1-5', a word such as @daily, or @every 1h30m"

_MONTHS: Final = dict(
    zip(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
        range(1, 13),
        strict=True,
    )
)
_DAYS: Final = dict(zip(("sun", "mon", "tue", "wed", "thu", "fri", "sat"), range(7), strict=True))
_WORDS: Final[Mapping[str, str]] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_YEARS_AHEAD: Final = 5
"""So far is looked for a date; 30 February never comes."""
_GO_UNITS: Final[Mapping[str, Fraction]] = {
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
}
_GO_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")
_GO_DURATION: Final = re.compile(rf"(?:{_GO_PART.pattern})+")


@dataclass(frozen=True, slots=True)
class Every:
    """A fixed time after the last."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class Crontab:
    """What minutes of the clock in `zone` match. `starred`: of the two day fields one says nothing, so both must hold."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    starred: bool
    zone: ZoneInfo

    def on(self, day: date) -> bool:
        """Whether it runs on that day at all."""
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (of_month and of_week if self.starred else of_month or of_week)


@lru_cache(maxsize=1024)
def parse_crontab(text: str, time_zone: str | None = None) -> Crontab | Every:
    """A CronJob's schedule and timeZone (None: UTC, the clock that control planes run on).

    Raises ValueError that says what would have been right. A `TZ=` of old objects stands over `time_zone`.
    """
    if text.startswith(("TZ=", "CRON_TZ=")):
        told, _, text = text.partition(" ")
        time_zone = told.partition("=")[2]
    text = text.strip()
    if text.startswith("@every "):
        return Every(_go_duration(text.removeprefix("@every ")))
    fields = _WORDS.get(text, text).split()
    if len(fields) != 5:
        raise ValueError(f"found {text!r}, accepted: {ACCEPTED}")
    minutes, _ = _field(fields[0], 0, 59)
    hours, _ = _field(fields[1], 0, 23)
    days, any_day = _field(fields[2], 1, 31)
    months, _ = _field(fields[3], 1, 12, _MONTHS)
    weekdays, any_weekday = _field(fields[4], 0, 6, _DAYS)
    return Crontab(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        days,
        months,
        weekdays,
        any_day or any_weekday,
        _zone(time_zone),
    )


def next_after(schedule: Crontab | Every, after: datetime) -> datetime | None:
    """The first instant after `after` (aware), in UTC; None when there is none within five years."""
    if isinstance(schedule, Every):
        return after.astimezone(UTC).replace(microsecond=0) + schedule.delay
    day = after.astimezone(schedule.zone).date()
    last = day.year + _YEARS_AHEAD
    while day.year <= last:
        if schedule.on(day):
            found = next((one for one in _instants(schedule, day) if one > after), None)
            if found is not None:
                return found
        day += timedelta(days=1)
    return None


def _instants(schedule: Crontab, day: date) -> Iterator[datetime]:
    """All of a day, in order: a minute that the clock skips has none, one that it repeats has two."""
    walls = (
        datetime.combine(day, time(hour, minute), schedule.zone)
        for hour in schedule.hours
        for minute in schedule.minutes
    )
    begins = datetime.combine(day, time(), schedule.zone)
    ends = datetime.combine(day + timedelta(days=1), time(), schedule.zone)
    if begins.utcoffset() == ends.utcoffset():
        return (wall.astimezone(UTC) for wall in walls)
    return iter(sorted({instant for wall in walls for instant in _meant(wall)}))


def _meant(wall: datetime) -> Iterator[datetime]:
    for fold in (0, 1):
        instant = wall.replace(fold=fold).astimezone(UTC)
        if instant.astimezone(wall.tzinfo).replace(tzinfo=None) == wall.replace(tzinfo=None):
            yield instant


def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"found time zone {name!r}, accepted: one of the IANA database") from None


def _field(
    text: str, least: int, most: int, names: Mapping[str, int] | None = None
) -> tuple[frozenset[int], bool]:
    """The values of a field, and whether it is a star."""
    values: set[int] = set()
    starred = False
    for part in filter(None, text.split(",")):
        span, slash, step_text = part.partition("/")
        low_text, dash, high_text = span.partition("-")
        step = _number(step_text, {}, part) if slash else 1
        if low_text in ("*", "?"):
            low, high = least, most
            starred = starred or step == 1
        else:
            low = _number(low_text, names or {}, part)
            high = _number(high_text, names or {}, part) if dash else (most if slash else low)
        if not least <= low <= high <= most or step == 0:
            raise ValueError(f"found {part!r}, accepted: {least} to {most}, rising, and a step above 0")
        values.update(range(low, high + 1, step))
    return frozenset(values), starred


def _number(text: str, names: Mapping[str, int], part: str) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"\+?\d{1,9}", text, re.ASCII):
        raise ValueError(f"found {part!r}, accepted: {ACCEPTED}")
    return int(text)


def _go_duration(text: str) -> timedelta:
    """Go's time.ParseDuration, in whole seconds rounded down, one at least."""
    if not _GO_DURATION.fullmatch(text):
        raise ValueError(f"found '@every {text}', accepted: @every 1h30m")
    seconds = sum(Fraction(number) * _GO_UNITS[unit] for number, unit in _GO_PART.findall(text))
    if seconds > 366 * 86_400 * 290:
        raise ValueError(f"found '@every {text}', accepted: @every 1h30m")
    return timedelta(seconds=max(int(seconds), 1))
