"""Looking: single objects that are read now and then, remembered for a while. One that cannot be read stays as it was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from cleanhours.domain.errors import CleanhoursError
from cleanhours_plugins.clusters.kubernetes.errors import Denied, Missing

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_LOOKS: Final = 200
"""New questions per instant: a controller that starts among ten thousand jobs asks about their surroundings in turns."""
RETRY: Final = timedelta(seconds=30)


class Getting(Protocol):
    """What is needed of the API."""

    def get(self, path: str) -> Mapping[str, Any]:
        """An object by its path. Raises Missing, Denied, TemporaryError."""


class Answer(NamedTuple, Generic[T]):
    """What is known. `known` is False where it could not be asked yet; `value` None then, or where there is no object."""

    value: T | None
    known: bool


@dataclass(frozen=True, slots=True)
class _Seen(Generic[T]):
    answer: Answer[T]
    until: datetime


class Looking(Generic[T]):
    """Objects of one kind by path: asked for once, then again when what was said is old.

    Args:
        api: what asks.
        read: the object to what is kept of it; pure.
        what: what such an object is, for messages.
        keep: how long an answer holds; may depend on it.

    A missing object is None, and is said once; so is one that we are not allowed to see. Where the API cannot answer, what
    was known stays. Never raises.
    """

    def __init__(
        self, api: Getting, read: Callable[[Mapping[str, Any]], T], what: str, keep: Callable[[T], timedelta]
    ) -> None:
        self._api = api
        self._read = read
        self._what = what
        self._keep = keep
        self._seen: dict[str, _Seen[T]] = {}
        self._said: set[str] = set()
        self._instant: datetime | None = None
        self._looks = 0

    def at(self, path: str, now: datetime) -> Answer[T]:
        """The object at a path of the API."""
        seen = self._seen.get(path)
        if seen is not None and now < seen.until:
            return seen.answer
        if not self._may_look(now):
            return Answer(None, known=False) if seen is None else seen.answer
        fresh = self._look(path, now, seen)
        self._seen[path] = fresh
        return fresh.answer

    def forget_old(self, now: datetime, age: timedelta = timedelta(hours=1)) -> None:
        """Drops what nobody has asked for since; call it now and then."""
        self._seen = {path: seen for path, seen in self._seen.items() if seen.until + age > now}
        self._said &= self._seen.keys()

    def _may_look(self, now: datetime) -> bool:
        if now != self._instant:
            self._instant, self._looks = now, 0
        self._looks += 1
        return self._looks <= MOST_LOOKS

    def _look(self, path: str, now: datetime, seen: _Seen[T] | None) -> _Seen[T]:
        try:
            value = self._read(self._api.get(path))
        except (Missing, Denied) as fault:
            self._say(path, str(fault))
            return _Seen(Answer(None, known=True), now + RETRY)
        except CleanhoursError as fault:
            self._looks = (
                MOST_LOOKS  # who cannot answer now is asked nothing more in this moment: it may take long
            )
            self._say(path, str(fault))
            return _Seen(Answer(None, known=False) if seen is None else seen.answer, now + RETRY)
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            self._say(path, f"cannot be read: {fault!r}")
            return _Seen(Answer(None, known=True), now + RETRY)
        self._said.discard(path)
        return _Seen(Answer(value, known=True), now + self._keep(value))

    def _say(self, path: str, fault: str) -> None:
        if path not in self._said:
            self._said.add(path)
            log.warning("%s at %s: %s", self._what, path, fault)
