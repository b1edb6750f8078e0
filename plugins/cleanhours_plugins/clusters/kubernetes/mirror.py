"""The mirror: every object of interest as last seen, by watches, or by single looks where nothing watches yet."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.errors import Denied
from cleanhours_plugins.clusters.kubernetes.jobs import state_of
from cleanhours_plugins.clusters.kubernetes.keeping import Count, count_nothing
from cleanhours_plugins.clusters.kubernetes.kinds import Kind
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Object
from cleanhours_plugins.clusters.kubernetes.namespaces import Namespaces
from cleanhours_plugins.clusters.kubernetes.reading import UNREADABLE, read, read_marked
from cleanhours_plugins.clusters.kubernetes.records import Outcome, Record
from cleanhours_plugins.clusters.kubernetes.watching import Reflector

log = logging.getLogger(__name__)

_MOST_VANISHED: Final = 2_000
_OWN_WRITE_S: Final = 30.0
"""How long an answer of our own outlives what the watch says, where versions cannot be compared."""
_DECIDING: Final = frozenset({JobState.HELD, JobState.PAUSED, None})
"""States that make a decision due: it waits for us, or it has finished and left its room to others."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """An object that is gone, as it was last seen, and how it ended: by itself before, or because it was deleted."""

    record: Record
    outcome: Outcome


class Mirror:
    """Records by uid. Started, it watches; until then each `look` lists once.

    What we wrote is seen at once (`wrote`), and not forgotten for an older word of the watch. `now` dates what vanished.
    `noticed` is called, in any thread, when a watch saw what makes a decision due.
    """

    def __init__(
        self,
        api: Api,
        kinds: Sequence[Kind],
        watched: Sequence[str],
        namespaces: Namespaces,
        *,
        now: Callable[[], datetime],
        noticed: Callable[[], None] = lambda: None,
        count: Count = count_nothing,
    ) -> None:
        self._now = now
        self._namespaces = namespaces
        self._noticed = noticed
        self._started = False
        self._revision = 0
        self._touched: set[str] = set()
        self._written: dict[str, tuple[Record, float]] = {}
        self._lock = threading.Lock()
        self._disowned = threading.local()
        self._said: set[str] = set()
        self.vanished: deque[Vanished] = deque(maxlen=_MOST_VANISHED)
        self._places: list[tuple[Kind, str | None, Reflector[Record]]] = [
            (kind, space, self._reflector(api, kind, space, count))
            for kind in kinds
            for space in watched or (None,)
        ]

    def _reflector(self, api: Api, kind: Kind, space: str | None, count: Count) -> Reflector[Record]:
        reading = partial(self._read, kind)
        return Reflector(
            api, kind.collection(space), reading, kind=kind.plural, changed=self._changed, count=count
        )

    @property
    def reflectors(self) -> list[Reflector[Record]]:
        return [reflector for _, _, reflector in self._places]

    def start(self) -> None:
        """Begins to watch; returns at once."""
        self._started = True
        for reflector in self.reflectors:
            reflector.start()

    def stop(self) -> None:
        for reflector in self.reflectors:
            reflector.stop()

    def look(self) -> None:
        """Makes sure that there is something to see. What we may not see has no jobs for us; the rest goes on.

        Raises TemporaryError before the first lists are complete, Denied where we may see nothing at all.
        """
        if not self._started:
            self._namespaces.look()
            barred = [fault for one in self.reflectors if (fault := self._once(one)) is not None]
        else:
            late = {one.kind for one in self.reflectors if not one.synced and one.barred is None}
            if late:
                raise TemporaryError(f"not listed yet: {', '.join(sorted(late))}")
            barred = [one.barred for one in self.reflectors if one.barred is not None]
        if barred and len(barred) == len(self._places):
            raise barred[0]

    def _once(self, reflector: Reflector[Record]) -> Denied | None:
        try:
            reflector.once()
        except Denied as fault:
            if reflector.kind not in self._said:
                self._said.add(reflector.kind)
                log.warning("no %s are seen: %s", reflector.kind, fault)
            return fault
        return None

    def look_again(self, namespace: str) -> None:
        """Reads a namespace's objects anew, as its label says something else of them now."""
        for kind, space, reflector in self._places if self._started else ():
            if space in (None, namespace):
                reflector.look_again(kind.collection(namespace))

    @property
    def revision(self) -> int:
        """Another one whenever a record may be another."""
        return self._revision

    def touched(self) -> set[str]:
        """The uids of which the record may be another since the last such question."""
        with self._lock:
            found, self._touched = self._touched, set()
        return found

    def records(self) -> list[Record]:
        """Each object once, also where two versions of its kind are served."""
        found: dict[str, Record] = {}
        for reflector in reversed(self.reflectors):
            found |= {record.uid: record for record in reflector.records()}
        for uid in list(self._written):
            if uid in found:
                found[uid] = self._newest(found[uid])
        return list(found.values())

    def get(self, uid: str) -> Record | None:
        """The record of an object."""
        found = next((one for one in (reflector.get(uid) for reflector in self.reflectors) if one), None)
        return None if found is None else self._newest(found)

    def wrote(self, before: Record, answer: Object) -> Record | None:
        """Takes in what the server made of a write of ours, or said when it was asked again."""
        record = self._read(before.kind, answer)
        if record is not None:
            with self._lock:
                self._written[record.uid] = record, time.monotonic()
                self._touched.add(record.uid)
                self._revision += 1
        return record

    def _newest(self, told: Record) -> Record:
        if told.uid not in self._written:
            return told
        with self._lock:
            own, at_s = self._written.get(told.uid, (told, 0.0))
            overtaken = told.resource_version == own.resource_version or _older(own, told)
            if overtaken or time.monotonic() - at_s > _OWN_WRITE_S:
                self._written.pop(told.uid, None)
                return told
        return own

    def _read(self, kind: Kind, obj: Object) -> Record | None:
        space = obj["metadata"].get("namespace", "")
        shadow = self._namespaces.in_shadow(space)
        try:
            record = read(kind, obj, opted_in=self._namespaces.opted_in(space), shadow=shadow)
        except UNREADABLE as fault:
            record = read_marked(kind, obj, str(fault) or type(fault).__name__, shadow=shadow)
            if record is None:
                raise
            self._say_unreadable(record)
        if record is None:
            self._disowned.uid = obj["metadata"].get("uid")
        return record

    def _say_unreadable(self, record: Record) -> None:
        if record.uid not in self._said:
            self._said.add(record.uid)
            log.warning(
                "cannot read %s %s/%s, it runs as it is: %s",
                record.kind,
                record.namespace,
                record.name,
                record.fault,
            )

    def _changed(self, before: Record | None, after: Record | None) -> None:
        with self._lock:
            self._revision += 1
            self._touched |= {one.uid for one in (before, after) if one is not None}
        if _makes_due(before, after):
            self._noticed()
        if before is None or after is not None:
            return
        self._said.discard(before.uid)
        with self._lock:
            before = self._written.pop(before.uid, (before, 0.0))[0]
        if getattr(self._disowned, "uid", None) == before.uid:
            return  # it is there still, and no longer of interest
        outcome = before.activity.outcome or Outcome(JobState.CANCELLED, self._now(), "deleted")
        self.vanished.append(Vanished(before, outcome))


def _older(own: Record, told: Record) -> bool:
    """Whether the watch is past our own write. Versions of one resource can be compared as numbers (KEP-5504)."""
    ours, theirs = own.resource_version, told.resource_version
    return ours.isdigit() and theirs.isdigit() and int(ours) < int(theirs)


def _makes_due(before: Record | None, after: Record | None) -> bool:
    """Whether somebody should decide now: an object came to a state that waits for us, ended, or asks for something else."""
    if after is None:
        return before is not None and before.activity.outcome is None
    state = state_of(after)
    if before is None:
        return state is not None
    return before.words != after.words or (state in _DECIDING and state_of(before) is not state)
