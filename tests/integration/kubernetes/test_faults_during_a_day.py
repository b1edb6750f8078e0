"""A day of Jobs behind a network that does all the harm there is: every Job starts by its latest start, once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.domain.times import parse_instant
from cleanhours_plugins.clusters.kubernetes import words
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.crowds import Object, Server, all_over, held_job, jobs_of, lives_of
from tests.integration.kubernetes.fault_proxy import FaultProxy
from tests.integration.kubernetes.product import CLEAN, DIRTY, Product, a_product, now, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = [pytest.mark.integration, pytest.mark.slow]

JOBS, EVERY_S = 22, 1
PATIENCE = timedelta(seconds=70)
"""How long a Job may wait: a request that is never answered is given up after half a minute."""
USUAL = {"max-delay": f"{PATIENCE.total_seconds():.0f}s", "duration": "1s", "power": "1000W"}
EXPIRED = {
    "type": "ERROR",
    "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"},
}


@dataclass
class Day:
    namespace: str
    product: Product
    proxy: FaultProxy
    server: Server


@pytest.fixture
def day(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Day]:
    """Every fourth second is clean, and each a little less than the one before: a Job takes the next one it can have."""
    begun = [CLEAN + second / 10 if second % 4 == 0 else DIRTY for second in range(240)]
    write_grid(tmp_path / "grid.csv", DE=[*begun, DIRTY], FR=[DIRTY])
    with (
        FaultProxy(control_plane.kubeconfig) as proxy,
        a_product(control_plane, namespace, tmp_path) as product,
    ):
        way = proxy.kubeconfig(tmp_path / "kubeconfig")
        settings = product.settings.replace(str(control_plane.kubeconfig), str(way))
        yield Day(namespace, replace(product, settings=settings), proxy, Server(control_plane.kubeconfig))
        product.end()  # while there is a way


def harm(proxy: FaultProxy) -> list[tuple[str, Callable[[], object]]]:
    """All that is done, by the name that the proxy's record gives it."""

    def on_watches(act: Callable[[], None]) -> Callable[[], None]:
        def broken_first() -> None:
            act()
            proxy.drop("watch=true")

        return broken_first

    return [
        ("", lambda: setattr(proxy, "latency_s", 0.3)),
        ("", lambda: setattr(proxy, "latency_s", 0.0)),
        ("answer 409", lambda: proxy.answer(409, 3, "PATCH", "/jobs/")),
        ("answer 410", on_watches(lambda: proxy.answer(410, 3, "GET", "watch=true"))),
        ("script", on_watches(lambda: proxy.script([EXPIRED], 2))),
        ("answer 429", lambda: proxy.answer(429, 3, retry_after_s=1)),
        ("answer 500", lambda: proxy.answer(500, 5)),
        ("answer 500", lambda: proxy.answer(500, 3, "PATCH", "/jobs/")),
        ("reset", lambda: proxy.reset(3)),
        ("reset", lambda: proxy.reset(2, "PATCH", "/jobs/", after=True)),
        ("swallow", lambda: proxy.swallow(1, "PATCH", "/jobs/")),
    ]


@pytest.mark.parametrize("seed", [4])
def test_no_job_starts_late_or_twice_whatever_the_network_does(day: Day, seed: int) -> None:
    running = day.product.start()
    chance = random.Random(seed)
    faults = harm(day.proxy)
    chance.shuffle(faults)
    for number in range(JOBS):
        instant = now() + timedelta(seconds=EVERY_S)
        day.server.create_all(day.namespace, [held_job(f"job-{number}", USUAL)])
        if number % 2 == 0 and faults:
            faults.pop()[1]()
        wait(lambda instant=instant: now() >= instant)  # type: ignore[misc]
    assert [] == faults

    day.proxy.latency_s = 0.0
    wait(lambda: all_over(lives_of(day.server, day.namespace).values()), 120)
    assert running.process.poll() is None
    jobs = {job["metadata"]["name"]: job for job in day.server.items(jobs_of(day.namespace))}
    lives = lives_of(day.server, day.namespace)
    assert JOBS == len(lives)
    assert [] == [fault for life in lives.values() for fault in life.faults]
    late = {
        name: (jobs[name]["metadata"]["creationTimestamp"], life.started)
        for name, life in lives.items()
        if life.started is None or life.started > created(jobs[name]) + PATIENCE + timedelta(seconds=1)
    }
    assert {} == late
    done = {one.fault for one in day.proxy.requests}
    assert {name for name, _ in harm(day.proxy)} <= done


def test_a_watch_that_fell_silent_costs_no_held_job_its_start(day: Day) -> None:
    """Half-open: nothing is heard any more, and nothing says so."""
    running = day.product.start()
    names = [f"job-{number}" for number in range(4)]
    wishes = {**USUAL, "max-delay": "10s", "policy": "deadline-only"}
    day.server.create_all(day.namespace, [held_job(name, wishes) for name in names])
    for name in names:
        day.product.planned(name)
    day.proxy.freeze("watch=true")
    wait(lambda: all_over(lives_of(day.server, day.namespace).values()))
    writes = len(day.proxy.writes("/jobs/"))
    instant = now() + timedelta(seconds=3)
    wait(lambda: now() >= instant)  # ticks that know nothing new
    assert writes == len(day.proxy.writes("/jobs/"))
    lives = lives_of(day.server, day.namespace)
    assert [] == [fault for life in lives.values() for fault in life.faults]
    for job in day.server.items(jobs_of(day.namespace)):
        latest = created(job) + timedelta(seconds=10)
        started = lives[job["metadata"]["name"]].started
        assert started is not None
        assert timedelta(0) <= started - latest <= timedelta(seconds=3)
        assert words.Mark.RELEASED.value == job["metadata"]["annotations"][words.STATE]
    assert running.process.poll() is None


def created(job: Object) -> datetime:
    return parse_instant(job["metadata"]["creationTimestamp"])
