"""dask-jobqueue, which knows nothing of us and runs `sbatch`: with ours first in PATH, its workers wait as any other job."""

from __future__ import annotations

from subprocess import PIPE

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

# --mem is skipped because these nodes declare no memory. A submission that fails is only logged by dask: hence the bound
CLUSTER = """\
import os, sys, time
from dask_jobqueue import SLURMCluster

with SLURMCluster(
    queue="de", cores=1, processes=1, memory="1GiB", walltime="00:02:00", job_directives_skip=["--mem"],
    interface="lo", scheduler_options={"dashboard_address": "127.0.0.1:0"}, local_directory="dask",
    job_script_prologue=sys.argv[1:],
) as cluster:
    cluster.scale(jobs=1)
    end = time.monotonic() + 60
    while not (known := [job.job_id for job in cluster.workers.values() if job.job_id]):
        if time.monotonic() > end:
            sys.exit("dask knows of no job")
        time.sleep(0.1)
    print(*known, flush=True)
"""
COMPUTING = (
    CLUSTER
    + """\
    with cluster.get_client() as client:
        squares = client.map(pow, range(5), [2] * 5)
        print(client.submit(sum, squares).result(), client.submit(os.getenv, "SLURM_JOB_ID").result())
"""
)
WAITING = (
    CLUSTER
    + """\
    sys.stdin.read()
print("closed")
"""
)


@pytest.fixture
def site(slurm: Site) -> Site:
    write_settings(slurm, dirty_at_first)
    return slurm


def test_a_worker_whose_deadline_is_near_runs_at_once_and_its_results_come_back(site: Site) -> None:
    with calling_sbatch(site, COMPUTING, words="deadline=+2m", stdin=PIPE) as process:
        number = number_of(process)
        printed, said = process.communicate(timeout=120)

    assert (f"30 {number}\n", 0) == (printed, process.returncode), said
    assert "plan=no-slack" in site.show(number)["comment"]


def test_a_worker_that_may_wait_is_held_by_slurm_and_cancelled_by_its_cluster(site: Site) -> None:
    start = str(clean_hour())
    with calling_sbatch(site, WAITING, "#CARBON deadline=+12h", words="", stdin=PIPE) as process:
        number = number_of(process)

        wait_until(lambda: site.show(number)["reason"] == "BeginTime", "it waits")
        job = site.show(number)
        assert ("PENDING", start) == (job["state"], job["start"])
        assert "cleanhours:v1;" in job["comment"]
        assert [number] == site.jobs()
        assert [] == records(site)

        printed, said = process.communicate(timeout=120)  # which ends its standard input

    assert ("closed\n", 0) == (printed, process.returncode), said
    assert "CANCELLED" == site.state(number)
    assert [] == site.jobs()
