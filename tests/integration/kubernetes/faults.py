"""Faults: what a proxy may do to a request, and what it remembers of one."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.integration.kubernetes.wire import chunk_of

REASONS = {404: "NotFound", 409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}


@dataclass
class Request:
    """One that arrived; `status` 0: not answered (yet), `fault`: the harm that was done to it."""

    method: str
    path: str
    query: str
    user_agent: str
    at_s: float
    status: int = 0
    fault: str = ""

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")


@dataclass
class Fault:
    """What is done to the next `times` requests that match; `after`: the server did what was asked, nobody is told."""

    name: str
    times: int
    method: str
    pattern: str
    after: bool = False
    answer: bytes = b""
    status: int = 0

    def matches(self, method: str, target: str) -> bool:
        return bool(self.times and self.method in ("", method) and re.search(self.pattern, target))


class Exchange:
    """One request under way."""

    def __init__(self, target: str, caller: socket.socket) -> None:
        self.target = target
        self.caller = caller
        self.behind: socket.socket | None = None
        self.frozen = False

    def send(self, piece: bytes) -> None:
        if not self.frozen:
            self.caller.sendall(piece)

    def abort(self) -> None:
        for one in (self.caller, self.behind):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self.behind is not None:
            self.behind.close()


def refusal_of(status: int, message: str, retry_after_s: int | None) -> bytes:
    """A whole answer with a Status object, as an API server refuses."""
    said = {"kind": "Status", "status": "Failure", "message": message}
    body = json.dumps({**said, "reason": REASONS.get(status, ""), "code": status}).encode()
    wait = f"Retry-After: {retry_after_s}\r\n" if retry_after_s is not None else ""
    head = f"HTTP/1.1 {status} Fault\r\n{wait}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def stream_of(events: Sequence[dict[str, Any]]) -> bytes:
    """A whole answer with events, as a watch that ended."""
    chunks = b"".join(chunk_of(json.dumps(event).encode() + b"\n") for event in events)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + chunks + b"0\r\n\r\n"
