"""Somebody sets the clock of the controller's machine two hours on or back: it keeps the lead, and no Job is late for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.times import parse_instant
from tests.conftest import require_component
from tests.integration.faults.test_clock_steps import SteppedShell
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.fault_proxy import FaultProxy
from tests.integration.kubernetes.product import CLEAN, Product, Running, a_product, now, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = [pytest.mark.integration, pytest.mark.slow]

HOURS_S = 7200
NOTICED_S = 12
"""A step is noticed within five seconds, and a busy machine takes its time."""


@dataclass
class SteppedProduct(Product):
    """Its machines have a clock of their own."""

    def shell(self, name: str = "first") -> SteppedShell:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        shell = SteppedShell(place, self.settings)
        if not (place / "offset").exists():
            shell.step(0)
        return shell

    def start(self, *flags: str, name: str = "first") -> Running:
        """Under libfaketime a short sleep ends in EINVAL where a busy machine lets its end pass before it begins."""
        for _ in range(4):
            try:
                return super().start(*flags, name=name)
            except AssertionError as ended:
                if "[Errno 22] Invalid argument" not in str(ended):
                    raise
        return super().start(*flags, name=name)


@pytest.fixture
def product(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[SteppedProduct]:
    """Through a proxy, in the clear: the server's certificate is younger than two hours."""
    require_component("faketime", "apt-get install faketime")
    write_grid(tmp_path / "grid.csv", DE=[CLEAN], FR=[CLEAN])
    with (
        FaultProxy(control_plane.kubeconfig) as proxy,
        a_product(control_plane, namespace, tmp_path) as product,
    ):
        way = proxy.kubeconfig(tmp_path / "kubeconfig")
        settings = product.settings.replace(str(control_plane.kubeconfig), str(way))
        stepped = SteppedProduct(product.owner, product.folder, settings)
        yield stepped
        stepped.end()


@pytest.mark.parametrize("step_s", [HOURS_S, -HOURS_S])
def test_a_stepped_clock_costs_nobody_the_lead_and_makes_no_job_late(
    product: SteppedProduct, control_plane: ControlPlane, namespace: str, step_s: int
) -> None:
    """On a clock set on, an hour and a half is over at once. On one set back, nobody knows how long it waits already: it
    waits no longer."""
    running = product.start()
    led = product.object("cleanhours", "lease")["spec"]
    delay = timedelta(minutes=90) if step_s > 0 else timedelta(seconds=20)
    wishes = {"max-delay": f"{delay.total_seconds():.0f}s", "duration": "1s", "policy": "deadline-only"}
    product.owner.apply("train", "1s", wishes)
    product.planned("train")

    product.shell().step(step_s)
    stepped_at = now()
    wait(lambda: f"clock stepped seconds={step_s}" in running.said)

    job = product.finished("train")
    created, started = (
        parse_instant(text) for text in (job["metadata"]["creationTimestamp"], job["status"]["startTime"])
    )
    latest = stepped_at if step_s > 0 else max(stepped_at, created + delay)
    assert started <= latest + timedelta(seconds=NOTICED_S)
    assert running.process.poll() is None
    assert "Traceback" not in running.said
    kept = product.object("cleanhours", "lease")["spec"]
    assert led["holderIdentity"] == kept["holderIdentity"]
    assert led["leaseTransitions"] == kept["leaseTransitions"]
