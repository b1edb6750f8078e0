"""Zeus: the energy of the windows that a run measured with `ZeusMonitor` (ml-energy/zeus, Apache-2.0).

Two forms are read, both in seconds and joules. The log of `ZeusMonitor(log_file="zeus.csv")`, GPUs only:

    start_time,window_name,elapsed_time,gpu0_energy,gpu1_energy
    1772323200.0,training,3600.0,900000.0,910000.0

and what `end_window` returns, as JSON (`dataclasses.asdict`), one object or a list of them; `start_time` (Unix seconds, or a
time with its zone) and `window_name` are the writer's to add:

    {"start_time": 1772323200.0, "window_name": "training", "time": 3600.0,
     "gpu_energy": {"0": 900000.0}, "cpu_energy": {"0": 120000.0}, "dram_energy": null}

Without `start_time` a window can only be this run's where the place of the file names no other: by `{uid}`, and by
`{attempt}` from the second attempt on. Windows may lie in each other (a training, its epochs, their steps): of one file only
the outermost count, or those that `window` names; such as overlap in part are refused, for nobody knows their sum.
`{"measurements": [...]}` is Zeus' power-limit profile: what a job would draw under limits, not what a run drew.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cleanhours.domain.energy import Component, EnergyProfile
from cleanhours.domain.jobs import FinishedRun
from cleanhours.domain.times import parse_instant
from cleanhours.ports import Clock, Context
from cleanhours_plugins.meters.measurements import Measurement, profile_of
from cleanhours_plugins.meters.reports import (
    UNFINISHED,
    Place,
    UnreadableReport,
    growing,
    number_of,
    place_of,
    read_json,
    read_text,
    shown,
)

_COMPONENTS: Final[Mapping[str, Component]] = {
    "cpu": Component.CPU,
    "dram": Component.MEMORY,
    "gpu": Component.GPU,
}
_COLUMN: Final = re.compile(r"(cpu|dram|gpu)\d+_energy", re.ASCII)
_LAST_S: Final = 1e11
_LONGEST_S: Final = 1e9
_BLINK: Final = timedelta(milliseconds=1)
"""By which a window may outlast the one that it lies in: the log's floating-point seconds."""


@dataclass(frozen=True, slots=True)
class Window:
    """A measurement window as it was written; `start` is None where it does not say."""

    name: str
    start: datetime | None
    lasted: timedelta
    joules: Mapping[Component, float]


@dataclass(slots=True)
class ZeusMeter:
    """Reads the windows that a run measured; knows nothing without a `place`. `window` is the name to count, if any."""

    clock: Clock
    place: Place | None = None
    window: str = ""
    name: str = "zeus"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        if self.place is None or not run.segments:
            return EnergyProfile(coverage=0.0)
        found: list[Measurement] = []
        for path in self.place.reports(run):
            found += _outermost(path, self._own(path, run, self.place))
        if {Component.MEMORY} >= {component for one in found for component in one.millijoules}:
            return EnergyProfile(
                coverage=0.0
            )  # memory alone is not the job, and would keep declared watts out
        return profile_of(run, found, self.name)

    def _own(self, path: Path, run: FinishedRun, place: Place) -> Iterator[Measurement]:
        """The windows of this run. Raises TemporaryError while the file may be in the writing."""
        may_grow = self.clock.now() < run.finished_at + UNFINISHED
        windows = [one for one in windows_of(path, may_grow=may_grow) if self.window in ("", one.name)]
        unplaced = [one for one in windows if one.start is None]
        if unplaced and (len(windows) > 1 or not place.is_of_one_run(run)):
            raise UnreadableReport(
                f"{path}: a window without start_time may lie in another one, or be another run's: write start_time, "
                "or leave one window in a file that is named by {uid}"
            )
        for window in windows:
            start = window.start or max(run.finished_at - window.lasted, run.segments[0].start)
            drawn = {component: joules * 1000 for component, joules in window.joules.items() if joules > 0}
            if place.within(run, start, start + window.lasted):
                yield Measurement(start, start + window.lasted, drawn)


