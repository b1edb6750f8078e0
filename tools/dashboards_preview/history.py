"""Two weeks of the made-up fleet as the real exposition would have told them, in a Prometheus' data folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest

from cleanhours.adapters.exposition import Exposition, PrometheusTelemetry
from cleanhours.adapters.ledger import open_ledger
from cleanhours.domain.accounts import Settled
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.ports import Ledger
from cleanhours.testing.ledger_contract import HOUR
from tests.dashboards import rules
from tests.integration.prometheus.server import promtool, started
from tools.dashboards_preview.fleet import (
    CLUSTERS,
    FINAL_AFTER,
    LOCATIONS,
    ZONES,
    Story,
    forecast,
    grams,
    snapshot,
    stories,
)

SPAN: Final = timedelta(days=14, hours=2)
"""Twice the week that is drawn: totals of a week are compared with a week before."""

STEP: Final = timedelta(minutes=4)
"""Between two scrapes."""

LOOKING_BACK: Final = f"--query.lookback-delta={STEP // timedelta(milliseconds=1) - 1}ms"
"""Not to the scrape before: files for promtool cannot say that a series has ended."""


def fill(folder: Path, now: datetime) -> None:
    """Blocks of everything up to `now`, a whole minute, and of the recorded series, as the shipped rules make them."""
    begin = now - SPAN
    history = folder / "history.om"
    with closing(open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}")) as ledger:
        for told in _days(ledger, begin, now):
            history.write_bytes(generate_latest(_Told(told)))  # type: ignore[no-untyped-call]
            promtool("tsdb", "create-blocks-from", "openmetrics", str(history), str(folder / "data"))
    _record(folder, begin, now)


def _record(folder: Path, begin: datetime, now: datetime) -> None:
    """One rule after the other: each takes promtool half a minute."""
    recorded, one = folder / "recorded", folder / "rule.yaml"
    with started(folder, {}, LOOKING_BACK) as looking:
        for rule in rules():
            if "record" in rule:
                one.write_text(
                    json.dumps({"groups": [{"name": "one", "rules": [rule]}]}), "utf-8"
                )  # JSON is YAML
                promtool(
                    "tsdb", "create-blocks-from", "rules", f"--url={looking.url}", f"--output-dir={recorded}",
                    f"--start={begin.timestamp():.0f}", f"--end={now.timestamp():.0f}", "--eval-interval=4m", str(one),
                )  # fmt: skip
    # not before it has ended: a server that finds blocks in its folder begins to join them with its own
    for block in recorded.iterdir():
        block.rename(folder / "data" / block.name)


class _Told:
    def __init__(self, metrics: dict[str, Metric]) -> None:
        self.collect = metrics.values


def _days(ledger: Ledger, begin: datetime, now: datetime) -> Iterator[dict[str, Metric]]:
    """Every sample of every scrape, by metric, a day at a time: promtool reads all of a file for every two hours in it."""
    telemetry = PrometheusTelemetry()
    exposition = Exposition(ledger, telemetry, clusters=CLUSTERS, places=len(LOCATIONS))
    fleet = list(stories((begin - 2 * timedelta(days=1)).replace(minute=0), now))
    told: dict[str, Metric] = {}
    instant, before = begin, begin - 4 * timedelta(days=1)
    while instant <= now:
        _happen(ledger, telemetry, fleet, before, instant)
        exposition.show(snapshot(fleet, instant))
        for metric in exposition.collect():
            kept = told.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                labels = {"job": "cleanhours", "instance": "controller:9464", **sample.labels}
                kept.add_sample(sample.name, labels, sample.value, instant.timestamp())
        before, instant = instant, instant + STEP
        if before.date() != instant.date() or instant > now:
            yield told
            told = {}


def _happen(
    ledger: Ledger, telemetry: PrometheusTelemetry, fleet: list[Story], before: datetime, now: datetime
) -> None:
    """What starts, ends, becomes final and is forecast within (before, now]."""
    for story in fleet:
        if before < story.start <= now:
            telemetry.count("decisions_total", cluster=story.cluster, reason=story.reason.value)
            delay = (story.start - story.submitted).total_seconds()
            telemetry.observe("start_delay_seconds", delay, cluster=story.cluster)
            telemetry.observe("release_lag_seconds", 0.1 + story.uid % 7 / 4, cluster=story.cluster)
        if before < story.end <= now:
            ledger.record(story.settled(Settled.PROVISIONAL))
        if before < story.end + FINAL_AFTER <= now:
            ledger.record(story.settled(Settled.FINAL))
    for provider in ("csv", "neso", "neso"):  # of the one both what is to come and what was
        telemetry.count("provider_requests_total", provider=provider, outcome="ok")
    if before.hour == now.hour:
        return
    hour = now.replace(minute=0)
    for zone in ZONES:
        foreseen = forecast(zone, now)
        ledger.record_forecast(foreseen, hour)
        starts = [hour - n * HOUR for n in range(48, 0, -1)]
        values = [grams(zone, int(start.timestamp()) // 3600) for start in starts]
        ledger.record_actual(
            IntensitySeries.of(zone, starts, values, step=HOUR, kind=Kind.ACTUAL, provider=foreseen.provider)
        )
