"""A scrape of /metrics with every family at its limit: 10,000 living jobs, 200 settled namespaces, over real HTTP."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen  # noqa: TID251 - scrapes, as Prometheus would

from cleanhours.adapters.exposition import Exposition, MetricsServer
from cleanhours.adapters.ledger import open_ledger
from cleanhours.ports import Ledger
from cleanhours.testing.ledger_contract import an_entry
from tests.benchmarks.figures import Figure, quickest
from tests.unit.adapters.crowds import CLUSTER, SERIES_IN_ALL, a_busy_process, a_crowded_tick, settled_rows

PLACES = ("home",)
LIMIT_MS = 50.0
FORMATS = {
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
    "text": "text/plain;version=0.0.4",
}


def run() -> list[Figure]:
    """From the ledger's rows to the last byte at the one who asks."""
    logging.getLogger("cleanhours").setLevel(logging.WARNING)
    with (
        tempfile.TemporaryDirectory(prefix="cleanhours-bench-") as folder,
        closing(open_ledger(f"sqlite:///{Path(folder) / 'ledger.sqlite'}")) as ledger,
    ):
        for entry in settled_rows(PLACES):
            ledger.record(entry)
        exposition = Exposition(ledger, a_busy_process(), clusters=[CLUSTER], places=len(PLACES))
        exposition.show(a_crowded_tick(PLACES))
        server = MetricsServer(("127.0.0.1", 0), exposition.registry)
        server.start()
        try:
            port = server.address[1]
            return [
                _series(exposition),
                *(_scrape(port, name) for name in FORMATS),
                *_scrape_after_a_settlement(port, ledger, exposition),
                _tick(exposition),
            ]
        finally:
            server.stop()


def _series(exposition: Exposition) -> Figure:
    count = sum(len(metric.samples) for metric in exposition.collect())
    target = f"≤ {SERIES_IN_ALL:,}"
    return Figure("series with 10,000 jobs in 200 namespaces", target, count, "", count <= SERIES_IN_ALL)


def _scrape(port: int, name: str) -> Figure:
    milliseconds = 1000 * quickest(lambda: _ask(port, FORMATS[name]), rounds=50)
    return Figure(
        f"a scrape of them, {name}", f"≤ {LIMIT_MS:g} ms", milliseconds, "ms", milliseconds <= LIMIT_MS
    )


def _scrape_after_a_settlement(port: int, ledger: Ledger, exposition: Exposition) -> Iterator[Figure]:
    """Its sums are made anew: after the settlement, as the controller does."""
    summing = scraping = float("inf")
    for n in range(20):
        ledger.record(an_entry(f"new-{n}", cluster=CLUSTER))
        summing = min(summing, quickest(exposition.sum_up, rounds=1))
        scraping = min(scraping, quickest(lambda: _ask(port, FORMATS["OpenMetrics"]), rounds=1))
    name, target = "the first scrape after a run was settled, OpenMetrics", f"≤ {LIMIT_MS:g} ms"
    yield Figure(name, target, 1000 * scraping, "ms", 1000 * scraping <= LIMIT_MS)
    yield Figure("making the sums anew after a settlement, beside it", "", 1000 * summing, "ms", None)


def _tick(exposition: Exposition) -> Figure:
    tick = a_crowded_tick(PLACES)
    milliseconds = 1000 * quickest(lambda: exposition.show(tick), rounds=20)
    return Figure("counting the jobs of a tick, once for all scrapes", "", milliseconds, "ms", None)


def _ask(port: int, accepted: str) -> None:
    question = Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accepted})
    with urlopen(question, timeout=10) as answer:
        answer.read()
