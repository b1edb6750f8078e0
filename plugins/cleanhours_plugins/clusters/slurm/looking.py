"""Looking: what Slurm shows of its queue, one `squeue` for all questions of a moment, and which of its jobs are ours."""

from __future__ import annotations

import os
import pwd
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.times import epoch
from cleanhours.ports import Clock
from cleanhours_plugins.clusters.slurm.asking import (
    Remembered,
    Seen,
    queue_question,
    read_queue,
)
from cleanhours_plugins.clusters.slurm.calling import Refused, Slurm
from cleanhours_plugins.clusters.slurm.details import Details, details_question, read_details
from cleanhours_plugins.clusters.slurm.jobs import Known, known_of
from cleanhours_plugins.clusters.slurm.owning import heeding_its_owner
from cleanhours_plugins.clusters.slurm.recording import folder_of
from cleanhours_plugins.clusters.slurm.settings import SlurmSettings
from cleanhours_plugins.clusters.slurm.site import HOLDS_NODES, Site
from cleanhours_plugins.clusters.slurm.watchdog import repair_all

_EARLY: Final = 0.9
"""After this part of `poll` a tick may ask: ticks come a moment early or late."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A job as it was shown, as it is with its `details`, and what it is to us.

    `untold`: somebody else tagged it, who does not see when Slurm kills it (`job_submit.lua`).
    """

    shown: Seen
    details: Details | None
    whole: Seen
    known: Known | None
    untold: bool

    @property
    def counts(self) -> bool:
        """Whether GPUs that are not shown would count: it is ours, or takes of what there is for ours."""
        return not self.shown.gpus and (self.known is not None or self.shown.state in HOLDS_NODES)


class Looking:
    """The last look. Not safe from several threads: whoever looks keeps others out."""

    def __init__(self, slurm: Slurm, site: Site, settings: SlurmSettings, clock: Clock) -> None:
        self._slurm = slurm
        self._site = site
        self._settings = settings
        self._clock = clock
        self._asked_at_s = float("-inf")
        self._records: Remembered = {}
        self._read: dict[str, _Read] = {}
        self._details: dict[str, Details] = {}
        self._queue: dict[str, Seen] = {}
        self._known: dict[str, Known] = {}

    @property
    def queue(self) -> Mapping[str, Seen]:
        """Every job that was shown, by its id."""
        return self._queue

    @property
    def known(self) -> Mapping[str, Known]:
        """Ours among them, by uid."""
        return self._known

    def look(self) -> bool:
        """Asks Slurm, unless it did so less than `poll` ago: whether it did. Raises TemporaryError."""
        if time.monotonic() - self._asked_at_s < self._settings.poll.total_seconds() * _EARLY:
            return False
        self._repair()
        nonce = secrets.token_hex(8)
        user = None if self._settings.everybody else _user()
        answer, asked_at_s = self._slurm.ask("squeue", *queue_question(nonce, user=user)), time.monotonic()
        found = read_queue(answer, nonce, self._records)
        self._site.refresh(epoch(self._clock.now()))
        self._read_all(found)
        if self._ask_details(user):
            self._read_all(found)
        self._queue = {one.whole.id: one.whole for one in self._read.values()}
        # who is gone before he could be asked about is left out: nobody knows when Slurm would kill him
        told = (one.known for one in self._read.values() if not one.untold or one.details is not None)
        self._known = {known.uid: known for known in told if known is not None}
        self._asked_at_s = asked_at_s
        return True

    def changed(self, after: Known) -> None:
        """Slurm was told something of that job, and would show this now."""
        self._known[after.uid] = after

    def doubt(self) -> None:
        """It is not as we thought: look again before the next decision."""
        self._asked_at_s = float("-inf")

    def _ask_details(self, user: str | None) -> bool:
        """Asks what is not known yet of jobs that are new, at once; whether there were any."""
        there = {one.shown.number for one in self._read.values()}
        self._details = {number: one for number, one in self._details.items() if number in there}
        here = self._site.has_gpus
        wanted = {one.shown.number for one in self._read.values() if one.untold or (here and one.counts)}
        asked = sorted(wanted - self._details.keys())
        if not asked:
            return False
        with suppress(Refused):  # the only one is gone
            self._details |= read_details(self._slurm.ask("squeue", *details_question(asked, user=user)))
        return True

    def _read_all(self, found: Iterable[Seen]) -> None:
        """What is ours among them, with what is known besides; what nobody changed is read once."""
        zones = self._settings.places.zones
        self._read = {seen.id: self._reading(seen, zones) for seen in found}

    def _reading(self, seen: Seen, zones: Mapping[str, str]) -> _Read:
        before, details = self._read.get(seen.id), self._details.get(seen.number)
        if before is not None and before.shown is seen and before.details is details:
            return before
        whole = seen if details is None or seen.gpus else replace(seen, gpus=details.gpus)
        known = known_of(whole, zones)
        untold = known is not None and known.waits and known.tag.plan is None and not known.fault
        if untold and known is not None and details is not None:
            tag = replace(known.tag, killed_at=details.killed_at, requeues=details.requeues)
            known = replace(known, tag=tag)
        if known is not None:
            known = heeding_its_owner(known, self._settings.places)
        return _Read(seen, details, whole, known, untold)

    def _repair(self) -> None:
        """Lets go what submissions of this user left held that were killed."""
        repair_all(folder_of(os.environ), lambda: epoch(self._clock.now()))


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise TemporaryError(f"user {os.getuid()} has no name here") from None
