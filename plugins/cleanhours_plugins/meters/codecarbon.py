"""CodeCarbon: the energy that a run's own tracker wrote into `emissions.csv` (2.x and 3.x; mlco2/codecarbon, MIT).

Read by column name: `timestamp` (when the row was written: local time without a zone), `duration` s, `cpu_energy`,
`gpu_energy`, `ram_energy`, `energy_consumed` kWh, `tracking_mode`, `pue`. What is ours to know is not read: emissions are
reckoned on our intensity, not on theirs.

A `pue` that was given to CodeCarbon is in each of its energies already (its measuring loop multiplies what every component
drew, before it adds it up), so it is divided out here: PUE is applied once, by the settlement.

A row belongs to a run when all of the time that it is of lies within the run's, a tolerance apart, and when `project`,
`run_id` and `experiment` of the settings, where they are given, are what the row says. Of rows with one `run_id` the last
counts (each `flush` writes the sum so far), others are added: every process with a tracker writes its own. A row that was
written while the run ran, and says that it lasted for longer, is an earlier run's, or it is broken: where no other row is
this run's, or nothing else can lie there, that is said. In
`tracking_mode` machine a tracker counts its whole machine, neighbours too: an upper estimate.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cleanhours.domain.energy import Component, EnergyProfile
from cleanhours.domain.jobs import FinishedRun
from cleanhours.ports import Clock, Context
from cleanhours_plugins.meters.measurements import Measurement, Span, profile_of
from cleanhours_plugins.meters.reports import (
    UNFINISHED,
    Place,
    UnreadableReport,
    fill,
    growing,
    number_of,
    place_of,
    read_text,
    shown,
)

MILLIJOULES_PER_KWH: Final = 3_600_000_000

_ENERGIES: Final[Mapping[str, Component]] = {
    "cpu_energy": Component.CPU,
    "ram_energy": Component.MEMORY,
    "gpu_energy": Component.GPU,
}
_LONGEST_S: Final = 1e9
_NEEDED: Final = ("timestamp", "duration", *_ENERGIES, "energy_consumed")
_MODES: Final = ("machine", "process")
_MARKS: Final[Mapping[str, str]] = {
    "project": "project_name",
    "run_id": "run_id",
    "experiment": "experiment_id",
}

Row = Mapping[str, str]


@dataclass(slots=True)
class CodeCarbonMeter:
    """Reads what a run's trackers wrote; knows nothing without a `place`. `marks` are columns and what stands there."""

    clock: Clock
    place: Place | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    name: str = "codecarbon"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        if self.place is None or not run.segments:
            return EnergyProfile(coverage=0.0)
        rows: dict[object, tuple[Path, Row, Span]] = {}
        strange: list[UnreadableReport] = []
        for path in self.place.reports(run):
            for row in self._read(path, run):
                found = _span(path, run, row, self.place)
                if isinstance(found, UnreadableReport):
                    strange.append(found)
                elif found is not None:
                    rows[row.get("run_id") or tuple(row.items())] = (path, row, found)
        if strange and (not rows or self.place.is_of_one_run(run)):
            raise strange[0]
        measured = [_measurement(path, row, span) for path, row, span in rows.values()]
        if {Component.MEMORY} >= {component for one in measured for component in one.millijoules}:
            return EnergyProfile(
                coverage=0.0
            )  # memory alone is not the job, and would keep declared watts out
        machine = any(row.get("tracking_mode") != "process" for _, row, _ in rows.values())
        return profile_of(run, measured, self.name, upper_estimate=machine)

    def _read(self, path: Path, run: FinishedRun) -> Iterator[Row]:
        """The rows that bear this run's marks. Raises TemporaryError while the last one may be in the writing."""
        whole, end_of_line, rest = read_text(path).rpartition("\n")
        if rest and self.clock.now() < run.finished_at + UNFINISHED:
            raise growing(path)
        marks = {column: fill(wanted, run) for column, wanted in self.marks.items()}
        for row in rows_of(path, whole + end_of_line):
            if all(row.get(column) == wanted for column, wanted in marks.items()):
                yield row


