"""The address that Prometheus scrapes, and the page that says what it finds there."""

from __future__ import annotations

import socket
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen  # noqa: TID251 - a scraper is no part of ours

import pytest

from cleanhours.adapters.exposition import FAMILIES, PREFIX, Exposition, MetricsServer, PrometheusTelemetry
from cleanhours.domain.errors import ConfigurationError
from cleanhours.testing.ledgers import FakeLedger
from tools.generate_docs import main as generate_docs

# --- serving --------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    exposition = Exposition(FakeLedger(), PrometheusTelemetry())
    server = MetricsServer(("127.0.0.1", 0), exposition.registry, ready=lambda: exposition.shown)
    server.start()
    yield server
    server.stop()
    server.stop()


def ask(server: MetricsServer, path: str, method: str = "GET") -> tuple[int, str]:
    host, port = server.address
    try:
        with urlopen(Request(f"http://{host}:{port}{path}", method=method), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def test_metrics_health_and_readiness_are_served(server: MetricsServer) -> None:
    status, text = ask(server, "/metrics")
    assert 200 == status
    assert "# HELP cleanhours_leader " in text
    assert (200, "ok\n") == ask(server, "/healthz")
    assert 503 == ask(server, "/readyz")[0]
    assert 404 == ask(server, "/")[0]
    assert 501 == ask(server, "/metrics", "POST")[0]
    assert (200, "") == ask(server, "/metrics", "HEAD")


def test_a_port_in_use_is_an_operators_matter(server: MetricsServer) -> None:
    other = MetricsServer(server.address, Exposition(FakeLedger(), PrometheusTelemetry()).registry)
    with pytest.raises(ConfigurationError, match=r"is in use.*another address, or off"):
        other.start()


def test_a_host_that_is_not_there_is_named() -> None:
    nobody = MetricsServer(("nobody.invalid", 1), Exposition(FakeLedger(), PrometheusTelemetry()).registry)
    with pytest.raises(ConfigurationError, match=r"nobody\.invalid:1"):
        nobody.start()


def test_a_client_that_goes_away_stops_nobody(server: MetricsServer) -> None:
    with socket.create_connection(server.address) as rude:
        rude.sendall(b"GET /metrics HTTP/1.0\r\n")
    assert 200 == ask(server, "/healthz")[0]


# --- documentation --------------------------------------------------------------------------------------------------


def test_the_documentation_is_current() -> None:
    assert 0 == generate_docs(["--check"]), "run `make docs`"


def test_every_metric_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    assert all(f"`{PREFIX}{name}`" in page for name in FAMILIES)
