"""Announcing: Events on objects, so that `kubectl describe` tells the story. One per change of state; they fail alone."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from cleanhours.domain.errors import CleanhoursError
from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.records import Record

log = logging.getLogger(__name__)

EVENTS_PER_S: Final = 10.0
EVENTS_BURST: Final = 25
CONTROLLER: Final = "cleanhours.dev/controller"
_LONGEST_NOTE_BYTES: Final = 1024
"""As the API allows (events.k8s.io/v1, `note`)."""
_MOST_WAITING: Final = 2_000
_MOST_REMEMBERED: Final = 20_000
_NAMES: Final = itertools.count(1)


class What(StrEnum):
    """The reason of an Event, as `kubectl get events` shows it."""

    PLANNED = "Planned"
    RELEASED = "Released"
    PAUSED = "Paused"
    MOVING = "Moving"
    RESUMED = "Resumed"
    MOVED = "Moved"
    NOT_MOVED = "NotMoved"
    INVALID_REQUEST = "InvalidRequest"
    NOT_HELD = "NotHeld"


WARNINGS: Final = frozenset({What.NOT_MOVED, What.INVALID_REQUEST, What.NOT_HELD})
_ONCE: Final = frozenset({What.PLANNED, What.NOT_MOVED, What.NOT_HELD})
"""Said once of an object, in whatever words."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One Event to be: about which object, what, and the sentence."""

    record: Record
    what: What
    note: str
    at: datetime


def event_of(one: Announcement, name: str, instance: str) -> dict[str, Any]:
    """An events.k8s.io/v1 Event (KEP-383). Its name must be its own in the namespace."""
    record = one.record
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{record.name[:200]}.{name}", "namespace": record.namespace},
        # always six digits: anything else is refused (metav1.MicroTime)
        "eventTime": one.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": one.what.value,
        "reason": one.what.value,
        "type": "Warning" if one.what in WARNINGS else "Normal",
        "note": shortened(one.note),
        "regarding": {
            "apiVersion": record.kind.api_version,
            "kind": record.kind.name,
            "namespace": record.namespace,
            "name": record.name,
            "uid": record.uid,
            "resourceVersion": record.resource_version,
        },
    }


def shortened(note: str) -> str:
    """At most 1024 bytes, cut between characters."""
    raw = note.encode()
    if len(raw) <= _LONGEST_NOTE_BYTES:
        return note
    return raw[: _LONGEST_NOTE_BYTES - 3].decode(errors="ignore") + "…"


class Announcer:
    """Posts Events beside the work, on a thread that lives while there are any: a process ends when the last is posted.

    The same thing is not said twice about an object; what is said while too many wait is dropped, oldest first. `api` has
    its own pace, and the fence of all our writes. `count` counts what got lost.
    """

    def __init__(self, api: Api, *, count: Callable[[str], None] = lambda _: None) -> None:
        self._api = api
        self._count = count
        self._instance = os.environ.get("HOSTNAME") or socket.gethostname() or "cleanhours"
        self._waiting: deque[Announcement] = deque(maxlen=_MOST_WAITING)
        self._said: OrderedDict[tuple[str, What, str], None] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def say(self, record: Record, what: What, note: str, at: datetime) -> None:
        """Lets an Event be posted; returns at once."""
        key = (record.uid, what, "" if what in _ONCE else note)
        with self._lock:
            if key in self._said:
                return
            self._said[key] = None
            if len(self._said) > _MOST_REMEMBERED:
                self._said.popitem(last=False)
            if len(self._waiting) == _MOST_WAITING:
                self._count("dropped")
            self._waiting.append(Announcement(record, what, note, at))
            if self._thread is None:
                self._thread = threading.Thread(target=self._post_all, name="announcing")
                self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Until all are posted, or so long."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _post_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                one = self._waiting.popleft()
            try:
                self._post(one)
            except CleanhoursError as fault:
                self._count("failed")
                log.info("event not posted object=%s what=%s error=%s", one.record.name, one.what, fault)
            except Exception:
                self._count("failed")
                log.exception("event not posted object=%s what=%s", one.record.name, one.what)

    def _post(self, one: Announcement) -> None:
        # as client-go names them: by the time, in hexadecimal, and what makes two of one instant differ
        name = f"{int(one.at.timestamp() * 1e6):x}{os.getpid() & 0xFFFF:04x}{next(_NAMES) & 0xFFFF:04x}"
        path = f"/apis/events.k8s.io/v1/namespaces/{one.record.namespace}/events"
        self._api.create(path, event_of(one, name, self._instance))
