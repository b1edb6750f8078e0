"""What is typical: the intensity of a hundred grid zones by month, hour and kind of day. Built in, offline, no account.

It knows no weather and no today: a forecast of last resort, far better than none. The table beside this module is made
by tools/build_climatology.py and is a database of its own under ODbL 1.0 (climatology-LICENSE.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cleanhours.domain.errors import SeriesError, UnknownZone
from cleanhours.domain.intensity import IntensitySeries, Kind, Measure
from cleanhours.domain.intervals import Integers
from cleanhours.domain.times import epoch, epoch_after
from cleanhours.ports import Context
from cleanhours_plugins.forecasts.options import Options

Floats = npt.NDArray[np.float64]

TABLE: Final = Path(__file__).with_name("climatology.json.gz")
LONGEST: Final = timedelta(days=366)
_HOUR: Final = 3_600


def build(settings: Mapping[str, Any], context: Context) -> Climatology:
    """The source; it has no settings and refuses them with a ConfigurationError."""
    options = Options("climatology", settings, ())
    options.close()
    return Climatology()


@dataclass(frozen=True, slots=True, eq=False)
class TypicalZone:
    """A zone's typical year in UTC. `by_month` (12, 24) gCO2e/kWh; `factors` (2, 24): on workdays and on weekends."""

    by_month: Floats
    factors: Floats

    def at(self, starts: Integers) -> Floats:
        """The typical gCO2e/kWh of the hours that begin at `starts` (epoch seconds).

        Months stand for their middle; between two middles the way is straight.
        """
        days, hours = np.divmod(starts // _HOUR, 24)
        stamps = days.astype("datetime64[D]")
        months = stamps.astype("datetime64[M]")
        length = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
        passed = (stamps - months.astype("datetime64[D]")).astype(np.int64) + hours / 24
        position = months.astype(np.int64) % 12 + passed / length - 0.5
        before = np.floor(position).astype(np.int64)
        share = position - before
        level = (
            self.by_month[before % 12, hours] * (1 - share) + self.by_month[(before + 1) % 12, hours] * share
        )
        weekend = ((days + 3) % 7 >= 5).astype(np.int64)  # 1970 began on a Thursday
        result: Floats = level * self.factors[weekend, hours]
        return result


class Climatology:
    """The built-in table as a source. Any date is answered, a year at most at once."""

    name = "climatology"
    measure = Measure()
    offline = True
    typical = True

    def __init__(self, table: Path = TABLE) -> None:
        self._table = table

    @property
    def attribution(self) -> str:
        return str(_read(self._table)["attribution"])

    def zones(self) -> Sequence[str]:
        return sorted(_read(self._table)["zones"])

    def serves(self, zone: str) -> bool:
        return self._row(zone) is not None

    def forecast(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Typical values by the hour from the hour that holds `start` on. Raises UnknownZone."""
        first = epoch(start) // _HOUR * _HOUR
        last = min(epoch_after(end), first + int(LONGEST.total_seconds()))
        if last <= epoch(start):
            raise SeriesError(f"{zone}: a forecast from {start} to {end} is one of nothing")
        starts = np.arange(first, last, _HOUR, dtype=np.int64)
        return IntensitySeries.of(
            zone,
            starts,
            self._zone(zone).at(starts),
            step=timedelta(hours=1),
            kind=Kind.TYPICAL,
            measure=self.measure,
            provider=self.name,
        )

    def _zone(self, zone: str) -> TypicalZone:
        row = self._row(zone)
        if row is None:
            raise UnknownZone(zone, self.name, self.zones())
        return TypicalZone(
            np.array(row["by_month"]).reshape(12, 24), np.array([row["workday"], row["weekend"]])
        )

    def _row(self, zone: str) -> Mapping[str, Any] | None:
        known: Mapping[str, Mapping[str, Any]] = _read(self._table)["zones"]
        return known.get(zone) or known.get(zone.upper().replace("_", "-"))


@cache
def _read(table: Path) -> dict[str, Any]:
    import gzip

    read: dict[str, Any] = json.loads(gzip.decompress(table.read_bytes()))
    return read
