"""Grid zones that no source serves: said once where they stand in the settings, and to each owner whose job they cost its plan."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cleanhours.domain.jobs import Job, JobKey
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.plans import Plan, Reason
from cleanhours.domain.rules import ForecastLevels
from cleanhours.domain.zones import Unserved, say_unserved
from cleanhours.ports import Outlook, Screening

log = logging.getLogger(__name__)


def unserved_of(outlook: Outlook, zones: Iterable[str]) -> dict[str, Unserved]:
    """Of these grid zones, those that no source serves; none where the outlook cannot tell. Asks no provider."""
    if not isinstance(outlook, Screening):
        return {}
    found = {zone: outlook.unserved(zone) for zone in dict.fromkeys(zones)}
    return {zone: one for zone, one in found.items() if one is not None}


def with_reason_named(plan: Plan, places: Sequence[Location], unserved: Mapping[str, Unserved]) -> Plan:
    """The plan; where it has no forecast because of a zone of its `places` that nobody serves, its sentence says so."""
    if plan.reason is not Reason.NO_FORECAST:
        return plan
    said = say_unserved(unserved, places)
    return replace(plan, note=said) if said else plan


def places_of(home: str, names: Iterable[str], locations: Mapping[str, Location]) -> list[Location]:
    """Where a job may run, as far as that is configured."""
    return [locations[name] for name in dict.fromkeys((home, *names)) if name in locations]


@dataclass(slots=True)
class ZoneWatch:
    """Says once, in one line, which zones nobody serves; again when they are others."""

    outlook: Outlook
    unserved: Mapping[str, Unserved] = field(default_factory=dict)

    def look(self, rooms: Mapping[str, Room], levels: ForecastLevels) -> None:
        """Looks at the locations' zones; one of which something is known is served."""
        locations = [room.location for room in rooms.values()]
        unknown = [one.zone for one in locations if not any(one.zone in level for level in levels)]
        found = unserved_of(self.outlook, unknown)
        if found == self.unserved:
            return
        self.unserved = found
        if found:
            log.warning("%s; jobs that may run there start at once", say_unserved(found, locations))
        else:
            log.info("every location's zone is served")

    def explained(
        self, jobs: Iterable[Job], plans: dict[JobKey, Plan], rooms: Mapping[str, Room]
    ) -> dict[JobKey, Plan]:
        """The plans, those without a forecast saying which zone is why."""
        if not self.unserved:
            return plans
        locations = {name: room.location for name, room in rooms.items()}
        named = {
            job.key: with_reason_named(
                plans[job.key], places_of(job.home, job.request.locations, locations), self.unserved
            )
            for job in jobs
            if job.key in plans
        }
        return plans | named
