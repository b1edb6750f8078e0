"""A provider of forecasts that goes away under a Kubernetes cluster: what is planned stands, and what nothing is known of runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.domain.plans import Reason
from cleanhours.domain.times import parse_instant
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.product import CLEAN, Product, a_product, write_grid

pytestmark = pytest.mark.integration

USUAL = {"max-delay": "10m", "duration": "2s", "power": "1000W"}
WAITING = {**USUAL, "max-delay": "10s", "policy": "deadline-only"}


@pytest.fixture
def product(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Product]:
    with a_product(control_plane, namespace, tmp_path) as product:
        yield product


def test_a_file_that_vanishes_changes_no_plan_and_holds_nobody_who_comes_later(product: Product) -> None:
    grid = product.folder / "grid.csv"
    write_grid(grid, DE=[CLEAN], FR=[CLEAN])
    running = product.start()
    product.owner.apply("planned", "2s", WAITING)
    plan = product.planned("planned")
    grid.unlink()
    product.owner.apply("later", "2s", WAITING)
    assert Reason.DEADLINE_ONLY == product.planned("later").reason  # by what was known
    started = parse_instant(product.finished("planned")["status"]["startTime"])
    assert timedelta(0) <= started - plan.start <= timedelta(seconds=3)
    assert plan.start == product.planned("planned").start

    assert 0 == running.leave()
    product.start()
    product.owner.apply("unknown", "2s", USUAL)
    product.finished("unknown")
    assert Reason.NO_FORECAST == product.planned("unknown").reason
    product.finished("later")


def test_a_service_that_refuses_holds_nobody(product: Product) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listened on
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        chain = product.settings.replace(f'chain = ["csv:{product.folder / "grid.csv"}"]', 'chain = ["neso"]')
        assert chain != product.settings
        settings = f'{chain}[forecasts.sources.neso]\nbase_url = "{url}"\n'.replace('"DE"', '"GB"')
        refused = replace(product, settings=settings)
        running = refused.start()
        product.owner.apply("train", "2s", USUAL)
        product.finished("train")
        assert Reason.NO_FORECAST == product.planned("train").reason
        assert 1 == running.said.count("neso has no forecast for GB: ")
        assert "Traceback" not in running.said
