"""GPUs on a real Slurm: however a job asks for them they are counted, while it waits, while it runs, and in its account."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.jobs import JobState
from cleanhours_plugins.clusters.slurm.cluster import SlurmCluster
from tests.integration.slurm.site import Site, started_site, wait_until
from tests.integration.slurm.stages import a_cluster
from tests.integration.slurm.worlds import dirty_at_first, only_job, write_settings

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ASKED = [
    ((), 0),
    (("--gres=gpu:2", "-N", "1"), 2),
    (("--gpus=3",), 3),
    (("--gpus=a100:2",), 2),
    (("--gpus-per-node=2", "-N", "2"), 4),
    (("--gpus-per-task=1", "-n", "3"), 3),
    (("--gpus-per-socket=1", "--sockets-per-node=2"), 2),
    (("--gpus=2", "-a", "0-5%2"), 4),
    (("--gpus=2", ":", "--gpus-per-task=1", "-n", "2"), 4),
]
"""What a job asks for, and the GPUs that it takes; of an array, those of the tasks that may run at once."""


@pytest.fixture(scope="module", params=[(), ("-a",)], ids=["without accounts", "with accounts"])
def gpus(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Four to each node; with accounts Slurm itself counts them too."""
    with started_site("-g", "4", "-c", "8", *request.param) as site:
        write_settings(site, dirty_at_first)
        yield site


@pytest.fixture
def cluster(gpus: Site, tmp_path: Path) -> Iterator[SlurmCluster]:
    yield a_cluster(gpus, tmp_path, accounting="auto")
    for job in gpus.jobs():
        gpus.root("scancel", job.partition("_")[0].partition("+")[0], check=False)
    wait_until(lambda: not gpus.jobs(), "its queue is empty")


def number(site: Site, *options: str, work: str = "sleep 600") -> str:
    done = site.wrapper("--carbon", "max-delay=12h", "-t", "30", "-o", "/dev/null", *options, "--wrap", work)
    return only_job(done.stdout)


def test_a_job_that_waits_is_planned_with_all_its_gpus(gpus: Site, cluster: SlurmCluster) -> None:
    submitted = {number(gpus, *options): count for options, count in ASKED}

    found = {job.labels["object-name"]: job.request.demand.gpus for job in cluster.pending()}

    assert submitted == found


def test_what_runs_takes_its_gpus_of_the_place_until_it_ends(gpus: Site, cluster: SlurmCluster) -> None:
    other = gpus.sbatch("-t", "30", "-p", "de", "--gpus-per-task=1", "-n", "2", "--wrap", "sleep 600")
    wait_until(lambda: gpus.state(other) == "RUNNING", "it runs")

    room = cluster.capacity()["de"]

    assert 4 == room.location.capacity.gpus
    assert [2] == [booking.demand.gpus for booking in room.others]


def test_a_job_that_ran_is_accounted_with_its_gpus(gpus: Site, cluster: SlurmCluster) -> None:
    before = SystemClock().now() - timedelta(hours=1)
    job = number(gpus, "-p", "de", "--gpus=3", work="sleep 4")
    gpus.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    wait_until(lambda: gpus.state(job) == "RUNNING", "it runs")
    (running,) = cluster.running()
    assert (JobState.RUNNING, 3) == (running.state, running.request.demand.gpus)
    wait_until(lambda: gpus.state(job) == "COMPLETED", "it ends")

    def told() -> list[float]:
        return [
            run.usage["slurm_gpus.0"] for run in cluster.finished(before) if run.labels["object-name"] == job
        ]

    wait_until(told, "it is told")
    assert [3.0] == told()
