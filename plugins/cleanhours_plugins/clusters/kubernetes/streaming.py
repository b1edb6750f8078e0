"""Streaming: the events of one watch, line by line, as they come; closed from another thread, it ends at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, Final

from cleanhours_plugins.clusters.kubernetes.errors import Unreachable, error_of_event, shown

LONGEST_EVENT_BYTES: Final = 16 * 1024 * 1024
"""etcd keeps no object above some MiB: a longer line is no event."""
_PIECE_BYTES: Final = 65536


class Watch:
    """An open watch: iterate over its events, once, in one thread.

    Events are as the server wrote them: `{"type": ADDED|MODIFIED|DELETED|BOOKMARK, "object": {…}}`. Ends quietly
    when the server's time is up, and when `close` is called (API concepts, "Efficient detection of changes").

    Raises (while iterating):
        Gone: the resourceVersion is too old: list again.
        Unreachable: the connection broke or was silent for too long, or the server said so: watch again from the
            resourceVersion of the last event.
    """

    def __init__(self, response: Any, path: str, failures: tuple[type[Exception], ...]) -> None:
        self._response = response
        self._path = path
        # the last two: closed under our feet
        self._broken: tuple[type[Exception], ...] = (*failures, ValueError, AttributeError)
        self._lock = Lock()
        self._closed = False
        self._read_out = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            for line in self._lines():
                yield self._event(line)
        finally:
            self._finish()

    def close(self) -> None:
        """From any thread, at any time, more than once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            # whoever waits for bytes wakes up, and finds the end; closing the file descriptor would not wake him
            shutdown = getattr(self._response, "shutdown", None)
            if shutdown is not None and not self._read_out:
                with suppress(OSError, ValueError, RuntimeError):
                    shutdown()

    def _lines(self) -> Iterator[bytes]:
        rest = bytearray()
        pieces = self._response.stream(_PIECE_BYTES, decode_content=False)
        while (piece := self._next(pieces)) is not None:
            rest += piece
            *lines, last = rest.split(b"\n") if b"\n" in piece else [rest]
            for line in lines:
                if line.strip():
                    yield bytes(line)
            rest = last
            if len(rest) > LONGEST_EVENT_BYTES:
                raise Unreachable(f"WATCH {self._path}: an event longer than {LONGEST_EVENT_BYTES} bytes")

    def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        trouble = ""
        try:
            return None if self._closed else next(pieces, None)
        except self._broken as error:
            trouble = shown(str(error)) or type(error).__name__
        if self._closed:
            return None
        raise Unreachable(f"WATCH {self._path}: {trouble}")

    def _event(self, line: bytes) -> dict[str, Any]:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("object"), Mapping):
            raise Unreachable(
                f"WATCH {self._path}: an event that is no JSON object: {shown(line[:200].decode(errors='replace'))}"
            )
        if event.get("type") == "ERROR":
            raise error_of_event(self._path, event["object"])
        return event

    def _finish(self) -> None:
        """A connection that was read to its end serves again; any other one is closed."""
        with self._lock:
            self._closed = self._read_out = True
            with suppress(*self._broken):
                self._response.close()
