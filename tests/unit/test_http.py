"""The HTTP session against a real server in this process: what it retries, what it says, what it hides."""

from __future__ import annotations

import itertools
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cleanhours import __version__
from cleanhours.domain.errors import ConfigurationError, TemporaryError
from cleanhours.http import Refused, Response, Session

KEY = "s3cr+t/key=="

Answer = tuple[int, dict[str, str], bytes]


class Provider:
    """Answers what it was told to, the last answer for ever, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [(200, {}, b"hello")]
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.wait: threading.Event | None = None
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                provider.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                if provider.wait is not None:
                    provider.wait.wait(5)
                    self.close_connection = True
                    return
                more = len(provider.answers) > 1
                status, headers, body = provider.answers.pop(0) if more else provider.answers[0]
                self.send_response_only(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/intensity"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        if self.wait is not None:
            self.wait.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def session(pauses: list[float], provider: Provider) -> Iterator[Session]:
    session = Session(pause=pauses.append, jitter=lambda: 0.0)
    yield session
    session.close()


def test_an_answer_has_status_headers_and_text(provider: Provider, session: Session) -> None:
    provider.answers = [(200, {"X-Zone": "GB"}, b"hello")]

    answer = session.get(provider.url, {"zone": "GB", "hours": 48})

    assert (200, "hello", "GB") == (answer.status, answer.text, answer.headers["x-zone"])
    path, headers = provider.asked[0]
    assert path == "/intensity?zone=GB&hours=48"
    assert headers["user-agent"] == f"cleanhours/{__version__}"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", "Zürich".encode()),
        ("text/csv", b"\xef\xbb\xbf" + "Zürich".encode()),
        ("text/csv; charset=ISO-8859-1", "Zürich".encode("latin-1")),
        ("text/csv; charset=unheard-of", "Zürich".encode()),
    ],
)
def test_text_is_utf_8_unless_the_server_names_another(
    provider: Provider, session: Session, content_type: str, body: bytes
) -> None:
    provider.answers = [(200, {"Content-Type": content_type}, body)]

    assert session.get(provider.url).text == "Zürich"


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_passing_trouble_is_asked_again(
    provider: Provider, session: Session, pauses: list[float], status: int
) -> None:
    provider.answers = [(status, {}, b""), (status, {}, b""), (200, {}, b"back")]

    assert session.get(provider.url).text == "back"
    assert pauses == [0.5, 1.0]


def test_after_three_more_tries_it_gives_up(
    provider: Provider, session: Session, pauses: list[float]
) -> None:
    provider.answers = [(503, {}, b"down for\x1b[31m repair")]

    with pytest.raises(TemporaryError, match=r"answered 503: down for \[31m repair") as caught:
        session.get(provider.url)

    assert len(provider.asked) == 4
    assert pauses == [0.5, 1.0, 2.0]
    assert caught.value.delay == timedelta(minutes=1)


def test_pauses_are_jittered(provider: Provider, pauses: list[float]) -> None:
    provider.answers = [(503, {}, b"")]
    numbers = itertools.cycle([0.0, 0.5])
    session = Session(pause=pauses.append, jitter=lambda: next(numbers))

    with pytest.raises(TemporaryError):
        session.get(provider.url)

    session.close()
    assert pauses == [0.5, 1.5, 2.0]


def test_the_server_says_how_long_to_wait(provider: Provider, session: Session, pauses: list[float]) -> None:
    dated = {"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2026 07:28:09 GMT"}
    provider.answers = [(429, {"Retry-After": "7"}, b""), (503, dated, b""), (200, {}, b"back")]

    assert session.get(provider.url).text == "back"
    assert pauses == [7.0, 9.0]


@pytest.mark.parametrize("asked", ["soon", "-5", "\u0663".encode().decode("latin-1"), "Wed, 21 Oct"])
def test_a_wait_that_makes_no_sense_is_ours_to_choose(
    provider: Provider, session: Session, pauses: list[float], asked: str
) -> None:
    provider.answers = [(429, {"Retry-After": asked}, b""), (200, {}, b"")]

    session.get(provider.url)

    assert pauses == [0.5]


def test_nobody_is_waited_for_longer_than_30_s_in_all(
    provider: Provider, session: Session, pauses: list[float]
) -> None:
    provider.answers = [(429, {"Retry-After": "20"}, b"")]

    with pytest.raises(TemporaryError) as caught:
        session.get(provider.url)

    assert pauses == [20.0]
    assert caught.value.delay == timedelta(seconds=20)


@pytest.mark.parametrize(("asked", "delay"), [("120", timedelta(minutes=2)), ("9" * 400, timedelta(hours=1))])
def test_a_long_wait_is_handed_on_and_bounded(
    provider: Provider, session: Session, pauses: list[float], asked: str, delay: timedelta
) -> None:
    provider.answers = [(429, {"Retry-After": asked}, b"")]

    with pytest.raises(TemporaryError) as caught:
        session.get(provider.url)

    assert (pauses, caught.value.delay) == ([], delay)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_accepted_is_a_setting(provider: Provider, session: Session, status: int) -> None:
    provider.answers = [(status, {}, b"who are you")]

    with pytest.raises(ConfigurationError, match=f"answered {status}, check its key or token: who are you"):
        session.get(provider.url)

    assert len(provider.asked) == 1


@pytest.mark.parametrize("status", [304, 400, 404, 410, 422])
def test_a_refusal_is_told_apart_and_not_asked_again(
    provider: Provider, session: Session, status: int
) -> None:
    provider.answers = [(status, {}, b"" if status == 304 else b"no data for this period")]

    with pytest.raises(Refused) as caught:
        session.get(provider.url)

    assert (status, "" if status == 304 else "no data for this period") == (
        caught.value.status,
        caught.value.text,
    )
    assert len(provider.asked) == 1


def test_a_silent_server_is_given_up_in_time_and_not_asked_again(
    provider: Provider, pauses: list[float]
) -> None:
    provider.wait = threading.Event()
    session = Session(timeout_s=0.02, pause=pauses.append, jitter=lambda: 0.0)

    with pytest.raises(TemporaryError, match=r"no answer within 0\.02 s"):
        session.get(provider.url)

    session.close()
    assert (len(pauses), len(provider.asked)) == (0, 1)


def test_no_server_at_all_is_temporary(session: Session) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    with pytest.raises(TemporaryError, match="refused"):
        session.get(f"http://127.0.0.1:{port}/")


def test_an_answer_without_end_is_given_up(provider: Provider) -> None:
    provider.answers = [(200, {}, b"x" * 1000)]
    session = Session(retries=0, answer_limit_bytes=999)

    with pytest.raises(TemporaryError, match="longer than 999 bytes"):
        session.get(provider.url)

    session.close()


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"], ids=["head", "body"]
)
def test_an_answer_that_drips_is_given_up_and_not_asked_for_again_meanwhile(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as dripping:
        session = Session(transfer_limit_s=0.2, pause=lambda _: None)
        url = f"http://127.0.0.1:{dripping.getsockname()[1]}/"
        with closing(_Drip(dripping, said)):
            with pytest.raises(TemporaryError, match=r"took longer than 0\.2 s"):
                session.get(url)
            with pytest.raises(TemporaryError, match="still answers an earlier question"):
                session.get(url)
        session.close()


class _Drip(threading.Thread):
    """Takes one question and lets a byte fall now and then, for as long as it is not closed."""

    def __init__(self, server: socket.socket, said: bytes) -> None:
        super().__init__()
        self._server, self._said, self._closed = server, said, threading.Event()
        self.start()

    def run(self) -> None:
        taken, _ = self._server.accept()
        with taken, suppress(OSError):
            taken.sendall(self._said)
            while not self._closed.wait(0.02):
                taken.sendall(b"H")

    def close(self) -> None:
        self._closed.set()
        self.join()


def test_an_answer_cut_short_is_temporary(provider: Provider) -> None:
    provider.answers = [(200, {"Content-Length": "500", "Connection": "close"}, b"half")]
    session = Session(retries=0, timeout_s=0.05)

    with pytest.raises(TemporaryError):
        session.get(provider.url)

    session.close()


@pytest.mark.parametrize("url", ["carbonintensity", "ftp://host/file", "http://", "http://[::1"])
def test_what_is_no_web_address_is_a_setting(session: Session, pauses: list[float], url: str) -> None:
    with pytest.raises(ConfigurationError):
        session.get(url)

    assert pauses == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize(
    "question",
    [
        {"secrets": [KEY]},
        {"params": {"securityToken": KEY}},
        {"params": {"api_key": KEY}},
        {"headers": {"auth-token": KEY}},
        {"headers": {"Authorization": f"Bearer {KEY}"}},
    ],
)
def test_no_error_shows_a_secret(
    provider: Provider, session: Session, status: int, question: dict[str, Any]
) -> None:
    quoted = "s3cr%2Bt%2Fkey%3D%3D"
    provider.answers = [(status, {}, f"bad key {KEY}, that is {quoted}".encode())]

    with pytest.raises((TemporaryError, ConfigurationError, Refused)) as caught:
        session.get(provider.url, **question)

    shown = "".join(traceback.format_exception(caught.value)) + str(vars(caught.value))
    assert KEY not in shown
    assert quoted not in shown
    assert "***" in shown


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_no_error_shows_a_secret_of_its_address(session: Session, scheme: str) -> None:
    secrets = [word[::-1] for word in ("2retnuh", "fedcba", "lkjihg")]  # a traceback shows this line, too
    password, key, token = secrets

    with pytest.raises((TemporaryError, ConfigurationError)) as caught:
        session.get(f"{scheme}://me:{password}@127.0.0.1:1/feed?key={key}&token={token}")

    shown = "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in secrets if secret in shown]


def test_another_host_gets_no_key(provider: Provider, session: Session) -> None:
    there = Provider()
    provider.answers = [(302, {"Location": there.url}, b"")]

    answer = session.get(provider.url, headers={"auth-token": KEY, "Accept": "text/csv"})

    there.close()
    assert isinstance(answer, Response)
    assert "auth-token" in provider.asked[0][1]
    assert "auth-token" not in there.asked[0][1]
    assert there.asked[0][1]["accept"] == "text/csv"


def test_without_a_network_nobody_waits() -> None:
    pauses: list[float] = []
    session = Session(pause=pauses.append)

    with pytest.raises(TemporaryError, match="resolve"):
        session.get("http://provider.invalid/intensity")

    assert [] == pauses
