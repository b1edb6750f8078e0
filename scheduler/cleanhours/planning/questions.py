"""Questions: one job's request in whole numbers, as the planners read it.

Costs are compared exactly, across locations too: a cost is an integer in µg/kWh x s x millionths of PUE. Energy that does
not follow the running time (transfers, pauses) and delay charges are divided by the power, so that a cost times the power
is a mass of CO2e.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cleanhours.domain.caps import Cap
from cleanhours.domain.deadlines import Margins, latest_safe_start
from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest, Policy
from cleanhours.domain.rules import ForecastLevels, Rules
from cleanhours.domain.times import epoch, epoch_after, seconds_of
from cleanhours.planning.capping import left_under, uncapped, under
from cleanhours.planning.slots import Run
from cleanhours.planning.windows import Table, table_of

MILLION: Final = 1_000_000
COST_PER_MICROGRAM_W: Final = 3_600_000 * MILLION
"""A microgram is this many units of cost, divided by the power in watts: J per kWh x millionths."""

_NOTHING: Final = timedelta(0)
SET_BACK: Final = timedelta(minutes=1)
"""A job that will only be submitted in so long was submitted before the clock was set back; less is two clocks' difference."""


class Progress(NamedTuple):
    """What a job has behind it. `at` is where it started; None for a job that never ran.

    It stays there unless it is `movable`: then it may go on at another of its locations, as after a pause.
    """

    remaining: timedelta | None = None
    at: str | None = None
    running: bool = False
    paused: bool = False
    fixed: bool = False
    """Whether a running job cannot be paused just now."""
    movable: bool = False


class Place(NamedTuple):
    """A candidate: a location, its forecast, and its order among equals (where it is first, then home)."""

    location: Location
    series: IntensitySeries
    pue_ppm: int
    rank: int
    table: Table


class Option(NamedTuple):
    """A possible plan; options compare by cost, then by the earlier start, then home first.

    `value` is `carbon` plus what delay is charged; `integral` and `seconds` (pauses' energy included) give the mean.
    """

    value: int
    start: int
    rank: int
    carbon: int
    integral: int
    seconds: int
    runs: tuple[Run, ...]
    place: Place


@dataclass(slots=True)
class Question:
    """A request in epoch seconds. `work` is None where the duration is unknown, `here` where the job runs unmoved."""

    request: JobRequest
    now: datetime
    rules: Rules
    home: Location
    here: Location
    locations: tuple[Location, ...]
    policy: Policy
    work: int | None
    start: int
    """The earliest start: now, rounded up, or the owner's own."""
    latest: int
    """The latest safe start, or resume."""
    end: int
    """When everything must have ended: pauses move with it."""
    lost: int
    """Seconds of running time that each resumption loses."""
    running: bool
    paused: bool
    goes_on: bool
    """Whether it runs and nothing can be chosen about that."""
    current: Plan | None
    free: JobRequest
    """The request without the cap that this question is asked under; the same where there is none."""
    cap: Cap | None = None
    places: tuple[Place, ...] = ()
    """The candidates on one level of the forecast; empty where there is no forecast."""
    home_place: Place | None = None
    here_place: Place | None = None

    @property
    def length(self) -> int:
        """Seconds of running without a further pause: the work, and what the resumption loses that comes first."""
        return (self.work or 0) + (self.lost if self.paused else 0)

    @property
    def pausable(self) -> bool:
        return self.request.interruptible and self.policy in (Policy.LOWEST_SLOTS, Policy.ELASTIC)

    @property
    def pauses_are_free(self) -> bool:
        rules, request = self.rules, self.request
        return not (
            self.lost
            or request.pause_energy_j
            or request.minimum_run
            or rules.minimum_run
            or request.maximum_pauses is not None
            or rules.maximum_pauses is not None
        )


def ask(  # noqa: PLR0913 - each is a word of its own
    request: JobRequest,
    *,
    now: datetime,
    locations: Mapping[str, Location],
    home: str,
    rules: Rules,
    progress: Progress,
    current: Plan | None,
    queue_margin: timedelta | None = None,
    cap: Cap | None = None,
) -> Question:
    """The question that a request asks at an instant. Names of locations that nobody knows are left out.

    `queue_margin` is how long a release may queue where the job is, if that is known better than by the rules. It is asked
    under a `cap`; of a job that has begun, under that of its plan in force, which stays to its end. One that was let go and
    still queues when there is no time left to be slower loses it.
    """
    at_home = locations.get(home) or Location(home, home)
    at = progress.at
    here = at_home if at is None or at == home else locations.get(at) or Location(at, at)
    ran = progress.running or progress.paused
    start = epoch_after(now)
    if request.earliest is not None and not ran:
        start = max(start, epoch_after(request.earliest))
    margins = rules.margins if queue_margin is None else replace(rules.margins, queue=queue_margin)
    free = uncapped(request, rules)
    if ran:
        cap = None if current is None else current.cap
    request, remaining, latest = _under(cap, free, progress, margins, now)
    if cap is not None and progress.fixed and latest < start:
        cap = None
        request, remaining, latest = _under(cap, free, progress, margins, now)
    work = None if remaining is None else max(seconds_of(remaining), 1)
    lost = seconds_of(request.checkpoint) if request.checkpoint else 0
    candidates: tuple[Location, ...] = (here,)
    if request.locations and (at is None or (progress.movable and progress.paused)):
        named = (locations[name] for name in request.locations if name != home and name in locations)
        candidates = (here, *(place for place in (at_home, *named) if place is not here))
    policy = request.policy or (Policy.LOWEST_SLOTS if request.interruptible else Policy.LOWEST_WINDOW)
    # once it runs, only a policy that pauses has a choice left
    goes_on = progress.running and (
        progress.fixed or not request.interruptible or policy not in (Policy.LOWEST_SLOTS, Policy.ELASTIC)
    )
    return Question(
        request, now, rules, at_home, here, candidates, policy, work, start, latest,
        latest + (lost if ran else 0) + (work or 0), lost, progress.running, progress.paused,
        goes_on, current, free, cap,
    )  # fmt: skip