def rows_of(path: Path, text: str) -> Iterator[Row]:
    """The rows of an `emissions.csv`, by column name. Raises UnreadableReport for a file that is none.

    CodeCarbon leaves a value out altogether where it is missing and the file exists already (`gpu_model`, `region`): such a
    row is shorter than its header. Then only what stands before and after the columns that may be missing is read.
    """
    lines = csv.reader(io.StringIO(text))
    try:
        header = next(lines, None)
        if header is None:
            return
        missing = [column for column in _NEEDED if column not in header]
        if missing:
            raise UnreadableReport(f"{path}: no emissions.csv of CodeCarbon: it lacks {', '.join(missing)}")
        for fields in lines:
            row = dict(zip(header, fields, strict=False))
            if len(fields) == len(header):
                yield row
            elif fields and (kept := _ends_of(header, fields)) is not None:
                yield kept
    except csv.Error as fault:
        raise UnreadableReport(f"{path}: {fault}") from None


def _ends_of(header: Sequence[str], fields: Sequence[str]) -> Row | None:
    """What is certain of a row with values left out in its middle; None where nothing is."""
    first = header.index("energy_consumed") + 1
    last = len(header) - header.index("tracking_mode") if "tracking_mode" in header else 0
    if not last or len(fields) < first + last:
        return None
    row = dict(zip(header[:first], fields[:first], strict=True))
    row |= dict(zip(header[-last:], fields[-last:], strict=True))
    try:
        parts = sum(float(row[column]) for column in _ENERGIES)
        whole = float(row["energy_consumed"])
    except ValueError:
        return None
    sound = row["tracking_mode"] in _MODES and math.isclose(parts, whole, rel_tol=1e-3)
    return row if sound else None


def _span(path: Path, run: FinishedRun, row: Row, place: Place) -> Span | UnreadableReport | None:
    """The time that a row is of; None where that is not this run's, the complaint where nobody can tell."""
    where = f"{path}: row of {shown(row['timestamp'])}"
    try:
        ends = place.instants(row["timestamp"])
    except ValueError:
        return UnreadableReport(f"{where}: timestamp: accepted: YYYY-MM-DDTHH:MM:SS")
    try:
        seconds = number_of(path, f"row of {shown(row['timestamp'])}: duration", row["duration"], _LONGEST_S)
    except UnreadableReport as fault:
        return fault if any(place.within(run, end, end) for end in ends) else None
    lasted = timedelta(seconds=seconds)
    for end in ends:
        if place.within(run, end - lasted, end):
            return (end - lasted, end)
    began = run.segments[0].start
    if any(began < end and place.within(run, end, end) for end in ends):
        return UnreadableReport(
            f"{where}: duration: found {seconds:g}, accepted: seconds within the run, which began at {began}"
        )
    return None


def _measurement(path: Path, row: Row, span: Span) -> Measurement:
    """What a row of this run measured, before PUE. What it says is 0 was not measured: no processor draws nothing."""
    where = f"row of {row['timestamp']}"
    pue = number_of(path, f"{where}: pue", row.get("pue", "").strip() or 1.0)
    if pue < 1:
        raise UnreadableReport(f"{path}: {where}: pue: found {pue:g}, accepted: 1 or more")
    energies = {c: number_of(path, f"{where}: {column}", row[column]) for column, c in _ENERGIES.items()}
    drawn = {c: kwh / pue * MILLIJOULES_PER_KWH for c, kwh in energies.items() if kwh > 0}
    return Measurement(*span, drawn)


def build(settings: Mapping[str, Any], context: Context) -> CodeCarbonMeter:
    """The meter; it reads nothing while its table is empty. Raises ConfigurationError naming every fault.

    `folder` and `file` (by default `emissions.csv`) with words of the run, `project`, `run_id`, `experiment` (what stands
    there, with words of the run), `tolerance`, `timezone`.
    """
    place = place_of("codecarbon", settings, "emissions.csv", templates=tuple(_MARKS))
    marks = {column: settings[key] for key, column in _MARKS.items() if key in settings}
    return CodeCarbonMeter(context.clock, place, marks)
