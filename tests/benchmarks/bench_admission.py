"""The admission webhook alone: real reviews over real TLS, on connections kept open, as an API server keeps them."""

from __future__ import annotations

import json
import math
import random
import socket
import ssl
import statistics
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from time import perf_counter, sleep

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
RATE = 25.0
"""Reviews a second on each of several connections: 200 in all, about what one API server creates of Jobs."""
TARGET_MS = 10.0


def run() -> Iterable[Figure]:
    """Milliseconds from the first byte asked to the last one answered; who asks is a process of his own."""
    clock = SystemClock()
    server = webhook_server(
        AdmissionSettings(mode="webhook", listen=Address("127.0.0.1", 0)), clock=clock, terms=Terms()
    )
    papers = renewed(None, ("127.0.0.1",), clock.now(), trusted=b"")
    assert papers is not None
    server.use(context_of(papers.server, papers.server_key))
    server.start()
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as asking:
            for connections, rate, name in (
                (1, None, "one connection, as fast as it goes"),
                (CONNECTIONS, RATE, f"{CONNECTIONS} connections, {CONNECTIONS * RATE:.0f} a second"),
            ):
                times = asking.submit(_times, server.port, papers.bundle.decode(), connections, rate).result()
                p99 = statistics.quantiles(times, n=100)[98]
                yield Figure(f"admission review, {name}, p50", "", statistics.median(times), "ms", None)
                yield Figure(
                    f"admission review, {name}, p99", f"≤ {TARGET_MS:.0f} ms", p99, "ms", p99 <= TARGET_MS
                )
    finally:
        server.stop()


def _times(port: int, authority: str, connections: int, rate: float | None) -> list[float]:
    trust = ssl.create_default_context(cadata=authority)
    with ThreadPoolExecutor(connections) as threads:
        asked = [threads.submit(_ask, port, trust, rate) for _ in range(connections)]
        return [time for one in asked for time in one.result()]


def _ask(port: int, trust: ssl.SSLContext, rate: float | None) -> list[float]:
    """`rate` a second, from now on; None is each as soon as the last is answered."""
    body = json.dumps(_review()).encode()
    question = f"POST {ANNOTATED} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    times = []
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        connection.makefile("rb") as lines,
    ):
        answer = b"{}"
        start = perf_counter() + random.random() / (rate or math.inf)
        for number in range(REVIEWS):
            if rate is not None:
                sleep(max(0.0, start + number / rate - perf_counter()))
            begun = perf_counter()
            connection.sendall(question)
            length = 0
            while (line := lines.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                length = int(value) if name == b"Content-Length" else length
            answer = lines.read(length)
            times.append((perf_counter() - begun) * 1000)
        assert json.loads(answer)["response"]["allowed"] is True
    return times


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
