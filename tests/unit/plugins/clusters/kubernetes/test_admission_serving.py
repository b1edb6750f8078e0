"""The webhook's server: what it answers to whom, and that nobody keeps the others waiting."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from cleanhours_plugins.clusters.kubernetes.admission.certificates import Papers, context_of, renewed
from cleanhours_plugins.clusters.kubernetes.admission.noticing import GROUP, ModeNotice, notice
from cleanhours_plugins.clusters.kubernetes.admission.repeating import Repeating
from cleanhours_plugins.clusters.kubernetes.admission.serving import LARGEST_BODY, Address, WebhookServer
from cleanhours_plugins.clusters.kubernetes.errors import Missing, Unreachable

PATH = "/admission/annotated"


def papers() -> Papers:
    made = renewed(None, ("127.0.0.1",), datetime.now(UTC), trusted=b"")  # noqa: TID251 - TLS looks at the real clock
    assert made is not None
    return made


PAPERS = papers()


def answer(body: Any) -> dict[str, Any]:
    if body == "wrong":
        raise ValueError("accepted: an AdmissionReview")
    if body == "broken":
        raise RuntimeError("a fault of ours")
    return {"echo": body}


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def server(failures: list[str]) -> Iterator[WebhookServer]:
    made = WebhookServer(Address("127.0.0.1", 0), {PATH: answer}, failed=lambda: failures.append("failed"))
    made.start()
    made.use(context_of(PAPERS.server, PAPERS.server_key))
    yield made
    made.stop()


def trust(bundle: bytes = PAPERS.bundle) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=bundle.decode())


class Connection:
    """HTTP/1.1 over TLS, kept open from one request to the next."""

    def __init__(self, server: WebhookServer, bundle: bytes) -> None:
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        try:
            self.socket = trust(bundle).wrap_socket(plain, server_hostname="127.0.0.1")
        finally:
            plain.close()
        self._lines = self.socket.makefile("rb")

    def post(self, body: bytes, path: str = PATH) -> tuple[int, Any]:
        self.socket.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        status = int(self._lines.readline().split()[1])
        length = 0
        while (line := self._lines.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name == b"Content-Length" else length
        return status, json.loads(self._lines.read(length))

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


Connect = Callable[..., Connection]


@pytest.fixture
def connected() -> Iterator[Connect]:
    made: list[Connection] = []

    def connect(server: WebhookServer, bundle: bytes = PAPERS.bundle) -> Connection:
        made.append(Connection(server, bundle))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


def test_it_answers_a_review_and_the_next_one_on_the_same_connection(
    server: WebhookServer, connected: Connect
) -> None:
    connection = connected(server)
    assert [(200, {"echo": 1}), (200, {"echo": 2})] == [connection.post(b"1"), connection.post(b"2")]


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [(b"{", PATH, 400), (b'"wrong"', PATH, 400), (b"\xff", PATH, 400), (b"[" * 100_000, PATH, 400), (b"1", "/other", 404), (b'"broken"', PATH, 500)],
)  # fmt: skip
def test_what_is_wrong_is_said_and_the_connection_lives_on(
    server: WebhookServer, connected: Connect, body: bytes, path: str, status: int
) -> None:
    connection = connected(server)
    assert status == connection.post(body, path)[0]
    assert (200, {"echo": 1}) == connection.post(b"1")


def test_a_fault_of_ours_is_counted_and_logged(
    server: WebhookServer, connected: Connect, failures: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    connected(server).post(b'"broken"')
    assert (["failed"], ["a review failed"]) == (failures, caplog.messages)


@pytest.mark.parametrize(
    ("header", "status"),
    [("Content-Length: 9" + "9" * 30, 413), (f"Content-Length: {LARGEST_BODY + 1}", 413), ("Content-Length: -1", 411),
     ("Content-Length: ٣", 411), ("X-None: 1", 411), ("Transfer-Encoding: chunked", 411)],
)  # fmt: skip
def test_a_body_too_large_or_of_unknown_length_is_refused_and_the_connection_closed(
    server: WebhookServer, connected: Connect, header: str, status: int
) -> None:
    raw = connected(server).socket
    raw.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
    said = b""
    while piece := raw.recv(4096):
        said += piece
    assert said.startswith(f"HTTP/1.1 {status} ".encode())


def test_whoever_says_nothing_keeps_nobody_waiting(server: WebhookServer, connected: Connect) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    try:
        assert (200, {"echo": 1}) == connected(server).post(b"1")
    finally:
        for one in silent:
            one.close()


def test_who_speaks_no_tls_is_let_go(server: WebhookServer, connected: Connect) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.settimeout(10)
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with suppress(ConnectionError):
            assert b"HTTP" not in raw.recv(100)
    assert (200, {"echo": 1}) == connected(server).post(b"1")


def test_a_new_certificate_is_shown_to_new_connections_and_old_ones_live_on(
    server: WebhookServer, connected: Connect
) -> None:
    old = connected(server)
    old.post(b"1")
    new = papers()
    server.use(context_of(new.server, new.server_key))
    assert (200, {"echo": 2}) == connected(server, new.bundle).post(b"2")
    assert (200, {"echo": 3}) == old.post(b"3")
    with pytest.raises(ssl.SSLCertVerificationError):
        connected(server).post(b"4")


def test_without_a_certificate_it_answers_nobody_and_is_not_ready(connected: Connect) -> None:
    bare = WebhookServer(Address("127.0.0.1", 0), {PATH: answer})
    bare.start()
    bare.start()
    try:
        assert not bare.ready
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connected(bare).post(b"1")
    finally:
        bare.stop()
        bare.stop()


def test_what_has_begun_is_answered_before_it_stops(connected: Connect) -> None:
    begun, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def slow(_: Any) -> dict[str, Any]:
        begun.set()
        go_on.wait(10)
        order.append("answered")
        return {"done": True}

    server = WebhookServer(Address("127.0.0.1", 0), {PATH: slow})
    server.use(context_of(PAPERS.server, PAPERS.server_key))
    server.start()
    said: list[tuple[int, Any]] = []
    asking = threading.Thread(target=lambda: said.append(connected(server).post(b"1")))
    asking.start()
    begun.wait(10)
    threading.Timer(0.5, go_on.set).start()
    server.stop()
    order.append("stopped")
    asking.join(10)
    assert (["answered", "stopped"], [(200, {"done": True})]) == (order, said)


def test_something_repeats_as_often_as_it_asks_and_stops_when_told() -> None:
    waits: list[float | None] = [0.0, 0.0, None]
    beats: list[int] = []

    def beat() -> float | None:
        beats.append(1)
        return waits.pop(0)

    service = Repeating(beat, "test")
    service.start()
    while waits:
        threading.Event().wait(0.001)
    service.stop()
    assert 3 == len(beats)


def test_a_fault_in_what_repeats_is_logged_counted_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[str] = []

    def beat() -> float | None:
        raise RuntimeError("a fault of ours")

    service = Repeating(beat, "test", failed=lambda: failures.append("failed"))
    service.start()
    service.stop()
    assert (["failed"], ["test: a fault of ours"]) == (failures, caplog.messages)


class Api:
    """Tells which resources of admission there are, or that nobody answers."""

    def __init__(self, told: Callable[[], dict[str, Any]]) -> None:
        self.told = told

    def get(self, path: str, /) -> dict[str, Any]:
        assert path == GROUP
        return self.told()

    def create(self, path: str, body: dict[str, Any], /) -> dict[str, Any]:
        raise AssertionError("writes nothing")

    replace = patch = create


def raising(error: Exception) -> Callable[[], dict[str, Any]]:
    def told() -> dict[str, Any]:
        raise error

    return told


def test_the_other_mode_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    served = {"resources": [{"name": "mutatingadmissionpolicies"}]}
    assert ModeNotice("webhook", Api(lambda: served)).beat() is None
    assert 1 == len(caplog.messages)


def test_an_unanswered_question_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    assert 60 == ModeNotice("policy", Api(raising(Unreachable("down")))).beat()
    assert ModeNotice("policy", Api(raising(Missing("no such group")))).beat() is None
    assert 1 == len(caplog.messages)


@pytest.mark.parametrize(
    ("mode", "policies", "said"),
    [("policy", True, False), ("policy", False, True), ("webhook", True, True), ("webhook", False, False), ("none", True, False)],
)  # fmt: skip
def test_only_a_mode_that_does_not_fit_is_noticed(mode: str, policies: bool, said: bool) -> None:
    assert said == (notice(mode, policies=policies) is not None)


def test_modes_without_a_webhook_do_not_pay_for_cryptography() -> None:
    """Nor for its memory."""
    lines = (
        "import sys, cleanhours_plugins.clusters.kubernetes.admission; print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert "False" == done.stdout.strip()
