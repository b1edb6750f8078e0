"""Meters: a fake that keeps the promises of `cleanhours.ports.Meter`, and the suite that every meter passes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from cleanhours.domain.energy import Component, EnergyProfile, EnergySlice, Method
from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.jobs import FinishedRun, JobState, RunKey, RunSegment
from cleanhours.domain.requests import JobRequest
from cleanhours.ports import Meter

START: Final = datetime(2026, 3, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class FakeMeter:
    """A meter that reads the same watts always; of runs in `unknown` it knows nothing, for those in `early` it asks to wait."""

    watts: int = 100
    component: Component = Component.CPU
    method: Method = Method.MEASURED
    name: str = "fake"
    unknown: set[RunKey] = field(default_factory=set)
    early: set[RunKey] = field(default_factory=set)

    def energy(self, run: FinishedRun) -> EnergyProfile:
        if run.key in self.early:
            raise TemporaryError("the last minute is not written yet", delay=timedelta(seconds=30))
        if run.key in self.unknown:
            return EnergyProfile(coverage=0.0)
        slices = [self._slice(part.start, part.end or run.finished_at) for part in run.segments]
        return EnergyProfile(tuple(slices), 1.0 if slices else 0.0)

    def _slice(self, start: datetime, end: datetime) -> EnergySlice:
        millijoules = self.watts * 1000 * ((end - start) // timedelta(seconds=1))
        return EnergySlice(start, end, self.component, millijoules, self.method, self.name)


def a_finished_run(**more: Any) -> FinishedRun:
    """Two half hours with half an hour's pause between them, at home."""
    segments = (
        RunSegment(START, START + HOUR / 2, "home", ("1",)),
        RunSegment(START + HOUR, START + 1.5 * HOUR, "home", ("1",)),
    )
    run = FinishedRun(
        key=RunKey("local", "1", 1),
        name="train",
        namespace="ada",
        state=JobState.SUCCEEDED,
        request=JobRequest(submitted=START),
        home="home",
        segments=segments,
        finished_at=START + 1.5 * HOUR,
    )
    return replace(run, **more)


class MeterContract:
    """What every meter promises. A subclass gives the fixture `metered`: a meter, and a run whose energy it knows."""

    @pytest.fixture
    def metered(self) -> tuple[Meter, FinishedRun]:
        raise NotImplementedError

    def test_it_knows_energy_of_the_run_it_should_know(self, metered: tuple[Meter, FinishedRun]) -> None:
        meter, run = metered
        assert meter.energy(run).millijoules > 0

    def test_energy_lies_inside_the_run_in_whole_millijoules(
        self, metered: tuple[Meter, FinishedRun]
    ) -> None:
        meter, run = metered
        for part in meter.energy(run).slices:
            assert run.segments[0].start <= part.start <= part.end <= run.finished_at
            assert isinstance(part.millijoules, int)
            assert part.millijoules >= 0

    def test_every_slice_says_who_measured_it(self, metered: tuple[Meter, FinishedRun]) -> None:
        meter, run = metered
        assert {meter.name} == {part.meter for part in meter.energy(run).slices}

    def test_coverage_is_a_share(self, metered: tuple[Meter, FinishedRun]) -> None:
        meter, run = metered
        assert 0 < meter.energy(run).coverage <= 1

    def test_the_whole_excludes_its_parts(self, metered: tuple[Meter, FinishedRun]) -> None:
        meter, run = metered
        components = meter.energy(run).components
        assert Component.WHOLE not in components or {Component.WHOLE} == components

    def test_asking_twice_gives_the_same(self, metered: tuple[Meter, FinishedRun]) -> None:
        meter, run = metered
        assert meter.energy(run) == meter.energy(run)

    def test_a_run_that_never_ran_drew_nothing_known(self, metered: tuple[Meter, FinishedRun]) -> None:
        meter, run = metered
        assert () == meter.energy(replace(run, key=RunKey("local", "none", 1), segments=())).slices