def windows_of(path: Path, *, may_grow: bool) -> Iterator[Window]:
    """The windows of a file, by its suffix. Raises UnreadableReport, or TemporaryError for one that `may_grow`."""
    if path.suffix == ".json":
        yield from _in_json(path, read_json(path, may_grow=may_grow))
        return
    whole, end_of_line, rest = read_text(path).rpartition("\n")
    if rest and may_grow:
        raise growing(path)
    try:
        yield from _in_csv(path, whole + end_of_line)
    except csv.Error as fault:
        raise UnreadableReport(f"{path}: {fault}") from None


def _in_csv(path: Path, text: str) -> Iterator[Window]:
    rows = csv.DictReader(io.StringIO(text))
    columns = rows.fieldnames or ()
    energies = {column: match[1] for column in columns if (match := _COLUMN.fullmatch(column))}
    missing = [column for column in ("start_time", "elapsed_time") if column not in columns]
    if columns and (missing or not energies):
        raise UnreadableReport(
            f"{path}: no log of ZeusMonitor: it lacks {', '.join(missing) or 'gpu0_energy'}"
        )
    for row in rows:
        joules: dict[Component, float] = {}
        for column, kind in energies.items():
            component = _COMPONENTS[kind]
            joules[component] = joules.get(component, 0.0) + number_of(path, column, row[column])
        start = _start(path, row["start_time"])
        yield Window(str(row.get("window_name")), start, _length(path, row["elapsed_time"]), joules)


def _in_json(path: Path, data: Any) -> Iterator[Window]:
    for one in data if isinstance(data, list) else [data]:
        if isinstance(one, dict) and "measurements" in one:
            raise UnreadableReport(f"{path}: a power-limit profile of Zeus, not what a run drew")
        if not isinstance(one, dict) or "time" not in one or not isinstance(one.get("gpu_energy"), dict):
            raise UnreadableReport(f"{path}: no measurement of Zeus: it lacks time or gpu_energy")
        joules: dict[Component, float] = {}
        for kind, component in _COMPONENTS.items():
            devices = one.get(f"{kind}_energy") or {}
            if not isinstance(devices, dict):
                raise UnreadableReport(
                    f"{path}: {kind}_energy: found {shown(devices)}, accepted: joules by index"
                )
            if devices:
                joules[component] = sum(number_of(path, f"{kind}_energy", each) for each in devices.values())
        start = None if one.get("start_time") is None else _start(path, one["start_time"])
        yield Window(str(one.get("window_name", "")), start, _length(path, one["time"]), joules)


def _outermost(path: Path, windows: Iterable[Measurement]) -> list[Measurement]:
    """Those that lie in no other one. Raises UnreadableReport for such as overlap in part."""
    kept: list[Measurement] = []
    for one in sorted(windows, key=lambda each: (each.start, -each.end.timestamp())):
        if not kept or one.start + _BLINK >= kept[-1].end:
            kept.append(one)
        elif one.end > kept[-1].end + _BLINK:
            raise UnreadableReport(
                f"{path}: windows overlap in part, so that nobody knows their sum: name one by meters.zeus.window"
            )
    return kept


def _start(path: Path, value: object) -> datetime:
    if isinstance(value, str) and "T" in value:
        try:
            start = parse_instant(value)
        except ValueError as fault:
            raise UnreadableReport(f"{path}: start_time: found {shown(value)}, accepted: {fault}") from None
        # the same bounds as of a number: what lasts from the end of the calendar on cannot be reckoned with
        if not 0 <= start.timestamp() <= _LAST_S:
            raise UnreadableReport(
                f"{path}: start_time: found {shown(value)}, accepted: a time from 1970 to 5138"
            )
        return start
    return datetime.fromtimestamp(number_of(path, "start_time", value, most=_LAST_S), UTC)


def _length(path: Path, value: object) -> timedelta:
    return timedelta(seconds=number_of(path, "elapsed time", value, most=_LONGEST_S))


def build(settings: Mapping[str, Any], context: Context) -> ZeusMeter:
    """The meter; it reads nothing while its table is empty. Raises ConfigurationError naming every fault.

    `folder` and `file` (by default `zeus*.csv`; a name that ends in `.json` is read as JSON) with words of the run,
    `window`, `tolerance`.
    """
    window = settings.get("window", "")
    wrong = () if isinstance(window, str) else (f"meters.zeus.window: found {window!r}, accepted: a name",)
    return ZeusMeter(
        context.clock, place_of("zeus", settings, "zeus*.csv", others=("window",), faults=wrong), window
    )
