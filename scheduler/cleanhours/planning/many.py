"""Many: the plans of many independent jobs over one forecast, all searched at once, each written out when it is read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, overload

import numpy as np
import numpy.typing as npt

from cleanhours.domain.intensity import IntensitySeries
from cleanhours.domain.intervals import Integers
from cleanhours.domain.locations import Location
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest, Policy
from cleanhours.domain.rules import ForecastLevels, Rules
from cleanhours.domain.times import epoch_after
from cleanhours.planning.options import option_of_window
from cleanhours.planning.policies import choose, make_plan, rung_of
from cleanhours.planning.questions import Chain, Progress, ask
from cleanhours.planning.rooms import EVERYWHERE
from cleanhours.planning.windows import NEVER, lowest_windows

_NOWHERE: Final = 1 << 60


class Plans(Sequence[Plan]):
    """The plans in the order of their requests: what `make_plan` says of each, written out when it is read.

    `starts` (epoch seconds) and `means` (gCO2e/kWh) of the best windows are there at once, int64 and float64 of shape
    (requests,); where `simple` is False they mean nothing, and reading the plan searches for it.
    """

    def __init__(
        self,
        requests: Sequence[JobRequest],
        levels: ForecastLevels,
        *,
        now: datetime,
        locations: Mapping[str, Location],
        home: str,
        rules: Rules,
    ) -> None:
        self._requests = requests
        self._levels = levels
        self._chain = Chain(levels)
        self._now = now
        self._locations = locations
        self._home = home
        self._rules = rules
        series = (
            levels[0].get((locations.get(home) or Location(home, home)).zone) if len(levels) == 1 else None
        )
        self.simple: npt.NDArray[np.bool_] = np.zeros(len(requests), np.bool_)
        self.starts: Integers = np.zeros(len(requests), np.int64)
        self.means: npt.NDArray[np.float64] = np.full(len(requests), np.nan)
        self._costs = self.starts
        if series is not None and requests:
            self._search(series)

    def __len__(self) -> int:
        return len(self._requests)

    @overload
    def __getitem__(self, index: int) -> Plan: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Plan]: ...
    def __getitem__(self, index: int | slice) -> Plan | Sequence[Plan]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        request = self._requests[index]
        known = {"now": self._now, "locations": self._locations, "home": self._home, "rules": self._rules}
        if not self.simple[index]:
            return make_plan(request, self._levels, **known)  # type: ignore[arg-type]
        question = ask(request, progress=Progress(), current=None, **known)  # type: ignore[arg-type]
        if rung_of(question, self._chain) is not None:
            return make_plan(request, self._levels, **known)  # type: ignore[arg-type]
        place = question.places[0]
        cost = int(self._costs[index]) * place.pue_ppm
        return choose(question, option_of_window(question, place, int(self.starts[index]), cost), EVERYWHERE)

    def __iter__(self) -> Iterator[Plan]:
        return (self[index] for index in range(len(self)))

    def _search(self, series: IntensitySeries) -> None:
        """Finds the windows of all requests that ask for one at home; the others are left to `make_plan`."""
        start, safety = epoch_after(self._now), self._rules.margins.safety
        queue = self._rules.margins.queue.total_seconds()
        lengths, latest = np.zeros(len(self), np.int64), np.full(len(self), -_NOWHERE)
        for row, request in enumerate(self._requests):
            if request.policy is not Policy.LOWEST_WINDOW and (
                request.policy is not None or request.interruptible
            ):
                continue
            duration, deadline, delay = request.duration, request.deadline, request.max_delay
            plain = not request.locations and request.earliest is None and not request.power_curve
            if duration is None or not plain or duration.microseconds:
                continue
            length = duration.days * 86_400 + duration.seconds
            last = math.inf
            if deadline is not None:
                last = deadline.timestamp() - math.ceil(length * safety)
            if delay is not None:
                last = min(last, request.submitted.timestamp() + delay.total_seconds())
            if last < math.inf:
                lengths[row], latest[row] = length, math.floor(last - queue)
        earliest = np.full(len(self), start)
        simple = (latest >= start) & (start + lengths <= series.borders[-1]) & (start >= series.borders[0])
        rows = np.flatnonzero(simple)
        if rows.size:
            found = lowest_windows(series, lengths[rows], earliest[rows], latest[rows])
            simple[rows] = found.costs < NEVER
            self.starts[rows] = found.starts
            self._costs = np.zeros(len(self), np.int64)
            self._costs[rows] = found.costs
            self.means[rows] = found.costs / (lengths[rows] * 1_000_000)
        self.simple = simple


def plan_many(
    requests: Sequence[JobRequest],
    levels: ForecastLevels,
    *,
    now: datetime,
    locations: Mapping[str, Location],
    home: str,
    rules: Rules = Rules(),
) -> Plans:
    """What `make_plan` says of each request, for jobs that do not compete for room.

    Jobs that want one window at home are searched for all at once; `Plans` is a sequence that writes each plan out when
    it is read.
    """
    return Plans(requests, levels, now=now, locations=locations, home=home, rules=rules)
