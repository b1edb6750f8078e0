"""The admission webhook alone: real reviews over real TLS, on connections kept open, as an API server keeps them."""

from __future__ import annotations

import json
import socket
import ssl
import statistics
import threading
from collections.abc import Iterable
from time import perf_counter

from cleanhours.adapters.clock import SystemClock
from cleanhours_plugins.clusters.kubernetes.admission import (
    ANNOTATED,
    AdmissionSettings,
    Terms,
    webhook_server,
)
from cleanhours_plugins.clusters.kubernetes.admission.certificates import context_of, renewed
from cleanhours_plugins.clusters.kubernetes.admission.serving import Address
from tests.benchmarks.figures import Figure

CONNECTIONS = 8
REVIEWS = 400
"""On each connection."""
TARGET_MS = 10.0


def run() -> Iterable[Figure]:
    """Milliseconds from the first byte asked to the last one answered."""
    clock = SystemClock()
    server = webhook_server(
        AdmissionSettings(mode="webhook", listen=Address("127.0.0.1", 0)), clock=clock, terms=Terms()
    )
    papers = renewed(None, ("127.0.0.1",), clock.now(), trusted=b"")
    assert papers is not None
    server.use(context_of(papers.server, papers.server_key))
    server.start()
    trust = ssl.create_default_context(cadata=papers.bundle.decode())
    try:
        for connections in (1, CONNECTIONS):
            times = sorted(_times(server.port, trust, connections))
            p99 = statistics.quantiles(times, n=100)[98]
            name = f"admission review, {connections} connections"
            yield Figure(f"{name}, p50", "", statistics.median(times), "ms", None)
            yield Figure(f"{name}, p99", f"≤ {TARGET_MS:.0f} ms", p99, "ms", p99 <= TARGET_MS)
    finally:
        server.stop()


def _times(port: int, trust: ssl.SSLContext, connections: int) -> list[float]:
    times: list[float] = []
    threads = [threading.Thread(target=_ask, args=(port, trust, times)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _ask(port: int, trust: ssl.SSLContext, times: list[float]) -> None:
    body = json.dumps(_review()).encode()
    question = f"POST {ANNOTATED} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    plain = socket.create_connection(("127.0.0.1", port))
    with (
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        connection.makefile("rb") as lines,
    ):
        answer = b"{}"
        for _ in range(REVIEWS):
            begun = perf_counter()
            connection.sendall(question)
            length = 0
            while (line := lines.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                length = int(value) if name == b"Content-Length" else length
            answer = lines.read(length)
            times.append((perf_counter() - begun) * 1000)
        assert json.loads(answer)["response"]["allowed"] is True


def _review() -> dict[str, object]:
    """Of a Job of about 3 KiB, with four words."""
    prefix = "cleanhours.dev/"
    notes = {
        prefix + "deadline": "+12h",
        prefix + "duration": "6h",
        prefix + "interruptible": "true",
        prefix + "checkpoint": "5m",
    }
    container = {
        "name": "main",
        "image": "busybox",
        "env": [{"name": f"V{n}", "value": "x" * 40} for n in range(30)],
    }
    job = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train", "namespace": "work", "annotations": notes},
        "spec": {"suspend": False, "template": {"spec": {"containers": [container], "terminationGracePeriodSeconds": 30}}},
    }  # fmt: skip
    kind = {"group": "batch", "version": "v1", "kind": "Job"}
    request = {"uid": "r", "kind": kind, "operation": "CREATE", "namespace": "work", "object": job}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
