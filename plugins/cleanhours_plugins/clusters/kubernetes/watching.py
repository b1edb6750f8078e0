"""Watching: a collection of objects, listed once and followed by a watch; it gives up never, and hurries nobody."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Any, Final, Generic, TypeVar

from cleanhours_plugins.clusters.kubernetes.api import WATCH_GRACE_S, Api
from cleanhours_plugins.clusters.kubernetes.asking import Object, Query
from cleanhours_plugins.clusters.kubernetes.errors import ApiError, Denied, Gone, Missing, Unreachable
from cleanhours_plugins.clusters.kubernetes.keeping import (
    ERRORS,
    RELISTS,
    Changed,
    Count,
    Store,
    count_nothing,
)
from cleanhours_plugins.clusters.kubernetes.sighting import Sight, Sighting
from cleanhours_plugins.clusters.kubernetes.streaming import Watch

WATCH_S: Final = (60.0, 90.0)
"""How long one watch lasts; drawn anew for each, so that a fleet of them does not come back as one.

Shorter than client-go's: a connection that died without a word (a cut cable, a forgetful firewall) is noticed when the
watch is overdue, and jobs that come meanwhile wait for that. Bookmarks would tell sooner only where something ever happened.
"""
UNSERVED_PAUSE_S: Final = 600.0
"""How often a kind that the server does not know is looked for."""
FIRST_BACKOFF_S: Final = 0.5
LONGEST_BACKOFF_S: Final = 30.0
_FAILURES_TO_RELIST: Final = 8
"""A minute of failures: a server whose data was restored from a backup refuses a resourceVersion of its future so."""
_TOO_SHORT_S: Final = 1.0
_STOP_PATIENCE_S: Final = 0.9

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How a reflector spends its time, and tells it.

    `watch_s` is the shortest and longest time of one watch; `grace_s` later its silence means that it is dead.
    `unserved_pause_s` is how often a kind that is not served is looked for. `monotonic` is a clock in seconds,
    `jitter` a number in [0, 1).
    """

    watch_s: tuple[float, float] = WATCH_S
    grace_s: float = WATCH_GRACE_S
    unserved_pause_s: float = UNSERVED_PAUSE_S
    monotonic: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random


