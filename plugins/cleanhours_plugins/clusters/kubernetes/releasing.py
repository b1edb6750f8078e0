"""Releasing: lets go what we hold, without a controller, ledger or forecast: what the dead-man and the uninstaller do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cleanhours.domain.errors import CleanhoursError, TemporaryError
from cleanhours.domain.times import format_instant
from cleanhours_plugins.clusters.kubernetes import kueue, words
from cleanhours_plugins.clusters.kubernetes.announcing import Announcer, What
from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.dues import is_held
from cleanhours_plugins.clusters.kubernetes.errors import Conflict, Missing
from cleanhours_plugins.clusters.kubernetes.jobs import is_quiet
from cleanhours_plugins.clusters.kubernetes.kinds import KINDS
from cleanhours_plugins.clusters.kubernetes.kinds.kind import Kind, at
from cleanhours_plugins.clusters.kubernetes.reading import UNREADABLE, read, read_marked
from cleanhours_plugins.clusters.kubernetes.records import Record
from cleanhours_plugins.clusters.kubernetes.switching import letting_go, marking, merged

log = logging.getLogger(__name__)

_TRIES: Final = 4
_LONGEST_DELAY_S: Final = 10.0
_OVER: Final = frozenset({"Succeeded", "Failed"})
_PAUSED: Final = frozenset({words.Mark.PAUSED, words.Mark.MOVING})


@dataclass(frozen=True, slots=True)
class Released:
    """What became of one object. `error` is empty where it was let go."""

    record: Record
    due: datetime | None
    why: str
    error: str = ""

    @property
    def name(self) -> str:
        return f"{self.record.kind.name} {self.record.namespace}/{self.record.name}"

    @property
    def sentence(self) -> str:
        """One line for people."""
        if self.error:
            return f"not released: {self.name}: {self.error}"
        when = "" if self.due is None else f", due {format_instant(self.due)}"
        return f"released: {self.name}{when} ({self.why})"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.record.kind.name,
            "namespace": self.record.namespace,
            "name": self.record.name,
            "uid": self.record.uid,
            "due": None if self.due is None else format_instant(self.due),
            "why": self.why,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """What is held, and what could not be looked at, a line each."""

    records: tuple[Record, ...]
    faults: tuple[str, ...]


def find_held(api: Api, namespaces: Sequence[str] = (), kinds: Sequence[Kind] = KINDS) -> Found:
    """Every object of a served kind that waits because of us; `namespaces` empty is all of them."""
    held: dict[str, Record] = {}
    faults: list[str] = []
    for kind in kinds:
        for space in namespaces or (None,):
            try:
                held.update(_held_of(api, kind, space))
            except Missing:
                continue  # no such kind on this server
            except CleanhoursError as fault:
                faults.append(f"cannot look at {kind}: {fault}")
    return Found(tuple(held.values()), tuple(faults))


def _held_of(api: Api, kind: Kind, space: str | None) -> dict[str, Record]:
    held: dict[str, Record] = {}
    for page in api.pages(kind.collection(space)):
        if page.fresh:
            held.clear()
        for obj in page.items:
            record = _read(kind, obj)
            if record is not None and is_held(record):
                held[record.uid] = record
    return held


def _read(kind: Kind, obj: Mapping[str, Any]) -> Record | None:
    """An object that cannot be read is let go like others where it bears our mark, and is no reason to leave them held."""
    try:
        return read(kind, obj)
    except UNREADABLE as fault:
        try:
            return read_marked(kind, obj, str(fault) or type(fault).__name__)
        except UNREADABLE:
            meta = obj.get("metadata") or {}
            log.warning("cannot read %s %s/%s: left out", kind, meta.get("namespace"), meta.get("name"))
            return None


@dataclass(slots=True)
class Releaser:
    """Lets objects go where they are, one patch each. Writes nothing twice: what is not held any more is left alone.

    `announcer` None says nothing on the objects. `sleep` waits so many seconds; tests hand in their own.
    """

    api: Api
    now: Callable[[], datetime]
    announcer: Announcer | None = None
    sleep: Callable[[float], None] = time.sleep
    _kueue: list[str | None] = field(default_factory=list)

    def release(
        self, record: Record, why: str, due: datetime | None = None, still: Callable[[Record], bool] = is_held
    ) -> Released | None:
        """Lets it go; after a conflict it is read and judged again by `still`. None where there was nothing to do.

        Never raises for one object.
        """
        fault: CleanhoursError | None = None
        for attempt in range(_TRIES):
            try:
                if attempt:
                    again = self.again(record)
                    if again is None or not still(again):
                        return None
                    record = again
                self._let_go(record)
                self._say(record, why)
                return Released(record, due, why)
            except Missing:
                return None
            except (
                TemporaryError
            ) as trouble:  # a conflict, a server in trouble: perhaps it was done all the same
                fault = trouble
                self.sleep(min(trouble.delay.total_seconds(), _LONGEST_DELAY_S))
            except CleanhoursError as trouble:
                return Released(record, due, why, str(trouble))
        return Released(record, due, why, str(fault))

    def again(self, record: Record) -> Record | None:
        """The object as it is now; None where it is another, or gone."""
        try:
            found = _read(record.kind, self.api.get(record.path))
        except Missing:
            return None
        return found if found is not None and found.uid == record.uid else None

    def at_rest(self, record: Record) -> bool:
        """Whether starting it again cannot make two of its Pods run at once.

        `podReplacementPolicy: Failed` makes the Job controller wait for the old ones itself (KEP-3939).
        """
        if record.mark not in _PAUSED:
            return True
        if record.kind.counts_stopping:
            return is_quiet(record) or self._waits_itself(record)
        return record.activity.quiet and not self._has_pods(record)

    def _waits_itself(self, record: Record) -> bool:
        policy: str | None = at(self.api.get(record.path), ("spec", "podReplacementPolicy"))
        return policy == "Failed"

    def _has_pods(self, record: Record) -> bool:
        """Where the status counts no Pods that still stop, they are looked for."""
        stub = {"metadata": {"name": record.name, "uid": record.uid, "namespace": record.namespace}}
        labels = record.kind.pods(stub)
        if not labels:
            return False
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}
        found = self.api.get(f"/api/v1/namespaces/{record.namespace}/pods", query).get("items") or ()
        return any(at(pod, ("status", "phase")) not in _OVER for pod in found)

    # -- writing ----------------------------------------------------------------------------------------------------

    def _let_go(self, record: Record) -> None:
        if record.queue and record.mark in _PAUSED:
            self._wake_workload(record)
            return
        marked = marking(record, {words.STATE: words.Mark.RELEASED})
        self.api.patch(record.path, merged(marked, letting_go(record)))

    def _wake_workload(self, record: Record) -> None:
        """Kueue owns the switch of what it manages: its Workload is made active, and the mark follows.

        In this order: a job that is marked released and still stopped would be nobody's. Kueue writes meanwhile.
        """
        version = self._kueue_version()
        if version is None:
            raise TemporaryError(
                "it was paused at its Kueue Workload, and no Kueue is served", delay=timedelta(0)
            )
        for page in self.api.pages(kueue.collection(version, kueue.WORKLOADS, record.namespace)):
            for obj in page.items:
                workload = kueue.read_workload(obj)
                if workload is not None and workload.job_uid == record.uid and not workload.active:
                    path = kueue.collection(version, kueue.WORKLOADS, record.namespace)
                    self.api.patch(f"{path}/{workload.name}", kueue.resuming(workload))
        seen: Record | None = record
        for _ in range(_TRIES):
            if seen is None or seen.mark not in _PAUSED:
                return
            try:
                self.api.patch(seen.path, marking(seen, {words.STATE: words.Mark.RELEASED}))
            except Conflict:
                seen = self.again(seen)
            else:
                return

    def _kueue_version(self) -> str | None:
        if not self._kueue:
            served = {
                (f"{kueue.GROUP}/{version}", name)
                for version in kueue.VERSIONS
                for name in self.api.serves(kueue.GROUP, version)
            }
            self._kueue.append(kueue.version_of(served))
        return self._kueue[0]

    def _say(self, record: Record, why: str) -> None:
        if self.announcer is not None:
            what = What.RESUMED if record.runs else What.RELEASED
            self.announcer.say(record, what, f"Released without the controller: {why}.", self.now())
