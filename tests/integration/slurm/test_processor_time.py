"""Processor time as a real Slurm counts it: of steps, of requeued runs, and of what was killed before or after it looked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from cleanhours.adapters.clock import SystemClock
from cleanhours.domain.jobs import RunSegment
from cleanhours.testing.meters import a_finished_run
from cleanhours_plugins.clusters.slurm.accounting import ENVIRONMENT, history_question, read_accounts
from cleanhours_plugins.clusters.slurm.energy import usage_of
from cleanhours_plugins.clusters.slurm.histories import History, histories
from cleanhours_plugins.clusters.slurm.processor_time import cpu_seconds_of
from cleanhours_plugins.meters.site_watts import CpuWatts, Table
from cleanhours_plugins.meters.slurm import SlurmMeter
from tests.integration.slurm.site import Site, started_site, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NONCE = "9d02"
TWO_SECONDS = "python3 -c 'import time\nwhile time.process_time() < 2: pass'"
FOR_EVER = "python3 -c 'while True: pass'"
FIRST_FOR_EVER = f'if [ -z "$SLURM_RESTART_COUNT" ]; then {FOR_EVER}; else {TWO_SECONDS}; fi; true'
"""`true`, or the shell would become the program, and Slurm would hear of its processor time when it is killed."""


@dataclass
class Jobs:
    """A site, and the ids of jobs that ended there."""

    site: Site
    ids: dict[str, str] = field(default_factory=dict)

    def history(self, name: str) -> History | None:
        asked = self.site.run("sacct", *history_question(NONCE, [self.ids[name]]), environment=ENVIRONMENT)
        return histories(read_accounts(asked.stdout, NONCE)).get(self.ids[name])

    def ended(self, name: str, runs: int = 1) -> History:
        """Its history, when so many runs of it have ended; accounts lag behind by a second or so."""
        found: list[History] = []

        def whole() -> bool:
            history = self.history(name)
            if history is not None and history.last.ended is not None and len(history.stretches) == runs:
                found.append(history)
            return bool(found) and all(part.steps for run in found[-1].stretches for part in run.parts)

        wait_until(whole, f"{name} has ended and is accounted", 120)
        return found[-1]

    def worked_s(self, name: str) -> float | None:
        history = self.history(name)
        return None if history is None else cpu_seconds_of(history.last)

    def seen_s(self, name: str) -> float:
        """CPU seconds of its script that Slurm sees now."""
        said = self.site.run("sstat", "-nP", "-o", "AveCPU", "-j", f"{self.ids[name]}.batch", check=False)
        *_, hours, minutes, seconds = ("0", "0", "0", *said.stdout.strip().replace("-", ":").split(":"))
        return 3600 * float(hours or 0) + 60 * float(minutes or 0) + float(seconds or 0)

    def kill_at_work(self, name: str) -> None:
        """A job that works for ever, when Slurm has seen two seconds of it."""
        self.ids[name] = self.site.sbatch("-p", "de", "-n1", "--wrap", f"{FOR_EVER}; true")
        wait_until(lambda: self.seen_s(name) >= 2, "Slurm has seen two seconds", 120)
        self.site.run("scancel", self.ids[name])
        self.ended(name)

    def requeue(self, name: str) -> None:
        """After it has run for some seconds."""
        wait_until(lambda: self.site.state(self.ids[name]) == "RUNNING", f"{name} runs")
        begun = SystemClock().now()
        wait_until(lambda: SystemClock().now() - begun > timedelta(seconds=3), f"{name} has run")
        self.site.run("scontrol", "requeue", self.ids[name])


@pytest.fixture(scope="module")
def looking(accounting_slurm: Site) -> Jobs:
    """Where Slurm looks every second: a job of a script and a step that both work."""
    jobs = Jobs(accounting_slurm)
    both = f"srun -n1 {TWO_SECONDS}; {TWO_SECONDS}; true"
    jobs.ids["both"] = jobs.site.sbatch("-p", "fr", "-n2", "--wrap", both)
    return jobs


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """Where Slurm never looks, and hears of processor time at the end of processes: a job that was requeued."""
    more = tmp_path_factory.mktemp("slurm") / "more.conf"
    more.write_text("PrologFlags=Contain\nJobAcctGatherFrequency=task=0,energy=0\n", "utf-8")
    with started_site("-a", "-f", str(more)) as site:
        jobs = Jobs(site)
        jobs.ids["requeued"] = site.sbatch("-p", "de", "-n1", "--requeue", "--wrap", FIRST_FOR_EVER)
        jobs.requeue("requeued")
        yield jobs


def test_the_steps_of_a_job_are_added_and_its_row_is_their_sum(looking: Jobs) -> None:
    run = looking.ended("both").last
    steps = {step.name: step.cpu_seconds for step in run.first.steps}
    worked = cpu_seconds_of(run)

    assert {"batch", "0"} <= set(steps)
    assert all(seconds is not None and seconds >= 2 for seconds in steps.values())
    assert worked is not None
    assert 4 <= worked < 60
    assert pytest.approx(run.first.cpu_seconds, abs=1.0) == worked


def test_what_slurm_saw_before_it_killed_a_job_is_known(looking: Jobs) -> None:
    """A killed step may end before it has told anybody what it saw, on a busy machine: of several some do."""
    names = [f"killed-{number}" for number in range(4)]
    for name in names:
        looking.kill_at_work(name)
    told = next((name for name in names if looking.worked_s(name) is not None), None)
    if told is None:
        pytest.skip("on this machine Slurm lost what it saw of every killed step")
    run = looking.ended(told).last
    [batch] = (step for step in run.first.steps if step.name == "batch")
    worked = cpu_seconds_of(run)

    assert batch.seen_cpu_seconds is not None
    assert worked is not None
    assert 2 <= batch.seen_cpu_seconds <= worked <= run.first.elapsed.total_seconds() + 2


def test_of_a_requeued_job_each_run_has_its_own_and_the_killed_one_is_not_known(blind: Jobs) -> None:
    """The killed run worked all the time, of which Slurm's own figure mostly says nothing, and sometimes all: it is not believed."""
    first, second = blind.ended("requeued", runs=2).stretches

    assert "REQUEUED" == first.first.state
    assert cpu_seconds_of(first) is None
    assert 2 <= (cpu_seconds_of(second) or 0) < 60


def test_a_requeued_job_draws_busy_watts_where_its_work_is_not_known(blind: Jobs) -> None:
    history = blind.ended("requeued", runs=2)
    segments = tuple(
        RunSegment(run.started, run.ended, "de", (history.id, str(number)))
        for number, run in enumerate(history.stretches)
        if run.started is not None
    )
    usage = usage_of(history.stretches, {})
    ended = segments[-1].end
    assert ended is not None
    profile = SlurmMeter(Table(CpuWatts(5.0, 1.0))).energy(
        a_finished_run(segments=segments, finished_at=ended, usage=usage)
    )
    first, second = ((part.end - part.start).total_seconds() for part in profile.slices)

    assert profile.upper_estimate
    assert [first * 5, min(second + 4 * usage["slurm_cpu_seconds.1"], second * 5)] == pytest.approx(
        [part.millijoules / 1000 for part in profile.slices], abs=0.002
    )
