"""submitit, which knows nothing of us and runs `sbatch`: with ours first in PATH, its jobs wait for their clean hour."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.slurm.site import Site, wait_until
from tests.integration.slurm.worlds import (
    calling_sbatch,
    clean_hour,
    dirty_at_first,
    number_of,
    records,
    write_settings,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

EXECUTOR = """\
import operator, sys, submitit

executor = submitit.AutoExecutor(folder=sys.argv[1], cluster="slurm")
executor.update_parameters(timeout_min=2)
"""
ONE = (
    EXECUTOR
    + """\
job = executor.submit(operator.mul, 6, 7)
print(job.job_id, job.state, flush=True)
print(job.result())
"""
)
SEVERAL = (
    EXECUTOR
    + """\
jobs = executor.map_array(operator.mul, [1, 2, 3], [4, 5, 6])
print(jobs[0].job_id, len(jobs), flush=True)
print([job.result() for job in jobs])
"""
)


@pytest.fixture
def site(accounting_slurm: Site) -> Iterator[Site]:
    write_settings(accounting_slurm, dirty_at_first)
    yield accounting_slurm
    accounting_slurm.root("scancel", *accounting_slurm.jobs(), check=False)


def test_a_job_whose_deadline_is_near_runs_at_once_and_its_result_comes_back(site: Site) -> None:
    with calling_sbatch(site, ONE, "submitit/soon", words="deadline=+2m") as process:
        number, printed = number_of(process), process.communicate(timeout=60)

    assert ("42\n", "", 0) == (*printed, process.returncode)
    assert "plan=no-slack" in site.show(number)["comment"]


def test_a_job_that_may_wait_waits_for_its_clean_hour_and_its_result_comes_back(site: Site) -> None:
    start = str(clean_hour())
    with calling_sbatch(site, ONE, "submitit/late", words="max-delay=12h") as process:
        number = number_of(process)

        wait_until(lambda: site.show(number)["reason"] == "BeginTime", "it waits")
        assert start == site.show(number)["start"]
        assert [] == records(site)
        site.run("scontrol", "update", f"JobId={number}", "StartTime=now")
        assert ("42\n", "") == process.communicate(timeout=60)


def test_an_array_of_jobs_waits_as_a_whole_and_all_results_come_back(site: Site) -> None:
    start = str(clean_hour())
    with calling_sbatch(site, SEVERAL, "submitit/array", words="max-delay=12h") as process:
        array = number_of(process).partition("_")[0]

        wait_until(lambda: site.show(array)["reason"] == "BeginTime", "it waits")
        [job] = site.jobs()
        assert job.startswith(f"{array}_[0-2")
        assert start == site.show(array)["start"]
        site.run("scontrol", "update", f"JobId={array}", "StartTime=now")
        assert ("[4, 10, 18]\n", "") == process.communicate(timeout=60)
