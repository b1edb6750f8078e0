"""The fixture itself: what other tests of this folder rely on."""

from __future__ import annotations

import pytest

from cleanhours.adapters.clock import SystemClock
from tests.integration.slurm.site import Site, wait_until

pytestmark = pytest.mark.integration


def test_a_job_of_an_ordinary_user_begins_in_the_second_asked_for(slurm: Site) -> None:
    begin = int(SystemClock().now().timestamp()) + 3

    job = slurm.sbatch(f"--begin=uts{begin}", "-p", "de", "--wrap", "id -un; sleep 5")

    assert "PENDING" == slurm.state(job)
    wait_until(lambda: slurm.state(job) == "RUNNING", "it runs")
    assert begin == int(slurm.show(job)["start"])
    assert "de1" == slurm.show(job)["node"]


def test_the_user_is_no_administrator(slurm: Site) -> None:
    job = slurm.sbatch("--hold", "--wrap", "true")

    refused = slurm.run("scontrol", "update", f"JobId={job}", "Deadline=now+1hour", check=False)

    assert 1 == refused.returncode
    assert "JobHeldUser" == slurm.show(job)["reason"]


def test_the_controller_comes_back_with_its_queue(slurm: Site) -> None:
    job = slurm.sbatch("--hold", "--wrap", "true")

    slurm.stop("slurmctld")
    slurm.start_again("slurmctld")

    wait_until(lambda: slurm.state(job) == "PENDING", "it knows the job")
