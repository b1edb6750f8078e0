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
from tests.integration.kubernetes.crowds import Server, all_over, due_at, held_job, lives_of
from tests.integration.kubernetes.product import CLEAN, Product, a_product, now, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = [pytest.mark.integration, pytest.mark.slow]

JOBS, KILLS = 200, 50
RUN = timedelta(seconds=1)
MARGIN = timedelta(seconds=60)
ACTING_S = 0.7
"""How long a controller acts at most before it is killed, from when it leads."""


@dataclass
class Victims:
    """Controllers of one machine, one after the other."""

    product: Product
    server: Server
    namespace: str
    died_leading: int = 0

    def __post_init__(self) -> None:
        shell = self.product.shell()
        self._command = shell.command("controller"), shell.folder, shell.environment()
        self._lease = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/cleanhours"

    def holder(self) -> str:
        spaces = self._lease.rpartition("/")[0]
        return "".join(one["spec"].get("holderIdentity") or "" for one in self.server.items(spaces))

    def one_more(self, chance: random.Random, starting_s: float) -> None:
        """Starts one and kills it: a third of them while they start, the others while they lead."""
        words, folder, environment = self._command
        with (folder / "victims.log").open("ab") as log:
            process = subprocess.Popen(
                words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            if chance.random() < 1 / 3:
                time.sleep(chance.random() * starting_s)
            else:
                wait(lambda: bool(self.holder()) or process.poll() is not None)
                time.sleep(chance.random() * ACTING_S)
            assert process.poll() is None, (folder / "victims.log").read_text("utf-8")[-2000:]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if self.holder():
            self.died_leading += 1
            self.expire()

    def expire(self) -> None:
        """What the death of a leader would bring about in a quarter of a minute: he is nobody's leader any more."""
        self.server.patch(self._lease, {"spec": {"holderIdentity": ""}})


@pytest.fixture
def product(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Product]:
    write_grid(tmp_path / "grid.csv", DE=[CLEAN], FR=[CLEAN])
    margin = f"{MARGIN.total_seconds():.0f}s"
    with a_product(control_plane, namespace, tmp_path, margin=margin) as product:
        yield product


@pytest.mark.parametrize("seed", [7])
def test_two_hundred_jobs_survive_fifty_deaths_of_their_controller(
    product: Product, control_plane: ControlPlane, namespace: str, seed: int
) -> None:
    """Due all the time, and for as long as the dying goes on, however fast this machine starts a controller."""
    begun = time.monotonic()
    product.start().leave()
    starting_s = time.monotonic() - begun
    span = timedelta(seconds=KILLS * (starting_s * 5 / 6 + ACTING_S / 3))
    chance = random.Random(seed)
    first = now() + timedelta(seconds=5)
    jobs = [
        held_job(f"job-{number}", due_at(first + chance.random() * span, RUN, MARGIN))
        for number in range(JOBS)
    ]
    server = Server(control_plane.kubeconfig)
    server.create_all(namespace, jobs)

    victims = Victims(product, server, namespace)
    for _ in range(KILLS):
        victims.one_more(chance, starting_s)
    last = product.start()

    wait(lambda: all_over(lives_of(server, namespace).values()), 180)
    assert 0 == last.leave()
    assert KILLS / 2 <= victims.died_leading
    lives = lives_of(server, namespace)
    assert JOBS == len(lives)
    assert [] == [fault for life in lives.values() for fault in life.faults]
    shell = product.shell()
    shell.run("controller", "--once")
    rows = shell.json("report")["runs"]
    assert sorted(lives) == sorted(row["job"] for row in rows)
    assert all(row["deadline_kept"] for row in rows)
