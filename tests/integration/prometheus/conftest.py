"""A Prometheus that has scraped the real exposition for a week, and still does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.adapters.exposition import MetricsServer
from cleanhours.adapters.ledger import open_ledger
from cleanhours.domain.accounts import ForecastError, Totals
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.testing.ledger_contract import HOUR
from tests.integration.prometheus.server import (
    SHIPPED,
    Prometheus,
    promtool,
    shipped_configuration,
    started,
)
from tests.integration.prometheus.week import (
    STEP,
    Week,
    grams,
    more_than_a_week_ago,
    snapshot,
    within_the_day,
    within_the_week,
)

DAY = timedelta(days=1)
BLOCK_S = 7200
RULES = SHIPPED / "cleanhours.rules.yaml"


@dataclass(frozen=True, slots=True)
class Watched:
    """The server, and what the ledger itself said a week ago, a day ago and says now."""

    prometheus: Prometheus
    a_week_ago: Totals
    a_day_ago: Totals
    now: Totals
    errors: tuple[ForecastError, ...]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """History in a few stretches, made into blocks as Prometheus would have made them, its recorded series too."""
    folder = tmp_path_factory.mktemp("week")
    now = SystemClock().now().replace(second=0, microsecond=0)
    with closing(open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}")) as ledger:
        week = Week(ledger, now)
        seen: list[Totals] = []
        for entries, stretches in (
            (more_than_a_week_ago, ((-7 * DAY - HOUR / 2, -7 * DAY + HOUR / 2),)),
            (within_the_week, ((-26 * HOUR, -23 * HOUR),)),
            (within_the_day, ((-8 * HOUR, -6 * HOUR), (-3 * HOUR, -HOUR / 10))),
        ):
            week.settle(entries)
            _compare_forecasts(week)
            for begin, end in stretches:
                week.live(now + begin, now + end)
            seen.append(ledger.totals())
        week.write(folder / "history.om")
        promtool(
            "tsdb", "create-blocks-from", "openmetrics", str(folder / "history.om"), str(folder / "data")
        )
        _record(folder, week.stretches)
        week.exposition.show(snapshot(now))
        server = MetricsServer(("127.0.0.1", 0), week.exposition.registry)
        server.start()
        try:
            with started(folder, shipped_configuration(f"127.0.0.1:{server.address[1]}")) as running:
                running.wait_for('up{job="cleanhours"} == 1')
                running.wait_for("time() - timestamp(cleanhours:leader:max) < 5")
                yield Watched(running, seen[0], seen[1], seen[2], tuple(ledger.forecast_errors()))
        finally:
            server.stop()


def _recordable(begin: datetime) -> float:
    """promtool makes blocks of two hours; where none of its evaluations falls into the first, it makes no other either."""
    left = BLOCK_S - begin.timestamp() % BLOCK_S
    return begin.timestamp() + (left if left < STEP.total_seconds() else 0)


def _compare_forecasts(week: Week) -> None:
    """Of both zones a forecast for each lead, and what came: a quarter more."""
    begin = week.now - 2 * DAY
    starts = [begin.replace(minute=0) + n * HOUR for n in range(48)]
    for zone in ("FR", "NO-NO1"):
        actual = [grams(zone, start) for start in starts]
        said = IntensitySeries.of(
            zone, starts, [1.25 * one for one in actual], step=HOUR, provider="csv", issued_at=begin
        )
        week.ledger.record_forecast(said, begin)
        week.ledger.record_actual(
            IntensitySeries.of(zone, starts, actual, step=HOUR, kind=Kind.ACTUAL, provider="csv")
        )


def _record(folder: Path, stretches: list[tuple[datetime, datetime]]) -> None:
    """The recorded series of the past, by the shipped rules, from a server that looks at the blocks."""
    recorded = folder / "recorded"
    with started(folder, {}) as looking:
        for begin, end in stretches:
            promtool(
                "tsdb", "create-blocks-from", "rules", f"--url={looking.url}", f"--output-dir={recorded}",
                f"--start={_recordable(begin):.0f}", f"--end={end.timestamp():.0f}", "--eval-interval=4m", str(RULES),
            )  # fmt: skip
    # not before it has ended: a server that finds blocks in its folder begins to join them with its own
    for block in recorded.iterdir():
        block.rename(folder / "data" / block.name)