def _under(
    cap: Cap | None, free: JobRequest, progress: Progress, margins: Margins, now: datetime
) -> tuple[JobRequest, timedelta | None, int]:
    """The request as it runs under the cap, what is left of it to run, and its latest safe start, or resume."""
    request = free if cap is None else under(free, cap)
    remaining = free.duration if progress.remaining is None else progress.remaining
    if cap is not None and remaining is not None:
        remaining = left_under(free, cap, remaining)
    restart = request.checkpoint if progress.running or progress.paused else _NOTHING
    latest = epoch(latest_safe_start(request, remaining or _NOTHING, margins, restart=restart))
    if request.max_delay is not None and request.submitted - now > SET_BACK:
        latest = min(latest, epoch(now) - 1)  # how long it waits already is unknown: it waits no longer
    return request, remaining, latest


class Chain:
    """The forecast chain as one or many questions see it; what candidates have in common is worked out once."""

    def __init__(self, levels: ForecastLevels) -> None:
        self.levels = levels
        self._known: dict[tuple[int, ...], list[_Level]] = {}
        self._homes: dict[int, Place] = {}

    def put_on_level(self, question: Question) -> bool:
        """Puts the candidates on the first level that knows them all, and home, over [start, start + length).

        All of a level's series must share signal and scope. False where no level will do.
        """
        if len(self.levels) == 1 and question.locations == (question.home,):
            return self._put_home(question)
        key = (id(question.home), *map(id, question.locations))
        levels = self._known.get(key)
        if levels is None:
            levels = self._known[key] = [*self._levels_of(question.home, question.locations)]
        first, last = question.start, question.start + question.length
        for level in levels:
            if level.begins <= first and last <= level.ends:
                question.home_place, question.places = level.home, level.places
                question.here_place = level.home if question.here is question.home else level.places[0]
                return True
        return False

    def _put_home(self, question: Question) -> bool:
        """The same for the commonest case, quicker."""
        home = question.home
        series = self.levels[0].get(home.zone)
        if series is None:
            return False
        table = table_of(series)
        if table.borders[0] > question.start or question.start + question.length > table.borders[-1]:
            return False
        place = self._homes.get(id(home))
        if place is None:
            place = self._homes[id(home)] = Place(home, series, pue_ppm(home), 0, table)
        question.home_place = question.here_place = place
        question.places = (place,)
        return True

    def _levels_of(self, home: Location, locations: Sequence[Location]) -> Iterator[_Level]:
        wanted = locations if home in locations else (home, *locations)
        for level in self.levels:
            series = [level[location.zone] for location in wanted if location.zone in level]
            if len(series) < len(wanted) or len({(s.measure.signal, s.measure.scope) for s in series}) > 1:
                continue
            places = tuple(
                Place(location, known, pue_ppm(location), rank, table_of(known))
                for rank, (location, known) in enumerate(zip(wanted, series, strict=True))
            )
            begins = max(int(known.borders[0]) for known in series)
            ends = min(int(known.borders[-1]) for known in series)
            at_home = next(place for place in places if place.location == home)
            yield _Level(begins, ends, at_home, places[len(wanted) - len(locations) :])


class _Level(NamedTuple):
    """One level for one set of candidates, and the stretch over which it knows all of them."""

    begins: int
    ends: int
    home: Place
    places: tuple[Place, ...]


def pue_ppm(location: Location) -> int:
    """Power usage effectiveness in millionths."""
    return round(location.pue * MILLION)


def delay_charge(question: Question) -> int:
    """What `carbon-time` charges for a second of delay, in units of cost."""
    if question.policy is not Policy.CARBON_TIME:
        return 0
    micrograms_per_s = question.rules.delay_g_per_hour * MILLION / 3600
    return round(micrograms_per_s * COST_PER_MICROGRAM_W / question.request.planned_power_w)


def transfer_cost(question: Question, place: Place, start: int) -> int | None:
    """What moving the job's data costs at a start: its energy at the mean intensity of both ends; None for nothing.

    The data lie at home, and where the job is: `here` and home need no transfer.
    """
    data = question.request.data_bytes
    home = question.home_place
    if not data or home is None or place.location is question.here or place.location is question.home:
        return None
    kwh = data / 1e9 * question.rules.transfer_kwh_per_gb
    factor = round(kwh * COST_PER_MICROGRAM_W / question.request.planned_power_w)
    return factor * (place.table.price_at(start) + home.table.price_at(start)) // 2


def grams(question: Question, cost: int) -> float:
    """The mass that a cost stands for."""
    return cost * question.request.planned_power_w / (COST_PER_MICROGRAM_W * MILLION)
