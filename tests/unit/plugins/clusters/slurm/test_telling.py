"""Several jobs are told side by side, each in its own order; one that fails is its own affair, a Slurm that is away is everybody's."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from cleanhours.domain.errors import TemporaryError
from cleanhours_plugins.clusters.slurm.calling import Refused
from cleanhours_plugins.clusters.slurm.telling import ENOUGH, SIDE_BY_SIDE, Told, tell


class Listening:
    """Remembers what it was asked, and raises what is due for a job."""

    def __init__(self, faults: Mapping[str, Exception] | None = None) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._faults = faults or {}

    def __call__(self, *words: str) -> str:
        self.asked.append(words)
        if words[1] in self._faults:
            raise self._faults[words[1]]
        return ""

    def of(self, job: str) -> list[str]:
        return [words[0] for words in self.asked if words[1] == job]


def chain(job: str, *programs: str) -> list[tuple[str, ...]]:
    return [(program, job) for program in programs]


def said(told: Told) -> list[str]:
    return ["" if fault is None else str(fault) for fault in told.faults]


def away(text: str = "no answer") -> TemporaryError:
    return TemporaryError(text)


def test_the_commands_of_a_job_follow_each_other() -> None:
    slurm = Listening()
    jobs = [str(number) for number in range(50)]

    assert Told([None] * 50) == tell(slurm, [chain(job, "update", "requeue", "release") for job in jobs])
    assert [["update", "requeue", "release"]] * 50 == [slurm.of(job) for job in jobs]


def test_as_many_jobs_as_that_are_told_at_once() -> None:
    together = threading.Barrier(SIDE_BY_SIDE)

    def meets(*_: str) -> None:
        together.wait(timeout=60)

    told = tell(meets, [chain(str(number), "update") for number in range(SIDE_BY_SIDE)])

    assert [None] * SIDE_BY_SIDE == told.faults


def test_nothing_takes_no_command() -> None:
    slurm = Listening()

    assert (Told([]), []) == (tell(slurm, []), slurm.asked)


def test_who_is_refused_hears_no_more_and_keeps_nobody() -> None:
    slurm = Listening({"2": Refused("scontrol: Invalid job id")})
    told = tell(slurm, [chain(job, "update", "release") for job in "123"])

    assert (["", "scontrol: Invalid job id", ""], "") == (said(told), told.away)
    assert ["update"] == slurm.of("2")


def test_one_without_an_answer_keeps_nobody() -> None:
    slurm = Listening({"1": away()})

    told = tell(slurm, [chain(str(number), "update") for number in range(1, 32)])

    assert (["no answer", *[""] * 30], "") == (said(told), told.away)


def test_where_slurm_answers_nobody_the_rest_is_not_tried() -> None:
    jobs = [str(number) for number in range(200)]
    slurm = Listening(dict.fromkeys(jobs, away("gave no answer within 20 s")))
    told = tell(slurm, [chain(job, "update", "release") for job in jobs])

    assert "not tried, for Slurm answers nobody: gave no answer within 20 s" == told.away
    assert ENOUGH <= len(slurm.asked) < ENOUGH + SIDE_BY_SIDE
    assert "gave no answer within 20 s" == said(told)[0]
    assert [told.away] * 190 == said(told)[-190:]
    assert {TemporaryError} == set(map(type, told.faults))


def test_a_job_that_was_begun_is_gone_through_with() -> None:
    """Stopped between its requeue and its release, it would stay held."""
    gone = threading.Event()
    lost = [str(number) for number in range(ENOUGH)]
    heard: list[tuple[str, ...]] = []

    def slurm(*words: str) -> None:
        heard.append(words)
        if words[1] == "long" and words[0] == "requeuehold":
            gone.wait(timeout=60)
        elif words[1] in lost:
            if words[1] == lost[-1]:
                gone.set()
            raise away()

    told = tell(slurm, [chain("long", "requeuehold", "release"), *(chain(job, "update") for job in lost)])

    assert ["", *["no answer"] * ENOUGH] == said(told)
    assert ("release", "long") in heard
