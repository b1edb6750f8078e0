"""The API server's door: raw JSON on raw paths, one request a call. Knows pace and fence, but no kind of object."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from cleanhours_plugins.clusters.kubernetes.asking import Object, Query, Question, ask, ask_list, open_watch
from cleanhours_plugins.clusters.kubernetes.connecting import Connection, find_connection
from cleanhours_plugins.clusters.kubernetes.errors import ApiError, Gone, Missing, Unreachable
from cleanhours_plugins.clusters.kubernetes.keeping import Count, count_nothing
from cleanhours_plugins.clusters.kubernetes.listing import Listing
from cleanhours_plugins.clusters.kubernetes.pacing import Pace
from cleanhours_plugins.clusters.kubernetes.streaming import Watch

TIMEOUT_S: Final = 30.0
"""For an answer, and again for each wait for more of it."""
WATCH_GRACE_S: Final = 15.0
"""The server ends a watch when its time is up; so much later, it is silent because it is gone."""
PAGE_OBJECTS: Final = 250
"""Costs a server few of its seats, and us the text of one page."""
_POLITE_READS: Final = 2
"""How often a read is repeated that was answered 429: nothing was done, and a list need not begin anew."""
_PATCH: Final = "application/merge-patch+json"
REQUESTS: Final = "api_requests_total"
Answer = TypeVar("Answer")
_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a collection's objects, as the server wrote them: to be gone through once, before the next page is asked for."""

    items: Listing
    fresh: bool = False
    """The first page of a list, or of one that had to begin anew: what earlier pages said does not count."""

    @property
    def resource_version(self) -> str:
        """The whole collection's. What was not gone through by then is skipped."""
        return str(self.items.metadata.get("resourceVersion") or "")


def connect(kubeconfig: Path | None = None, context: str | None = None, count: Count = count_nothing) -> Api:
    """A door to the cluster of a kubeconfig and context, or to the one this Pod is in; asks nothing of it yet.

    Raises:
        ConfigurationError: there is none, it is broken, or the library is missing; in one line.
    """
    return Api(find_connection(kubeconfig, context), count=count)


