"""Energy as a real Slurm counts it, at 200 W a node: read from its accounts, by the rule, and told to the meter."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.energy import Component, Method
from cleanhours.domain.jobs import FinishedRun, RunSegment
from cleanhours.testing.meters import a_finished_run
from cleanhours_plugins.clusters.slurm.accounting import (
    ENVIRONMENT,
    ended_question,
    history_question,
    read_accounts,
)
from cleanhours_plugins.clusters.slurm.energy import energy_of, usage_of
from cleanhours_plugins.clusters.slurm.histories import Accounted, History, Run, histories
from cleanhours_plugins.meters.slurm import SlurmMeter
from tests.integration.slurm.site import Site, started_site, wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can give nodes energy counters"),
]

WATTS = 200
TOLERANCE_J = 2.5 * WATTS
"""Slurm looks once a second, and its clocks are whole seconds: at either end of a run a look may be missing."""
NONCE = "b7c1"
NAME = "a|b\nc;\x1f\x1e"
COMMENT = "one\n7|7|COMPLETED|\x1e\x1f\n'two\""
HOSTILE = {
    "TZ": "America/New_York",
    "SACCT_FORMAT": "jobid",
    "SLURM_CLUSTERS": "beta",
    "SLURM_TIME_FORMAT": "relative",
}
"""What a user's own environment may hold."""


@dataclass
class Accounts:
    """A site's sacct, asked as the cluster asks it, and the ids of jobs that ended there."""

    site: Site
    jobs: Mapping[str, str] = field(default_factory=dict)

    def _asked(self, question: Sequence[str]) -> list[Accounted]:
        said = self.site.run("sacct", *question, environment={**HOSTILE, **ENVIRONMENT})
        return read_accounts(said.stdout, NONCE)

    def history(self, name: str) -> History:
        job = self.jobs[name]
        return histories(self._asked(history_question(NONCE, [job])))[job]

    def ended(self, since: datetime, until: datetime) -> set[str]:
        """The names of the jobs that ended in the window."""
        found = {one.job for one in self._asked(ended_question(NONCE, since, until))}
        return {name for name, job in self.jobs.items() if job in found}

    def are_whole(self, runs: Mapping[str, int]) -> bool:
        """Whether every one of these jobs has ended, after so many runs; accounts lag behind by a second or so."""
        asked = self._asked(history_question(NONCE, [self.jobs[name] for name in runs]))
        found = histories(asked)
        return all(
            self.jobs[name] in found
            and len(found[self.jobs[name]].stretches) == count
            and found[self.jobs[name]].last.ended is not None
            for name, count in runs.items()
        )

    @property
    def node_cpus(self) -> dict[str, int]:
        said = self.site.run("sinfo", "-h", "-N", "-o", "%N %c").stdout
        return {name: int(cpus) for name, cpus in map(str.split, said.splitlines())}


@pytest.fixture(scope="module")
def accounts(accounting_slurm: Site) -> Accounts:
    """Every kind of job once, all of them ended."""
    site = accounting_slurm
    jobs = {
        "alone": site.sbatch("-p", "de", "--exclusive", "--wrap", "srun -n1 true; sleep 4"),
        "shared": site.sbatch("-p", "pl", "-n1", "--wrap", "sleep 4"),
        "sharing": site.sbatch("-p", "pl", "-n1", "--wrap", "sleep 4"),
        "requeued": site.sbatch("-p", "fr", "-n4", "--requeue", "--wrap", "sleep 4"),
        "odd": site.sbatch("-p", "pl", "-n1", "-J", NAME, "--comment", COMMENT, "--wrap", "true"),
        "cancelled": site.sbatch("--hold", "--wrap", "true"),
    }
    site.run("scancel", jobs["cancelled"])
    wait_until(lambda: site.state(jobs["requeued"]) == "RUNNING", "it runs")
    begun = SystemClock().now()
    wait_until(lambda: SystemClock().now() - begun > timedelta(seconds=3), "it has run for three looks")
    site.run("scontrol", "requeue", jobs["requeued"])
    found = Accounts(site, jobs)
    runs = {"alone": 1, "shared": 1, "sharing": 1, "requeued": 2, "odd": 1, "cancelled": 0}
    wait_until(lambda: found.are_whole(runs), "all have ended and are accounted", 60)
    return found


@pytest.fixture(scope="module")
def contained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    """A site as most are, where every job has an `.extern` step; a job on two nodes has ended there."""
    more = tmp_path_factory.mktemp("slurm") / "more.conf"
    more.write_text("PrologFlags=Contain\n", "utf-8")
    with started_site("-a", "-w", str(WATTS), "-f", str(more)) as site:
        words = ("-N2", "--exclusive", "-w", "de1,fr1", "--wrap", "srun -N2 sleep 2; srun -N1 -n1 sleep 2")
        found = Accounts(site, {"two": site.sbatch(*words)})
        wait_until(lambda: found.are_whole({"two": 1}), "it has ended and is accounted")
        yield found


