"""What earlier runs tell of a job whose owner did not say how long it runs or what it draws."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.control.explaining import explain
from cleanhours.control.history import ASKED_AT_ONCE, Draw, History, draw_of, rests_on_history
from cleanhours.domain.accounts import MethodShare
from cleanhours.domain.energy import EnergyProfile, Method
from cleanhours.domain.errors import Complaint, TemporaryError
from cleanhours.domain.jobs import Job, JobKey, JobState, RunSegment
from cleanhours.domain.requests import JobRequest
from cleanhours.testing.ledger_contract import HOUR, START, a_plan, an_entry
from cleanhours.testing.ledgers import FakeLedger


class Asked(FakeLedger):
    """A ledger that counts what it is asked, and fails while it is `away`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.away = False

    def remembered(self, cluster: str, namespace: str, names: Collection[str]) -> frozenset[str]:
        self.asked.append(f"remembered {' '.join(sorted(names))}")
        if self.away:
            raise TemporaryError("away")
        return frozenset(name for name in names if FakeLedger.durations(self, cluster, namespace, name))

    def durations(self, cluster: str, namespace: str, name: str) -> Sequence[timedelta]:
        self.asked.append(f"durations {name}")
        return super().durations(cluster, namespace, name)

    def powers(self, cluster: str, namespace: str, name: str) -> Sequence[float]:
        self.asked.append(f"powers {name}")
        if self.away:
            raise TemporaryError("away")
        return super().powers(cluster, namespace, name)


def ran(ledger: FakeLedger, *watts: int, name: str = "train", method: Method = Method.MEASURED) -> None:
    """Runs of an hour each, as they were settled."""
    for n, each in enumerate(watts):
        part = RunSegment(START, START + HOUR, "home")
        share = MethodShare(method, ("meter",), each * 3_600_000, 60, 100)
        ledger.record(
            an_entry(
                f"{name}-{n}", name=name, segments=(part,), finished_at=START + (n + 1) * HOUR,
                profile=EnergyProfile((), 1.0), shares=(share,),
            )
        )  # fmt: skip


def a_job(name: str = "train", uid: str = "1", **wishes: object) -> Job:
    request = JobRequest(submitted=START, **wishes)  # type: ignore[arg-type]
    return Job(
        key=JobKey("local", uid),
        name=name,
        namespace="ada",
        state=JobState.HELD,
        request=request,
        home="home",
    )


def completed(history: History, ledger: FakeLedger, *jobs: Job) -> list[JobRequest]:
    return [job.request for job in history.complete(jobs, ledger, START)]


def test_the_power_of_a_job_is_the_median_of_its_runs_before() -> None:
    ledger = Asked()
    ran(ledger, 700, 900, 800, 100, 850)
    (request,) = completed(History(), ledger, a_job(duration=2 * HOUR))

    assert 800.0 == request.power_w
    assert 2 * HOUR == request.duration


def test_both_are_completed_and_each_only_where_the_owner_left_it_open() -> None:
    ledger = Asked()
    ran(ledger, 700)
    history = History()
    neither, power, both = completed(
        history, ledger, a_job(), a_job(power_w=5.0), a_job(power_w=5.0, duration=2 * HOUR)
    )

    assert (HOUR, 700.0) == (neither.duration, neither.power_w)
    assert (HOUR, 5.0) == (power.duration, power.power_w)
    assert (2 * HOUR, 5.0) == (both.duration, both.power_w)


def test_declared_watts_are_no_history() -> None:
    ledger = Asked()
    ran(ledger, 700, method=Method.DECLARED)

    assert completed(History(), ledger, a_job(duration=HOUR))[0].power_w is None


def test_a_request_that_could_not_be_read_is_left_alone() -> None:
    ledger = Asked()
    ran(ledger, 700)
    job = replace(a_job(), complaints=(Complaint("power", "much", "watts"),))

    assert [job.request] == completed(History(), ledger, job)
    assert [] == ledger.asked


def test_the_ledger_is_asked_once_a_work_until_another_run_of_it_ends() -> None:
    ledger = Asked()
    ran(ledger, 700)
    history, jobs = History(), [a_job(uid=str(n), duration=HOUR) for n in range(3)]
    for _ in range(3):
        history.complete([*jobs, a_job("other")], ledger, START)
    assert ["remembered other train", "powers train"] == ledger.asked

    ran(ledger, 100, name="other")
    history.forget(ledger.current()[-1].run)
    assert 100.0 == completed(history, ledger, a_job("other"))[0].power_w
    assert ["remembered other", "durations other", "powers other"] == ledger.asked[2:]


