"""Serving: the admission webhook's HTTPS server, on every replica.

Standard library, with its two traps avoided: a handler that writes unbuffered costs 44 ms a request (Nagle and delayed
acknowledgement), and a handshake in the accepting thread lets one silent client stop everybody.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

LARGEST_BODY: Final = 8 * 2**20
"""Bytes; an object of etcd has 1.5 MiB at most, a review holds it twice."""
HANDSHAKE_S: Final = 5.0
IDLE_S: Final = 90.0
"""How long a connection may be silent between requests; the API server keeps its own open."""
DRAIN_S: Final = 5.0

_log = logging.getLogger(__name__)

Review = Callable[[Any], dict[str, Any]]
"""An AdmissionReview in, the answer out. Raises ValueError for what is none."""


class Address(NamedTuple):
    """Where to listen; port 0 lets the system choose."""

    host: str
    port: int


class WebhookServer:
    """A Service that answers POSTs at the paths of `reviews`, once it has a certificate."""

    def __init__(
        self,
        listen: Address,
        reviews: Mapping[str, Review],
        *,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """`failed` is called for each review that ended in an error of ours."""
        self._listen = listen
        self._reviews = dict(reviews)
        self._failed = failed
        self._server: _Server | None = None
        self._context: ssl.SSLContext | None = None

    @property
    def port(self) -> int:
        """Where it listens. Raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the webhook server is not started")
        return int(self._server.server_address[1])

    @property
    def ready(self) -> bool:
        """Whether it serves: it listens, and has a certificate."""
        return self._server is not None and self._context is not None

    def use(self, context: ssl.SSLContext) -> None:
        """New connections get this certificate; those that are open keep theirs, and lose nothing."""
        self._context = context
        if self._server is not None:
            self._server.context = context

    def start(self) -> None:
        if self._server is not None:
            return
        self._server = _Server(self._listen, self._reviews, self._failed)
        self._server.context = self._context
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="admission",
            daemon=True,
        ).start()

    def stop(self) -> None:
        """What has begun is answered, for a few seconds; then every connection is closed."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.drain(DRAIN_S)
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    context: ssl.SSLContext | None = None

    def __init__(self, listen: Address, reviews: dict[str, Review], failed: Callable[[], None]) -> None:
        self.reviews = reviews
        self.failed = failed
        self.draining = False
        self._open: set[socket.socket] = set()
        self._busy = 0
        self._changed = threading.Condition()
        if ":" in listen.host:
            self.address_family = socket.AF_INET6
        super().__init__(listen, _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake, in the thread of this connection."""
        context = self.context
        if context is None:
            return
        request.settimeout(HANDSHAKE_S)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            secured = context.wrap_socket(request, server_side=True)
        except (
            OSError,
            ValueError,
        ):  # a probe of the port, a client that does not trust us, one that is silent
            return
        with self._changed:
            self._open.add(secured)
        try:
            _Handler(secured, client_address, self)
        finally:
            with self._changed:
                self._open.discard(secured)
            secured.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke: the API server asks again, or tells its user."""
        _log.debug("a connection from %s ended badly", client_address, exc_info=True)

    def busy(self, change: int) -> None:
        """Counts requests that are being answered."""
        with self._changed:
            self._busy += change
            self._changed.notify_all()

    def drain(self, seconds: float) -> None:
        self.draining = True
        end = time.monotonic() + seconds
        with self._changed:
            while self._busy and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            still_open = list(self._open)
        for connection in still_open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "cleanhours"
    sys_version = ""
    wbufsize = -1
    timeout = IDLE_S
    server: _Server

    def do_POST(self) -> None:
        self.server.busy(1)
        try:
            self._answer()
        finally:
            self.server.busy(-1)

    def do_GET(self) -> None:
        self._say(405, {"message": "accepted: POST of an AdmissionReview"})

    def _answer(self) -> None:
        length = self._length()
        if length is None:
            return
        body = self.rfile.read(length)
        review = self.server.reviews.get(self.path.partition("?")[0])
        if review is None:
            self._say(404, {"message": "accepted: " + ", ".join(self.server.reviews)})
            return
        try:
            answer = review(json.loads(body))
        except (ValueError, RecursionError) as fault:
            self._say(400, {"message": str(fault)})
        except Exception:  # noqa: BLE001 - one review's trouble is never another's
            _log.exception("a review failed")
            self.server.failed()
            self._say(500, {"message": "the review failed; see the controller's log"})
        else:
            self._say(200, answer)

    def _length(self) -> int | None:
        """Bytes of the body; None when it was refused. An unread body cannot be followed by another request."""
        said = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (said.isascii() and said.isdigit()):
            self._refuse(411, "accepted: a Content-Length")
        elif len(said) > 12 or int(said) > LARGEST_BODY:
            self._refuse(413, f"accepted: at most {LARGEST_BODY} bytes")
        else:
            return int(said)
        return None

    def _refuse(self, status: int, message: str) -> None:
        self.close_connection = True
        self._say(status, {"message": message})

    def _say(self, status: int, content: Mapping[str, Any]) -> None:
        body = json.dumps(content, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.server.draining or self.close_connection:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: a line per review would be a line per Job."""
