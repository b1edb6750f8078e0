"""What ended, settled with Slurm's own accounts: also what ended while no controller looked."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.integration.slurm.site import Site, wait_until
from tests.integration.slurm.worlds import only_job, write_settings

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WATTS = 200


@pytest.fixture
def site(accounting_slurm: Site) -> Site:
    write_settings(accounting_slurm, lambda _: (200.0, 200.0))
    return accounting_slurm


def rows(site: Site, job: str) -> list[dict[str, Any]]:
    site.cleanhours("controller", "--once")
    told = json.loads(site.cleanhours("report", "--json").stdout)["runs"]
    return [row for row in told if row["uid"].startswith(f"{job}-")]


def ended(site: Site, *options: str, work: str = "sleep 6") -> str:
    done = site.wrapper("--carbon", "max-delay=1h", "-t", "30", "-p", "de", *options, "--wrap", work)
    job = only_job(done.stdout)
    wait_until(lambda: site.state(job) == "COMPLETED", "it ends")
    wait_until(
        lambda: "COMPLETED" in site.root("sacct", "-n", "-X", "-j", job, "-o", "State"), "it is accounted"
    )
    return job


@pytest.mark.skipif(os.getuid() != 0, reason="energy counters need root")
def test_a_job_that_nobody_watched_is_settled_with_the_energy_that_slurm_counted(site: Site) -> None:
    job = ended(site, "--exclusive")

    [row] = rows(site, job)

    assert ("slurm", "succeeded", "de") == (row["methods"], row["state"], row["location"])
    assert row["energy_mj"] == pytest.approx(WATTS * 1000 * row["running_s"], abs=2 * WATTS * 1000)
    assert row["emissions_ug"] > 0


@pytest.mark.skipif(os.getuid() != 0, reason="energy counters need root")
def test_on_a_shared_node_its_part_counts_and_says_so(site: Site) -> None:
    job = ended(site, "-n", "1")

    [row] = rows(site, job)

    assert row["energy_mj"] == pytest.approx(WATTS * 250 * row["running_s"], abs=WATTS * 500)
    assert "shared" in row["meters"]


def test_a_row_is_settled_once_however_often_it_is_asked_for(site: Site) -> None:
    job = ended(site)

    first = rows(site, job)
    again = rows(site, job)

    assert 1 == len(first)
    assert first == again