class Api:
    """Asks and writes, each as raw JSON. Safe to share between threads.

    Every write first waits its turn (`pace`), then asks whether it may (`fence`): a leader that lost its Lease
    while it waited writes nothing more. Reads wait only while the server asked for a pause.

    `count` counts `api_requests_total{verb,outcome}`: what was asked, once however often it was sent; not watches.

    Raises (from each method): an ApiError, named for what happens next.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        pace: Pace | None = None,
        fence: Callable[[], bool] | None = None,
        timeout_s: float = TIMEOUT_S,
        count: Count = count_nothing,
    ) -> None:
        self._connection = connection
        self._count = count
        self._pace = pace
        self._fence = fence
        self._timeout_s = timeout_s
        self._minor: int | None = None

    def through(
        self,
        *,
        pace: Pace | None = None,
        fence: Callable[[], bool] | None = None,
        timeout_s: float | None = None,
    ) -> Api:
        """The same connections, with another pace, fence or time-out; what is not given stays."""
        return Api(
            self._connection,
            pace=pace or self._pace,
            fence=fence or self._fence,
            timeout_s=timeout_s or self._timeout_s,
            count=self._count,
        )

    @property
    def server(self) -> str:
        """Its URL."""
        return self._connection.server

    @property
    def namespace(self) -> str:
        """The kubeconfig context's; empty without."""
        return self._connection.namespace

    @property
    def minor(self) -> int:
        """36 of version 1.36; a server that calls itself "36+" too. Asked once."""
        if self._minor is None:
            found = str(self.get("/version").get("minor", ""))
            digits = re.match(r"\d+", found)
            if digits is None:
                raise Unreachable(f"GET /version: found minor {found!r}, accepted: a number")
            self._minor = int(digits[0])
        return self._minor

    def serves(self, group: str, version: str) -> frozenset[str]:
        """Names of resources (`jobs`, `jobs/status`) served in that group ("" is core); empty where there is none."""
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            listed = self.get(path).get("resources") or []
        except Missing:
            return frozenset()
        return frozenset(str(one["name"]) for one in listed)

    def get(self, path: str, query: Query | None = None) -> Object:
        """Read an object or a whole collection. Asked once more where the connection broke, and after a 429."""
        return self._politely(Question("GET", path, query, repeatable=True), ask)

    def pages(self, path: str, query: Query | None = None, limit: int = PAGE_OBJECTS) -> Iterator[Page]:
        """Read a collection, `limit` objects at a time, all as of one instant; of one page the text is kept in memory.

        A list whose continue token is too old (410) begins anew, with a page that is `fresh`; twice, then Gone.
        """
        anew = 2
        token = ""
        while True:
            asked: dict[str, str | int] = {**(query or {}), "limit": limit}
            if token:
                asked["continue"] = token
            try:
                found = self._politely(Question("GET", path, asked, repeatable=True), ask_list)
            except Gone:
                if not token or not anew:
                    raise
                anew, token = anew - 1, ""
                continue
            yield Page(found, fresh=not token)
            token = str(found.metadata.get("continue") or "")
            del found
            if not token:
                return

    def patch(self, path: str, body: Object) -> Object:
        """Write a merge patch (RFC 7386); lists are replaced whole. Returns the object as it is now.

        With `metadata.resourceVersion` in it, it is refused (Conflict) unless the object is as it was read: only
        such a patch is repeated when the connection breaks, for the second one is refused if the first was done.
        """
        return self._write("PATCH", path, body, _PATCH)

    def create(self, path: str, body: Object) -> Object:
        """Create an object in a collection. Never repeated by itself."""
        return self._write("POST", path, body)

    def replace(self, path: str, body: Object) -> Object:
        """Replace an object; repeated as `patch` is."""
        return self._write("PUT", path, body)

    def watch(
        self,
        path: str,
        resource_version: str,
        timeout_s: float,
        query: Query | None = None,
        *,
        grace_s: float = WATCH_GRACE_S,
    ) -> Watch:
        """Open a watch on a collection from there on, with bookmarks; the server ends it after `timeout_s`.

        A server that is silent for `grace_s` longer is Unreachable.
        """
        asked: dict[str, str | int] = {
            **(query or {}),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": max(1, round(timeout_s)),
        }
        if self._pace is not None:
            self._pace.wait_out()
        return open_watch(self._connection, path, asked, timeout_s + grace_s)

    def close(self) -> None:
        """Close the idle connections, of all views of this door; the next request opens new ones."""
        self._connection.pool.clear()

    def _politely(self, question: Question, how: Callable[[Connection, Question, float], Answer]) -> Answer:
        polite = _POLITE_READS
        while True:
            if self._pace is not None:
                self._pace.wait_out()
            try:
                return self._ask(question, how)
            except Unreachable as error:
                if error.status != 429 or self._pace is None or not polite:
                    raise
                polite -= 1

    def _write(self, verb: str, path: str, body: Object, kind: str = "application/json") -> Object:
        if self._pace is not None:
            self._pace.wait()
        versioned = bool((body.get("metadata") or {}).get("resourceVersion"))
        question = Question(verb, path, None, body, kind, versioned and verb != "POST")
        return self._ask(question, partial(ask, fence=self._fence))

    def _ask(self, question: Question, how: Callable[[Connection, Question, float], Answer]) -> Answer:
        outcome = "ok"
        try:
            return how(self._connection, question, self._timeout_s)
        except ApiError as error:
            outcome = type(error).__name__.lower()
            if error.status == 429 and isinstance(error, Unreachable) and self._pace is not None:
                self._pace.pause(error.delay.total_seconds())
            raise
        finally:
            self._count(REQUESTS, verb=_VERBS[question.verb], outcome=outcome)
