"""Recognising whose table of intensity a file is, from its header and first row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cleanhours.domain.errors import ConfigurationError, SeriesError
from cleanhours.domain.intensity import Kind, Scope

ELECTRICITY_MAPS: Final = "Electricity Maps, electricitymaps.com, ODbL 1.0"
NESO: Final = "NESO Carbon Intensity API, CC BY 4.0"

_TIMES: Final = (
    "datetime (utc)", "datetime_utc", "from_utc", "start_utc", "utc_time", "utc time", "zone_datetime", "start", "from",
    "time", "datetime", "point_time", "timestamp", "date_time", "date", "unix",
)  # fmt: skip
_ENDS: Final = ("end", "end_utc", "to", "to_utc")
_ZONES: Final = ("zone id", "zone_id", "zone_name", "zone", "region")
_VALUES: Final = (
    "intensity", "value", "carbon_intensity", "carbon intensity", "carbonintensity", "carbon_intensity_avg", "g_per_kwh",
    "gco2_per_kwh", "gco2e_per_kwh", "gco2eq_per_kwh", "actual_gco2_per_kwh", "forecast_gco2_per_kwh",
)  # fmt: skip
_ZONE_ID: Final = re.compile(r"[A-Z]{2,3}(?:[-_:][A-Za-z0-9]+)*")
_YEARLY: Final = ("latest_year", "google cfe")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a file keeps what; columns are counted from 0, None means there is none.

    `zones` maps zone ids to their column in a wide file; it is empty where one column (`value`) holds the values.
    `scope` and `zone` are what the format itself says of them.
    """

    time: int
    value: int = -1
    end: int | None = None
    issued: int | None = None
    zone_column: int | None = None
    estimated: int | None = None
    unit: int | None = None
    zones: Mapping[str, int] = field(default_factory=dict)
    zone: str | None = None
    scope: Scope | None = None
    kind: Kind = Kind.ACTUAL
    says_utc: bool = False
    last_wins: bool = False
    attribution: str = ""


def layout_of(
    header: Sequence[str], first: Sequence[str], *, column: str | None = None, scope: Scope | None = None
) -> Layout:
    """The layout of a file with this header and first row of data.

    `column` names the values' column where the file has several; `scope` chooses among Electricity Maps' two. Raises
    SeriesError for a file that is no series of intensity, ConfigurationError where a setting must choose.
    """
    names = [" ".join(name.casefold().split()) for name in header]
    if any(name in names for name in _YEARLY):
        raise SeriesError(
            f"these are yearly factors (columns {_listed(header)}): they choose between places, not between hours; "
            "accepted: intensity by time"
        )
    time = _time_column(names, first)
    maps = [index for index, name in enumerate(names) if _is_of_maps(name)]
    neso = "from_utc" in names and any(name.endswith("gco2_per_kwh") for name in names)
    value, zones = _value_columns(header, names, time, maps, column, scope)
    issued = next((index for index, name in enumerate(names) if name.startswith("issued")), None)
    says = Scope.DIRECT if neso else _scope_of(names[value]) if value >= 0 else None
    if scope is not None and says not in (None, scope):
        raise ConfigurationError(f"scope: found {scope}, but the column {header[value]!r} is {says}")
    foretold = issued is not None or (value >= 0 and "forecast" in names[value])
    return Layout(
        time=time,
        value=value,
        end=_first(names, _ENDS),
        issued=issued,
        zone_column=None if zones else _first(names, _ZONES),
        estimated=_first(names, ("data estimated",)),
        unit=_first(names, ("carbon_intensity_unit", "unit")),
        zones=zones,
        zone="GB" if neso else None,
        scope=says,
        kind=Kind.FORECAST if foretold else Kind.ACTUAL,
        says_utc="utc" in names[time],
        last_wins=names[time] == "zone_datetime",
        attribution=ELECTRICITY_MAPS if maps else NESO if neso else "",
    )


def is_time(cell: str) -> bool:
    """Whether a cell begins like a date and time of ISO 8601."""
    return re.match(r"\d{4}-\d\d-\d\d([T ]\d\d|$)", cell.strip()) is not None


def _time_column(names: Sequence[str], first: Sequence[str]) -> int:
    known = _first(names, _TIMES)
    if known is not None:
        return known
    for index, cell in enumerate(first):
        if is_time(cell):
            return index
    raise SeriesError(
        f"no column of times in the header ({_listed(names)}); accepted: a header such as time,intensity or "
        "start,end,value above rows that begin like 2026-03-01T18:00:00Z"
    )


def _value_columns(
    header: Sequence[str],
    names: Sequence[str],
    time: int,
    maps: Sequence[int],
    column: str | None,
    scope: Scope | None,
) -> tuple[int, Mapping[str, int]]:
    """The one column of values, or the column of each zone."""
    if column is not None:
        wanted = " ".join(column.casefold().split())
        if wanted not in names:
            raise ConfigurationError(f"column: found {column!r}, accepted: one of {_listed(header)}")
        return names.index(wanted), {}
    if maps:
        asked = scope or Scope.LIFECYCLE
        of_scope = [index for index in maps if _scope_of(names[index]) is asked]
        if not of_scope:
            raise ConfigurationError(
                f"scope: found {asked}, but the file has only {_listed([header[i] for i in maps])}"
            )
        return of_scope[0], {}
    known = [index for index, name in enumerate(names) if name in _VALUES]
    if len(known) == 1:
        return known[0], {}
    others = [
        index
        for index, name in enumerate(names)
        if index != time
        and not (name in _TIMES or name in _ENDS or name in _ZONES or name.startswith("issued"))
    ]
    if len(others) == 1 or (others and all(_ZONE_ID.fullmatch(header[index].strip()) for index in others)):
        return -1, {header[index].strip(): index for index in others}
    raise ConfigurationError(
        f"column: found nothing, accepted: the one that holds the intensity, of {_listed(header)}"
    )


def _is_of_maps(name: str) -> bool:
    return name.startswith("carbon intensity") and _scope_of(name) is not None


def _scope_of(name: str) -> Scope | None:
    if "direct" in name:
        return Scope.DIRECT
    return Scope.LIFECYCLE if re.search(r"\blca\b|life ?cycle", name) else None


def _first(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _listed(names: Sequence[str]) -> str:
    shown = [repr(name if len(name) <= 40 else name[:40] + "…") for name in names[:8]]
    return ", ".join(shown) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
