"""Reading tables of intensity: files in, checked columns of numbers out, every fault named by its line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import chain, islice
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from cleanhours.domain.errors import ConfigurationError, SeriesError, UnknownZone
from cleanhours.domain.intervals import HIGHEST_G_PER_KWH, Integers
from cleanhours_plugins.forecasts.headers import Layout, is_time

Floats = npt.NDArray[np.float64]

UNITS: Final = {
    "gco2eq/kwh": 1.0, "gco2e/kwh": 1.0, "gco2/kwh": 1.0, "g/kwh": 1.0, "gco2 per kwh": 1.0, "gco2e per kwh": 1.0,
    "kg/mwh": 1.0, "kgco2/mwh": 1.0, "lb/mwh": 0.45359237, "lbs/mwh": 0.45359237, "lbs_co2_per_mwh": 0.45359237,
    "kg/kwh": 1_000.0, "t/mwh": 1_000.0,
}  # fmt: skip
_SHOWN_FAULTS: Final = 3
_MOST_FAULTS: Final = 1_000
_HEAD_BYTES: Final = 65_536
_TIME: Final = "a time such as 2026-03-01T18:00:00Z"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one zone as they stand in the file.

    `starts`, `ends` and `issued` are epoch seconds, `values` gCO2e/kWh with NaN where the cell was empty, `lines` the
    lines of the file; `estimated` says which values are estimates. `seen` are the zones met on the way.
    """

    starts: Integers
    values: Floats
    lines: Integers
    ends: Integers | None = None
    issued: Integers | None = None
    estimated: npt.NDArray[np.bool_] | None = None
    seen: tuple[str, ...] = ()