def test_a_job_that_did_not_change_is_the_same_object_again() -> None:
    """What planning remembers of a job hangs on it; and ten thousand requests are not checked again every tick."""
    ledger = Asked()
    ran(ledger, 700)
    history, job = History(), a_job()
    (first,), (again,) = (history.complete([job], ledger, START) for _ in range(2))
    assert first is again

    (moved,) = history.complete([replace(job, state=JobState.RUNNING)], ledger, START)
    assert JobState.RUNNING is moved.state
    assert 700.0 == moved.request.power_w


def test_many_new_works_are_asked_for_in_parts() -> None:
    ledger, history = Asked(), History()
    jobs = [a_job(f"job-{n}", str(n), duration=HOUR) for n in range(ASKED_AT_ONCE + 7)]
    for job in jobs:
        ran(ledger, 700, name=job.name)
    for asked in (ASKED_AT_ONCE, ASKED_AT_ONCE + 7, ASKED_AT_ONCE + 7):
        assert len(jobs) == len(history.complete(jobs, ledger, START))
        assert asked == sum(one.startswith("powers") for one in ledger.asked)


def test_works_that_never_ran_are_found_out_with_one_question() -> None:
    ledger, history = Asked(), History()
    jobs = [a_job(f"job-{n}", str(n)) for n in range(ASKED_AT_ONCE + 7)]
    for _ in range(2):
        history.complete(jobs, ledger, START)
    assert 1 == len(ledger.asked)


def test_a_work_is_forgotten_with_its_last_job() -> None:
    """Names that are made up for each job must not pile up in a controller that runs for a year."""
    ledger, history = Asked(), History()
    history.complete([a_job("one"), a_job("two", "2")], ledger, START)
    history.complete([a_job("two", "2")], ledger, START)
    history.complete([a_job("one"), a_job("two", "2")], ledger, START)
    assert ["remembered one two", "remembered one"] == ledger.asked


def test_a_job_without_a_duration_is_not_decided_upon_while_the_ledger_cannot_tell() -> None:
    ledger = Asked()
    ledger.away = True
    with pytest.raises(TemporaryError):
        History().complete([a_job()], ledger, START)


def test_a_ledger_that_fails_costs_a_power_and_no_tick(caplog: pytest.LogCaptureFixture) -> None:
    ledger, history = Asked(), History()
    ran(ledger, 700)
    ledger.away = True
    jobs = [a_job("train", "1", duration=HOUR), a_job("other", "2", duration=HOUR)]
    with caplog.at_level(logging.WARNING):
        assert jobs == history.complete(jobs, ledger, START)
        assert jobs == history.complete(jobs, ledger, START + timedelta(seconds=30))
        assert 1 == len(ledger.asked)  # it may take seconds to fail
        history.complete(jobs, ledger, START + timedelta(minutes=2))
    assert 1 == len(caplog.records)

    ledger.away = False
    found = history.complete(jobs, ledger, START + timedelta(minutes=4))
    assert [700.0, None] == [job.request.power_w for job in found]


# --- the spread, said -----------------------------------------------------------------------------------------------


def test_the_spread_is_told_by_quartiles() -> None:
    draw = Draw.of([700, 900, 800, 812, 880, 600, 1000])
    assert draw is not None
    assert (812, 750, 890, 7) == tuple(draw)
    assert "812 W, the median of 7 runs before (half of them 750 to 890 W)" == str(draw)
    assert "1,200 W, as its only run before" == str(Draw.of([1200.4]))
    assert Draw.of([]) is None
    assert Draw.of([0.0, float("nan"), float("inf"), -5]) is None


@given(st.lists(st.floats(0.001, 1e9), min_size=1, max_size=60))
def test_quartiles_lie_in_order_within_what_was_drawn(powers: list[float]) -> None:
    draw = Draw.of(powers)
    assert draw is not None
    slack = 1 + 1e-9
    assert min(powers) <= draw.lower_w * slack
    assert draw.lower_w <= draw.median_w * slack
    assert draw.median_w <= draw.upper_w * slack
    assert draw.upper_w <= max(powers) * slack


def test_an_explanation_says_what_the_power_rests_on() -> None:
    ledger = Asked()
    ran(ledger, 700, 900, 800)
    job = replace(a_job(duration=HOUR), plan=a_plan(power_w=800.0))

    assert rests_on_history(job)
    said = explain(job, START, draw_of(job, ledger))
    assert said.endswith(
        "It is planned with a power of 800 W, the median of 3 runs before (half of them 750 to 850 W)."
    )
    assert "power" not in explain(job, START)


@pytest.mark.parametrize(
    "job",
    [
        a_job(),
        replace(a_job(power_w=800.0), plan=a_plan(power_w=800.0)),
        replace(a_job(), plan=a_plan(power_w=1000.0, power_assumed=True)),
        replace(a_job(), plan=a_plan()),
    ],
)
def test_what_rests_on_something_else_asks_no_ledger(job: Job) -> None:
    assert not rests_on_history(job)
