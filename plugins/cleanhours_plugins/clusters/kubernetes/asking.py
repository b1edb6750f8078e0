"""Asking: one request to an API server and the reading of its answer, with what may be repeated and what may not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from cleanhours_plugins.clusters.kubernetes.connecting import Connection
from cleanhours_plugins.clusters.kubernetes.errors import (
    ApiError,
    Denied,
    Fenced,
    Unreachable,
    error_of,
    shown,
)
from cleanhours_plugins.clusters.kubernetes.listing import Listing
from cleanhours_plugins.clusters.kubernetes.streaming import Watch

CONNECT_TIMEOUT_S: Final = 3.05
"""Just above the time after which a lost SYN is sent again."""
FIRST_BYTE_S: Final = 75.0
"""A watch is answered at once, with its headers: a server that does not even do that is gone."""

Query = Mapping[str, str | int]
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One request. `repeatable`: that doing it twice does no harm, so that a broken connection is no trouble yet."""

    verb: str
    path: str
    query: Query | None = None
    body: Object | None = None
    kind: str = "application/json"
    repeatable: bool = False

    def url(self, server: str) -> str:
        asked = f"?{urlencode(self.query)}" if self.query else ""
        return f"{server}{quote(self.path, safe='/:')}{asked}"


def ask(
    connection: Connection, question: Question, timeout_s: float, fence: Callable[[], bool] | None = None
) -> Object:
    """Ask, and once more where the connection breaks and that is safe. `fence` is asked each time.

    Raises:
        ApiError: named for what happens next.
    """
    return _read(question, *_answer(connection, question, timeout_s, fence))


def ask_list(connection: Connection, question: Question, timeout_s: float) -> Listing:
    """The same for a collection, whose answer is read when it is gone through. Raises as `ask`."""
    status, headers, body = _answer(connection, question, timeout_s)
    _check(question, status, headers, body)
    return Listing(body, f"{question.verb} {question.path}")


def _answer(
    connection: Connection, question: Question, timeout_s: float, fence: Callable[[], bool] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body. Raises ApiError where there is no answer."""
    trouble: Exception | None = None
    for _ in range(2 if question.repeatable else 1):
        if fence is not None and not fence():
            raise Fenced(f"{question.verb} {question.path}: not sent, for another controller may lead by now")
        try:
            response = _send(connection, question, timeout_s)
            return response.status, response.headers, response.data
        except connection.resets as error:
            trouble = error
        except connection.failures as error:
            raise _trouble(connection, question, error) from None
    raise _trouble(connection, question, trouble)


def open_watch(connection: Connection, path: str, query: Query, patience_s: float) -> Watch:
    """Open a stream of events that may be silent for `patience_s`. Raises an ApiError where it is refused."""
    question = Question("GET", path, query)
    try:
        response = _send(connection, question, min(patience_s, FIRST_BYTE_S), stream=True)
        if response.status != 200:
            _read(Question("WATCH", path), response.status, response.headers, response.data)
            raise Unreachable(f"WATCH {path} answered {response.status}, which is no stream")
    except connection.failures as error:
        raise _trouble(connection, Question("WATCH", path), error) from None
    # urllib3 has one time-out for the headers and for each piece of the body: the first was ours to shorten
    with suppress(OSError, AttributeError):
        response.connection.sock.settimeout(patience_s)
    return Watch(response, path, connection.failures)


def _send(connection: Connection, question: Question, timeout_s: float, *, stream: bool = False) -> Any:
    body = None if question.body is None else json.dumps(question.body, separators=(",", ":")).encode()
    headers = dict(connection.headers())
    if not stream:
        # servers answer large lists so: a twentieth of the bytes to decrypt
        headers["Accept-Encoding"] = "gzip"
    if body is not None:
        headers["Content-Type"] = question.kind
    return connection.pool.request(
        question.verb,
        question.url(connection.server),
        body=body,
        headers=headers,
        timeout=connection.timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), read=timeout_s),
        retries=False,
        preload_content=not stream,
    )


def _check(question: Question, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raises the ApiError that a refusal is."""
    if not 200 <= status < 300:
        lowered = {name.lower(): value for name, value in headers.items()}
        raise error_of(question.verb, question.path, status, lowered, body)


def _read(question: Question, status: int, headers: Mapping[str, str], body: bytes) -> Object:
    _check(question, status, headers, body)
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        found = shown(body[:200].decode(errors="replace"))
        raise Unreachable(
            f"{question.verb} {question.path}: the answer is no JSON object: {found}", status=status
        )
    return answer


def _trouble(connection: Connection, question: Question, error: Exception | None) -> ApiError:
    """The innermost cause, for urllib3 wraps what happened up to three times; never with headers or a query."""
    cause: BaseException | None = error
    while cause is not None and (inner := _inner(cause)) is not None:
        cause = inner
    host = connection.server.rpartition("@")[2].removeprefix("https://").removeprefix("http://")
    said = shown(str(cause)) or type(cause).__name__
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return Denied(
            f"{question.verb} {question.path}: the certificate of {host} is not trusted, check"
            f" certificate-authority or tls-server-name: {said}"
        )
    return Unreachable(f"{question.verb} {question.path}: no answer from {host}: {said}")


def _inner(error: BaseException) -> BaseException | None:
    if isinstance(reason := getattr(error, "reason", None), BaseException):
        return reason
    return next((argument for argument in error.args if isinstance(argument, BaseException)), None)
