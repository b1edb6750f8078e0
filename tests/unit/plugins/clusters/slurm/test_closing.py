"""What Slurm's accounts are asked for, and what is said where they cannot be read."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from cleanhours.domain.jobs import JobState
from cleanhours.domain.resources import Demand
from cleanhours.domain.times import epoch, instant_of
from cleanhours_plugins.clusters.slurm.calling import Refused, Slurm
from cleanhours_plugins.clusters.slurm.closing import Accounts, Closing
from cleanhours_plugins.clusters.slurm.ending import Ended
from cleanhours_plugins.clusters.slurm.histories import History, histories
from cleanhours_plugins.clusters.slurm.jobs import Known, Reporting
from cleanhours_plugins.clusters.slurm.places import Places
from cleanhours_plugins.clusters.slurm.tagging import written
from tests.unit.plugins.clusters.slurm.made import BY_PARTITION, NOW, ZONES, running, settings, tag, waiting
from tests.unit.plugins.clusters.slurm.recorded import accounts, at, job

DAY = 86400
NONE_KEPT = "Slurm accounting storage is disabled"


@dataclass
class Database(Slurm):
    """A Slurm whose sacct knows of no job, or says why it will not tell."""

    fault: str = ""
    questions: list[tuple[str, ...]] = field(default_factory=list)

    def ask(self, program: str, *arguments: str, patience_s: float = 0) -> str:
        del program, patience_s
        self.questions.append(arguments)
        if self.fault:
            raise Refused(self.fault)
        return ""

    def begins(self) -> list[int]:
        """From when each question asks."""
        found = [word for words in self.questions for word in words if word.startswith("--starttime=uts")]
        return [int(word.removeprefix("--starttime=uts")) for word in found]


@pytest.mark.parametrize(("everybody", "days"), [(False, 30), (True, 3)])
def test_accounts_are_asked_for_no_longer_ago_than_a_database_answers(everybody: bool, days: int) -> None:
    database = Database()
    accounts = Accounts(database, everybody)
    now = instant_of(NOW)

    assert {} == accounts.histories(instant_of(0), now, [], ZONES)
    assert {} == accounts.histories(now - timedelta(hours=5), now, [], ZONES)

    assert [epoch(now) - days * DAY, epoch(now) - 5 * 3600] == database.begins()


def test_accounts_that_cannot_be_read_are_complained_of_once_until_they_are_read_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = Database(fault="Access/permission denied")
    accounts = Accounts(database, everybody=False)

    def ask() -> object:
        return accounts.histories(instant_of(NOW - DAY), instant_of(NOW), [], ZONES)

    assert [{}, {}] == [ask(), ask()]
    assert 1 == caplog.text.count("Access/permission denied")
    database.fault = ""
    ask()
    database.fault = "Access/permission denied"
    ask()
    assert 2 == caplog.text.count("Access/permission denied")


def test_where_none_are_kept_our_own_records_do_and_sacct_is_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    database = Database(fault=NONE_KEPT)
    accounts = Accounts(database, everybody=False)

    for _ in range(3):
        assert accounts.histories(instant_of(NOW - DAY), instant_of(NOW), [], ZONES) is None

    assert 1 == len(database.questions)
    assert 1 == caplog.text.count("our own records must do")


# -- what never ran --------------------------------------------------------------------------------------------------


CANCELLED = {
    "State": "CANCELLED by 5", "NodeList": "None assigned", "Start": "None", "End": "3", "AllocTRES": "", "ElapsedRaw": "0",
}  # fmt: skip


def closing(*, federated: bool = False) -> Closing:
    there = settings(places=Places(BY_PARTITION, "de", federated))
    return Closing(Reporting(there), ZONES, {})


def accounted() -> dict[str, History]:
    return histories(accounts(job("12", Comment=written(tag()), **CANCELLED)))


def remembered(known: Known) -> Ended:
    return Ended(known, NOW, JobState.CANCELLED, "CANCELLED (None)")


def test_a_job_that_was_cancelled_while_nobody_looked_is_told_of_by_its_account() -> None:
    (run,) = closing().runs([], accounted(), at(10))

    assert (JobState.CANCELLED, at(3), ()) == (run.state, run.finished_at, run.segments)
    assert (Demand(), {}, "CANCELLED (exit 0)") == (run.allocated, run.usage, run.message)


def test_in_a_federation_it_may_run_elsewhere() -> None:
    assert [] == closing(federated=True).runs([], accounted(), at(10))


def test_what_never_ran_is_told_at_once_and_what_ran_when_it_is_accounted() -> None:
    never = remembered(waiting(state="CANCELLED"))
    ran = remembered(running(state="CANCELLED", id="13"))
    now = instant_of(NOW + 1)

    assert [never.known.uid] == [run.key.uid for run in closing().runs([never, ran], {}, now)]
    assert 2 == len(closing().runs([never, ran], {}, now + timedelta(minutes=3)))


def test_what_is_remembered_and_accounted_is_told_once() -> None:
    never = remembered(waiting(state="CANCELLED"))

    (run,) = closing().runs([never], accounted(), at(10))
    assert never.known.uid == run.key.uid
