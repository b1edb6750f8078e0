"""Electing: at most one controller acts, by a Lease; who cannot renew it in time falls silent before another may act."""

from __future__ import annotations

import logging
import random
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Lock, Thread
from typing import Final

from cleanhours_plugins.clusters.kubernetes.api import Api
from cleanhours_plugins.clusters.kubernetes.errors import ApiError, Conflict, Missing
from cleanhours_plugins.clusters.kubernetes.leases import (
    API_VERSION,
    Lease,
    new_lease,
    read_lease,
    released,
    stamp_of,
    taken,
)

log = logging.getLogger(__name__)

LONGEST_LEASE_S: Final = 60.0
"""Whatever another holder claims: a Lease that somebody edited by hand must not bar everybody for ever."""
_ROUNDS: Final = 3
"""Read, write, refused, read again: each round takes one request more, within one turn."""
_STOP_PATIENCE_S: Final = 1.0


def steady_s() -> float:
    """Seconds that never jump, and go on while the machine is suspended: others may have taken over meanwhile."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def new_identity() -> str:
    """The host's name and something random: a restarted controller is another candidate."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of an election; the defaults are those of the servers' own (client-go, leaderelection).

    `lease_s`: how long others wait after they last saw a change. `renew_deadline_s`: how long the holder acts
    after it asked for what was its last renewal; the difference is what a write may be on its way. `retry_s`:
    between two tries, and up to a fifth longer.
    """

    lease_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.lease_s > self.renew_deadline_s > 1.2 * self.retry_s > 0:
            raise ValueError(f"found {self}; accepted: lease_s > renew_deadline_s > 1.2 retry_s > 0")


class LeaseLeadership:
    """A `ports.Leadership` and a `ports.Service`.

    Nobody's clock is believed: a holder is dead when its Lease did not change for its duration, as measured here
    (KEP-589; kubernetes.io, "Leases"). Whoever held a Lease that was deleted may still act for a while: who knew
    it, and makes a new one, waits so long before he acts. Who never saw one takes himself for the first.

    Args:
        api: without pace or fence: an election is slow by itself, and must not wait for others' turns.
        namespace: of the Lease; its name is `name`.
        now: the time to write into the Lease, for people to read.
        terms: of the election.
        identity: of this candidate, unique.
        steady: a clock in seconds that never jumps.
        jitter: a number in [0, 1).
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        *,
        now: Callable[[], datetime],
        terms: Terms = Terms(),
        identity: str | None = None,
        steady: Callable[[], float] = steady_s,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.identity = identity or new_identity()
        # several turns must fit into the deadline, whatever one of them runs into
        self._api = api.through(timeout_s=max(terms.retry_s, terms.renew_deadline_s / 4))
        self._collection = f"/apis/{API_VERSION}/namespaces/{namespace}/leases"
        self._path = f"{self._collection}/{name}"
        self._namespace, self._name = namespace, name
        self._now = now
        self._terms = terms
        self._steady = steady
        self._jitter = jitter
        self._stopped = Event()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._lease: Lease | None = None
        self._observed_at_s = 0.0
        self._known_s: float | None = None
        self._settled_at_s = float("-inf")
        self._acts_until_s = float("-inf")
        self._led = False
        self._in_trouble = False

    def may_act(self) -> bool:
        """Whether this candidate holds the Lease and renewed it recently enough; asked before each single write."""
        now_s = self._steady()
        return not self._stopped.is_set() and self._settled_at_s <= now_s < self._acts_until_s

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last seen; "" where nobody did."""
        lease = self._lease
        return lease.holder if lease else ""

    def start(self) -> None:
        """Begin to try; returns at once."""
        if self._thread is None and not self._stopped.is_set():
            self._thread = Thread(target=self._run, name="electing", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop acting at once, then leave the Lease to the next one, if the API can be reached. Idempotent."""
        with self._lock:
            first = not self._stopped.is_set()
            self._stopped.set()
        if self._thread is not None:
            self._thread.join(_STOP_PATIENCE_S)
        if first:
            self._release()
        self._note()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.take_turn()
            except Exception as error:  # noqa: BLE001 - the edge of the loop: an election never ends
                self._troubled(error)
            self._note()
            self._stopped.wait(self._terms.retry_s * (1 + 0.2 * self._jitter()))

    def take_turn(self) -> None:
        """Try once to renew, or to take over. Raises what the API raises; the thread does this for ever."""
        known = self._lease
        if known is None or known.holder != self.identity:
            known = self._look()
        for _ in range(_ROUNDS):
            if self._stopped.is_set():
                return
            try:
                self._claim(known)
                break
            except (Conflict, Missing):  # somebody was faster, or deleted it: what we knew is no longer so
                known = self._look()
        if self._in_trouble:
            self._in_trouble = False
            log.info("the Lease %s/%s answers again", self._namespace, self._name)

    def _look(self) -> Lease | None:
        """Read the Lease, and note when it was first seen as it is."""
        try:
            lease = read_lease(self._api.get(self._path))
        except Missing:
            self._lease = None
            return None
        if self._lease is None or lease.version != self._lease.version:
            self._observed_at_s = self._steady()
        self._lease = lease
        self._known_s = self._duration_s(lease)
        if lease.holder != self.identity:
            self._acts_until_s = float("-inf")
        return lease

    def _claim(self, lease: Lease | None) -> None:
        """Write ourselves into it where we may. What counts is when we asked, for the answer may come late."""
        asked_at_s = self._steady()
        stamp = stamp_of(self._now(), "" if lease is None else lease.renewed)
        if lease is None:
            if self._known_s is not None and asked_at_s >= self._acts_until_s:
                self._settled_at_s = asked_at_s + self._known_s  # before we ask: the answer may be lost
            body = new_lease(self._namespace, self._name, self.identity, self._terms.lease_s, stamp)
            written = self._api.create(self._collection, body)
        elif self._free(lease, asked_at_s):
            body = taken(lease, self.identity, self._terms.lease_s, stamp)
            written = self._api.replace(self._path, body)
        else:
            return
        self._lease = read_lease(written)
        self._known_s = self._terms.lease_s
        self._observed_at_s = self._steady()
        self._acts_until_s = asked_at_s + self._terms.renew_deadline_s

    def _free(self, lease: Lease, now_s: float) -> bool:
        """Whether it is ours to take: nobody's, ours, or without a sign of life for its duration."""
        if lease.holder in ("", self.identity):
            return True
        return now_s >= self._observed_at_s + self._duration_s(lease)

    def _duration_s(self, lease: Lease) -> float:
        """How long its holder may act after a sign of life: what he said, or our own terms if they are longer."""
        return max(min(lease.duration_s, LONGEST_LEASE_S), self._terms.lease_s)

    def _release(self) -> None:
        for _ in range(_ROUNDS):
            lease = self._lease
            if lease is None or lease.holder != self.identity:
                return
            try:
                self._api.replace(self._path, released(lease, stamp_of(self._now(), lease.renewed)))
            except Conflict:
                with suppress(ApiError):
                    self._look()
                    continue
                return
            except ApiError as error:
                log.warning("the Lease could not be released, it expires by itself: %s", error)
            return

    def _note(self) -> None:
        """Say once when it leads, and once when it does not any more."""
        leads = self.may_act()
        if leads != self._led:
            self._led = leads
            what = "leads" if leads else "leads no more"
            log.info("%s %s (Lease %s/%s)", self.identity, what, self._namespace, self._name)

    def _troubled(self, error: Exception) -> None:
        if not self._in_trouble:
            self._in_trouble = True
            unexpected = None if isinstance(error, ApiError) else error
            log.warning(
                "the Lease %s/%s does not answer: %s", self._namespace, self._name, error, exc_info=unexpected
            )
