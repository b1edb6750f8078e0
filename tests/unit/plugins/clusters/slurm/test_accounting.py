"""The accounts of Slurm, by text: what sacct is asked, and what is made of its answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.resources import Demand
from cleanhours_plugins.clusters.slurm.accounting import (
    ended_question,
    history_question,
    read_accounts,
    read_joules,
    read_tres,
)
from cleanhours_plugins.clusters.slurm.histories import Resources, histories
from tests.unit.plugins.clusters.slurm.recorded import DELIMITER, NONCE, accounts, at, job, step

# --- the questions --------------------------------------------------------------------------------------------------


def test_the_ended_are_asked_for_by_their_end_in_whole_seconds_without_a_zone() -> None:
    since = datetime(2026, 11, 22, 0, 0, 0, 900_000, tzinfo=UTC)
    asked = ended_question("n", since, since + timedelta(seconds=1))

    assert "--starttime=uts1795305600" in asked
    assert "--endtime=uts1795305602" in asked
    assert "--state=BF,CA,CD,DL,F,NF,OOM,PR,TO" in asked
    assert "--allocations" in asked


def test_a_history_is_asked_for_from_the_beginning_with_every_run_and_its_steps() -> None:
    asked = history_question("n", ["12", "33_3", "45"])

    assert "--jobs=12,33_3,45" in asked
    assert "--starttime=uts1000000" in asked
    assert "--duplicates" in asked
    assert not {"--allocations", "--state"} & {word.partition("=")[0] for word in asked}


def test_who_is_asked_for_and_where() -> None:
    everybody = history_question("n", ["1"])
    mine = history_question("n", ["1"], uids=[5, 1000], cluster="beta")

    assert {"--allusers", "--local"} <= set(everybody)
    assert {"--uid=5,1000", "--clusters=beta"} <= set(mine)
    assert not {"--allusers", "--local"} & set(mine)


# --- the answer -----------------------------------------------------------------------------------------------------


def test_an_allocation_is_read_with_its_steps() -> None:
    """Recorded: two nodes alone for 6 s at 200 W each, with PrologFlags=Contain."""
    [found] = accounts(
        job(AllocTRES="billing=8,cpu=8,energy=2400,node=2", ConsumedEnergyRaw="2400", Start="1", End="7", ElapsedRaw="6"),
        step("batch", "1200", MaxRSS="11141120"),
        step("extern", "2400", MaxRSS="1691648"),
        step("0", "1600", MaxRSS="1691648"),
    )  # fmt: skip

    assert ("2", 2, "2", 0) == (found.id, found.number, found.job, found.part)
    assert ("games", 5, "fr", "normal", "wrap") == (
        found.user,
        found.uid,
        found.partition,
        found.qos,
        found.name,
    )
    assert (at(0), at(1), at(7)) == (found.submitted, found.started, found.ended)
    assert timedelta(seconds=6) == found.elapsed
    assert Resources(cpus=8, nodes=2) == found.allocated
    assert (2400, 0.044, 11141120) == (found.joules, found.cpu_seconds, found.max_rss_bytes)
    assert [("batch", 1, 1200), ("extern", 2, 2400), ("0", 2, 1600)] == [
        (one.name, one.nodes, one.joules) for one in found.steps
    ]


def test_names_and_comments_may_hold_anything() -> None:
    name = "a|b\nc;\x1f\x1e\x1f2.batch\n\n"
    comment = "li|ne1\n7|7|COMPLETED\x1e\x1f 'q\""
    first, second = accounts(job("5", JobName=name, Comment=comment), step("batch", id="5"), job("6"))

    assert (name, comment) == (first.name, first.comment)
    assert ["batch"] == [one.name for one in first.steps]
    assert "6" == second.id


def test_an_empty_answer_holds_nobody() -> None:
    assert [] == read_accounts("", NONCE)


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_an_answer_that_was_cut_short_is_asked_for_again(cut: int) -> None:
    whole = job("5").rstrip("\n")

    with pytest.raises(TemporaryError, match="not whole"):
        read_accounts(whole[:-cut], NONCE)


def test_a_row_that_makes_no_sense_costs_nobody_else() -> None:
    found = accounts(job("5", Submit="Unknown"), step("batch", id="5"), step("0", id="99"), job("6"))

    assert ["6"] == [one.id for one in found]


def test_a_job_that_was_cancelled_while_it_waited_never_ran() -> None:
    """Recorded: `None`, `None assigned`, a start that newer releases print as the end."""
    waiting = {
        "State": "CANCELLED by 5",
        "NodeList": "None assigned",
        "End": "3",
        "AllocTRES": "",
        "ElapsedRaw": "0",
    }
    first, second = accounts(job("5", Start="None", **waiting), job("6", Start="3", **waiting))

    assert ("CANCELLED", None, at(3)) == (first.state, first.started, first.ended)
    assert second.started is None


@pytest.mark.parametrize("word", ["Unknown", "None", ""])
def test_a_job_without_an_end_has_not_ended(word: str) -> None:
    """Seen: COMPLETED with an unknown end, while the controller still tells the database what it missed."""
    [found] = accounts(job(End=word))

    assert found.ended is None


def test_a_pause_of_slurms_is_no_running_time() -> None:
    [found] = accounts(job(End="19", ElapsedRaw="12", Suspended="00:00:07"))

    assert (timedelta(seconds=12), timedelta(seconds=7)) == (found.elapsed, found.suspended)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00.015", 0.015), ("02:03", 123.0), ("01:02:03", 3723.0), ("1-02:03:04", 93784.0), ("", None)],
)
def test_cpu_time_is_read_in_all_its_forms(text: str, seconds: float | None) -> None:
    [found] = accounts(job(TotalCPU=text))

    assert seconds == found.cpu_seconds


def test_how_a_job_ended_is_read() -> None:
    [failed, killed] = accounts(
        job("5", State="FAILED", ExitCode="3:0"), job("6", State="TIMEOUT", ExitCode="0:15")
    )

    assert ("FAILED", 3, 0) == (failed.state, failed.exit_code, failed.signal)
    assert ("TIMEOUT", 0, 15) == (killed.state, killed.exit_code, killed.signal)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("billing=8,cpu=8,mem=16384M,node=2", Resources(8, 16 * 2**30, 2)),
        ("cpu=4,gres/gpu=2,mem=1.50G,node=1", Resources(4, 3 * 2**29, 1, 2)),
        ("cpu=4,gres/gpu:a100=2,gres/gpu=2,node=1", Resources(4, 0, 1, 2, (("a100", 2),))),
        (
            "cpu=4,gres/gpu:a100_1g.5gb=1,gres/gpu:h100=3,node=1",
            Resources(4, 0, 1, 4, (("a100_1g.5gb", 1), ("h100", 3))),
        ),
        ("cpu=4,energy=18446744073709551614,node=1", Resources(4, 0, 1)),
        ("", Resources()),
    ],
)
def test_what_was_held_is_read(text: str, held: Resources) -> None:
    assert held == read_tres(text)


def test_what_was_held_is_what_a_plan_counts_in() -> None:
    assert Demand(4000, 2**30, 2) == Resources(4, 2**30, 1, 2).demand


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "null", "None", "-1", "1.5", "4294967294", "4294967295",
        "18446744073709551612", "18446744073709551613", "18446744073709551614", "18446744073709551615",
    ],
)  # fmt: skip
def test_what_was_not_measured_is_not_zero(text: str) -> None:
    assert read_joules(text) is None


def test_what_was_measured_is_whole_joules() -> None:
    assert 4000 == read_joules("4000")


# --- histories ------------------------------------------------------------------------------------------------------


def test_the_runs_of_a_requeued_job_are_told_in_order_whatever_the_order_of_the_rows() -> None:
    found = histories(
        accounts(
            job("11", Submit="36", Start="42", End="51", Comment="second"),
            step("batch", "1800", id="11"),
            job("11", State="REQUEUED", End="35", Comment="first"),
            step("batch", "600", id="11"),
        )
    )["11"]

    assert ["REQUEUED", "COMPLETED"] == [run.first.state for run in found.runs]
    assert [(at(0), at(35)), (at(42), at(51))] == [(run.started, run.ended) for run in found.runs]
    assert "second" == found.last.first.comment
    assert found.runs == found.stretches


def test_a_job_cancelled_while_it_waited_for_its_next_run_has_one_stretch() -> None:
    waited = {"State": "CANCELLED by 5", "NodeList": "None assigned", "Start": "None", "AllocTRES": ""}
    found = histories(accounts(job(State="REQUEUED"), job(Submit="14", End="20", **waited)))["2"]

    assert "CANCELLED" == found.last.first.state
    assert at(20) == found.last.ended
    assert [(at(0), at(14))] == [(run.started, run.ended) for run in found.stretches]


def test_tasks_of_an_array_are_jobs_of_their_own() -> None:
    found = histories(
        accounts(job("7_0", JobIDRaw="8"), step("batch", "9", id="8"), job("7_1", JobIDRaw="7"))
    )

    assert ["7_0", "7_1"] == sorted(found)
    assert (9,) == tuple(one.joules for one in found["7_0"].last.first.steps)


def test_the_parts_of_a_heterogeneous_job_are_one_job_with_its_leader_first() -> None:
    found = histories(
        accounts(
            job("9+1", JobIDRaw="10", State="REQUEUED", Start="1", End="6"),
            job("9+0", JobIDRaw="9", State="REQUEUED", End="5"),
            job("9+1", JobIDRaw="10", Submit="6", Start="8", End="15"),
            job("9+0", JobIDRaw="9", Submit="5", Start="8", End="14"),
        )
    )

    assert ["9"] == list(found)
    assert [("9+0", "9+1")] * 2 == [tuple(part.id for part in run.parts) for run in found["9"].runs]
    assert [(at(0), at(6)), (at(8), at(15))] == [(run.started, run.ended) for run in found["9"].runs]


def test_a_part_that_has_not_ended_keeps_the_job_from_having_ended() -> None:
    found = histories(accounts(job("9+0", JobIDRaw="9"), job("9+1", JobIDRaw="10", End="Unknown")))["9"]

    assert found.last.ended is None


def test_an_older_job_with_the_same_number_is_another_job() -> None:
    """Its controller was told to count from 1 again, half a day later."""
    found = histories(accounts(job("2"), job("2", Submit="43200", Start="43210", End="43220")))["2"]

    assert [at(43210)] == [run.started for run in found.runs]


def test_a_job_of_somebody_else_with_the_same_number_is_another_job() -> None:
    found = histories(accounts(job("2"), job("2", UID="1000", Submit="15", Start="15", End="20")))["2"]

    assert [1000] == [run.first.uid for run in found.runs]


def test_nobody_can_write_a_delimiter_that_he_does_not_know() -> None:
    [found] = accounts(job("5", Comment=DELIMITER.replace(NONCE, "0")))

    assert DELIMITER.replace(NONCE, "0") == found.comment
