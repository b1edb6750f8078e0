"""Publishing: the file of best starts that `job_submit.lua` reads, written anew as forecasts change.

Its format stands in docs/slurm-admin.md. A job that is planned from it is planned again by the controller, which finds its tag.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cleanhours.domain.errors import CleanhoursError, InvalidRequest
from cleanhours.domain.plans import Plan
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.times import epoch, seconds_of
from cleanhours.domain.words import parse_words
from cleanhours.ports import Context
from cleanhours_plugins.clusters.slurm.ending import write_whole
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings

log = logging.getLogger(__name__)

EVERY: Final = timedelta(minutes=5)
VALID: Final = timedelta(minutes=30)
"""A plan that nobody renews is not used: its controller is gone."""
USUAL_DELAY: Final = timedelta(hours=12)
"""Of a job that opts in by its comment, where the site says nothing."""
_HOURS: Final = (1, 2, 4, 8, 12, 24, 48)
_READABLE: Final = 0o644


@dataclass(slots=True)
class Publisher:
    """Writes the file every five minutes at most; a file that cannot be written is said once."""

    settings: SlurmSettings
    context: Context
    path: Path
    _written_at: datetime | None = None
    _failed: bool = False

    def publish(self) -> None:
        """Writes it, unless it is fresh. Never raises: nobody's job may suffer from it."""
        now = self.context.clock.now().replace(microsecond=0)
        if self._written_at is not None and timedelta(0) <= now - self._written_at < EVERY:
            return
        self._written_at = now
        try:
            write_whole(self.path, "".join(f"{line}\n" for line in self._lines(now)), _READABLE)
        except (CleanhoursError, OSError) as fault:
            if not self._failed:
                log.warning("the plan for job_submit.lua cannot be written to %s: %s", self.path, fault)
            self._failed = True
            return
        self._failed = False

    def _lines(self, now: datetime) -> Iterator[str]:
        places = self.settings.places
        delays = delays_of(self.settings, now)
        usual = delays.get(("", ""), USUAL_DELAY)
        yield "cleanhours-slurm-plan 1"
        yield f"written {epoch(now)}"
        yield f"until {epoch(now + VALID)}"
        for (kind, name), delay in delays.items():
            if kind:
                yield f"optin {kind} {name} {seconds_of(delay)}"
        for name, location in places.locations.items():
            kind = next(
                (kind for kind in ("partition", "feature", "cluster") if kind in location.match), "none"
            )
            yield f"location {name} {kind} {location.match.get(kind, '-')}"
        yield f"home {places.home}"
        yield f"delay {seconds_of(usual)}"
        yield from self._starts(
            now, sorted({usual, *delays.values(), *(timedelta(hours=one) for one in _HOURS)})
        )

    def _starts(self, now: datetime, delays: list[timedelta]) -> Iterator[str]:
        """The best place first: of equal rows the first one counts."""
        for hours, delay in itertools.product(_HOURS, delays):
            plans = [
                self._plan(now, timedelta(hours=hours), delay, name)
                for name in self.settings.places.locations
            ]
            for plan in sorted(plans, key=lambda plan: plan.expected_g or 0.0):
                row = f"{hours * 3600} {seconds_of(delay)}"
                yield f"start {row} {epoch(plan.start)} {plan.location}"
                if plan.saving_percent is not None and plan.saving_percent > 0:
                    yield f"saving {row} {plan.saving_percent:.1f} {plan.location}"

    def _plan(self, now: datetime, duration: timedelta, delay: timedelta, location: str) -> Plan:
        request = JobRequest(submitted=now, duration=duration, max_delay=delay, locations=(location,))
        return self.context.plan(request, home=location, queue_margin=self.settings.queue_margin)


def delays_of(settings: SlurmSettings, now: datetime) -> Mapping[tuple[str, str], timedelta]:
    """How long jobs may wait that say nothing themselves, by what opts them in; under `("", "")` of all of them."""
    tables = {("", ""): settings.words}
    tables |= {("partition", name): words for name, words in settings.by_partition.items()}
    tables |= {("qos", name): words for name, words in settings.by_qos.items()}
    found = {}
    for key, words in tables.items():
        try:
            delay = parse_words(words, created=now).max_delay
        except InvalidRequest:
            continue
        if delay is not None:
            found[key] = delay
    return found
