"""Where jobs can run, and on which grid that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cleanhours.domain.resources import Booking, Capacity


@dataclass(frozen=True, slots=True)
class Location:
    """A place where jobs can run. `zone` is its grid zone (Electricity Maps id), `pue` the site's overhead (>= 1)."""

    name: str
    zone: str
    pue: float = 1.0
    capacity: Capacity = Capacity()
    match: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What a cluster calls it: `label`, `partition`, `feature` or `cluster`."""
    assumed: bool = False
    """Nobody said where it is: its zone is what one machine is tried with."""


@dataclass(frozen=True, slots=True)
class Room:
    """A location as the planner sees it: what is there in all, and what is taken by work that is not ours to move."""

    location: Location
    others: tuple[Booking, ...] = ()