class Faults:
    """What is wrong with a file, up to the point where it is said."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: list[str] = []

    def add(self, line: int, found: object, accepted: str) -> None:
        """One more; gives up on a file that is wrong all over."""
        self._said.append(f"line {line}: found {found!r}, accepted: {accepted}")
        if len(self._said) >= _MOST_FAULTS:
            self.close()

    def close(self) -> None:
        """Raises SeriesError with the first of them and their number, if there is one."""
        if not self._said:
            return
        more = len(self._said) - _SHOWN_FAULTS
        rest = f"; and {more} more such lines" if more > 0 else ""
        raise SeriesError(f"{self._path}: " + "; ".join(self._said[:_SHOWN_FAULTS]) + rest)


def lines_of(path: Path, *, head: bool = False) -> Iterator[list[str]]:
    """The cells of each line of a table, compressed with gzip or not; with `head` of its first lines only.

    Raises ConfigurationError where it cannot be opened, SeriesError where it is no table at all.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            content = stream.read(_HEAD_BYTES if head else -1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SeriesError(f"{path}: a damaged gzip file ({error})") from None
    except OSError as error:
        raise ConfigurationError(
            f"path: found {str(path)!r} ({error.strerror}), accepted: a file to be read"
        ) from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SeriesError(f"{path}: UTF-16 text, accepted: UTF-8")
    try:
        text = content.decode("utf-8-sig", errors="ignore" if head else "strict")
    except UnicodeDecodeError as error:
        raise SeriesError(f"{path}: no text at byte {error.start}, accepted: a table in UTF-8") from None
    return _rows(path, text)


def read_rows(
    path: Path,
    lines: Iterator[list[str]],
    layout: Layout,
    zone: str | None,
    *,
    timezone: tzinfo,
    factor: float,
) -> Rows:
    """The rows of `zone` (all, where the layout knows none): values times `factor`, naive times as of `timezone`.

    Raises SeriesError with every faulty line, UnknownZone where the file has other zones only.
    """
    faults, reader = Faults(path), _Reader(layout, zone, timezone, factor)
    for number, row in enumerate(lines, 2):
        if row:
            reader.take(number, row, faults)
    faults.close()
    if not reader.starts:
        if reader.seen and zone not in reader.seen:
            raise UnknownZone(str(zone), str(path), reader.seen)
        raise SeriesError(f"{path}: a header and no rows, accepted: rows of time and intensity")
    return reader.rows()


class _Reader:
    """Takes the rows of one zone, one by one."""

    def __init__(self, layout: Layout, zone: str | None, timezone: tzinfo, factor: float) -> None:
        self._layout = layout
        self._zone = zone
        self._factor = factor
        self._value = layout.zones[zone] if layout.zones and zone is not None else layout.value
        columns = (layout.time, self._value, layout.end, layout.issued, layout.zone_column, layout.unit)
        self._width = max(column for column in columns if column is not None) + 1
        self._times, self._ends_at, self._issued_at = (Times(timezone) for _ in range(3))
        self.seen: dict[str, None] = {}
        self.starts: list[int] = []
        self._values: list[float] = []
        self._lines: list[int] = []
        self._ends: list[int] = []
        self._issued: list[int] = []
        self._estimated: list[bool] = []

    def take(self, number: int, row: list[str], faults: Faults) -> None:
        """One row; what is wrong with it goes to `faults`."""
        layout = self._layout
        if len(row) < self._width:
            faults.add(number, ",".join(row)[:60], f"{self._width} cells at least, as in the header")
            return
        if layout.zone_column is not None:
            zone = row[layout.zone_column].strip()
            self.seen[zone] = None
            if self._zone not in (None, zone):
                return
        start = self._times.seconds(row[layout.time])
        amount = _number(row[self._value], self._factor * _unit(row, layout))
        if start is None:
            faults.add(number, row[layout.time], self._times.accepted)
        elif isinstance(amount, str):
            faults.add(number, row[self._value], amount)
        else:
            self.starts.append(start)
            self._values.append(amount)
            self._lines.append(number)
            self._estimated.append(layout.estimated is not None and _is_yes(row, layout.estimated))
            _append(self._ends, self._ends_at, row, layout.end, number, faults)
            _append(self._issued, self._issued_at, row, layout.issued, number, faults)

    def rows(self) -> Rows:
        layout = self._layout
        return Rows(
            np.array(self.starts, np.int64),
            np.array(self._values, np.float64),
            np.array(self._lines, np.int64),
            np.array(self._ends, np.int64) if layout.end is not None else None,
            np.array(self._issued, np.int64) if layout.issued is not None else None,
            np.array(self._estimated, np.bool_) if layout.estimated is not None else None,
            tuple(self.seen),
        )


class Times:
    """Reads the stamps of one column, in order: in autumn, the hour that comes twice is told apart by that order."""

    def __init__(self, timezone: tzinfo) -> None:
        self._timezone = timezone
        self._last = -(2**62)
        self.accepted = _TIME

    def seconds(self, text: str) -> int | None:
        """Epoch seconds; None, with `accepted` saying why, for what is no time or does not exist in the time zone."""
        self.accepted = _TIME
        text = text.strip()
        if text.isdigit() and 9 <= len(text) <= 11:
            return int(text)
        try:
            stamp = datetime.fromisoformat(text)
        except ValueError:
            return None
        if stamp.tzinfo is not None:
            found = stamp
        elif self._timezone is UTC:
            found = stamp.replace(tzinfo=UTC)
        else:
            found = stamp.replace(tzinfo=self._timezone)
            if found.astimezone(UTC).astimezone(self._timezone).replace(tzinfo=None) != stamp:
                self.accepted = (
                    f"a time that exists in {self._timezone}: clocks were put forward over this one"
                )
                return None
            if found.timestamp() <= self._last:
                found = found.replace(fold=1)
        self._last = int(found.timestamp())
        return self._last


def _rows(path: Path, text: str) -> Iterator[list[str]]:
    head = text.lstrip()[:200]
    if not head:
        raise SeriesError(f"{path}: an empty file, accepted: a header and rows of time and intensity")
    if head[0] in "<{[":
        what = "a web page" if head[0] == "<" else "JSON"
        raise SeriesError(f"{path}: {what} ({head[:40]!r}), accepted: a table of comma-separated values")
    stream = io.StringIO(text, newline="")
    header = stream.readline()
    stream.seek(0)
    delimiter = next((mark for mark in ",;\t" if mark in header), ",")
    return _cells(path, csv.reader(stream, delimiter=delimiter))


def _cells(path: Path, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise SeriesError(f"{path}: no table ({error}), accepted: comma-separated values") from None


def head_of(path: Path, lines: Iterator[list[str]]) -> tuple[list[str], list[str], Iterator[list[str]]]:
    """The header, the first row, and all rows of data; a file without a header is refused by SeriesError."""
    header = next(lines, [])
    first = list(islice(lines, 1))
    if any(is_time(cell) for cell in header):
        raise SeriesError(
            f"{path}: line 1: found {','.join(header)[:60]!r}, accepted: a header such as time,intensity"
        )
    return header, first[0] if first else [], chain(first, lines)


def _number(text: str, factor: float) -> float | str:
    """The value, NaN for an empty cell (missing is a gap), or what would have been right."""
    text = text.strip()
    if not text:
        return float("nan")
    try:
        amount = float(text) * factor
    except ValueError:
        return "a number with a decimal point, or an empty cell where it is missing"
    if 0 <= amount <= HIGHEST_G_PER_KWH:
        return amount
    return f"0 to {HIGHEST_G_PER_KWH:.0f} gCO2e/kWh, or an empty cell where it is missing (another unit? set unit)"


def _unit(row: Sequence[str], layout: Layout) -> float:
    return 1.0 if layout.unit is None else UNITS.get(row[layout.unit].strip().casefold(), float("nan"))


def _is_yes(row: Sequence[str], column: int) -> bool:
    return len(row) > column and row[column].strip().casefold() in ("true", "1", "yes")


def _append(
    into: list[int], times: Times, row: Sequence[str], column: int | None, line: int, faults: Faults
) -> None:
    if column is None:
        return
    seconds = times.seconds(row[column])
    if seconds is None:
        faults.add(line, row[column], times.accepted)
    into.append(seconds or 0)
