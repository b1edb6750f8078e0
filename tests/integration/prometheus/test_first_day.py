"""The dashboards of a new installation: nothing settled and no job, then one of each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.adapters.exposition import Exposition, MetricsServer, PrometheusTelemetry
from cleanhours.adapters.ledger import SqlLedger, open_ledger
from cleanhours.domain.accounts import Cause
from cleanhours.domain.jobs import JobState
from cleanhours.domain.snapshots import Snapshot
from cleanhours.testing.ledger_contract import HOUR, a_plan
from tests.dashboards import Query, queries, variable_queries
from tests.integration.prometheus.asking import ALL, answer, last
from tests.integration.prometheus.server import Prometheus, shipped_configuration, started
from tests.integration.prometheus.week import PARIS, a_job, row, snapshot

pytestmark = pytest.mark.integration

NOW = "vector(time())"


@dataclass(frozen=True, slots=True)
class Site:
    """A controller that has just begun, and the Prometheus that looks at it."""

    prometheus: Prometheus
    ledger: SqlLedger
    exposition: Exposition
    now: datetime

    def show(self, *, jobs: int) -> None:
        """A tick: the places and grids are known, and so many jobs wait."""
        plan = a_plan(start=self.now + 3 * HOUR, latest_start=self.now + 5 * HOUR, location="paris")
        waiting = [
            a_job("kubernetes", str(n), "bert", "vision", JobState.HELD, self.now, plan=plan)
            for n in range(jobs)
        ]
        known = snapshot(self.now)
        self.exposition.show(
            Snapshot(now=self.now, jobs=tuple(waiting), rooms=known.rooms, series=known.series)
        )


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("first")
    now = SystemClock().now().replace(microsecond=0)
    with closing(open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}")) as ledger:
        exposition = Exposition(ledger, PrometheusTelemetry(), clusters=["kubernetes"])
        server = MetricsServer(("127.0.0.1", 0), exposition.registry)
        server.start()
        try:
            with started(folder, shipped_configuration(f"127.0.0.1:{server.address[1]}")) as running:
                one = Site(running, ledger, exposition, now)
                one.show(jobs=0)
                running.wait_for("cleanhours:corrections_grams:max offset 3s")
                yield one
        finally:
            server.stop()


def filled(range_s: float) -> dict[str, str]:
    return {**ALL, "__range": f"{range_s * 1000:.0f}ms", "__rate_interval": "4s"}


def figure(site: Site, dashboard: str, title: str, range_s: float) -> list[float]:
    """What a panel of one query shows."""
    (query,) = [query for query in queries() if (query.dashboard, query.title) == (dashboard, title)]
    return [last(series) for series in answer(site.prometheus, query, filled(range_s))]


def shows_no_nonsense(site: Site, query: Query, range_s: float) -> None:
    """It is answered; a figure, a bar or a cell is a number or is not there."""
    found = answer(site.prometheus, query, filled(range_s))
    if query.kind != "timeseries":
        assert all(math.isfinite(last(series)) for series in found), query


def test_nothing_is_shown_as_nothing(site: Site) -> None:
    for query in queries():
        shows_no_nonsense(site, query, 2)
    for query in variable_queries():
        site.prometheus.label_values(query.filled(filled(2)), query.label)

    for title in ("Late", "Deadlines missed"):
        assert [0] == figure(site, "fleet", title, 2), title
    for title in ("Avoided", "Avoided of the baseline", "Emitted", "Held"):
        assert [] == figure(site, "fleet", title, 2), title


def test_one_job_and_one_run_are_told_at_once(site: Site) -> None:
    """The first row of all began at zero within the range, for the ledger was known, and empty, at its beginning."""
    began_s = site.prometheus.number(NOW)
    site.ledger.record(row("1", emitted=24, avoided={Cause.DELAYED: 8}, kept=False, **PARIS))
    site.show(jobs=1)
    site.prometheus.wait_for("cleanhours:deadline_misses_total:max and on () cleanhours:jobs:max == 1")
    range_s = site.prometheus.number(NOW) - began_s + 1.5

    for query in queries():
        shows_no_nonsense(site, query, range_s)
    assert {
        "Held": [1],
        "Avoided": [1],
        "Emitted": [3],
        "Avoided of the baseline": [0.25],
        "Deadlines missed": [1],
    } == {
        title: figure(site, "fleet", title, range_s)
        for title in ("Held", "Avoided", "Emitted", "Avoided of the baseline", "Deadlines missed")
    }
    assert [1] == figure(site, "live-jobs", "Listed here", range_s)


def test_a_range_longer_than_prometheus_knows_is_left_empty(site: Site) -> None:
    """Rather than to take for what happened within it all that ever happened."""
    site.ledger.record(row("1", emitted=24, avoided={Cause.DELAYED: 8}, cluster="kubernetes"))
    site.prometheus.wait_for("cleanhours:emissions_grams_total:max")

    assert [] == figure(site, "fleet", "Emitted", 24 * 3600)
