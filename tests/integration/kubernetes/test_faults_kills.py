"""kill -9 of the controller, again and again, at any moment: every Job runs once, finishes in time, is accounted once."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.crowds import Server, all_over, due_at, held_job, jobs_of, lives_of
from tests.integration.kubernetes.product import CLEAN, Product, a_product, now, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = [pytest.mark.integration, pytest.mark.slow]

JOBS, KILLS = 200, 50
RUN = timedelta(seconds=1)
SHORTEST_MARGIN_S, MARGIN_DEATHS = 90.0, 40
"""A release may be late by so many deaths: two of three die before they have done anything, and the machine may slow down."""
LONGEST_S = 5.0
"""How long one that has nothing to do may live."""


@dataclass(frozen=True)
class Pace:
    """How fast this machine is at this moment: until a controller leads, and from then until it has released what is due."""

    starting_s: float
    acting_s: float

    @property
    def death_s(self) -> float:
        """From one death to the next, on average."""
        return self.starting_s * (1 / 3 / 2 + 2 / 3) + self.acting_s

    @property
    def margin(self) -> timedelta:
        return timedelta(seconds=round(max(SHORTEST_MARGIN_S, MARGIN_DEATHS * self.death_s)))


@dataclass
class Victims:
    """Controllers of one machine, one after the other."""

    product: Product
    server: Server
    died_leading: int = 0
    died_at_work: int = 0

    def spawn(self) -> subprocess.Popen[bytes]:
        shell = self.product.shell()
        with self._log.open("ab") as log:
            return subprocess.Popen(
                shell.command("controller"), cwd=shell.folder, env=shell.environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def one_more(self, chance: random.Random, pace: Pace) -> None:
        """Starts one and kills it: a third of them while they start, a third from when they lead, a third at work."""
        done = self._releases()
        process = self.spawn()
        try:
            self._await_a_moment(process, chance, pace, done)
            assert process.poll() is None, self._log.read_text("utf-8")[-2000:]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.died_at_work += self._releases() > done
        if self.holder():
            self.died_leading += 1
            self.expire()

    def _await_a_moment(
        self, process: subprocess.Popen[bytes], chance: random.Random, pace: Pace, done: int
    ) -> None:
        which = chance.randrange(3)
        if which == 0:
            time.sleep(chance.random() * pace.starting_s)
            return
        wait(lambda: bool(self.holder()) or process.poll() is not None)
        if which == 2:
            patient_until_s = time.monotonic() + LONGEST_S  # all may be released by now
            wait(lambda: self._releases() > done or time.monotonic() > patient_until_s)
        time.sleep(chance.random() * pace.acting_s)

    def measure(self, name: str) -> Pace:
        """One that finds a job due, and is killed when that is released."""
        begun_s = time.monotonic()
        process = self.spawn()
        wait(lambda: bool(self.holder()))
        led_s = time.monotonic()
        wait(lambda: "startTime" in self.server.ask("GET", jobs_of(self._namespace, name))["status"])
        pace = Pace(led_s - begun_s, time.monotonic() - led_s)
        process.kill()
        process.wait()
        self.expire()
        return pace

    def holder(self) -> str:
        spaces = self._lease.rpartition("/")[0]
        return "".join(one["spec"].get("holderIdentity") or "" for one in self.server.items(spaces))

    def expire(self) -> None:
        """What the death of a leader would bring about in a quarter of a minute: he is nobody's leader any more."""
        self.server.patch(self._lease, {"spec": {"holderIdentity": ""}})

    def _releases(self) -> int:
        return self._log.read_text("utf-8").count(" release cluster=") if self._log.exists() else 0

    @property
    def _namespace(self) -> str:
        return self.product.owner.namespace

    @property
    def _log(self) -> Path:
        return self.product.folder / "victims.log"

    @property
    def _lease(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases/cleanhours"


@pytest.fixture
def server(control_plane: ControlPlane) -> Server:
    return Server(control_plane.kubeconfig)


@pytest.fixture
def pace(control_plane: ControlPlane, namespace: str, tmp_path: Path, server: Server) -> Pace:
    """As seen on one job, which is gone again."""
    folder = tmp_path / "pace"
    folder.mkdir()
    write_grid(folder / "grid.csv", DE=[CLEAN], FR=[CLEAN])
    with a_product(control_plane, namespace, folder) as product:
        server.create_all(namespace, [held_job("first", {"max-delay": "0s", "duration": "1s"})])
        pace = Victims(product, server).measure("first")
    control_plane.kubectl("delete", "job", "first", "-n", namespace)
    return pace


@pytest.fixture
def product(control_plane: ControlPlane, namespace: str, tmp_path: Path, pace: Pace) -> Iterator[Product]:
    write_grid(tmp_path / "grid.csv", DE=[CLEAN], FR=[CLEAN])
    margin = f"{pace.margin.total_seconds():.0f}s"
    with a_product(control_plane, namespace, tmp_path, margin=margin) as product:
        yield product


@pytest.mark.parametrize("seed", [7])
def test_two_hundred_jobs_survive_fifty_deaths_of_their_controller(
    product: Product, namespace: str, server: Server, pace: Pace, seed: int
) -> None:
    """Some are due all the time, for as long as the dying goes on, however fast this machine is."""
    chance = random.Random(seed)
    victims = Victims(product, server)
    for death in range(KILLS):
        due = [now() + timedelta(seconds=chance.random() * 3 * pace.death_s) for _ in range(JOBS // KILLS)]
        server.create_all(
            namespace,
            [held_job(f"job-{death}-{one}", due_at(at, RUN, pace.margin)) for one, at in enumerate(due)],
        )
        victims.one_more(chance, pace)
    last = product.start()

    wait(lambda: all_over(lives_of(server, namespace).values()), 180)
    assert 0 == last.leave()
    lives = lives_of(server, namespace)
    assert JOBS == len(lives)
    assert [] == [fault for life in lives.values() for fault in life.faults]
    assert KILLS / 2 <= victims.died_leading
    assert KILLS / 6 <= victims.died_at_work
    shell = product.shell()
    shell.run("controller", "--once")
    rows = shell.json("report")["runs"]
    ours = [row for row in rows if row["job"] in lives]
    assert sorted(lives) == sorted(row["job"] for row in ours)
    assert all(row["deadline_kept"] for row in ours)
