"""kill -9 of the leader, and another one leads: to Prometheus no total ever falls, and in the end it is the ledger's."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from cleanhours.adapters.exposition.families import FAMILIES, Kind, Teller
from cleanhours.adapters.ledger import SqlLedger, open_ledger
from tests.conftest import REPOSITORY
from tests.flow.command_line import Shell
from tests.integration.prometheus.server import patiently, shipped_configuration, started
from tests.postgres import Postgres, postgres_server

__all__ = ["postgres_server"]
pytestmark = [pytest.mark.integration, pytest.mark.slow]

COUNTERS = [
    f"cleanhours:{family.name}:max"
    for family in FAMILIES.values()
    if family.kind is Kind.COUNTER and family.teller is Teller.LEDGER
]
RUNS = "sum(cleanhours:energy_joules_total:max) / 3600"
"""Each of them used 3,600 J."""

LEADING = "tests.integration.prometheus.leading"


class Controller:
    """One of several processes on one ledger."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._told: IO[str] = process.stdin
        self.target = f"127.0.0.1:{int(process.stdout.readline())}"

    def lead(self) -> None:
        self._told.write("lead\n")
        self._told.flush()


@contextmanager
def controller(url: str, name: str) -> Iterator[Controller]:
    command = [sys.executable, "-m", LEADING, url, name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        try:
            yield Controller(process)
        finally:
            process.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.new_database()


def test_totals_go_on_where_the_killed_leader_stopped(url: str, tmp_path: Path) -> None:
    open_ledger(url).close()  # the tables, before three make them at once
    with ExitStack() as stack:
        controllers = [stack.enter_context(controller(url, name)) for name in ("a", "b", "c")]
        configuration = shipped_configuration("")
        targets = [one.target for one in controllers]
        configuration["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
        prometheus = stack.enter_context(started(tmp_path, configuration))
        prometheus.wait_for('count(up{job="cleanhours"} == 1) == 3')
        counted = 0.0
        for one in controllers:
            one.lead()
            prometheus.wait_for(f"{RUNS} > {counted + 60}")
            counted = prometheus.number(RUNS)
            if one is not controllers[-1]:
                one.process.kill()
                one.process.wait()
        controllers[-1].process.kill()
        controllers[-1].process.wait()

        for name in COUNTERS:
            (changes,) = prometheus.ask(f"sum(changes({name}[10m]))")
            assert float(changes["value"][1]) >= len(controllers), name
            assert 0 == prometheus.number(f"sum(resets({name}[10m]))"), name
        last = prometheus.number("sum(last_over_time(cleanhours:energy_joules_total:max[10m]))")

    with closing(open_ledger(url)) as ledger:
        settled = sum(total.millijoules for total in ledger.totals().counted) / 1e3
        assert counted * 3600 <= last <= settled
        assert settled == 3600 * len(ledger.current())


SETTINGS = """
[forecasts]
chain = ["climatology"]
[metrics]
listen = "127.0.0.1:{port}"
[planning]
tick = "1s"
"""


def test_what_a_killed_controller_told_the_next_one_tells_too(tmp_path: Path) -> None:
    """`cleanhours controller` itself, killed again and again while jobs of one machine run and are settled.

    On typical values, for those are known at once: such rows count as energy, and as no emissions.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shell = Shell(tmp_path, SETTINGS.format(port=port))
    energy = "sum(last_over_time(cleanhours:energy_joules_total:max[10m]))"
    with ExitStack() as stack:
        prometheus = stack.enter_context(started(tmp_path, shipped_configuration(f"127.0.0.1:{port}")))
        ledger = stack.enter_context(closing(open_ledger(f"sqlite:///{shell.state / 'ledger.sqlite'}")))
        for settled in (2, 4, 6):
            process = shell.start("controller")
            try:
                for _ in range(2):
                    shell.run("submit", "--duration", "1s", "--power", "3600W", "--", "sleep", "0.3")
                patiently(partial(_has, ledger, settled), f"{settled} rows")
                prometheus.wait_for(f"{energy} > {_joules(ledger) * (1 - 1e-9)}")
            finally:
                process.kill()
                process.communicate()
        assert prometheus.number(energy) == pytest.approx(_joules(ledger))
        for name in COUNTERS:
            assert 0 == sum(float(one["value"][1]) for one in prometheus.ask(f"resets({name}[10m])")), name
        (changes,) = prometheus.ask("sum(changes(cleanhours:energy_joules_total:max[10m]))")
        assert float(changes["value"][1]) >= 2


def _has(ledger: SqlLedger, rows: int) -> bool:
    return len(ledger.current()) == rows


def _joules(ledger: SqlLedger) -> float:
    return sum(one.millijoules for one in ledger.totals().counted) / 1e3
