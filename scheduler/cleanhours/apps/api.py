"""The small public Python API, which the command line itself uses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.rules import Rules
from cleanhours.planning.policies import make_plan

DEFAULT_RULES: Final = Rules()


def plan(
    request: JobRequest,
    forecasts: IntensitySeries | Mapping[str, IntensitySeries],
    *,
    now: datetime,
    locations: Mapping[str, Location] | None = None,
    home: str | None = None,
    rules: Rules = DEFAULT_RULES,
) -> Plan:
    """Where and when to run one job for the least emissions that keep its deadline. Always answers.

    `forecasts` is one series, or one a grid zone. Without `locations` every zone is a location of its own name with a
    PUE of 1. `home` is where the job would run unplanned: by default the request's first location, else the only or
    first one there is. `now` is aware. The result is exact for the forecasts given (see `Plan` for units).

    >>> from datetime import UTC, datetime, timedelta
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> series = IntensitySeries.of("GB", [now, now + timedelta(hours=1)], [300, 100], step=timedelta(hours=1))
    >>> wish = JobRequest(submitted=now, duration=timedelta(minutes=30), max_delay=timedelta(hours=1))
    >>> plan(wish, series, now=now).start.isoformat()
    '2026-01-01T01:00:00+00:00'
    """
    known = {forecasts.zone: forecasts} if isinstance(forecasts, IntensitySeries) else forecasts
    places = locations or {zone: _zone_itself(zone) for zone in known}
    if home is None:
        home = next((name for name in request.locations if name in places), next(iter(places), "local"))
    if home not in places:
        places = {**places, home: _zone_itself(home)}
    return make_plan(request, (known,), now=now, locations=places, home=home, rules=rules)


@lru_cache(maxsize=1024)
def _zone_itself(zone: str) -> Location:
    return Location(zone, zone)
