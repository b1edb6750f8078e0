"""What tests of self-reports share: a run, a world with a clock, and reports as their writers leave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from cleanhours.domain.energy import Component, EnergyProfile
from cleanhours.domain.jobs import FinishedRun, RunSegment
from cleanhours.domain.locations import Location
from cleanhours.ports import Context
from cleanhours.testing.clocks import FakeClock
from cleanhours.testing.meters import HOUR, START, a_finished_run

END = START + HOUR
MINUTE = timedelta(minutes=1)
KWH_MJ = 3_600_000_000


@dataclass
class World:
    clock: FakeClock = field(default_factory=lambda: FakeClock(END + HOUR))
    locations: Mapping[str, Location] = field(default_factory=dict)


def context(world: World | None = None) -> Context:
    return cast("Context", world or World())


def one_hour(**more: Any) -> FinishedRun:
    segment = RunSegment(START, END, "home", ("12",))
    return a_finished_run(**{"segments": (segment,), "finished_at": END, **more})


def by_component(profile: EnergyProfile) -> dict[Component, int]:
    return {one: profile.only((one,)).millijoules for one in profile.components}
