"""Serving /metrics, /healthz and /readyz, on loopback unless told otherwise."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from cleanhours.domain.errors import ConfigurationError

log = logging.getLogger(__name__)

PATIENCE_S: Final = 10.0
"""How long a client may take to say what it wants."""


class MetricsServer:
    """A `cleanhours.ports.Service`. `ready` and `healthy` answer /readyz and /healthz; port 0 takes any free one.

    `start` raises ConfigurationError where the address cannot be listened on.
    """

    def __init__(
        self,
        listen: tuple[str, int],
        registry: CollectorRegistry,
        *,
        ready: Callable[[], bool] = lambda: True,
        healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        self._listen = listen
        self._registry = registry
        self._ready = ready
        self._healthy = healthy
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it really listens, once started."""
        return self._listen if self._server is None else self._server.server_address[:2]  # type: ignore[return-value]

    def start(self) -> None:
        if self._server is not None:
            return
        host, port = self._listen
        try:
            self._server = _server_at(self._listen, self.answer)
        except OSError as error:
            raise ConfigurationError(
                f"[metrics] listen: found '{host}:{port}', which {_trouble(error)}; accepted: another address, or off"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()
        log.info("metrics served on http://%s:%d/metrics", *self.address)

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None

    def answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        plain = "text/plain; charset=utf-8"
        place = path.partition("?")[0]
        if place == "/metrics":
            encode, content_type = choose_encoder(accept)
            return 200, content_type, encode(self._registry)
        if place in {"/healthz", "/readyz"}:
            fine = self._healthy() if place == "/healthz" else self._ready()
            return (200, plain, b"ok\n") if fine else (503, plain, b"not yet\n")
        return 404, plain, b"/metrics, /healthz or /readyz\n"


def _server_at(
    listen: tuple[str, int], answer: Callable[[str, str], tuple[int, str, bytes]]
) -> ThreadingHTTPServer:
    family = socket.getaddrinfo(*listen, type=socket.SOCK_STREAM)[0][0]

    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            log.debug("a scrape broke off client=%s", client_address)

    class Handler(BaseHTTPRequestHandler):
        server_version = "cleanhours"
        sys_version = ""
        timeout = PATIENCE_S

        def do_GET(self) -> None:
            status, content_type, body = answer(self.path, self.headers.get("Accept", ""))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """A scrape every few seconds is no news."""

    return Server(listen, Handler)


def _trouble(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "is in use, perhaps by another controller"
    return f"cannot be listened on ({error.strerror or error})"
