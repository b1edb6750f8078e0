"""A proxy between a client and a real API server that does harm on request, and keeps a record of all that was asked."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from tests.integration.kubernetes.faults import Exchange, Fault, Request, refusal_of, stream_of
from tests.integration.kubernetes.wire import Behind, Header, Reader, broken, head_of, value_of


class FaultProxy:
    """HTTP on a port of this machine, in threads of this process; TLS and, where the caller has none, a token behind.

    Patterns are regular expressions, searched in path and query (`/jobs`, `watch=true`); "" is any.
    `latency_s` is added to every request. Faults end by themselves after `times` requests; `heal` ends all.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.latency_s = 0.0
        self.requests: list[Request] = []
        self._behind = Behind(kubeconfig)
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._exchanges: set[Exchange] = set()
        self._connections: set[socket.socket] = set()
        self._cut = ""
        self._released = threading.Event()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.cut()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def kubeconfig(self, path: Path, token: str | None = None) -> Path:
        """Write a kubeconfig that leads here; without a token its user is the one of the kubeconfig behind."""
        user = {"token": token} if token else {}
        path.touch(mode=0o600)
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
                    "users": [{"name": "caller", "user": user}],
                    "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "caller"}}],
                    "current-context": "proxy",
                }
            ),
            "utf-8",
        )
        return path

    # --- the record ---

    def asked(self, method: str = "", pattern: str = "") -> list[Request]:
        """The requests so far that match."""
        with self._lock:
            return [
                one
                for one in self.requests
                if method in ("", one.method) and re.search(pattern, f"{one.path}?{one.query}")
            ]

    def writes(self, pattern: str = "") -> list[Request]:
        return [one for one in self.asked(pattern=pattern) if one.writes]

    # --- harm ---

    def reset(self, times: int = 1, method: str = "", pattern: str = "", *, after: bool = False) -> None:
        """Break the connection; `after` the server has done what was asked."""
        self._add(Fault("reset", times, method, pattern, after))

    def swallow(self, times: int = 1, method: str = "", pattern: str = "", *, after: bool = False) -> None:
        """Never answer, and keep the connection open."""
        self._add(Fault("swallow", times, method, pattern, after))

    def answer(
        self,
        status: int,
        times: int = 1,
        method: str = "",
        pattern: str = "",
        *,
        retry_after_s: int | None = None,
        message: str = "a fault of the test",
    ) -> None:
        """Answer so, with a Status object, and do not ask the server."""
        body = refusal_of(status, message, retry_after_s)
        self._add(Fault(f"answer {status}", times, method, pattern, False, body, status))

    def script(self, events: Sequence[dict[str, Any]], times: int = 1, pattern: str = "") -> None:
        """Answer watches with these events, and end them."""
        watches = rf"(?=.*[?&]watch=(?:true|1))(?=.*{pattern})"
        self._add(Fault("script", times, "GET", watches, False, stream_of(events), 200))

    def freeze(self, pattern: str = "") -> None:
        """Let the streams that are open now fall silent, for ever, without an end."""
        self._each(pattern, lambda exchange: setattr(exchange, "frozen", True))

    def drop(self, pattern: str = "") -> None:
        """Break the requests that are under way now."""
        self._each(pattern, Exchange.abort)

    def cut(self, how: str = "reset") -> None:
        """No way through any more, for old and new connections; `how`: "reset" them, or "swallow" what they say."""
        with self._lock:
            self._cut = how
            self._released.set()
            self._released = threading.Event()
        if how == "reset":
            self.drop()
            with self._lock:
                idle = list(self._connections)
            for one in idle:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        else:
            self.freeze()

    def heal(self) -> None:
        """End all faults; what was swallowed or frozen is broken."""
        with self._lock:
            self._cut = ""
            self._faults.clear()
            self._released.set()
            self._released = threading.Event()
            harmed = [one for one in self._exchanges if one.frozen]
        for one in harmed:
            one.abort()
        self.latency_s = 0.0

    @contextmanager
    def away(self, how: str = "reset") -> Iterator[None]:
        """Cut within the block."""
        self.cut(how)
        try:
            yield
        finally:
            self.heal()

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def _each(self, pattern: str, do: Any) -> None:
        with self._lock:
            chosen = [one for one in self._exchanges if re.search(pattern, one.target)]
        for one in chosen:
            do(one)

    # --- one connection, one request after the other ---

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        caller = Reader(connection)
        with self._lock:
            self._connections.add(connection)
        try:
            while self._exchange(connection, caller):
                pass
        except (OSError, EOFError):  # somebody hung up, or was made to
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _exchange(self, connection: socket.socket, caller: Reader) -> bool:
        """One request and its answer; whether there may be another one on this connection."""
        if self._cut == "reset":
            return broken(connection)
        line, headers = caller.head()
        method, target, _ = line.split(" ", 2)
        body = caller.whole_body(headers)
        path, _, query = target.partition("?")
        request = Request(method, path, query, value_of(headers, "user-agent"), time.monotonic())
        exchange = Exchange(target, connection)
        with self._lock:
            self.requests.append(request)
            fault = next((one for one in self._faults if one.matches(method, target)), None)
            if fault is not None:
                fault.times -= 1
            self._exchanges.add(exchange)
            released = self._released
        try:
            if self.latency_s:
                time.sleep(self.latency_s)
            if self._cut or (fault is not None and not fault.after):
                return self._harm(connection, request, fault, released)
            return self._forward(exchange, request, headers, body, fault, released)
        finally:
            with self._lock:
                self._exchanges.discard(exchange)
            exchange.close()

    def _harm(
        self, connection: socket.socket, request: Request, fault: Fault | None, released: threading.Event
    ) -> bool:
        request.fault = fault.name if fault and not self._cut else self._cut
        if fault is not None and fault.answer and not self._cut:
            request.status = fault.status
            connection.sendall(fault.answer)
            return True
        if request.fault == "swallow":
            released.wait()
        return broken(connection)

    def _forward(
        self,
        exchange: Exchange,
        request: Request,
        headers: list[Header],
        body: bytes,
        fault: Fault | None,
        released: threading.Event,
    ) -> bool:
        exchange.behind = self._behind.connect()
        exchange.behind.sendall(self._behind.request(request.method, exchange.target, headers, body))
        server = Reader(exchange.behind)
        line, answered = server.head()
        if fault is not None:
            server.whole_body(answered)
            return self._harm(exchange.caller, request, fault, released)
        request.status = int(line.split(" ", 2)[1])
        kept = [one for one in answered if one[0].lower() != "connection"]
        exchange.send(head_of(line, kept))
        if request.method != "HEAD" and request.status not in (204, 304):
            for piece in server.pieces(answered):
                exchange.send(piece)
        if exchange.frozen:
            request.fault = "freeze"
            released.wait()
            return broken(exchange.caller)
        return True
