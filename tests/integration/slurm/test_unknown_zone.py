"""A location in a grid zone that no source serves, on a real Slurm: the wrapper and `explain` name it, the job runs."""

from __future__ import annotations

import pytest

from tests.integration.slurm.site import Site, wait_until
from tests.integration.slurm.worlds import dirty_at_first, only_job, write_settings

pytestmark = pytest.mark.integration

SAID = "o forecast source serves zone 'DEE' of location de (asked: csv; did you mean DE?)"


def test_the_wrapper_and_explain_name_it_and_the_job_runs(slurm: Site) -> None:
    write_settings(slurm, dirty_at_first)
    file = slurm.home / "cleanhours.toml"
    slurm.settings(file.read_text("utf-8").replace('zone = "DE"', 'zone = "DEE"'))
    done = slurm.wrapper("--carbon", "max-delay=12h", "-t", "30", "-p", "de", "--wrap", "sleep 60")

    job = only_job(done.stdout)
    assert f"(no-forecast); n{SAID}." in done.stderr
    wait_until(lambda: slurm.state(job) == "RUNNING", "it runs")
    assert f"N{SAID}." in slurm.cleanhours("explain", job).stdout
