"""The processor time of runs by Slurm's own counting: the rule, with what was seen on a real Slurm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cleanhours_plugins.clusters.slurm.accounting import read_accounts
from cleanhours_plugins.clusters.slurm.energy import usage_of
from cleanhours_plugins.clusters.slurm.histories import histories
from cleanhours_plugins.clusters.slurm.processor_time import cpu_seconds_of
from tests.unit.plugins.clusters.slurm.recorded import DELIMITER, NONCE, accounts, job, step

KILLED = ("CANCELLED by 5", "TIMEOUT", "REQUEUED", "PREEMPTED", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE")


def seen(seconds: str) -> str:
    """TRESUsageInTot where Slurm looked at a step's processes."""
    return f"cpu={seconds},energy=0,fs/disk=15123,mem=4720K,pages=0,vmem=8112K"


def known(*rows: str) -> float | None:
    [found] = histories(accounts(*rows)).values()
    return cpu_seconds_of(found.last)


# --- which figure ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        pytest.param(
            [job(TotalCPU="00:01.149"), step("batch", TotalCPU="00:00.678"), step("0", TotalCPU="00:00.470")],
            1.148,
            id="srun and script",
        ),
        pytest.param(
            [
                job(TotalCPU="00:01.054"),
                step("batch", TotalCPU="00:00.586"),
                step("extern", TotalCPU="00:00.002"),
                step("0", TotalCPU="00:00.466"),
            ],
            1.054,
            id="PrologFlags=Contain",
        ),
        pytest.param([job(TotalCPU="1-02:00:00.5")], 93600.5, id="steps that nobody kept"),
        pytest.param(
            [job(TotalCPU="00:05:00"), step("batch"), step("extern")],
            300.0,
            id="only the job row says anything",
        ),
    ],
)
def test_steps_are_added_and_never_their_job(rows: Sequence[str], seconds: float) -> None:
    assert pytest.approx(seconds) == known(*rows)


def test_of_a_step_the_larger_of_what_it_told_and_what_was_seen_of_it_is_taken() -> None:
    """A child that outlived the script told nothing; since 25.05 no step may."""
    found = known(
        job(TotalCPU="00:00:00"),
        step("batch", TotalCPU="00:00.003", TRESUsageInTot=seen("00:10:00")),
        step("0", TotalCPU="00:00:00", TRESUsageInTot=seen("1-00:00:00")),
        step("1", TotalCPU="00:07.500", TRESUsageInTot=seen("00:00:07")),
    )

    assert pytest.approx(600 + 86400 + 7.5) == found


# --- what is not known ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", ["00:00:00", "00:00.000", "", "INVALID"])
def test_no_processor_time_is_not_known_rather_than_none(nothing: str) -> None:
    assert known(job(TotalCPU=nothing), step("batch", TotalCPU=nothing)) is None


@pytest.mark.parametrize("state", KILLED)
@pytest.mark.parametrize("looked", ["", "energy=0", seen("00:00:00")])
def test_what_was_killed_before_slurm_looked_is_not_known(state: str, looked: str) -> None:
    """Seen: 0.002 s of a run that was busy all along, until it was requeued."""
    batch = step("batch", TotalCPU="00:00.002", TRESUsageInTot=looked)

    assert known(job(State=state, TotalCPU="00:00.002"), batch) is None


@pytest.mark.parametrize("state", KILLED)
def test_what_slurm_saw_of_a_run_before_it_was_killed_is_known(state: str) -> None:
    """Seen, but for the length: a busy child of a script that was cancelled."""
    batch = step("batch", TotalCPU="01:00:04.003", TRESUsageInTot=seen("01:00:04"))

    assert pytest.approx(3604.003) == known(job(State=state, TotalCPU="01:00:04.003"), batch)


def test_a_heterogeneous_job_is_known_when_all_its_parts_are() -> None:
    leader = job("9+0", JobIDRaw="9", TotalCPU="00:10:00")

    assert 630.0 == known(leader, job("9+1", JobIDRaw="10", TotalCPU="00:00:30"))
    assert known(leader, job("9+1", JobIDRaw="10", TotalCPU="00:00:00")) is None


def test_a_job_that_never_ran_worked_nothing_known() -> None:
    waited = {"State": "CANCELLED by 5", "NodeList": "None assigned", "Start": "None", "AllocTRES": ""}

    assert known(job(**waited)) is None


# --- usage ----------------------------------------------------------------------------------------------------------


def test_every_run_of_a_requeued_job_says_its_own_where_it_is_known() -> None:
    [found] = histories(
        accounts(
            job("11", State="REQUEUED", End="4"),
            step("batch", id="11", TotalCPU="00:00.002", TRESUsageInTot=seen("00:00:00")),
            job("11", Submit="4", Start="10", End="3610"),
            step("batch", id="11", TotalCPU="00:30:00", TRESUsageInTot=seen("00:29:58")),
        )
    ).values()
    usage = usage_of(found.stretches, {})

    assert {"slurm_cpu_seconds.1": 1800.0} == {
        name: value for name, value in usage.items() if "cpu_seconds" in name
    }


def test_the_rows_that_green_algorithms_reads_are_read(test_data: Path) -> None:
    """Its columns: two runs that say 00:00:00, and one that worked half of its 64 CPU hours."""
    path = test_data / "provider-samples" / "energy" / "sacct_green_algorithms_columns.txt"
    header, *lines = (line.split("|") for line in path.read_text("utf-8").splitlines())
    found = {}
    for line in lines:
        row = dict(zip(header, line, strict=True))
        [one] = read_accounts(job(row["JobID"], State=row["State"], TotalCPU=row["TotalCPU"]), NONCE)
        [history] = histories([one]).values()
        found[row["JobID"]] = cpu_seconds_of(history.last)

    assert {"1001": None, "1002": None, "1003": pytest.approx(32 * 3600 + 0.123)} == found


def test_a_steps_own_counts_are_no_jobs() -> None:
    [found] = accounts(job(), step("batch", TotalCPU="00:01.500", TRESUsageInTot=seen("00:00:01")))
    [batch] = found.steps

    assert (1.5, 1.0) == (batch.cpu_seconds, batch.seen_cpu_seconds)
    assert DELIMITER not in found.comment
