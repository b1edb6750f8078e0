"""Repeating: a Service that does one thing again and again, and what such things need of the API."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

_log = logging.getLogger(__name__)

AFTER_FAULT_S: Final = 60.0


class Api(Protocol):
    """What is needed of the transport: JSON objects at paths. Each raises ApiError."""

    def get(self, path: str, /) -> dict[str, Any]: ...

    def create(self, path: str, body: dict[str, Any], /) -> dict[str, Any]: ...

    def replace(self, path: str, body: dict[str, Any], /) -> dict[str, Any]: ...

    def patch(self, path: str, body: dict[str, Any], /) -> dict[str, Any]: ...


class Repeating:
    """A Service that does something at once, and again after as many seconds as it asks for (None: never again)."""

    def __init__(
        self, beat: Callable[[], float | None], name: str, *, failed: Callable[[], None] = lambda: None
    ) -> None:
        """`failed` is called when `beat` raised, which is a fault of ours; it is tried again later."""
        self._beat = beat
        self._failed = failed
        self._name = name
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Returns after the first time."""
        if self._thread is None:
            wait_s = self._safely()
            self._thread = threading.Thread(target=self._run, args=(wait_s,), name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, wait_s: float | None) -> None:
        while wait_s is not None and not self._stopped.wait(wait_s):
            wait_s = self._safely()

    def _safely(self) -> float | None:
        try:
            return self._beat()
        except Exception:  # noqa: BLE001 - the edge of the loop
            _log.exception("%s: a fault of ours", self._name)
            self._failed()
            return AFTER_FAULT_S
