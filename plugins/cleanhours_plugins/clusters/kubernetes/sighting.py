"""Sighting: how much is known of a collection, and since when; says each change of that once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum

from cleanhours_plugins.clusters.kubernetes.errors import ApiError

log = logging.getLogger(__name__)


class Sight(StrEnum):
    """How much a reflector knows."""

    STARTING = "starting"
    """Nothing yet."""
    LIVE = "live"
    """What is."""
    FAILING = "failing"
    """What was when the trouble began."""
    UNSERVED = "unserved"
    """The server has no such kind: there are no such objects."""


class Sighting:
    """What one reflector knows of its own knowledge; written by one thread, read by any."""

    def __init__(self, kind: str, monotonic: Callable[[], float]) -> None:
        self.sight = Sight.STARTING
        self._kind = kind
        self._monotonic = monotonic
        self._heard_at_s: float | None = None
        self._lost_at_s = 0.0

    @property
    def age_s(self) -> float | None:
        """Seconds since the server last said anything; None: it never did."""
        heard = self._heard_at_s
        return None if heard is None else max(0.0, self._monotonic() - heard)

    def heard(self) -> None:
        self._heard_at_s = self._monotonic()

    def live(self) -> None:
        self.heard()
        if self.sight is Sight.FAILING:
            log.info("sees %s again, after %.0f s", self._kind, self._monotonic() - self._lost_at_s)
        elif self.sight is Sight.UNSERVED:
            log.info("%s are served now", self._kind)
        self.sight = Sight.LIVE

    def unserved(self) -> None:
        self.heard()
        if self.sight is not Sight.UNSERVED:
            # most clusters lack most kinds: who starts says so once for all of them
            level = logging.DEBUG if self.sight is Sight.STARTING else logging.INFO
            log.log(level, "%s are not served: there are none", self._kind)
        self.sight = Sight.UNSERVED

    def failing(self, error: Exception) -> None:
        if self.sight is Sight.FAILING:
            return
        self.sight = Sight.FAILING
        self._lost_at_s = self._monotonic()
        unexpected = None if isinstance(error, ApiError) else error
        log.warning("lost sight of %s: %s", self._kind, error, exc_info=unexpected)
