"""Ends: what is remembered of jobs until they are accounted, on disk too, for Slurm forgets within minutes.

Where Slurm has a database, `sacct` tells more, and of jobs that ended while nobody looked; where it has none, this is all.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cleanhours.domain.jobs import FinishedRun, JobState, RunKey, RunSegment
from cleanhours.domain.resources import Demand
from cleanhours.domain.times import instant_of
from cleanhours_plugins.clusters.slurm.asking import Seen
from cleanhours_plugins.clusters.slurm.demands import demand_of
from cleanhours_plugins.clusters.slurm.jobs import ENDED, OBJECT_NAME, Known, Reporting, known_of

log = logging.getLogger(__name__)

_KEPT: Final = timedelta(days=1)
"""How long an end is told again: who settles looks back by an hour, and may have been down."""
_LOST: Final = "ended while nobody looked, after the time it was last seen"


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that is over. `at` is epoch seconds; `message` says what is uncertain."""

    known: Known
    at: int
    state: JobState
    message: str = ""


@dataclass(slots=True)
class Ends:
    """What ran when last seen, and what has ended since. `path` is private to its user.

    `federated`: what ended here and never ran may go on at another cluster, and is told by none of them.
    """

    path: Path
    federated: bool = False
    running: dict[str, tuple[Known, int]] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    _written: str = ""

    def notice(self, known: Iterable[Known], now: int) -> None:
        """Takes what Slurm shows now: who ended, who runs, and who ran and is not shown any more."""
        shown: set[str] = set()
        running: dict[str, tuple[Known, int]] = {}
        for one in known:
            shown.add(one.uid)
            if one.seen.state in ENDED:
                self._end(one, one.seen.end or now, ENDED[one.seen.state], _how(one.seen))
            elif not one.waits or one.tag.runs:
                running[one.uid] = (one, now)
        for uid, (one, last) in self.running.items():
            if uid not in shown:
                self._end(one, last, JobState.SUCCEEDED, _LOST)
        self.running = running
        oldest = now - int(_KEPT.total_seconds())
        self.ended = {uid: end for uid, end in self.ended.items() if end.at >= oldest}
        self._write()

    def _end(self, one: Known, at: int, state: JobState, message: str) -> None:
        if one.uid not in self.ended and (ran(one) or not self.federated):
            self.ended[one.uid] = Ended(one, at, state, message)

    def since(self, instant: datetime) -> list[Ended]:
        """Those that ended at or after an instant, oldest first."""
        found = (end for end in self.ended.values() if instant_of(end.at) >= instant)
        return sorted(found, key=lambda end: end.at)

    def read(self, zones: Mapping[str, str]) -> None:
        """What an earlier process wrote; nothing where it cannot be read."""
        try:
            data = json.loads(self.path.read_text("utf-8"))
            for row, last in data["running"]:
                one = known_of(Seen(**_row(row)), zones)
                if one is not None:
                    self.running[one.uid] = (one, int(last))
            for row, at, state, message in data["ended"]:
                one = known_of(Seen(**_row(row)), zones)
                if one is not None:
                    self.ended[one.uid] = Ended(one, int(at), JobState(state), str(message))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as fault:
            log.warning("what ran when this was last looked at cannot be read from %s: %s", self.path, fault)

    def _write(self) -> None:
        data = {
            "running": [(_values(one.seen), last) for one, last in self.running.values()],
            "ended": [
                (_values(one.known.seen), one.at, one.state, one.message) for one in self.ended.values()
            ],
        }
        text = json.dumps(data)
        if text == self._written:
            return
        with suppress(OSError):  # a full disk costs the memory of a restart, nothing else
            write_whole(self.path, text)
            self._written = text


def ran(one: Known) -> bool:
    """Whether it did. One that was cancelled while it waited has a start too, its end; it never had a node."""
    return bool(one.seen.node_list or one.tag.runs)


def run_of(end: Ended, reporting: Reporting) -> FinishedRun:
    """The run as the core accounts it."""
    known = end.known
    request, _ = reporting.request(known)
    home = known.tag.home or reporting.settings.places.home
    at = instant_of(end.at)
    segments = segments_until(reporting.segments(known, at), at)
    return FinishedRun(
        key=RunKey(reporting.settings.name, known.uid, 1),
        name=known.seen.name,
        namespace=known.seen.account or known.seen.user,
        state=end.state,
        request=request,
        home=home if home in reporting.settings.places.locations else reporting.settings.places.home,
        segments=segments,
        finished_at=at,
        allocated=demand_of(known.seen) if segments else Demand(),
        owner=known.seen.user,
        labels={OBJECT_NAME: known.seen.id, "partition": known.seen.partition},
        plan=known.tag.plan,
        message=end.message,
    )


def _how(seen: Seen) -> str:
    """Slurm's own words, of what did not go as it should."""
    return "" if seen.state == "COMPLETED" else f"{seen.state} ({seen.reason})"


def segments_until(segments: Sequence[RunSegment], at: datetime) -> tuple[RunSegment, ...]:
    """The same, ended by then."""
    return tuple(one if one.end is not None else replace(one, end=max(at, one.start)) for one in segments)


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes a file in one step, so that nobody reads half of it. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=path.name, suffix=".new", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _values(seen: Seen) -> dict[str, Any]:
    values = asdict(seen)
    values["limit"] = None if seen.limit is None else seen.limit.total_seconds()
    return values


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    limit = values.get("limit")
    return {**values, "limit": None if limit is None else timedelta(seconds=limit)}
