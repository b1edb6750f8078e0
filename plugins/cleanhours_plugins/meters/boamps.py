"""BoAmps: the energy in a run's report of Boavizta's format (report_schema.json; CodeCarbon writes it too).

Of each measure: `powerConsumption` is energy in kWh (or in `unit`, of older reports), `measurementDuration` seconds,
`measurementDateTime` a time, local without a zone. Whether that is the beginning or the end of the measurement is not said
(Boavizta's own form says the beginning, CodeCarbon writes the end), so it must lie within the run, and so must one of the
two stretches that it may mean. The idle power of a calibration is left as it was reported.

What is measured follows from the measure: `gpuTrackingMode` alone is the GPUs, `cpuTrackingMode` alone the processors (with
their memory, where CodeCarbon measured), both or neither is the whole job. Several measures count together only if
they are of different things: two of the whole job, by two tools, would be counted twice.

The format does not say whether PUE is in: `pue` of the settings is what the writers applied, and is divided out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cleanhours.domain.energy import Component, EnergyProfile
from cleanhours.domain.jobs import FinishedRun
from cleanhours.ports import Clock, Context
from cleanhours_plugins.meters.measurements import Measurement, profile_of
from cleanhours_plugins.meters.reports import (
    UNFINISHED,
    Place,
    UnreadableReport,
    number_of,
    place_of,
    read_json,
    shown,
)

MILLIJOULES: Final[Mapping[str, float]] = {
    "mWh": 3.6e3,
    "Wh": 3.6e6,
    "kWh": 3.6e9,
    "MWh": 3.6e12,
    "kJoule": 1e6,
    "MJoule": 1e9,
}
"""Per unit of energy; BTU and the FLOPS that older reports allow are refused."""


@dataclass(slots=True)
class BoAmpsMeter:
    """Reads the reports of a run; knows nothing without a `place`. `pue` is in their energies already."""

    clock: Clock
    place: Place | None = None
    pue: float = 1.0
    name: str = "boamps"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        if self.place is None or not run.segments:
            return EnergyProfile(coverage=0.0)
        found: list[Measurement] = []
        upper = False
        for path in self.place.reports(run):
            measures = self._measures(path, run)
            own = [one for each in measures for one in self._own(path, run, each, self.place)]
            upper |= bool(own) and any(each.get("cpuTrackingMode") == "machine" for each in measures)
            found += own
        kinds = {component for one in found for component in one.millijoules}
        if Component.WHOLE in kinds and len(kinds) > 1:
            raise UnreadableReport(
                f"reports of {run.name}: one is of the whole job, one of a part: not added"
            )
        return profile_of(run, found, self.name, upper_estimate=upper)

    def _measures(self, path: Path, run: FinishedRun) -> list[Mapping[str, Any]]:
        """The measures of a report. Raises TemporaryError while it may be in the writing, UnreadableReport."""
        data = read_json(path, may_grow=self.clock.now() < run.finished_at + UNFINISHED)
        measures = data.get("measures") if isinstance(data, dict) else None
        if not isinstance(measures, list) or not all(isinstance(each, dict) for each in measures):
            raise UnreadableReport(f"{path}: no report of BoAmps: it has no list of measures")
        parts = [component for each in measures for component in _parts(each)]
        if len(parts) > len(set(parts)) or (Component.WHOLE in parts and len(parts) > 1):
            raise UnreadableReport(f"{path}: several measures of the same: added, they would count twice")
        return measures

    def _own(
        self, path: Path, run: FinishedRun, measure: Mapping[str, Any], place: Place
    ) -> Iterator[Measurement]:
        """The measure, if it is of this run."""
        lasted = timedelta(
            seconds=number_of(path, "measurementDuration", measure.get("measurementDuration"), most=1e9)
        )
        when = measure.get("measurementDateTime")
        try:
            instants = place.instants(when) if isinstance(when, str) else ()
        except ValueError:
            instants = ()
        if not instants:
            raise UnreadableReport(
                f"{path}: measurementDateTime: found {shown(when)}, accepted: YYYY-MM-DD HH:MM:SS"
            )
        span = next((span for at in instants for span in _meant(run, at, lasted, place)), None)
        if span is None:
            return
        unit = measure.get("unit") or "kWh"
        if not isinstance(unit, str) or unit not in MILLIJOULES:
            raise UnreadableReport(f"{path}: unit: found {shown(unit)}, accepted: {', '.join(MILLIJOULES)}")
        amount = number_of(path, "powerConsumption", measure.get("powerConsumption"))
        energy = amount * MILLIJOULES[unit] / self.pue
        first, *others = _parts(measure)
        if energy > 0:
            # what is in the first one's figure is said here too, so that nobody adds it from a model
            yield Measurement(*span, {first: energy, **dict.fromkeys(others, 0.0)})


def _parts(measure: Mapping[str, Any]) -> tuple[Component, ...]:
    """What a measure is of; all of its energy is said of the first."""
    processors, gpus = (bool(measure.get(f"{kind}TrackingMode")) for kind in ("cpu", "gpu"))
    if processors == gpus:
        return (Component.WHOLE,)
    if gpus:
        return (Component.GPU,)
    return (
        (Component.CPU, Component.MEMORY)
        if measure.get("measurementMethod") == "codecarbon"
        else (Component.CPU,)
    )


def _meant(
    run: FinishedRun, at: datetime, lasted: timedelta, place: Place
) -> Iterator[tuple[datetime, datetime]]:
    """The stretches that a measure of this time and length may be of and that lie within the run, the end's first."""
    for start in (at - lasted, at):
        if place.within(run, start, start + lasted):
            yield start, start + lasted


def build(settings: Mapping[str, Any], context: Context) -> BoAmpsMeter:
    """The meter; it reads nothing while its table is empty. Raises ConfigurationError naming every fault.

    `folder` and `file` (by default `boamps_report_*.json`) with words of the run, `pue`, `tolerance`, `timezone`.
    """
    pue = settings.get("pue", 1.0)
    right = isinstance(pue, int | float) and not isinstance(pue, bool) and 1 <= pue < math.inf
    wrong = () if right else (f"meters.boamps.pue: found {pue!r}, accepted: a number, 1 or more",)
    place = place_of("boamps", settings, "boamps_report_*.json", others=("pue",), faults=wrong)
    return BoAmpsMeter(context.clock, place, float(pue) if right else 1.0)
