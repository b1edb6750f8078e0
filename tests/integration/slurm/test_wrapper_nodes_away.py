"""`cleanhours-sbatch` where Slurm has no node for a job now: drained, down, or not heard of since slurmctld began.

Slurm's trial says the same of a job that no node could ever run; only sbatch itself tells the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.slurm.site import Site, wait_until
from tests.integration.slurm.worlds import (
    clean_hour,
    dirty_at_first,
    only_job,
    records,
    script,
    write_settings,
)

pytestmark = pytest.mark.integration

WORK = ("-t", "30", "-p", "fr", "--wrap", "sleep 60")
ASKED = ("--carbon", "max-delay=12h")


@pytest.fixture
def site(slurm: Site) -> Site:
    write_settings(slurm, dirty_at_first)
    return slurm


@pytest.fixture
def drained(site: Site) -> Iterator[Site]:
    """A site that looks after the only node of France."""
    site.root("scontrol", "update", "nodename=fr1", "state=drain", "reason=maintenance")
    yield site
    resume(site)


def resume(site: Site) -> None:
    if "drain" in site.root("sinfo", "-h", "-n", "fr1", "-p", "fr", "-o", "%T"):
        site.root("scontrol", "update", "nodename=fr1", "state=resume")


def waits(site: Site, job: str) -> bool:
    """Whether it waits for its clean hour, in nobody's hold."""
    shown = site.show(job)
    return ("PENDING", clean_hour()) == (shown["state"], int(shown["start"])) and (
        "JobHeldUser" != shown["reason"]
    )


@pytest.mark.parametrize("options", [(), ("-a", "0-3%2"), ("-D", "/tmp")])
def test_a_job_whose_nodes_are_drained_is_planned(drained: Site, options: tuple[str, ...]) -> None:
    done = drained.wrapper(*ASKED, *options, *WORK)

    job = only_job(done.stdout)
    assert f"Submitted batch job {job}\n" == done.stdout
    assert "cleanhours: Start " in done.stderr
    assert waits(drained, job)
    assert "cleanhours:v1;" in drained.show(job)["comment"]
    assert [] == records(drained)


def test_a_job_is_planned_before_slurmctld_knows_its_nodes_again(site: Site) -> None:
    site.stop("slurmctld")
    site.start_again("slurmctld")

    done = site.wrapper(*ASKED, *WORK)

    assert "cleanhours: Start " in done.stderr
    assert waits(site, only_job(done.stdout))


def test_who_asked_for_quiet_is_planned_for_too(drained: Site) -> None:
    done = drained.wrapper(*ASKED, "-Q", *WORK)

    (job,) = drained.jobs()
    assert "" == done.stdout
    assert waits(drained, job)
    assert [] == records(drained)


def test_its_owner_s_own_hold_is_left_to_him(drained: Site) -> None:
    file = script(drained, "#!/bin/bash\n#SBATCH -t 30 -p fr --hold\n#CARBON max-delay=12h\nsleep 60\n")

    job = only_job(drained.wrapper(file).stdout)

    assert "JobHeldUser" == drained.show(job)["reason"]
    assert "cleanhours:v1;" in drained.show(job)["comment"]
    assert [] == records(drained)


def test_one_that_starts_before_it_is_planned_runs_and_its_user_hears_that(drained: Site) -> None:
    """A node comes back in that very moment: nothing of ours keeps the job from it."""
    folder = drained.home / "waits"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    squeue = folder / "squeue"
    squeue.write_text(
        '#!/bin/sh\ntouch ${0%/*}/asked\nwhile [ ! -e ${0%/*}/go ]; do sleep 0.1; done\nexec /usr/bin/squeue "$@"\n'
    )
    squeue.chmod(0o755)
    submitting = drained.start(*drained.words("cleanhours.apps.sbatch", "main"), *ASKED, *WORK,
                               environment={"PATH": f"{folder}:/usr/bin:/bin"})  # fmt: skip
    wait_until((folder / "asked").exists, "it is submitted")
    (job,) = drained.jobs()
    resume(drained)
    wait_until(lambda: drained.state(job) == "RUNNING", "it runs")
    (folder / "go").touch()

    printed, told = submitting.communicate(timeout=60)

    assert (f"Submitted batch job {job}\n", 0) == (printed, submitting.returncode)
    assert f"cleanhours: job {job} has started already: the job runs as if submitted by sbatch\n" == told
    assert [] == records(drained)


def test_wrong_words_are_said_there_too(drained: Site) -> None:
    done = drained.wrapper("--carbon", "dedline=+3h", *WORK)

    assert "dedline: found '+3h'" in done.stderr
    assert "" == drained.show(only_job(done.stdout))["comment"].replace("(null)", "")


def test_what_no_node_could_ever_run_is_refused_with_slurm_s_words_alone(drained: Site) -> None:
    impossible = ("-p", "fr", "-C", "de", "-t", "30", "--wrap", "true")
    bare = drained.run("sbatch", *impossible, check=False)
    ours = drained.wrapper(*ASKED, *impossible, check=False)

    assert 1 == bare.returncode
    assert (bare.returncode, bare.stdout, bare.stderr) == (ours.returncode, ours.stdout, ours.stderr)
    assert [] == records(drained)


def test_one_that_says_nothing_is_sbatch_s_alone(drained: Site) -> None:
    done = drained.wrapper(*WORK)

    assert "" == done.stderr
    assert "" == drained.show(only_job(done.stdout))["comment"].replace("(null)", "")


def test_its_owner_s_own_begin_is_never_undercut(drained: Site) -> None:
    begin = clean_hour() + 7200
    done = drained.wrapper(*ASKED, f"--begin=uts{begin}", *WORK)

    assert begin <= int(drained.show(only_job(done.stdout))["start"])


def test_a_place_whose_nodes_are_drained_is_not_chosen_but_not_forgotten(drained: Site) -> None:
    done = drained.wrapper("--carbon", "max-delay=12h locations=de,fr", "-t", "30", "--wrap", "true")

    job = only_job(done.stdout)
    assert "de" == drained.show(job)["partition"]
    assert waits(drained, job)
    assert "locations=de,fr" in drained.show(job)["comment"]
    resume(drained)
    drained.cleanhours("controller", "--once")
    assert "fr" == drained.show(job)["partition"]


def test_a_job_does_not_stay_in_a_place_whose_nodes_are_drained_meanwhile(site: Site) -> None:
    done = site.wrapper("--carbon", "max-delay=12h locations=de,fr", "-t", "30", "--wrap", "true")
    job = only_job(done.stdout)
    assert "fr" == site.show(job)["partition"]
    site.root("scontrol", "update", "nodename=fr1", "state=drain", "reason=maintenance")
    try:
        site.cleanhours("controller", "--once")
    finally:
        resume(site)

    assert "de" == site.show(job)["partition"]
    assert waits(site, job)
