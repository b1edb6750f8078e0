"""Keeping forecasts on disk: a provider is asked once per refresh interval, and a failing one is outlived for a while.

One file per provider and grid zone, private to its user, replaced in one step. A file that cannot be read is worth
nothing and is said so; a disk that cannot be written costs the memory of a restart, never a forecast.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Final
from zlib import adler32, crc32

import numpy as np

from cleanhours.adapters.keeping import replace_private
from cleanhours.domain.errors import CleanhoursError, TemporaryError, UnknownZone
from cleanhours.domain.intensity import Basis, IntensitySeries, Kind, Measure, Scope, Signal
from cleanhours.domain.times import epoch, format_duration, format_instant, instant_of, parse_instant
from cleanhours.ports import Clock, ForecastSource

REFRESH: Final = timedelta(minutes=30)
STALE_LIMIT: Final = timedelta(hours=6)
_VERSION: Final = 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer: what was asked ([start, end), epoch seconds), what was said, and when."""

    asked_start: int
    asked_end: int
    fetched_at: datetime
    series: IntensitySeries


class Cached:
    """A source remembered: fresh for `refresh`, and when the provider fails, served up to `stale_limit` old with a note."""

    def __init__(
        self,
        source: ForecastSource,
        folder: Path,
        clock: Clock,
        *,
        refresh: timedelta = REFRESH,
        stale_limit: timedelta = STALE_LIMIT,
        identity: str = "",
    ) -> None:
        """`folder` is made, private, when first written; `identity` tells apart sources of one name."""
        self.name = source.name
        self._source = source
        self._folder = folder
        self._clock = clock
        self._refresh = refresh
        self._stale_limit = stale_limit
        self._identity = identity
        self._kept: dict[str, Kept | None] = {}
        self._failed: dict[str, tuple[datetime, CleanhoursError]] = {}
        self._cannot_write = False
        self._lock = Lock()
        self._asking: dict[str, Lock] = {}

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """As the source's, at most `refresh` old; older with a note in `notes` when the source fails."""
        with self._lock:
            asking = self._asking.setdefault(zone, Lock())
        with asking:  # one call in flight per zone
            return self._answer(zone, start, end)

    def issued(self, zone: str) -> tuple[str, datetime] | None:
        """Provider and time of issue of the answer kept for the zone, even where it is too old to be served."""
        with self._lock:
            asking = self._asking.setdefault(zone, Lock())
        with asking:
            kept = self._known(zone)
        if kept is None or kept.series.issued_at is None:
            return None
        return kept.series.provider, kept.series.issued_at

    def _answer(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        now = self._clock.now()
        kept = self._known(zone)
        if kept is not None and self._serves(kept, start, end, now, self._refresh):
            return _part(kept.series, start, end)
        until, last_error = self._failed.get(zone, (now, None))
        if last_error is None or not now < until <= now + timedelta(hours=2):
            try:
                return self._fetch(zone, start, end, now)
            except UnknownZone:
                raise
            except CleanhoursError as error:
                delay = error.delay if isinstance(error, TemporaryError) else timedelta(minutes=1)
                self._failed[zone] = (now + delay, error)
                last_error = error
        if kept is not None and self._serves(kept, start, None, now, self._stale_limit):
            age = format_duration(abs(now - kept.fetched_at))
            note = f"{self.name} fails ({last_error}): this is what it said {age} ago"
            series = _part(kept.series, start, end)
            return replace(series, notes=(*series.notes, note))
        raise last_error

    def _fetch(self, zone: str, start: datetime, end: datetime, now: datetime) -> IntensitySeries:
        # the window slides with the clock: asked a little further, the answer serves until the next refresh
        upto = end + self._refresh
        series = self._source.forecast(zone, start, upto)
        kept = Kept(epoch(start), epoch(upto), now, series)
        self._kept[zone] = kept
        self._failed.pop(zone, None)
        self._write(zone, kept)
        return _part(series, start, end)

    def _serves(
        self, kept: Kept, start: datetime, end: datetime | None, now: datetime, oldest: timedelta
    ) -> bool:
        """Whether an answer is young enough and covers the question; one from the future (a stepped clock) is none."""
        if not timedelta(0) <= now - kept.fetched_at <= oldest:
            return False
        if not kept.series.borders[0] <= epoch(start) < kept.series.borders[-1]:
            return False
        return end is None or epoch(end) <= kept.asked_end

    def _known(self, zone: str) -> Kept | None:
        if zone not in self._kept:
            self._kept[zone] = self._load(zone)
        return self._kept[zone]

    def _path(self, zone: str) -> Path:
        key = f"{self.name} {self._identity} {zone}"
        shown = re.sub(r"[^A-Za-z0-9-]+", "_", f"{self.name}-{zone}")[:60]
        # hashlib would load OpenSSL, for which the sbatch wrapper's user waits
        return self._folder / f"{shown}-{crc32(key.encode()):08x}{adler32(key.encode()):08x}.json"

    def _load(self, zone: str) -> Kept | None:
        path = self._path(zone)
        try:
            return unpacked(path.read_text(encoding="utf-8"), zone)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            _log.warning("the cached forecast %s is of no use and will be replaced: %s", path, error)
            return None

    def _write(self, zone: str, kept: Kept) -> None:
        path = self._path(zone)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_private(str(path), packed(kept))
        except OSError as error:
            if not self._cannot_write:
                _log.warning(
                    "forecasts cannot be kept in %s (%s): they are remembered until a restart", path, error
                )
            self._cannot_write = True
            return
        if self._cannot_write:
            _log.info("forecasts are kept in %s again", self._folder)
        self._cannot_write = False


def packed(kept: Kept) -> str:
    """A kept answer as JSON."""
    series = kept.series
    return json.dumps(
        {
            "version": _VERSION,
            "zone": series.zone,
            "asked": [kept.asked_start, kept.asked_end],
            "fetched_at": format_instant(kept.fetched_at),
            "borders": series.borders.tolist(),
            "micrograms": series.micrograms.tolist(),
            "kinds": [str(kind) for kind in series.known_as],
            "signal": series.measure.signal,
            "scope": series.measure.scope,
            "basis": series.measure.basis,
            "provider": series.provider,
            "issued_at": None if series.issued_at is None else format_instant(series.issued_at),
            "notes": list(series.notes),
        },
        separators=(",", ":"),
    )


def unpacked(text: str, zone: str) -> Kept:
    """The answer that `packed` wrote, checked anew. Raises ValueError (SeriesError too), KeyError or TypeError."""
    read: Mapping[str, Any] = json.loads(text)
    if read["version"] != _VERSION or read["zone"] != zone:
        raise ValueError(f"version {read['version']} of zone {read['zone']}")
    borders = np.array(read["borders"], np.int64)
    micrograms = np.array(read["micrograms"], np.int64)
    issued = read["issued_at"]
    series = IntensitySeries.of(
        zone,
        borders[:-1],
        micrograms / 1e6,
        ends=borders[1:],
        kind=[Kind(word) for word in read["kinds"]],
        measure=Measure(Signal(read["signal"]), Scope(read["scope"]), Basis(read["basis"])),
        provider=str(read["provider"]),
        issued_at=None if issued is None else parse_instant(issued),
    )
    first, last = (int(second) for second in read["asked"])
    return Kept(first, last, parse_instant(read["fetched_at"]), replace(series, notes=tuple(read["notes"])))


def _part(series: IntensitySeries, start: datetime, end: datetime) -> IntensitySeries:
    """The whole intervals that hold [start, end): the first begins where the source says, not where it was asked."""
    first = int(np.searchsorted(series.borders, epoch(start), side="right")) - 1
    return series.cut(instant_of(int(series.borders[first])), end)
