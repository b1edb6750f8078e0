"""Keeping: the slim records of a collection, who is told when one changes, and what is there when one is asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from threading import Lock
from typing import Final, Generic, Protocol, TypeVar

from cleanhours_plugins.clusters.kubernetes.asking import Object

log = logging.getLogger(__name__)

T = TypeVar("T")

Changed = Callable[[T | None, T | None], None]
"""Told (before, after): (None, new) appeared, (old, None) vanished."""
RELISTS: Final = "watch_relists_total"
ERRORS: Final = "watch_errors_total"


class Count(Protocol):
    """Counts something; `Telemetry.count` keeps this promise."""

    def __call__(self, name: str, /, **labels: str) -> None: ...


def count_nothing(name: str, /, **labels: str) -> None:
    """Where nobody measures."""


class Store(Generic[T]):
    """Records by the uid of their object; safe to read from any thread, written by one.

    Args:
        read: an object as the server wrote it -> its record; None: of no interest, not kept. Records compare equal
            when nothing that matters changed; then nobody is told.
        changed: called in the writer's thread, after the change can be seen.
        kind: what the objects are called in logs and labels.
        count: counts objects that cannot be read, and callbacks that fail.
    """

    def __init__(
        self,
        read: Callable[[Object], T | None],
        changed: Changed[T] | None,
        kind: str,
        count: Count = count_nothing,
    ) -> None:
        self._read = read
        self._changed = changed
        self._kind = kind
        self._count = count
        self._lock = Lock()
        self._records: dict[str, T] = {}
        self._unreadable: set[str] = set()

    def records(self) -> list[T]:
        with self._lock:
            return list(self._records.values())

    def get(self, uid: str) -> T | None:
        with self._lock:
            return self._records.get(uid)

    def take(self, item: Object) -> str:
        """Keep an object's record, or drop it where it is of no interest; return its uid ("" for no object)."""
        meta = item.get("metadata")
        uid = str(meta.get("uid") or "") if isinstance(meta, dict) else ""
        if uid:
            self._put(uid, self._record(uid, item))
        return uid

    def drop(self, uid: str) -> None:
        self._unreadable.discard(uid)
        self._put(uid, None)

    def drop_all_but(self, seen: Collection[str]) -> None:
        """What a list did not show has vanished while nobody looked."""
        with self._lock:
            vanished = [uid for uid in self._records if uid not in seen]
        for uid in vanished:
            self.drop(uid)
        self._unreadable.intersection_update(seen)

    def _record(self, uid: str, item: Object) -> T | None:
        """One object's trouble is never another's: what cannot be read is left out, and said once."""
        try:
            record = self._read(item)
        except Exception:
            self._count(ERRORS, kind=self._kind, reason="unreadable")
            if uid not in self._unreadable:
                self._unreadable.add(uid)
                meta = item["metadata"]
                log.exception(
                    "cannot read %s %s/%s: left out", self._kind, meta.get("namespace", ""), meta.get("name")
                )
            return None
        self._unreadable.discard(uid)
        return record

    def _put(self, uid: str, record: T | None) -> None:
        with self._lock:
            before = self._records.get(uid)
            if before == record:
                return
            if record is None:
                del self._records[uid]
            else:
                self._records[uid] = record
        if self._changed is None:
            return
        try:
            self._changed(before, record)
        except Exception:
            self._count(ERRORS, kind=self._kind, reason="internal")
            log.exception("%s: a change was seen, but whom it was told failed", self._kind)
