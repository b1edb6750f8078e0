"""A controller's process as far as metrics go: it leads when it is told to, and settles a run every few milliseconds."""

from __future__ import annotations

import sys
import time

from cleanhours.adapters.exposition import Exposition, MetricsServer, PrometheusTelemetry
from cleanhours.adapters.ledger import open_ledger
from cleanhours.domain.snapshots import Snapshot
from cleanhours.testing.ledger_contract import START, an_entry


def main(url: str, name: str) -> None:
    """Says its port, waits for a line, then leads until it is killed."""
    ledger = open_ledger(url)
    exposition = Exposition(ledger, PrometheusTelemetry(), clusters=["local"])
    exposition.show(Snapshot(now=START, leader=False))
    server = MetricsServer(("127.0.0.1", 0), exposition.registry)
    server.start()
    print(server.address[1], flush=True)
    sys.stdin.readline()
    exposition.show(Snapshot(now=START))
    number = 0
    while True:
        number += 1
        ledger.record(
            an_entry(f"{name}-{number}", namespace=f"team-{number % 3}", deadline_kept=number % 2 > 0)
        )
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
