"""A real Slurm for these tests: one for the folder, and one with accounting and energy counters."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.slurm.site import Site, started_site, wait_until


@pytest.fixture(scope="package", autouse=True)
def own_records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Adapters in this process note what they requeue in a folder of these tests, not in the home of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLEANHOURS_STATE__FOLDER", str(tmp_path_factory.mktemp("records")))
        yield


@pytest.fixture(scope="package")
def shared_slurm() -> Iterator[Site]:
    """One cluster for all tests of the folder: the partitions and features de, fr, pl, and the partition any."""
    with started_site() as site:
        yield site


@pytest.fixture
def slurm(shared_slurm: Site) -> Iterator[Site]:
    """The shared cluster; what a test leaves in its queue is cancelled.

    A controller that was started again knows its nodes some seconds later: until then it has no place for any job.
    """
    wait_until(
        lambda: "unk" not in shared_slurm.root("sinfo", "-h", "-N", "-o", "%T"), "it knows its nodes again"
    )
    yield shared_slurm
    for job in shared_slurm.jobs():
        shared_slurm.root("scancel", job.partition("_")[0].partition("+")[0], check=False)
    wait_until(lambda: not shared_slurm.jobs(), "its queue is empty")


@pytest.fixture(scope="package")
def accounting_slurm() -> Iterator[Site]:
    """One with slurmdbd; run by root also with energy counters of 200 W a node."""
    energy = ("-w", "200") if os.getuid() == 0 else ()
    with started_site("-a", *energy) as site:
        yield site
