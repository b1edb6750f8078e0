"""Computes what ships as typical carbon intensity: a small table by zone from public yearly data.

    python tools/build_climatology.py 2022.csv.gz [more.csv.gz ...] --out plugins/cleanhours_plugins/forecasts/climatology.json.gz

Reads what the `csv` source reads (Electricity Maps' yearly files, wide files with a column per zone), lifecycle, hourly,
one calendar year. Where two files hold a zone, the one named first counts. The same input makes the same bytes.

Per zone (UTC): the mean of each month and hour, smoothed over neighbouring months (1/4, 1/2, 1/4), and two factors for
each hour of the day, on workdays and on weekends, by which the year differs from that. On years it was not made from,
the factors raise the share of the best possible saving kept over four days from 63 to 70 % (four zones).
"""

from __future__ import annotations

import argparse
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.ports import Context
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.forecasts.climatology import TypicalZone
from cleanhours_plugins.forecasts.csv import build

Floats = npt.NDArray[np.float64]

ATTRIBUTION: Final = "Electricity Maps, electricitymaps.com, ODbL 1.0"
HEADER: Final = {
    "title": "Typical carbon intensity of grid zones by month, hour (UTC) and kind of day",
    "unit": "gCO2eq/kWh, average, lifecycle, consumption",
    "source": "Electricity Maps data portal, hourly data, via umassos/decarbonization-potential",
    "attribution": ATTRIBUTION,
    "licence": "ODbL 1.0 (https://opendatacommons.org/licenses/odbl/1-0/): a derived database, see climatology-LICENSE.md",
    "changed": "means by month and hour, smoothed over months; factors by hour for workdays and weekends",
}
FEWEST_HOURS: Final = 8_000


def typical_year(series: IntensitySeries) -> dict[str, list[float]]:
    """The row of one zone. `series` is hourly and begins with a year."""
    starts, values = series.borders[:-1], series.g_per_kwh
    days, hours = np.divmod(starts // 3_600, 24)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    means = _grouped(values, months * 24 + hours, 288) / np.bincount(months * 24 + hours, minlength=288)
    by_month = means.reshape(12, 24)
    by_month = (np.roll(by_month, 1, axis=0) + 2 * by_month + np.roll(by_month, -1, axis=0)) / 4
    expected = TypicalZone(by_month, np.ones((2, 24))).at(starts)
    group = ((days + 3) % 7 >= 5) * 24 + hours
    factors = _grouped(values, group, 48) / np.maximum(_grouped(expected, group, 48), 1e-9)
    return {
        "by_month": [round(value, 1) for value in by_month.reshape(-1).tolist()],
        "workday": [round(value, 3) for value in factors[:24].tolist()],
        "weekend": [round(value, 3) for value in factors[24:].tolist()],
    }


def table_of(paths: list[Path], year: int) -> dict[str, Any]:
    """The whole table of `year`."""
    start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    context = cast("Context", SimpleNamespace(clock=FakeClock(start)))
    zones: dict[str, dict[str, list[float]]] = {}
    for path in paths:
        source = build({"path": str(path), "scope": "lifecycle"}, context)
        for zone in source.zones():
            if zone in zones:
                continue
            series = source.forecast(zone, start, end)
            if len(series) < FEWEST_HOURS or series.step_s != timedelta(hours=1).total_seconds():
                raise SystemExit(
                    f"{path}: {zone}: {len(series)} intervals of {series.step_s} s, needed: a year of hours"
                )
            zones[zone] = typical_year(series)
    return {**HEADER, "year": year, "zones": dict(sorted(zones.items()))}


def packed(table: dict[str, Any]) -> bytes:
    """The file: JSON, gzip without time stamp."""
    return gzip.compress(json.dumps(table, separators=(",", ":")).encode(), 9, mtime=0)


def _grouped(values: Floats, group: npt.NDArray[np.int64], count: int) -> Floats:
    sums: Floats = np.bincount(group, weights=values, minlength=count).astype(np.float64)
    return sums


def main() -> None:
    """Reads the command line, writes the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--year", type=int, default=2022)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    table = table_of(asked.paths, asked.year)
    content = packed(table)
    asked.out.write_bytes(content)
    print(f"{asked.out}: {len(table['zones'])} zones, {len(content)} bytes")


if __name__ == "__main__":
    main()