class Reflector(Generic[T]):
    """A `ports.Service`: the records of one collection, as the server has them, or had them when it was last heard.

    One list in pages, then watches with bookmarks from where the last one ended; 410 and ERROR list again, and what
    vanished meanwhile is told as vanished (API concepts, "Efficient detection of changes"; KEP-956 for bookmarks).

    Args:
        api: the door.
        path: of the collection (`/apis/batch/v1/jobs`).
        read: an object -> its record, or None (see Store). In lists of built-in kinds an object says no `kind`.
        kind: what it is called in logs and labels (`jobs`).
        changed: told of each change, in the reflector's thread (see Store).
        query: selectors.
        count: counts `watch_relists_total{kind}` and `watch_errors_total{kind,reason}`.
        timing: tests hand in their own.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        read: Callable[[Object], T | None],
        *,
        kind: str,
        changed: Changed[T] | None = None,
        query: Query | None = None,
        count: Count = count_nothing,
        timing: Timing | None = None,
    ) -> None:
        self.kind = kind
        self._api = api
        self._path = path
        self._query = query
        self._store = Store(read, changed, kind, count)
        self._count = count
        self._timing = timing or Timing()
        self._lock = Lock()
        self._synced = Event()
        self._answered = Event()
        self._stopped = Event()
        self._again: list[str] = []
        self._barred: Denied | None = None
        self._thread: Thread | None = None
        self._watch: Watch | None = None
        self._sighting = Sighting(kind, self._timing.monotonic)
        self._resource_version = ""
        self._failures = 0
        self._missed = 0

    def records(self) -> list[T]:
        """All of them, as of now; the list is the caller's."""
        return self._store.records()

    def get(self, uid: str) -> T | None:
        """The record of the object with that uid."""
        return self._store.get(uid)

    @property
    def sight(self) -> Sight:
        """Whether what it knows is what is."""
        return self._sighting.sight

    @property
    def age_s(self) -> float | None:
        """Seconds since the server last said anything about this collection; None: it never did."""
        return self._sighting.age_s

    @property
    def synced(self) -> bool:
        """Whether it has seen the whole collection once, or that the server has none."""
        return self._synced.is_set()

    @property
    def barred(self) -> Denied | None:
        """Why we may not see the collection at all, as long as that is so; None where we may, or do not know yet."""
        return self._barred

    def wait_synced(self, timeout_s: float) -> bool:
        """Wait so long for that; say whether it came."""
        return self._synced.wait(timeout_s)

    def wait_answered(self, timeout_s: float) -> bool:
        """Wait so long until it is synced, or barred."""
        return self._answered.wait(timeout_s)

    def look_again(self, path: str) -> None:
        """Read a part of the collection anew (a namespace's), as `read` may say something else of it now."""
        with self._lock:
            if path not in self._again:
                self._again.append(path)
            watch = self._watch
        if watch is not None:
            watch.close()

    def start(self) -> None:
        """Begin to list and watch; returns at once (`wait_synced` waits for the first list)."""
        if self._thread is None and not self._stopped.is_set():
            self._thread = Thread(target=self._run, name=f"watching {self.kind}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End, within a second. Idempotent."""
        with self._lock:
            self._stopped.set()
            watch = self._watch
        if watch is not None:
            watch.close()
        if self._thread is not None:
            # one that still waits for an answer is left to it: it looks whether it was stopped before it goes on
            self._thread.join(_STOP_PATIENCE_S)

    def once(self) -> None:
        """List the collection, without a thread: for a single look.

        Raises:
            ApiError: the list failed; a collection that is not served is empty instead.
        """
        try:
            self._list()
        except Missing:
            self._unserved()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                pause_s = self._look()
            except Exception as error:  # noqa: BLE001 - the edge of the loop: whatever happened, it looks again
                if self._stopped.is_set():
                    return
                pause_s = self._failed(error)
            self._stopped.wait(pause_s)

    def _look(self) -> float:
        """List where needed, then watch until that ends; return the seconds to pause."""
        if not self._resource_version:
            try:
                self._list()
            except Missing:
                return self._not_found()
        self._list_again()
        if self._follow() or self._stopped.is_set():
            self._seen()
            return 0.0
        # ended at once and without a word, as a server on its way down does it, as often as it is asked
        self._failures += 1
        return self._backoff_s()

    def _list_again(self) -> None:
        """The parts that were asked for. The watch goes on from where it was: what it tells once more does no harm."""
        while True:
            with self._lock:
                if not self._again:
                    return
                path = self._again[0]
            for page in self._api.pages(path, self._query):
                for item in page.items:
                    self._store.take(item)
            with self._lock:
                self._again.remove(path)

    def _list(self) -> None:
        seen: set[str] = set()
        version = ""
        for page in self._api.pages(self._path, self._query):
            seen = set() if page.fresh else seen
            for item in page.items:
                if self._stopped.is_set():
                    return
                seen.add(self._store.take(item))
            version = page.resource_version
            self._sighting.heard()
        if self._stopped.is_set():
            return
        self._store.drop_all_but(seen)
        self._resource_version = version
        self._missed = 0
        self._count(RELISTS, kind=self.kind)
        self._barred = None
        self._sighting.live()
        self._synced.set()
        self._answered.set()

    def _follow(self) -> bool:
        """One watch, to its end; whether it was worth it: something came, or it lasted."""
        shortest_s, longest_s = self._timing.watch_s
        timeout_s = shortest_s + (longest_s - shortest_s) * self._timing.jitter()
        began_s = self._timing.monotonic()
        watch = self._api.watch(
            self._path, self._resource_version, timeout_s, self._query, grace_s=self._timing.grace_s
        )
        with self._lock:
            self._watch = watch
            if self._stopped.is_set() or self._again:
                watch.close()
        heard = False
        try:
            for event in watch:
                if self._stopped.is_set():
                    return True
                heard = True
                self._take(event)
                self._seen()
        finally:
            self._watch = None
            watch.close()
        return heard or bool(self._again) or self._timing.monotonic() - began_s >= _TOO_SHORT_S

    def _take(self, event: dict[str, Any]) -> None:
        item = event["object"]
        if event.get("type") == "DELETED":
            self._store.drop(str(item["metadata"]["uid"]))
        elif event.get("type") in ("ADDED", "MODIFIED"):
            self._store.take(item)
        self._resource_version = str(item["metadata"]["resourceVersion"])

    def _seen(self) -> None:
        self._failures = 0
        self._sighting.live()

    def _not_found(self) -> float:
        """A server that starts may not know all its kinds at once: it is asked again before all objects are gone."""
        self._missed += 1
        if self._sighting.sight in (Sight.LIVE, Sight.FAILING) and self._missed < 2:
            self._failures = max(self._failures, 3)
            return self._backoff_s()
        self._unserved()
        return self._timing.unserved_pause_s

    def _unserved(self) -> None:
        self._sighting.unserved()
        self._resource_version = ""
        self._failures = 0
        self._store.drop_all_but(())
        self._barred = None
        self._synced.set()
        self._answered.set()

    def _failed(self, error: Exception) -> float:
        """Note the trouble, decide whether to list again, and return the seconds to pause."""
        reason = type(error).__name__.lower() if isinstance(error, ApiError) else "internal"
        self._count(ERRORS, kind=self.kind, reason=reason)
        self._failures += 1
        if not isinstance(error, Unreachable | Denied) or self._failures >= _FAILURES_TO_RELIST:
            self._resource_version = ""
        if not isinstance(error, Gone | Missing):
            self._sighting.failing(error)
        if isinstance(error, Denied) and not self._synced.is_set():
            self._barred = error
            self._answered.set()
        asked = error.retry_after if isinstance(error, Unreachable) else None
        return max(self._backoff_s(), asked.total_seconds() if asked else 0.0)

    def _backoff_s(self) -> float:
        """0.5 s, doubled with each failure up to 30 s; a quarter of it is left to chance."""
        longest = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self._failures - 1, 10))
        return longest * (1.0 - 0.25 * self._timing.jitter())