def seconds(run: Run) -> float:
    assert run.started is not None
    assert run.ended is not None
    return (run.ended - run.started).total_seconds()


def finished(history: History, node_cpus: Mapping[str, int]) -> FinishedRun:
    """A job's runs as its cluster tells them."""
    segments = tuple(
        RunSegment(run.started, run.ended, "fr", (history.id, str(number)))
        for number, run in enumerate(history.stretches)
        if run.started is not None
    )
    ended = history.last.ended
    assert ended is not None
    return a_finished_run(segments=segments, finished_at=ended, usage=usage_of(history.stretches, node_cpus))


def test_a_job_alone_on_its_node_drew_its_watts_for_as_long_as_it_ran(accounts: Accounts) -> None:
    run = accounts.history("alone").last
    drew = energy_of(run, accounts.node_cpus)

    assert not drew.shared
    assert pytest.approx(WATTS * seconds(run), abs=TOLERANCE_J) == drew.joules


def test_two_jobs_on_one_node_have_each_the_part_of_its_cpus(accounts: Accounts) -> None:
    for name in ("shared", "sharing"):
        run = accounts.history(name).last
        drew = energy_of(run, accounts.node_cpus)

        assert drew.shared
        assert pytest.approx(WATTS * seconds(run) / 4, abs=TOLERANCE_J / 4) == drew.joules


def test_the_runs_of_a_requeued_job_are_summed_each_in_its_own_time(accounts: Accounts) -> None:
    history = accounts.history("requeued")
    profile = SlurmMeter().energy(finished(history, accounts.node_cpus))

    assert ["REQUEUED", "COMPLETED"] == [run.first.state for run in history.runs]
    assert [run.started for run in history.runs] == [part.start for part in profile.slices]
    assert 1.0 == profile.coverage
    for run, part in zip(history.runs, profile.slices, strict=True):
        assert pytest.approx(WATTS * seconds(run), abs=TOLERANCE_J) == part.millijoules / 1000


def test_a_job_that_ended_while_nobody_looked_is_found_by_when_it_ended(accounts: Accounts) -> None:
    """Also one that never ran; a run that was requeued is not the end of its job."""
    odd, requeued = (accounts.history(name).last.ended for name in ("odd", "requeued"))
    first = accounts.history("requeued").runs[0].ended
    assert odd is not None
    assert requeued is not None
    assert first is not None

    assert "requeued" in accounts.ended(requeued, requeued)
    assert "requeued" not in accounts.ended(first, first + timedelta(seconds=1))
    assert "odd" in accounts.ended(odd - timedelta(seconds=1), odd)
    assert set() == accounts.ended(requeued + timedelta(seconds=1), requeued + timedelta(hours=1))
    assert set(accounts.jobs) == accounts.ended(odd - timedelta(hours=1), requeued)


def test_steps_that_ended_before_the_window_are_in_the_history(accounts: Accounts) -> None:
    """sacct leaves them out where it is asked for a window, and their energy with them."""
    one = accounts.history("alone").last.first

    assert {"batch", "0"} == {step.name for step in one.steps}


def test_names_and_comments_may_hold_anything(accounts: Accounts) -> None:
    one = accounts.history("odd").last.first

    assert (NAME, COMMENT) == (one.name, one.comment)


def test_a_job_that_never_ran_drew_nothing_known(accounts: Accounts) -> None:
    history = accounts.history("cancelled")

    assert ("CANCELLED", ()) == (history.last.first.state, history.stretches)
    assert {} == usage_of(history.stretches, accounts.node_cpus)


def test_an_extern_step_measures_all_nodes_of_a_job(contained: Accounts) -> None:
    history = contained.history("two")
    run = history.last
    drew = energy_of(run, contained.node_cpus)
    profile = SlurmMeter().energy(finished(history, contained.node_cpus))

    assert {"batch", "extern", "0", "1"} == {step.name for step in run.first.steps}
    assert (False, False) == (drew.estimated, drew.shared)
    assert pytest.approx(2 * WATTS * seconds(run), abs=2 * TOLERANCE_J) == drew.joules
    assert {(Method.SLURM, Component.WHOLE, "slurm")} == {
        (part.method, part.component, part.meter) for part in profile.slices
    }


def test_a_slurm_without_a_database_says_that_it_has_no_accounts(slurm: Site) -> None:
    now = SystemClock().now()
    said = slurm.run("sacct", *ended_question(NONCE, now, now), environment=ENVIRONMENT, check=False)

    assert (1, "") == (said.returncode, said.stdout)
    assert "accounting storage is disabled" in said.stderr
