"""Two controllers, and the network of the one that leads is cut: one writes at any time, and no Job is late for it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cleanhours.domain.times import parse_instant
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.crowds import Life, Server, all_over, due_at, held_job, jobs_of, lives_of
from tests.integration.kubernetes.fault_proxy import FaultProxy
from tests.integration.kubernetes.product import CLEAN, Product, Running, a_product, now, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RUN = timedelta(seconds=1)
MARGIN = timedelta(seconds=60)
"""Half of what is usual: a dead leader costs a quarter of a minute, and the machine may be busy."""
JOBS, EVERY_S = 22, 2
NAMES = ("one", "two")


@dataclass
class Machine:
    """A controller with an account of its own, and the only way from it to the API server."""

    name: str
    proxy: FaultProxy
    product: Product

    def start(self) -> Running:
        return self.product.start(name=self.name)


@dataclass
class Site:
    plane: ControlPlane
    namespace: str
    server: Server
    machines: tuple[Machine, Machine]

    def holder(self) -> str:
        """Who has the Lease, or had it last; empty when nobody did."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        return "".join(one["spec"].get("holderIdentity") or "" for one in self.server.items(path))

    def lives(self) -> dict[str, Life]:
        return lives_of(self.server, self.namespace)

    def started(self, number: int) -> bool:
        jobs = self.server.items(jobs_of(self.namespace))
        return sum("startTime" in job["status"] for job in jobs) >= number

    def writes(self) -> list[tuple[datetime, str, str]]:
        """When which of the two wrote what, as the API server noted it, in order of time.

        Refused ones count too, but for the Lease: a bid for it that comes too late is how one learns that it is lost.
        """
        users = {f"system:serviceaccount:{self.namespace}:{name}": name for name in NAMES}
        found = []
        for line in self.plane.audit_log.read_text("utf-8").splitlines():
            if self.namespace not in line:
                continue
            entry = json.loads(line)
            user, code = users.get(entry["user"]["username"]), entry["responseStatus"]["code"]
            late_bid = "/leases/" in entry["requestURI"] and code >= 300
            if user is None or entry["verb"] in ("get", "list", "watch") or late_bid:
                continue
            what = f"{entry['verb']} {entry['requestURI']} {code}"
            found.append((parse_instant(entry["stageTimestamp"]), user, what))
        return sorted(found)


@pytest.fixture
def site(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Site]:
    """Each with full rights, told apart by their accounts."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace} for name in NAMES],
    }
    accounts = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
        for name in NAMES
    ]
    control_plane.apply(binding, *accounts)
    write_grid(tmp_path / "grid.csv", DE=[CLEAN], FR=[CLEAN])
    try:
        with ExitStack() as stack:
            margin = f"{MARGIN.total_seconds():.0f}s"
            product = stack.enter_context(a_product(control_plane, namespace, tmp_path, margin=margin))
            machines = []
            for name in NAMES:
                proxy = stack.enter_context(FaultProxy(control_plane.kubeconfig))
                way = proxy.kubeconfig(tmp_path / f"{name}.kubeconfig", control_plane.token(name, namespace))
                settings = product.settings.replace(str(control_plane.kubeconfig), str(way))
                machines.append(Machine(name, proxy, replace(product, settings=settings)))
            stack.callback(product.end)  # before their ways are closed
            yield Site(control_plane, namespace, Server(control_plane.kubeconfig), (machines[0], machines[1]))
    finally:
        control_plane.kubectl("delete", "clusterrolebinding", namespace, "--wait=false", check=False)


def test_whoever_is_cut_off_has_written_his_last_before_the_other_begins(site: Site) -> None:
    """The lead goes from one to two, who never answers any more, and back, as the connections of two are broken."""
    one, two = site.machines
    one.start()
    leader = site.holder()
    assert leader
    second = two.start()
    assert leader == site.holder()
    first_due = now() + timedelta(seconds=6)
    jobs = [
        held_job(f"job-{number}", due_at(first_due + number * timedelta(seconds=EVERY_S), RUN, MARGIN))
        for number in range(JOBS)
    ]
    site.server.create_all(site.namespace, jobs)

    for done, (leading, how) in zip((2, 12), ((one, "swallow"), (two, "reset")), strict=True):
        wait(lambda done=done: site.started(done))  # type: ignore[misc]
        holder = site.holder()
        leading.proxy.cut(how)
        wait(lambda holder=holder: site.holder() not in ("", holder))  # type: ignore[misc]
        leading.proxy.heal()

    wait(lambda: all_over(site.lives().values()), 120)
    assert 0 == second.leave()
    lives = site.lives()
    assert JOBS == len(lives)
    assert [] == [fault for life in lives.values() for fault in life.faults]
    writes = site.writes()
    turns = [user for user, _ in itertools.groupby(user for _, user, _ in writes)]
    assert ["one", "two", "one"] == turns, writes
