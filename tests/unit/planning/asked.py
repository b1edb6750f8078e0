"""One job's plan as these tests ask for it: at the coast or in the hills, over eight hours that are cleanest in the fourth."""

from __future__ import annotations

from datetime import timedelta

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.rules import Rules
from cleanhours.planning.policies import make_plan
from cleanhours.planning.questions import Progress
from cleanhours.planning.rooms import Gaps
from tests.unit.planning.made import EXACT, NOW, made_series

HOUR = timedelta(hours=1)
PLACES = {"coast": Location("coast", "AA"), "hills": Location("hills", "BB", pue=1.5)}
AHEAD = made_series([100, 80, 40, 20, 60, 90, 100, 100], step=HOUR)
JOB = JobRequest(submitted=NOW, duration=HOUR, deadline=NOW + 8 * HOUR, power_w=2000)


def planned(
    request: JobRequest,
    *levels: IntensitySeries | list[IntensitySeries],
    rules: Rules = EXACT,
    at: timedelta = timedelta(0),
    progress: Progress = Progress(),
    current: Plan | None = None,
    gaps: Gaps | None = None,
) -> Plan:
    """The plan of a job whose home is the coast."""
    chain = [{one.zone: one for one in (level if isinstance(level, list) else [level])} for level in levels]
    return make_plan(
        request, chain, now=NOW + at, locations=PLACES, home="coast", rules=rules, progress=progress,
        current=current, gaps=gaps,
    )  # fmt: skip


def hours(plan: Plan) -> list[tuple[float, float]]:
    """When it runs, in hours from now."""
    return [((one.start - NOW) / HOUR, (one.end - NOW) / HOUR) for one in plan.segments]
