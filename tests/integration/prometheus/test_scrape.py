"""A real Prometheus scrapes a real ledger, and tells the same figures; promtool finds nothing to improve."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from urllib.request import urlopen  # noqa: TID251 - asks Prometheus, as a dashboard would

import pytest

from cleanhours.adapters.exposition import Exposition, MetricsServer, PrometheusTelemetry
from cleanhours.adapters.ledger import SqlLedger, open_ledger
from cleanhours.domain.accounts import Settled
from cleanhours.domain.intensity import IntensitySeries, Kind
from cleanhours.domain.jobs import Job, JobKey, JobState
from cleanhours.domain.locations import Location, Room
from cleanhours.domain.requests import JobRequest
from cleanhours.domain.resources import Capacity
from cleanhours.domain.snapshots import Snapshot
from cleanhours.testing.ledger_contract import HOUR, START, a_plan, an_entry
from tests.conftest import require_component
from tests.integration.prometheus.server import HINT, Prometheus, started

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlLedger]:
    with closing(open_ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite'}")) as ledger:
        for n in range(40):
            ledger.record(
                an_entry(str(n), namespace=f'team {n % 3}\\"', avoided=n - 10, deadline_kept=n % 9 > 0)
            )
        ledger.record(an_entry("typical", settled=Settled.TYPICAL))
        ledger.record(an_entry("open", settled=Settled.PROVISIONAL))
        ledger.record(an_entry("1", namespace='team 1\\"', avoided=50))
        yield ledger


@pytest.fixture(scope="module")
def server(ledger: SqlLedger) -> Iterator[MetricsServer]:
    """Every family has a value."""
    telemetry = PrometheusTelemetry()
    telemetry.count("decisions_total", cluster="local", reason="lowest-window")
    telemetry.count("provider_requests_total", provider="neso", outcome="ok")
    telemetry.observe("start_delay_seconds", 3600, cluster="local")
    telemetry.observe("release_lag_seconds", 0.2, cluster="local")
    telemetry.set("watch_age_seconds", 1, kind="jobs")
    exposition = Exposition(ledger, telemetry, clusters=["local"])
    starts = [START + n * HOUR for n in range(48)]
    series = IntensitySeries.of("GB", starts, [100] * 48, step=HOUR, provider="neso", issued_at=START)
    ledger.record_forecast(series, START)
    actual = IntensitySeries.of("GB", starts, [80] * 48, step=HOUR, kind=Kind.ACTUAL, provider="neso")
    ledger.record_actual(actual)
    job = Job(
        key=JobKey("local", "1"),
        name="train\n\x1b[31m",
        namespace="ada",
        state=JobState.HELD,
        request=JobRequest(submitted=START),
        home="home",
        plan=a_plan(),
    )
    rooms = {"home": Room(Location("home", "GB", capacity=Capacity(8000, 2**30, 1, 4)))}
    now = START + timedelta(minutes=3)
    exposition.show(Snapshot(now=now, jobs=(job,), rooms=rooms, series={"GB": series}))
    server = MetricsServer(("127.0.0.1", 0), exposition.registry)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def prometheus(server: MetricsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    target = f"127.0.0.1:{server.address[1]}"
    configuration = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "cleanhours", "static_configs": [{"targets": [target]}]}],
    }
    with started(tmp_path_factory.mktemp("prometheus"), configuration) as running:
        running.wait_for('up{job="cleanhours"} == 1')
        running.wait_for("cleanhours_leader == 1")
        yield running


def test_prometheus_tells_the_ledgers_figures(prometheus: Prometheus, ledger: SqlLedger) -> None:
    totals = ledger.totals()
    sums = {
        "cleanhours_energy_joules_total": sum(total.millijoules for total in totals.counted) / 1e3,
        "cleanhours_emissions_grams_total": sum(total.emissions_ug for total in totals.counted) / 1e6,
        "cleanhours_emissions_baseline_grams_total": sum(total.baseline_ug for total in totals.counted) / 1e6,
        "cleanhours_emissions_avoided_grams": sum(total.avoided_ug for total in totals.avoided) / 1e6,
        "cleanhours_energy_avoided_joules": sum(total.energy_avoided_mj for total in totals.avoided) / 1e3,
        "cleanhours_corrections_grams": totals.corrections_ug / 1e6,
        "cleanhours_deadline_misses_total": sum(totals.deadline_misses.values()),
    }
    assert all(sums[name] for name in sums if name != "cleanhours_energy_avoided_joules")
    found = {name: prometheus.number(f"sum({name})") for name in sums}
    assert pytest.approx(sums) == found


def test_each_namespace_is_told_apart(prometheus: Prometheus, ledger: SqlLedger) -> None:
    expected: dict[str, float] = {}
    for total in ledger.totals().counted:
        expected[total.namespace] = expected.get(total.namespace, 0.0) + total.emissions_ug / 1e6
    answer = prometheus.ask("sum by (namespace) (cleanhours_emissions_grams_total)")
    assert pytest.approx(expected) == {one["metric"]["namespace"]: float(one["value"][1]) for one in answer}


def test_live_values_arrive(prometheus: Prometheus) -> None:
    assert 100 == prometheus.number('cleanhours_carbon_intensity_grams_per_kwh{zone="GB", lead="0h"}')
    assert 180 == prometheus.number("cleanhours_forecast_age_seconds")
    assert 0.25 == prometheus.number('cleanhours_forecast_error_ratio{lead="24h"}')
    assert 1 == prometheus.number('cleanhours_job_state{exported_job=~"train.*"}')
    assert 3600 >= prometheus.number("histogram_quantile(0.5, cleanhours_start_delay_seconds_bucket)")


def test_promtool_finds_nothing_to_improve(server: MetricsServer) -> None:
    promtool = require_component("promtool", HINT)
    with urlopen(f"http://127.0.0.1:{server.address[1]}/metrics", timeout=5) as answer:
        text = answer.read()
    assert b"# TYPE cleanhours_emissions_avoided_grams gauge" in text
    done = subprocess.run([str(promtool), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (0, "") == (done.returncode, (done.stdout + done.stderr).decode())
