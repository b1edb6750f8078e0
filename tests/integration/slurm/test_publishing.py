"""What the controller publishes, read by the real `job_submit.lua`: a job that opted in starts in its clean hour, tagged."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.slurm.site import Site, as_user, started_site, wait_until
from tests.integration.slurm.test_job_submit_lua import installed
from tests.integration.slurm.worlds import clean_hour, dirty_at_first, only_job, write_settings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def published() -> Iterator[tuple[Site, Path]]:
    folder = Path(tempfile.mkdtemp(prefix="cleanhours-plan-", dir="/tmp"))
    folder.chmod(0o777 if as_user() else 0o755)
    try:
        with started_site("-l", str(installed(folder))) as site:
            write_settings(
                site,
                dirty_at_first,
                f'publish = "{folder / "plan"}"\n[clusters.slurm.partitions.pl]\nmax-delay = "12h"',
            )
            site.cleanhours("controller", "--once")
            yield site, folder / "plan"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_job_of_a_partition_that_opted_in_starts_in_its_clean_hour(published: tuple[Site, Path]) -> None:
    site, _ = published

    done = site.run(
        "sbatch", "-t", "30", "-p", "de", "--comment", "cleanhours:max-delay=12h", "--wrap", "true"
    )

    job = only_job(done.stdout)
    assert clean_hour() == int(site.show(job)["start"])
    assert "cleanhours:v1;" in site.show(job)["comment"]


def test_the_controller_plans_it_again(published: tuple[Site, Path]) -> None:
    site, _ = published
    job = site.sbatch("-t", "30", "-p", "de", "--comment", "cleanhours:max-delay=12h", "--wrap", "true")

    site.cleanhours("controller", "--once")

    assert "plan=lowest-window" in site.show(job)["comment"]
    assert clean_hour() == int(site.show(job)["start"])


def test_slurm_s_own_deadline_that_the_script_cannot_see_is_seen_by_the_controller(
    published: tuple[Site, Path],
) -> None:
    site, _ = published
    job = site.sbatch("-t", "30", "-p", "de", "--deadline=now+2hours",
                      "--comment", "cleanhours:max-delay=12h", "--wrap", "sleep 60")  # fmt: skip

    site.cleanhours("controller", "--once")

    assert "killed=" in site.show(job)["comment"]
    wait_until(lambda: site.state(job) == "RUNNING", "it runs before it would be killed")


def test_everybody_may_read_it_and_nobody_half_of_it(published: tuple[Site, Path]) -> None:
    _, plan = published

    assert 0o644 == plan.stat().st_mode & 0o777
    assert plan.read_text("utf-8").endswith("\n")
    assert [plan.name] == [path.name for path in plan.parent.glob("plan*")]
